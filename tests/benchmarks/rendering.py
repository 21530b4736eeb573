"""How long a frame of each environment's picture takes, and how much faster that is than at an earlier commit.

    python tests/benchmarks/rendering.py [--before COMMIT] [--frames N]

Both draw the same frames in this process, alternately; CPU time counts, since other work on the machine does not change
it much. The modules of the earlier commit are its `envs/rendering.py` and every problem's `render.py`.
"""

import argparse
import dataclasses
import subprocess
import sys
import time
import types
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


def before(commit: str) -> dict[str, types.ModuleType]:
    """The modules of an earlier commit, under names of their own."""
    found = {}
    for name, path in (("rendering", "rendering"), *((p, f"{p}/render") for p in PROBLEMS.values())):
        source = subprocess.check_output(["git", "show", f"{commit}:envs/{path}.py"], cwd=ROOT, text=True)
        module = types.ModuleType(f"{name}_before")
        sys.modules[module.__name__] = module
        exec(source.replace("rangym.envs.rendering", "rendering_before"), module.__dict__)
        found[name] = module
    return found


def frames(env_id: str, count: int):
    """The system and the frames of an episode under random actions."""
    env = gym.make(f"rangym/{env_id}-v0", render_mode="rgb_array").unwrapped
    env.reset(seed=0), env.action_space.seed(0)
    for _ in range(min(count, env.system.horizon)):
        env.step(env.action_space.sample())
        frame = env._episode.frame(0)
        yield env.system, dataclasses.replace(frame, rewards=list(frame.rewards), terms=list(frame.terms))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", metavar="COMMIT")
    parser.add_argument("--frames", type=int, default=60)
    args = parser.parse_args()
    old = before(args.before) if args.before else None
    for env_id, problem in PROBLEMS.items():
        paper, spent, first = Picture(), {"now": 0.0, "before": 0.0}, 0.0
        count = 0
        for system, frame in frames(env_id, args.frames):
            draws = {"now": lambda s=system, f=frame: paper(lambda figure: s.draw(figure, f))}
            if old is not None:
                draw = old[problem].draw
                draws["before"] = lambda s=system, f=frame, d=draw: old["rendering"].picture(lambda fig: d(fig, s, f))
            for which, action in draws.items():
                start = time.process_time()
                action()
                seconds = time.process_time() - start
                if count == 0:  # imports and fonts
                    first = max(first, seconds)
                    start = time.process_time()
                    paper = Picture() if which == "now" else paper
                    action()
                    seconds = time.process_time() - start
                spent[which] += seconds
            count += 1
        line = f"{env_id:<18} {count:3} frames: {1000 * spent['now'] / count:6.1f} ms"
        if old is not None:
            line += (
                f", before {1000 * spent['before'] / count:6.1f} ms: {spent['before'] / spent['now']:.1f} times as fast"
            )
        print(line, flush=True)


if __name__ == "__main__":
    main()
