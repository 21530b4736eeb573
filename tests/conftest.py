"""Settings of the whole test suite, and what several folders of it use."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import settings

# A first example may compile a kernel, and machines are shared: time is measured in tests/benchmarks, never here.
settings.register_profile("rangym", deadline=None)
settings.load_profile("rangym")


def pytest_addoption(parser):
    parser.addoption("--disturb", type=int, metavar="SEED", help="move numbers by some units in the last place")
    parser.addoption("--lowered", action="store_true", help="refuse to run but as on a plain processor (see .ci/run)")


def pytest_configure(config):
    if config.getoption("--lowered"):
        import numba

        from rangym.evaluation.versions import numpy_dispatch

        # NumPy only warns of features that it cannot switch off, and numba of none.
        if numpy_dispatch() or numba.config.CPU_NAME != "generic":
            raise pytest.UsageError(f"--lowered: NumPy uses {numpy_dispatch()}, numba {numba.config.CPU_NAME}")
    if config.getoption("--disturb") is not None:
        runpy.run_path(str(Path(__file__).with_name("disturbance.py")))["install"](config.getoption("--disturb"))


def pytest_collection_modifyitems(config, items):
    if config.getoption("--disturb") is not None:
        for item in items:
            if item.get_closest_marker("undisturbed"):
                item.add_marker(pytest.mark.skip(reason="undisturbed"))


def pytest_report_header():
    from rangym.evaluation.versions import processor

    return f"processor: {processor()}"


@pytest.fixture(scope="session")
def kpi_logs():
    """Made-up logs of key performance indicators: `kpi_rows` and `write_csv`."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("made_up_logs.py"))))


@pytest.fixture(scope="session")
def days_file(kpi_logs, tmp_path_factory) -> str:
    """A small file of recorded days: 4 cells, 60 periods, of which windows of up to 20 slots can be cut."""
    from rangym.envs.qos_clustering.kpi_logs import KPIS, read_logs
    from rangym.envs.qos_clustering.recorded_predictor import fitted_days

    folder = tmp_path_factory.mktemp("recorded")
    log = read_logs(kpi_logs.write_csv(folder / "log.csv", kpi_logs.kpi_rows()))
    fitted_days(log, KPIS).save(folder / "days.npz")
    return str(folder / "days.npz")
