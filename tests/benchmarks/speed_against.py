"""How fast this code steps against another checkout of it, say the commit before: ratios of interleaved runs.

Each checkout runs in a process of its own, on one core, and the two take turns: two whole episodes of a vector
environment with random actions and SAME_STEP autoreset, traces included, in CPU time. The ratio is that of the medians;
beside it stand the least and the greatest ratio of a turn.

Example: python tests/benchmarks/speed_against.py --other ../before --cases noma_allocation --lanes 1 1024
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy is imported

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
from gymnasium.vector import AutoresetMode
from speed_environments import CASES, EPISODES, POOL, progress, timed, walk

HERE = Path(__file__).resolve().parents[2]
SHORTEST_SLOTS = 400
"""A run of few lanes takes at least so many slots, so that the clock's grain does not count."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other", type=Path, required=True, help="the root of the other checkout")
    parser.add_argument("--cases", nargs="+", choices=sorted(CASES), default=["noma_allocation"])
    parser.add_argument("--lanes", nargs="+", type=int, default=[1, 1024])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    args = parser.parse_args()

    other, mine = Walker(args.other.resolve()), Walker(HERE)
    rows = []
    print(f"{'case':<26}{'lanes':>6}{'other /s':>12}{'this /s':>12}{'ratio':>8}  least to greatest")
    for name in args.cases:
        for lanes in args.lanes:
            for walker in (other, mine):
                walker.seconds(name, lanes)  # compiles and fills caches
            turns = []
            for k in range(args.repetitions):
                progress(f"{name}, {lanes} lanes: repetition {k + 1} of {args.repetitions}")
                turns.append((other.seconds(name, lanes), mine.seconds(name, lanes)))
            before, now = (statistics.median(column) for column in zip(*turns, strict=True))
            ratios = sorted(b / n for b, n in turns)
            rows.append({"case": name, "lanes": lanes, "other_s": before, "this_s": now, "ratios": ratios})
            print(
                f"{name:<26}{lanes:>6}{1 / before:>12,.0f}{1 / now:>12,.0f}{before / now:>8.2f}"
                f"  {ratios[0]:.2f} to {ratios[-1]:.2f}",
                flush=True,
            )
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + "\n")


class Walker:
    """A process that walks the environments of the checkout at ``root``."""

    def __init__(self, root: Path):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "src"), str(Path(__file__).parent)])}
        command = [sys.executable, "-c", "import speed_against; speed_against.serve()"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        loaded = Path(self._ask({}))
        if loaded != root / "src" / "rangym":
            raise SystemExit(f"--other: a checkout of rangym wanted at {root}, got the package at {loaded}")

    def seconds(self, case: str, lanes: int) -> float:
        """CPU seconds a lane and slot."""
        return float(self._ask({"case": case, "lanes": lanes}))

    def _ask(self, question: dict) -> str:
        print(json.dumps(question), file=self._process.stdin, flush=True)
        if not (answer := self._process.stdout.readline()):
            raise SystemExit("a process of the benchmark has ended; its error is above")
        return answer.strip()


def serve() -> None:
    """Answer `Walker` until it ends."""
    import rangym

    made: dict[tuple[str, int], tuple] = {}
    for line in sys.stdin:
        question = json.loads(line)
        if not question:
            print(Path(rangym.__file__).parent, flush=True)
            continue
        case, lanes = CASES[question["case"]], question["lanes"]
        key = question["case"], lanes
        if key not in made:
            env = gym.make_vec(
                case.env_id, lanes, scenario=case.scenario, autoreset_mode=AutoresetMode.SAME_STEP, **case.overrides
            )
            env.action_space.seed(0)
            made[key] = env, [env.action_space.sample() for _ in range(POOL)]
        env, pool = made[key]
        horizon = env.unwrapped.system.horizon  # type: ignore[attr-defined]
        slots = horizon * max(EPISODES, -(-SHORTEST_SLOTS // (horizon * lanes)))
        env.reset(seed=0)
        print(timed(lambda env=env, pool=pool, slots=slots: walk(env, pool, slots)) / (lanes * slots), flush=True)


if __name__ == "__main__":
    main()
