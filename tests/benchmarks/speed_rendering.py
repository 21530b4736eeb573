"""How long a frame of each environment's picture takes, and how much faster that is than at an earlier commit.

    python tests/benchmarks/speed_rendering.py [--before COMMIT] [--frames N]

Both draw the same frames in this process, alternately; CPU time counts, since other work on the machine does not change
it much. The modules of the earlier commit are its `envs/rendering.py` and every problem's `render.py`.
"""

import argparse
import dataclasses
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym

import rangym  # noqa: F401
from rangym.envs.rendering import Picture

PROBLEMS = {
    "CellAssociation": "cell_association",
    "NodePlacement": "node_placement",
    "NomaAllocation": "noma_allocation",
    "QosClustering": "qos_clustering",
    "CeflOrchestration": "cefl_orchestration",
}
ROOT = Path(__file__).parents[2]


def module_before(commit: str, path: str) -> types.ModuleType:
    """A module of an earlier commit, under a name of its own."""
    source = subprocess.check_output(["git", "show", f"{commit}:envs/{path}.py"], cwd=ROOT, text=True)
    module = types.ModuleType(f"{path.replace('/', '_')}_before")
    sys.modules[module.__name__] = module
    exec(source.replace("rangym.envs.rendering", "rendering_before"), module.__dict__)
    return module


def frames(env_id: str, count: int):
    """The system and the frames of an episode under random actions."""
    env = gym.make(f"rangym/{env_id}-v0", render_mode="rgb_array").unwrapped
    env.reset(seed=0), env.action_space.seed(0)
    for _ in range(min(count, env.system.horizon)):
        env.step(env.action_space.sample())
        frame = env._episode.frame(0)
        yield env.system, dataclasses.replace(frame, rewards=list(frame.rewards), terms=list(frame.terms))


def cpu_ms(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return 1000 * (time.process_time() - start)


def compare(env_id: str, problem: str, before: str | None, count: int) -> str:
    """A line with the mean time of a frame, the first one included, and the ratio to the earlier commit."""
    shown = list(frames(env_id, count))
    system = shown[0][0]
    draws = {"now": Picture()}
    how = {"now": system.draw}
    if before:
        old, draw = module_before(before, "rendering"), module_before(before, f"{problem}/render").draw
        draws["before"], how["before"] = old.picture, lambda figure, frame: draw(figure, system, frame)
    Picture()(lambda figure: system.draw(figure, shown[0][1]))  # imports and fonts are no frame's
    spent = dict.fromkeys(draws, 0.0)
    for _, frame in shown:
        for which, paper in draws.items():
            spent[which] += cpu_ms(lambda p=paper, d=how[which], f=frame: p(lambda figure: d(figure, f)))
    line = f"{env_id:<18} {len(shown):3} frames: {spent['now'] / len(shown):6.1f} ms"
    if before:
        line += f", before {spent['before'] / len(shown):6.1f} ms: {spent['before'] / spent['now']:.1f} times as fast"
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", metavar="COMMIT")
    parser.add_argument("--frames", type=int, default=60)
    args = parser.parse_args()
    for env_id, problem in PROBLEMS.items():
        print(compare(env_id, problem, args.before, args.frames), flush=True)


if __name__ == "__main__":
    main()
