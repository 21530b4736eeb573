"""Stable-Baselines3's PPO with a clock: how much of the wall-clock time of learning is the environment's.

Run as a script, it trains mobile-env's own example and prints what it took as a line of JSON. It imports nothing of
rangym, since mobile-env has a Python of its own:

Example: /path/to/mobile-env/bin/python tests/benchmarks/timed_learning.py --steps 16384
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecEnvWrapper

MOBILE_ENV = "mobile-medium-central-v0"


class TimedLanes(VecEnvWrapper):
    """Lanes that count the seconds the learner waits for them, resets included."""

    def __init__(self, venv: VecEnv):
        super().__init__(venv)
        self.seconds = 0.0

    def _timed(self, work: Callable, *arguments: object):
        start = time.perf_counter()
        result = work(*arguments)
        self.seconds += time.perf_counter() - start
        return result

    def reset(self):
        return self._timed(self.venv.reset)

    def step_async(self, actions) -> None:
        self._timed(self.venv.step_async, actions)

    def step_wait(self):
        return self._timed(self.venv.step_wait)


class Clock(BaseCallback):
    """Seconds of learning, without those that measurements take; one measurement before each ``every``-th update.

    Attributes
    ----------
    curve : a list of (environment steps, seconds so far, what ``measure`` gave), one a measurement.
    """

    def __init__(self, measure: Callable[[], float] | None, every: int, per_step: int = 1, title: str = ""):
        """``per_step``: transitions of the learner in one step of one environment."""
        super().__init__()
        self._measure, self._every, self._per_step, self._title = measure, every, per_step, title
        self.curve: list[tuple[int, float, float]] = []
        self._updates = 0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._start

    def _on_training_start(self) -> None:
        self._start = time.perf_counter()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        steps = self.num_timesteps // self._per_step
        print(f"{self._title}: {steps:,} steps in {self.seconds:.1f} s", file=sys.stderr, flush=True)
        if self._updates % self._every == 0:
            self.measure()
        self._updates += 1

    def measure(self) -> None:
        """Add a point to the curve, while the clock stands still."""
        if self._measure is not None:
            seconds = self.seconds
            self.curve.append((self.num_timesteps // self._per_step, seconds, self._measure()))
            self._start = time.perf_counter() - seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=16_384, help="environment steps (default: %(default)s)")
    args = parser.parse_args()

    import gymnasium
    import mobile_env  # noqa: F401  (registers its environments)

    torch.set_num_threads(1)
    start = time.perf_counter()
    lanes = TimedLanes(DummyVecEnv([lambda: Monitor(gymnasium.make(MOBILE_ENV))]))  # as SB3 wraps one environment
    start_s = time.perf_counter() - start
    clock = Clock(None, every=1, title=MOBILE_ENV)
    model = PPO("MlpPolicy", lanes, device="cpu").learn(args.steps, clock)
    taken = {"steps": model.num_timesteps, "seconds": clock.seconds, "env_seconds": lanes.seconds, "start_s": start_s}
    names = ("mobile-env", "gymnasium", "stable-baselines3", "torch", "numpy")
    print(json.dumps({**taken, "versions": {name: version(name) for name in names}}))


if __name__ == "__main__":
    main()
