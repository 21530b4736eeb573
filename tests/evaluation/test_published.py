"""What is published is what the code gives: a fixed sample of every published file, run again.

On a processor of the kind that made a row (its `versions` name the kind) the row comes out again to 1e-9, an agent's,
whose network is in single precision, to 1e-6. Elsewhere the last bits differ, which a comparison in a policy, a
stopping rule or sixty rounds of training can amplify: there the sample's mean agrees to three digits. Rows that name no
processor are held to the first where they meet it, and to the second otherwise.
"""

import functools
import json
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from rangym.envs.registration import OURS
from rangym.evaluation import cards
from rangym.evaluation.episode import make_env, played
from rangym.evaluation.grid import job_key, read
from rangym.evaluation.papers.paper import find, names, resolve
from rangym.evaluation.papers.reproduce import ROWS, measured
from rangym.evaluation.papers.rows import Rows
from rangym.evaluation.papers.smooth_handovers.measure import walk
from rangym.evaluation.problems.cefl_orchestration.orchestrate import run_job as orchestrated
from rangym.evaluation.problems.noma_allocation.federated import run_job as federated
from rangym.evaluation.protocol import plain_values
from rangym.evaluation.runner import jobs_of
from rangym.evaluation.versions import versions
from rangym.policies import make, words

PUBLISHED = Path(__file__).resolve().parents[2] / "evaluation" / "published"

SLOW = {
    "ce-fl": {"aggregators", "algorithm", "decentralised", "derivatives", "integrality", "offloaded_loss", "sizes"}
    | {"trial", "training"},
    "cfl-noma": {"matching", "trial", "training"},
    "pqos-bcd": {"accuracy", "convexity", "drift", "errors", "gaps", "outputs", "proxes", "stationarity"},
    "smooth-handovers": {"bound", "curve", "walk"},
}
"""Kinds of rows that take seconds each: the sample of all files shall take less than a minute."""
TIMED = {"timing", "effort"}
"""Kinds of rows that hold times."""

plain = functools.partial(plain_values, name="row", gaps=True)


@dataclass(frozen=True)
class Again:
    """A published row, what of it comes out when it is run again, and the fields that the sample's mean is over."""

    row: dict
    found: dict
    mean_of: tuple[str, ...]
    tolerance: float = 1e-9

    @property
    def kept(self) -> dict:
        return {name: self.row[name] for name in self.found}

    @property
    def agrees(self) -> bool:
        return alike(self.kept, self.found, self.tolerance)


def alike(one, other, tolerance) -> bool:
    """Whether two JSON values are the same, numbers to a tolerance: absolute below 1, relative above."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[k], other[k], tolerance) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(alike(a, b, tolerance) for a, b in zip(one, other, strict=True))
    if isinstance(one, float) or isinstance(other, float):
        return one is not None and other is not None and math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    return one == other


def numbers(value):
    """All numbers in a JSON value."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from numbers(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)


def mean(values: list[dict], names: tuple[str, ...]) -> float:
    found = [n for value in values for name in names for n in numbers(value[name])]
    return float(np.mean(found)) if found else 0.0


def check(what: str, sample: list[Again], here: dict | None = None) -> None:
    """Compare a sample; ``here`` are the versions of this machine."""
    here = versions() if here is None else here
    off = [again for again in sample if not again.agrees]
    ours = [(again.kept, again.found) for again in off if again.row["versions"] == here]
    assert not ours, f"{what}: {len(ours)} of {len(sample)} rows of this kind of processor differ: {ours[0]}"
    if off:
        names = sample[0].mean_of
        kept, found = (mean(v, names) for v in ([a.kept for a in sample], [a.found for a in sample]))
        digit = 10.0 ** (math.floor(math.log10(abs(kept))) - 2) if kept else 1e-9
        assert abs(kept - found) <= digit / 2, f"{what}: mean {kept} published, {found} here; {len(off)} rows differ"


