"""Your own motion and channel: a subclass that draws other episodes and changes nothing else.

Trains run along a straight line through the cells. Policies come with the parent, and so does its certified bound,
since `sample` alone is new. In this folder, `python -m rangym evaluate a3 lda --env own_motion:lab/Railway-v0` takes it
too.
Takes 5 s. Needs rangym alone.
"""

import numpy as np

import rangym
from rangym.envs.cell_association.system import CellAssociation
from rangym.envs.physics.channel import sinr_db, thermal_noise_dbm
from rangym.envs.trace import Trace
from rangym.evaluation import Benchmark, evaluate

SPEED_MPS = 40.0


class Railway(CellAssociation):
    """CellAssociation on a railway: UEs to and fro on one line, a power law, one carrier that all cells use."""

    def sample(self, rng):
        p, drawn = self.params, super().sample(rng)  # cells, bandwidths and delays stay as they are
        way = rng.uniform(0, 2 * p.side_m, p.num_ues) + SPEED_MPS * p.slot_s * np.arange(p.horizon + 2)[:, None]
        x = np.abs(way % (2 * p.side_m) - p.side_m)  # a triangle wave: back at each end
        position = np.stack([x, np.full_like(x, p.side_m / 2)], axis=-1)  # (T + 2, I, 2)
        apart = position[:, :, None] - drawn.constants["cell_position_m"]
        distance = np.maximum(np.linalg.norm(apart, axis=-1), 10.0)  # (T + 2, I, J)
        received_dbm = 43.0 - 34.0 - 35.0 * np.log10(distance) + 4.0 * rng.standard_normal(distance.shape)
        noise_dbm = [thermal_noise_dbm(20.0, p.noise_figure_db)] * p.num_cells
        level = sinr_db(np.moveaxis(received_dbm, -1, 0), np.array(noise_dbm))  # cells first
        clipped = np.clip(np.moveaxis(level, 0, -1), p.sinr_floor_db, p.sinr_ceiling_db)
        return Trace(drawn.constants, {"sinr_db": clipped, "user_position_m": position})


rangym.register("lab/Railway-v0", system="own_motion:Railway")  # by name, so that worker processes find it

if __name__ == "__main__":
    print(evaluate(["a3", "sticky_filtered", "lda", "random"], Benchmark("lab/Railway-v0", "small", range(10))))
