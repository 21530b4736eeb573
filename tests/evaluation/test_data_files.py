"""Trainings on local files: a data set written anew under the same names is another one, and so are its rows."""

import struct

import numpy as np
import pytest

from rangym.evaluation.problems.cefl_orchestration.orchestrate import orchestrate
from rangym.evaluation.problems.cefl_orchestration.training_study import OrchestratedStudy
from rangym.evaluation.problems.noma_allocation.federated import federated
from rangym.evaluation.problems.noma_allocation.federated_training import FederatedStudy


def write(folder, seed):
    """A made-up data set in MNIST's form."""
    rng = np.random.default_rng(seed)
    for part, number in (("train", 300), ("t10k", 60)):
        images, labels = rng.integers(256, size=(number, 4, 4)), np.arange(number) % 3
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (folder / f"{part}-{kind}-ubyte").write_bytes(header + array.astype(np.uint8).tobytes())


def federated_run(path, out):
    study = FederatedStudy(
        dataset="mnist", dataset_path=path, num_ues=12, participants=6, rounds=3, hidden=(8,), num_clusters=3
    )
    return federated(study, methods=["fedavg"], concentrations=[0.5], learning_rates=[0.1], seeds=[0], out=out)


def orchestrated_run(path, out):
    study = OrchestratedStudy(scenario="tiny", rounds=3, training={"dataset": "mnist", "dataset_path": path})
    return orchestrate(study, policies=["uniform"], aggregations=["fedavg"], learning_rates=[0.1], seeds=[0], out=out)


@pytest.mark.parametrize(("run", "measured"), [(federated_run, "personal"), (orchestrated_run, "loss")])
def test_rows_are_those_of_the_files_that_were_read(run, measured, tmp_path):
    out, data = tmp_path / "rows.jsonl", tmp_path / "data"
    data.mkdir()
    write(data, 0)
    first = run(str(data), out)
    assert not first.problems and (first.computed, run(str(data), out).computed) == (1, 0)
    write(data, 1)
    second = run(str(data), out)
    assert second.computed == 1 and not second.problems
    assert second.rows[0]["files"].keys() == first.rows[0]["files"].keys() and len(first.rows[0]["files"]) == 4
    assert second.rows[0]["files"] != first.rows[0]["files"]
    assert second.rows[0][measured] != first.rows[0][measured]
    write(data, 0)
    assert run(str(data), out).computed == 0  # the first rows are still there