def spread(rows: list, number: int) -> list:
    """``number`` of the rows (all where they are fewer), evenly spread."""
    return [rows[i * len(rows) // number] for i in range(number)] if len(rows) > number else rows


def one_of_each(rows, *names: str) -> list:
    """One row of each group that agrees in these fields: of the n-th group the n-th, so that seeds differ."""
    groups = defaultdict(list)
    for row in rows:
        groups[json.dumps([row.get(name) for name in names], sort_keys=True)].append(row)
    return [group[n % len(group)] for n, group in enumerate(groups.values())]


def episode(row: dict) -> Again:
    """An episode of the benchmark, or a bound."""
    env = make_env(row["env_id"], row["scenario"], {**row["overrides"], **row.get("policy_overrides", {})})
    env.reset(seed=row["seed"])
    if row["row"] == "bound":
        bound = cards.bound(env.system, env.trace)
        return Again(row, plain({"bound": {name: getattr(bound, name) for name in row["bound"]}}), ("bound",))
    policy = make(words.spell(row["policy"], row["options"]))
    found = plain(played(env, policy, env.trace, row["seed"]))
    tolerance = 1e-6 if row["role"] == "agent" else 1e-9
    return Again(row, {name: found[name] for name in ("reward", "terms", "metrics")}, ("reward",), tolerance)


@pytest.mark.parametrize("env_id", OURS)
def test_benchmark_rows_come_out_again(env_id):
    rows = [row for row in read(PUBLISHED / "bench.jsonl").rows.values() if row["env_id"] == env_id]
    fields = ("row", "scenario", "overrides", "policy", "options")
    chosen = one_of_each(rows, *fields)
    agents = [row for row in rows if row.get("role") == "agent"]  # another seed draws another of a recipe's agents
    chosen += [row for row in one_of_each(reversed(agents), *fields) if row not in chosen]
    scenarios = {row["scenario"] for row in rows}
    assert scenarios and {row["row"] for row in chosen} == {"episode", "bound"}
    for scenario in scenarios:
        for kind in ("episode", "bound"):
            sample = [row for row in chosen if (row["scenario"], row["row"]) == (scenario, kind)]
            check(f"{env_id} {scenario} {kind}", [episode(row) for row in sample])


def test_the_published_benchmark_is_made_by_this_code():
    """Its rows are those that ``rangym bench --published`` would write now: none is missing, and none is left over."""
    asked = {job_key(job) for table in cards.benchmarks("published") for job in jobs_of(table)}
    kept = read(PUBLISHED / "bench.jsonl").rows.keys()
    to_be_made, of_other_code = len(asked - kept), len(kept - asked)
    assert (to_be_made, of_other_code) == (0, 0), "rangym bench --published"


def test_federated_rows_come_out_again():
    rows = read(PUBLISHED / "federated_digits.jsonl").rows.values()
    rows = [row for row in rows if row["seed_range"] == "evaluation" and row["seed"] == 1]  # populations cost the most
    names = ("personal", "overall", "served", "energy_tx_j", "personal_curve", "overall_curve", "num_clusters")
    jobs = ("study", "method", "concentration", "allocation", "learning_rate", "seed")
    sample = []
    for row in sorted(one_of_each(rows, "method", "allocation"), key=lambda row: row["concentration"]):
        found = federated({name: row[name] for name in jobs})
        sample.append(Again(row, plain({name: found[name] for name in names}), ("personal", "overall")))
    assert len(sample) == 21
    check("federated_digits", sample)


def test_orchestrated_rows_come_out_again():
    rows = read(PUBLISHED / "orchestrated_digits.jsonl").rows.values()
    names = ("study", "policy", "aggregation", "learning_rate", "seed")
    sample = []
    for row in one_of_each([row for row in rows if row.get("aggregation")], "policy", "aggregation"):
        # The programmes take most of the time: `convex_reference` is sampled once, on a seed that both averages share.
        if row["policy"] == "convex_reference" and row["aggregation"] != "normalised":
            continue
        found = plain(orchestrated({name: row[name] for name in names}))
        kept = {name: value for name, value in found.items() if name not in ("versions", "seed_range")}
        sample.append(Again(row, kept, ("accuracy",)))
    assert len(sample) >= 9
    check("orchestrated_digits", sample)


@pytest.mark.parametrize("name", names())
def test_rows_of_papers_come_out_again(name):
    paper = find(name)
    rows = Rows.load(PUBLISHED / paper.folder / ROWS)
    stored = {row["key"]: row for found in rows.by_kind.values() for row in found}
    code = {row["row"]: row["code"] for row in stored.values()}
    by_kind = defaultdict(list)
    for stage in paper.jobs:
        for job in resolve(stage)(paper.plans["full"], rows):
            by_kind[job["row"]].append(job)
    left_out = SLOW.get(name, set()) | TIMED
    assert SLOW.get(name, set()) <= by_kind.keys()  # the list names what exists
    for kind, jobs in by_kind.items():
        if kind in left_out:
            continue
        sample = []
        for job in spread(jobs, 2):
            found = plain(measured(dict(paper.measures), job))
            found = {field: value for field, value in found.items() if field != "versions"}
            sample.append(Again(stored[job_key({**job, "code": code[kind]})], found, tuple(found)))
        check(f"{name} {kind}", sample)


def test_a_player_of_a_walk_at_the_papers_size_comes_out_again():
    """Its cheapest one, on a trace of 10,000 slots: players do not touch each other."""
    rows = Rows.load(PUBLISHED / "smooth_handovers" / ROWS)
    row = rows.where("walk", gamma=20.0)[0]
    arguments = {name: row[name] for name in ("scenario", "overrides", "gamma", "seed")}
    found = plain(walk(**arguments, players=[("max_sinr", None)])["played"]["max_sinr"])
    check("walk", [Again({**row, **row["played"]["max_sinr"]}, found, tuple(found))])


def test_a_changed_row_does_not_pass():
    here = {"processor": "this one"}
    same = Again({"versions": here, "x": 1.5}, {"x": 1.5 + 1e-12}, ("x",))
    changed = Again({"versions": here, "x": 1.5}, {"x": 1.5001}, ("x",))
    elsewhere = Again({"versions": {"processor": "another"}, "x": 1.5}, {"x": 1.5001}, ("x",))
    unnamed = Again({"versions": {}, "x": 1.5}, {"x": 1.51}, ("x",))
    check("same", [same], here)
    check("elsewhere", [same, elsewhere], here)
    for sample in ([same, changed], [unnamed]):
        with pytest.raises(AssertionError):
            check("changed", sample, here)
    assert not alike({"a": [1, 2.0]}, {"a": [1]}, 1e-9) and not alike({"a": 1.0}, {"a": None}, 1e-9)
    assert alike({"a": [1, None, "word", 1e9]}, {"a": [1, None, "word", 1e9 + 0.1]}, 1e-9)
