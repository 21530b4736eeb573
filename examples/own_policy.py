"""A policy of your own in the table: two methods, and its options with their ranges.

The rule with two settings meets reference policies on the same ten traces, beside the bound. In this folder,
`python -m rangym evaluate own_policy:Averaged:margin_db=6 a3` takes it too.
Takes 5 s. Needs rangym alone.
"""

from dataclasses import dataclass

import numpy as np

from rangym.envs.params import ranged
from rangym.evaluation import Benchmark, evaluate
from rangym.policies import Policy


@dataclass(eq=False)
class Averaged(Policy):
    """The cell that is strongest on average; a UE leaves its cell only for one that is better by a margin.

    Parameters
    ----------
    memory : share of the past in the average of each slot.
    margin_db : by how much another cell must be better.
    """

    memory: float = ranged(0.5, low=0, below=1)
    margin_db: float = ranged(3.0, low=0)

    def reset(self, task, rng):  # what belongs to an episode
        self._average_db = np.zeros(task.box("sinr_db").shape)
        self._weight = 0.0

    def act(self, observation):
        self._average_db = self.memory * self._average_db + (1 - self.memory) * observation["sinr_db"]
        self._weight = self.memory * self._weight + 1 - self.memory  # 1 in the long run
        return (self._average_db / self._weight + self.margin_db * observation["serving"]).argmax(axis=1)


if __name__ == "__main__":
    benchmark = Benchmark("rangym/CellAssociation-v0", "small", range(10))
    mine = [Averaged(), Averaged(memory=0.7, margin_db=6.0)]
    print(evaluate([*mine, "max_sinr", "a3:tuned", "random"], benchmark))
