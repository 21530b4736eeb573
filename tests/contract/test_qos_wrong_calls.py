"""QosClustering's wrong calls: logs, files, parameters, policies and algorithms refuse with field, wanted and got."""

import json
import shutil

import gymnasium as gym
import numpy as np
import pytest

import rangym  # noqa: F401
from rangym import policies
from rangym.envs.core import Trace
from rangym.envs.errors import WrongCall
from rangym.envs.learning.gaussians import encode, hellinger_kernel
from rangym.envs.learning.heads import statistics_by_cell
from rangym.envs.qos_clustering.kpi_logs import KPIS, Options, read_logs
from rangym.envs.qos_clustering.predictor import FOLDER, load
from rangym.envs.qos_clustering.recorded_predictor import fitted_days
from rangym.policies import Task
from rangym.policies.algorithms.prediction.bcd import bcd
from rangym.policies.algorithms.prediction.partition import exact_partition
from rangym.policies.algorithms.prediction.sharing import share_predictors

ID = "rangym/QosClustering-v0"


class Calls:
    """What the wrong calls are made with."""

    def __init__(self, kpi_logs, days_file, folder):
        self.kpi_logs, self.days, self.folder = kpi_logs, days_file, folder

    def log(self, change=None, options=None, periods=24, cells=2, **import_options):
        """Import made-up logs whose rows ``change`` has edited."""
        rows = self.kpi_logs.kpi_rows(periods=periods, cells=cells)
        rows = rows if change is None else change(rows)
        path = self.kpi_logs.write_csv(self.folder / "log.csv", rows)
        options = Options(**(options or {}))
        return fitted_days(read_logs(path, options), options.kpis, **import_options)

    def row(self, number=7, **values):
        """Import logs one row of which is otherwise."""
        return self.log(lambda rows: [r | (values if k == number else {}) for k, r in enumerate(rows)])

    def make(self, **kwargs):
        return gym.make(ID, **{"scenario": "tiny", **kwargs}).unwrapped

    def imported(self, **kwargs):
        return self.make(scenario="imported", days=self.days, **kwargs)

    def run(self, name, **kwargs):
        """Start an episode of a policy."""
        env = self.imported(**kwargs) if kwargs.pop("recorded", False) else self.make(**kwargs)
        env.reset(seed=0)
        policy = policies.make(name)
        policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(0))

    def predictor(self, change):
        """Load a copy of the shipped predictor that ``change(npz, json)`` has spoilt."""
        paths = [shutil.copy(FOLDER / f"small.{suffix}", self.folder / f"mine.{suffix}") for suffix in ("npz", "json")]
        change(*paths)
        return self.make(predictor=str(self.folder / "mine.npz"))

    def replay(self, field, value):
        env = self.make()
        env.reset(seed=0)
        slots = {f: np.array(v) for f, v in env.trace.slots.items()}
        slots[field][3, 1] = value
        env.reset(options={"trace": Trace(env.trace.constants, slots)})

    def sharing(self, cells=4, method="exact", **options):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(12 * cells, 2)), rng.normal(size=(12 * cells, 3))
        return share_predictors(x, y, np.repeat(np.arange(cells), 12), method, **options)

    def separated(self, mark):
        path = self.folder / "other.csv"
        path.write_text(mark.join(("t_s", "cell_id", "latency_ms", "jitter_ms", "rsrp_dbm")) + "\n")
        return read_logs(path)


def renamed(old, new):
    return lambda rows: [{new if k == old else k: v for k, v in row.items()} for row in rows]


def other_width(npz, described):
    """The library's heads get one feature less, and the checksum is mended."""
    import hashlib

    with np.load(npz) as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["heads.2"] = arrays["heads.2"][:, :-1]
    np.savez(npz, **arrays)
    config = json.loads(open(described).read())
    config["sha256"] = hashlib.sha256(open(npz, "rb").read()).hexdigest()
    open(described, "w").write(json.dumps(config))


def cut(npz, described):
    content = open(npz, "rb").read()
    open(npz, "wb").write(content[: len(content) // 2])


def torn_days(c):
    content = open(c.days, "rb").read()
    path = c.folder / "torn.npz"
    path.write_bytes(content[: len(content) // 2])
    return c.make(scenario="imported", days=str(path))


BAD = [[[1.0, 0.0], [0.0, 0.0]], [[1.0, 2.0], [2.0, 1.0]]]
OFF = np.full((4, 4), 0.3)

LOGS = {
    "one cell": (lambda c: c.log(cells=1), "logs: rows of at least two cells wanted, got those of c0"),
    "cell never filled": (
        lambda c: c.log(lambda rows: [r for r in rows if r["cell_id"] != "c1" or r["t_s"] % 900 < 100]),
        "cell c1: at least 20 rows in some period of 900 s wanted, got 3 at most",
    ),
    "milliseconds since the start": (
        lambda c: c.log(lambda rows: [r | {"t_s": 1000 * r["t_s"]} for r in rows]),
        r"at least 20 rows in some period of 900 s wanted.*; 2 of 2 cells are like this, are times in seconds\?",
    ),
    "colons": (
        lambda c: c.separated(":"),
        r"row 1: columns separated by one of ',', ';', TAB, '\|' wanted, got 't_s:cell_id",
    ),
    "spaces": (lambda c: c.separated(" "), r"row 1: columns separated by one of .* wanted, got 't_s cell_id"),
    "unknown column": (
        lambda c: c.log(renamed("speed_kmh", "speed_kph")),
        r"log\.csv: row 1: one of t_s, .* wanted .* got 'speed_kph'; did you mean 'speed_kmh'\?",
    ),
    "missing column": (
        lambda c: c.log(renamed("latency_ms", "latency"), {"columns": {"rsrp_dbm": "rsrp_dbm"}}),
        r"row 1: column latency_ms missing; did you mean 'latency'\?",
    ),
    "no known column": (
        lambda c: c.log(lambda rows: [{"a": 1, "b": 2} for _ in rows]),
        r"row 1: one of t_s, .* wanted .* got 'a'",
    ),
    "rename to nothing of ours": (
        lambda c: c.log(options={"columns": {"latencyms": "x"}}),
        r"columns: one of t_s.* wanted, got 'latencyms'; did you mean 'latency_ms'\?",
    ),
    "rename from nothing of theirs": (
        lambda c: c.log(options={"columns": {"latency_ms": "latencyms"}}),
        r"columns: a column of .*log\.csv for latency_ms wanted, got 'latencyms'; did you mean 'latency_ms'\?",
    ),
    "times out of order": (
        lambda c: c.row(7, t_s=0.5),
        r"log\.csv: row \d+, column t_s: times that do not go back wanted, got '0.5'",
    ),
    "milliseconds since 1970": (
        lambda c: c.log(lambda rows: [r | {"t_s": 1_600_000_000_000 + 1000 * r["t_s"]} for r in rows]),
        "column t_s: seconds, not milliseconds, wanted, got '16",
    ),
    "milliseconds": (
        lambda c: c.log(lambda rows: [r | {"t_s": 1000 * r["t_s"]} for r in rows]),
        r"rows that follow each other wanted, got .* periods of 900 s; are times in seconds\?|20 rows in some period",
    ),
    "duplicate row": (
        lambda c: c.log(lambda rows: [rows[0], *rows]),
        r"log\.csv: row 3: one row a flow, cell and time wanted, got that of row 2 again",
    ),
    "infinity": (lambda c: c.row(jitter_ms="inf"), "row 9, column jitter_ms: a number or '-' wanted, got 'inf'"),
    "zero latency": (lambda c: c.row(latency_ms=0), "row 9, column latency_ms: a number above 0 wanted, got '0'"),
    "negative latency": (lambda c: c.row(latency_ms=-3.5), "column latency_ms: a number above 0 wanted, got '-3.5'"),
    "RSRP above 0 dBm": (
        lambda c: c.row(rsrp_dbm=3),
        "column rsrp_dbm: a number of at least -200 and of at most 0 wanted, got '3'",
    ),
    "load of two": (lambda c: c.row(load=2), "column load: a number of at least 0 and of at most 1 wanted, got '2'"),
    "no time": (lambda c: c.row(t_s="noon"), "column t_s: seconds or an ISO 8601 date and time wanted, got 'noon'"),
    "one period": (
        lambda c: c.log(periods=1),
        r"logs: at least 22 periods of 900 s \(4h \+ 6 with h = 4\) wanted, got 1, whose second half allows horizon 0",
    ),
    "twice the same KPI": (
        lambda c: c.log(options={"kpis": ("latency_ms", "latency_ms", "rsrp_dbm")}),
        r"kpis: three different names ending in .* wanted, got \('latency_ms', 'latency_ms', 'rsrp_dbm'\)",
    ),
    "KPI without a unit": (
        lambda c: c.log(options={"kpis": ("latency", "jitter_ms", "rsrp_dbm")}),
        "kpis: three different names ending in .* got .*'latency'.* did you mean 'latency_ms'",
    ),
    "cumulative delay without packets": (
        lambda c: c.log(options={"delay_is_cumulative": True}),
        "row 1: column rx missing",
    ),
    "cumulative delay that falls": (
        lambda c: c.log(lambda rows: [r | {"rx": 5} for r in rows], {"delay_is_cumulative": True}),
        "column latency_ms: a mean since the flow's start that keeps delays above 0 wanted, got",
    ),
    "a period of no length": (lambda c: c.log(period_s=0.0), "period_s: a finite number above 0 wanted, got 0"),
}
FILES = {
    "no file of days": (
        lambda c: c.make(scenario="imported"),
        "days: the file made by `rangym map import LOGS --kind qos --out FILE.npz` wanted, got None",
    ),
    "torn file of days": (torn_days, r"days: .*torn\.npz: not a file as `rangym map import --kind qos` writes it"),
    "foreign file of days": (
        lambda c: c.make(scenario="imported", days=str(FOLDER / "small.npz")),
        r"days: .*small\.npz: not a file as",
    ),
    "window longer than the half": (
        lambda c: c.imported(horizon=21),
        r"horizon: 1\.\.20 wanted, since a window of T \+ 2h \+ 2 periods must fit into the second half .* got 21",
    ),
    "other cells than the file's": (lambda c: c.imported(num_cells=5), "num_cells: 4, the cells of .*, wanted, got 5"),
    "vehicles in recorded days": (
        lambda c: c.imported(num_vehicles=9),
        "num_vehicles: used with drift 'wander' or 'events' or 'none' only, got drift='imported'",
    ),
    "days for the generator": (
        lambda c: c.make(days=c.days),
        "days: used with drift 'imported' only, got drift='wander'",
    ),
    "half of three": (
        lambda c: c.imported(half="third"),
        r"half: one of \['second', 'first'\] wanted, got 'third'",
    ),
    "predictor for other columns": (
        lambda c: c.imported(predictor="small"),
        r"predictor: 'linear', or one that `rangym pretrain NAME --days .* for the columns .* wanted, got 'small'",
    ),
    "recorded predictor for the generator": (
        lambda c: c.make(predictor="linear"),
        "predictor: one for generated days wanted, got 'linear'",
    ),
    "no such predictor": (lambda c: c.make(predictor="smal"), r"predictor: one of \['small', 'paper'\] .* got 'smal'"),
    "torn predictor": (lambda c: c.predictor(cut), r"mine\.npz: not a predictor"),
    "foreign predictor": (
        lambda c: c.predictor(lambda npz, _: np.savez(npz, x=np.zeros(2))),
        r"mine\.npz: arrays \['head'.*\] wanted, got \['x'\]",
    ),
    "library of other features": (
        lambda c: c.predictor(other_width),
        r"mine\.npz: heads\.2 of shape \(2, 33, 9\) wanted, got \(2, 32, 9\)",
    ),
    "other label delay": (lambda c: c.make(label_delay=3), "label_delay: 4, that of predictor 'small', wanted, got 3"),
}
PARAMETERS = {
    "no slot": (lambda c: c.make(horizon=0), "horizon: None or an integer of at least 1 wanted, got 0"),
    "no horizon": (lambda c: c.make(horizon=None), "horizon: a number, where no file brings one, wanted, got None"),
    "no cells": (lambda c: c.make(num_cells=1), "num_cells: None or an integer of at least 2 wanted, got 1"),
    "negative lam": (lambda c: c.make(lam=-0.1), "lam: a number of at least 0 wanted, got -0.1"),
    "negative beta": (lambda c: c.make(beta=-1), "beta: a number of at least 0 wanted, got -1"),
    "negative kappa": (lambda c: c.make(kappa=-0.05), "kappa: a number of at least 0 wanted, got -0.05"),
    "negative eta": (lambda c: c.make(eta=-0.003), "eta: a number of at least 0 and below 1 wanted, got -0.003"),
    "hold time 0": (lambda c: c.make(concept_hold_h=0), "concept_hold_h: a number of at least 0.01 wanted, got 0"),
    "more heads than the library": (
        lambda c: c.make(num_heads=11),
        r"num_heads: one of \[2, 4, 10\], the libraries of predictor 'small', wanted, got 11",
    ),
    "more heads than recorded cells": (
        lambda c: c.imported(num_heads=5),
        r"num_heads: one of \[1, 2, 3, 4\], the libraries of predictor 'linear', wanted, got 5",
    ),
    "observe misspelt": (
        lambda c: c.make(observe="statistic"),
        r"observe: one of \['losses', 'statistics'\] wanted, got 'statistic'; did you mean 'statistics'\?",
    ),
    "an action beyond C": (
        lambda c: (env := c.make(), env.reset(seed=0), env.step(np.array([0, 1, 3, 0]))),
        r"action\[2\] = 3 is outside MultiDiscrete",
    ),
    "negative loss replayed": (
        lambda c: c.replay("loss", -0.5),
        r"trace: 'loss' within \[0, inf\] wanted, got \[-0.5",
    ),
    "NaN replayed": (lambda c: c.replay("statistics", np.nan), "field 'statistics' holds NaN or infinity"),
}
POLICIES = {
    "BCD without statistics": (
        lambda c: c.run("bcd_periodic"),
        "bcd_periodic: observe='statistics' wanted, got 'losses'",
    ),
    "local heads without slots": (
        lambda c: c.run("local_online", eta=0.003),
        r"local_online: a slot for each of 4 cells wanted \(num_heads=3\), got 3",
    ),
    "local heads that are frozen": (lambda c: c.run("local_online"), "local_online: heads that adapt .* got eta=0"),
    "true groups of recorded days": (
        lambda c: c.run("true_groups", recorded=True),
        "true_groups: generated days and library='ifca', .* wanted, got drift='imported'",
    ),
    "static library of recorded days": (
        lambda c: c.run("static_library", recorded=True),
        "static_library: generated days .* wanted, got drift='imported'",
    ),
    "concepts of recorded days": (
        lambda c: c.run("bayes_filter", recorded=True),
        "bayes_filter: generated days .* wanted, got drift='imported'",
    ),
    "memory of one": (
        lambda c: policies.make("greedy_smoothed", memory=1.0),
        "memory: a number of at least 0 and below 1 wanted, got 1.0",
    ),
}
ALGORITHMS = {
    "singular covariance": (
        lambda c: hellinger_kernel(np.zeros((2, 2)), [np.eye(2), BAD[0]]),
        "covariance: symmetric positive definite matrices wanted, got a singular or indefinite one",
    ),
    "indefinite covariance": (
        lambda c: encode(np.zeros(2), BAD[1]),
        "covariance: symmetric positive definite matrices wanted, got a singular or indefinite one",
    ),
    "cell without a row": (
        lambda c: statistics_by_cell(np.ones((2, 1)), np.ones((2, 1)), [0, 2]),
        r"cell: at least one row for each of 0\.\.2 wanted, got none for 1",
    ),
    "fewer than two cells": (lambda c: c.sharing(cells=1), "at least two cells wanted, got"),
    "DP above 14 cells": (lambda c: c.sharing(cells=15), r"at most 14 .* wanted, got 15"),
    "exact above 14 cells": (
        lambda c: exact_partition(c.sharing(cells=15, method="greedy").problem),
        "at most 14 .* wanted, got 15",
    ),
    "A0 off the simplex": (
        lambda c: bcd(c.sharing().problem, start=OFF),
        r"start: rows of at least 0 and of sum 1, on the simplex, wanted, got \[0.3 0.3 0.3 0.3\]",
    ),
    "negative lam of F": (lambda c: c.sharing(lam=-1.0), "lam: a number of at least 0 wanted, got -1.0"),
    "negative beta of F": (lambda c: c.sharing(beta=-1.0), "beta: a number of at least 0 wanted, got -1.0"),
    "no ridge": (lambda c: c.sharing(rho=0.0), "rho: a number above 0 wanted, got 0.0"),
    "no such method": (lambda c: c.sharing(method="exakt"), r"method: one of \[.*\] wanted, got 'exakt'"),
    "kernel of other cells": (
        lambda c: c.sharing(kernel=np.eye(3)),
        r"kernel: a symmetric matrix \(4, 4\) of similarities in \[0, 1\] wanted, got shape \(3, 3\)",
    ),
    "negative kernel": (lambda c: c.sharing(kernel=np.eye(4) - 0.5), "kernel: .* wanted, got entries from -0.5 to 0.5"),
    "kernel of NaN": (lambda c: c.sharing(kernel=np.full((4, 4), np.nan)), "kernel: .* wanted, got entries from nan"),
    "lopsided kernel": (
        lambda c: c.sharing(kernel=np.triu(np.ones((4, 4)))),
        "kernel: .* wanted, got one that differs from its transpose by 1",
    ),
    "start of NaN": (lambda c: c.sharing(start=np.full((2, 3), np.nan)), "start: finite numbers wanted, got NaN"),
    "row of no cell": (
        lambda c: share_predictors(np.ones((4, 1)), np.ones((4, 1)), [0.0, 1.0, np.nan, np.nan]),
        "cell: a name for each row wanted, got NaN in 2 rows",
    ),
    "features of another width": (
        lambda c: c.sharing().predict(np.ones((1, 3)), [0]),
        r"features: features \(R, 2\) and cell \(R,\) of the same R wanted, got \(1, 3\) and \(1,\)",
    ),
    "predictor of no such cell": (
        lambda c: c.sharing().predict(np.ones((1, 2)), [9]),
        r"cell: one of \[0, 1, 2, 3\] wanted, got",
    ),
}
WRONG = LOGS | FILES | PARAMETERS | POLICIES | ALGORITHMS


@pytest.fixture(scope="module")
def calls(kpi_logs, days_file, tmp_path_factory):
    return Calls(kpi_logs, days_file, tmp_path_factory.mktemp("wrong"))


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_call_says_the_field_what_was_wanted_and_what_came(name, calls):
    call, message = WRONG[name]
    with pytest.raises(WrongCall, match=message):
        call(calls)


def test_the_calls_are_right_without_the_mistake(calls):
    assert calls.log().num_cells == 2
    assert calls.imported(horizon=20).system.params.num_cells == 4
    assert calls.predictor(lambda *_: None).system.predictor.sha256 == load("small").sha256
    assert KPIS == calls.log().kpis
    calls.run("greedy_smoothed", recorded=True)
    assert calls.sharing().num_clusters >= 1
