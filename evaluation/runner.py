"""Policies on the same traces: one episode a job, resumable, with bounds where there are any."""

from __future__ import annotations

import copy
import functools
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rangym.envs import registration
from rangym.envs.core import System, Trace
from rangym.envs.errors import WrongCall, WrongType, WrongValue, shown
from rangym.envs.registration import Problem, problem
from rangym.evaluation import cards, identity
from rangym.evaluation.episode import make_env, played
from rangym.evaluation.forms import evaluated
from rangym.evaluation.grid import Job, Row, check_jobs, check_workers, run_grid
from rangym.evaluation.protocol import Benchmark, plain_values, seed_range
from rangym.evaluation.results import Results, is_named
from rangym.evaluation.versions import versions
from rangym.policies import registry, words
from rangym.policies.base import Knowledge, Policy, Task


def evaluate(
    policies: Iterable[str | Policy] | str | Policy | None,
    benchmark: Benchmark,
    *,
    workers: int = 1,
    out: str | Path | None = None,
    bounds: bool = True,
    against: str | None = None,
) -> Results:
    """Run every policy on every trace of ``benchmark``.

    Parameters
    ----------
    policies : words of the registry, ``"lda"``, ``"lda:tuned"``, ``"lda:rounding=coupled"``, ``"my_module:Mine"``, or
        policy objects, of which copies are played; None means those that the benchmark names. A model with
        ``predict`` is a policy as ``rangym.policies.Predictor(model, name="mine")``.
    workers : processes (-1: one a core); results do not depend on it, nor on the other policies in the list.
    out : JSON-lines file; jobs it already holds are not run again, whatever ended the last run.
    bounds : also compute each trace's bound.
    against : a policy that the results are to be compared with: refused before any work where it is not among these.

    Raises
    ------
    WrongValue, WrongType : unknown policy, option, scenario or parameter, a policy of another environment, one that
        was asked for and whose reset refuses the scenario, or ``out`` with a policy object whose rows could not be told
        from others. An error inside a job does not raise: see ``Results.problems``.
    """
    if not isinstance(benchmark, Benchmark):
        raise WrongType(f"benchmark: a Benchmark wanted, got {type(benchmark).__name__}")
    check_workers(workers)
    if isinstance(policies, str | Policy):
        policies = [policies]
    if policies is not None and (isinstance(policies, bytes) or not isinstance(policies, Iterable)):
        raise WrongType(f"policies: a list of words or Policy objects wanted, got {shown(policies)}")
    asked = benchmark.chosen() if policies is None else list(policies)
    check_jobs((len(asked) + bounds) * max(len(tuple(benchmark.seeds)), len(benchmark.traces)), "policies x traces")
    if not asked:
        raise WrongValue("policies: at least one policy wanted, got none")
    entrants = _entrants(asked, benchmark, keep=out is not None)
    if against is not None and not any(is_named(label, against) for label in entrants.players):
        raise WrongValue(f"against: one of {', '.join(entrants.players)} wanted, got {against!r}")
    if policies is not None or benchmark.policies is not None:  # of all that are registered some may not fit
        for policy in entrants.players.values():
            _check_starts(policy, benchmark)
    with ExitStack() as stack:
        seeds: dict[int | str, Trace | str | None] = {seed: None for seed in benchmark.seeds}
        if benchmark.traces:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            seeds = _recorded(benchmark, entrants.system, Path(folder) if workers != 1 else None)
        jobs = _jobs(entrants, benchmark, seeds, bounds)
        found = problem(benchmark.env_id)
        work = _Work(found, entrants.players, seeds)
        title = f"{found.env_id.rpartition('/')[2]} {benchmark.scenario}"
        stored, computed = run_grid(work, jobs, out, workers=workers, title=title, form=evaluated)
    return Results.of(stored, computed)


def jobs_of(benchmark: Benchmark) -> list[Job]:
    """What `evaluate` runs for ``benchmark`` under the code as it is: the keys of these jobs are those of its rows."""
    return _jobs(_entrants(benchmark.chosen(), benchmark, keep=True), benchmark, benchmark.seeds, bounds=True)


@dataclass(frozen=True)
class _Entrants:
    """The policies of a table by their rows' names, what their rows are told apart by, and the system they meet."""

    system: System
    players: Mapping[str, Policy]
    parts: Sequence[Job]


def _entrants(asked: Iterable[str | Policy], benchmark: Benchmark, keep: bool) -> _Entrants:
    env_id = problem(benchmark.env_id).env_id
    system = make_env(env_id, benchmark.scenario, benchmark.overrides).system  # refuses wrong scenarios and parameters
    players: dict[str, Policy] = {}
    parts = []
    for given in asked:
        policy = _policy(given, benchmark)
        registry.check_fits(policy, system)
        make_env(env_id, benchmark.scenario, {**benchmark.overrides, **policy.overrides})
        part = _identity(policy, keep)
        label = words.spell(policy.name, part["options"])
        if label in players:
            raise WrongValue(f"policies: each once, got {label!r} twice (a name of its own tells objects apart)")
        players[label] = policy
        parts.append(part)
    return _Entrants(system, players, parts)


def _jobs(entrants: _Entrants, benchmark: Benchmark, seeds: Iterable[int | str], bounds: bool) -> list[Job]:
    where = _where(problem(benchmark.env_id).env_id, benchmark, entrants.system)
    code = _bound_code(entrants.system)
    jobs: list[Job] = []
    for seed in seeds:  # by seed, so that a process keeps the trace it has sampled
        if bounds:
            jobs.append({"row": "bound", **where, "code": code, "seed": seed})
        jobs += [{"row": "episode", **where, **part, "seed": seed} for part in entrants.parts]
    return jobs


def _policy(given: str | Policy, benchmark: Benchmark) -> Policy:
    """The policy of a word, or a copy of the object with the name and the overrides of its registry entry."""
    if isinstance(given, str):
        registry.entry(given, benchmark.env_id)  # refuses an unknown one with the names of the environment's own
        return registry.make(given, scenario=benchmark.scenario)
    if not isinstance(given, Policy):
        what = given.__name__ if isinstance(given, type) else type(given).__name__
        hint = "; Predictor(model, name='mine') makes a policy of it" if hasattr(given, "predict") else ""
        hint = f"; {what}() is one" if isinstance(given, type) and issubclass(given, Policy) else hint
        raise WrongType(f"policies: words of the registry or Policy objects wanted, got {what}{hint}")
    policy = copy.copy(given)
    if not policy.name:
        policy.name = registry.name_of(given)
        if policy.name in (known := registry.entries()):
            policy.role, policy.overrides = known[policy.name].role, known[policy.name].overrides
    return policy


def _check_starts(policy: Policy, benchmark: Benchmark) -> None:
    """Refuse a policy whose options do not fit the scenario, as its reset says; an oracle's needs a trace and plans."""
    if policy.knowledge is Knowledge.ORACLE:
        return
    overrides = {**benchmark.overrides, **policy.overrides}
    env = make_env(problem(benchmark.env_id).env_id, benchmark.scenario, overrides)
    try:
        copy.deepcopy(policy).reset(Task.of(env, policy.knowledge), np.random.default_rng(0))
    except WrongCall:
        raise
    except Exception:  # a fault of the policy's own: the rows of its jobs say what, and where
        return


def _identity(policy: Policy, keep: bool) -> Job:
    """What makes a policy's rows its own: options, code, and the files and models that it is made of."""
    part: Job = {"policy": policy.name, "policy_overrides": dict(policy.overrides)}
    try:
        options, objects = identity.options_of(policy)
        files = identity.files_of([*policy.data_files(), *identity.named_files(options)])
        code = identity.code_of(identity.EPISODE, type(policy))
    except WrongValue as error:
        if keep:
            raise WrongValue(f"out: rows of {policy.name} cannot be kept: {error}") from None
        return {**part, "options": {}, "code": "", "policy_files": {}, "in_memory": str(error)}
    return {**part, "options": options, "code": code, "policy_files": files | objects}


def _where(env_id: str, benchmark: Benchmark, system: System) -> Job:
    """Which traces: environment, scenario, overrides, the code that draws them, and the files they are read from."""
    return {
        "env_id": env_id,
        "scenario": benchmark.scenario,
        "overrides": dict(benchmark.overrides),
        "trace_code": identity.code_of(type(system)),
        "files": identity.files_of([*system.data_files(), *identity.named_files(benchmark.overrides)]),
    }


def _bound_code(system: System) -> str:
    """The code and the stored values behind the bound."""
    target = cards.card_of(type(system))[0].bound
    if target is None:
        return ""
    module = target.partition(":")[0]
    return identity.code_of(module) + "".join(identity.files_of(identity.data_beside(module)).values())


def _recorded(benchmark: Benchmark, system: System, folder: Path | None) -> dict[int | str, Trace | str | None]:
    """Hash -> recorded trace, each checked against the system before anything is run; objects go to files in
    ``folder`` where other processes are to read them."""
    found: dict[int | str, Trace | str | None] = {}
    for given in benchmark.traces:
        trace = given if isinstance(given, Trace) else Trace.load(given)
        trace.check(system.shapes, system.reveal, system.horizon)
        system.check_trace(trace)
        name = trace.fingerprint()
        if name in found:
            raise WrongValue(f"traces: each trace once, got the content {name} twice")
        if isinstance(given, Trace) and folder is not None:
            given.save(folder / f"{name}.npz")
            given = folder / f"{name}.npz"
        found[name] = given if isinstance(given, Trace) else str(given)
    return found


@dataclass(frozen=True)
class _Work:
    """Does jobs in this or another process: it carries the policies, the recorded traces and the user's problem."""

    problem: Problem
    players: Mapping[str, Policy]
    seeds: Mapping[int | str, Trace | str | None] = field(default_factory=dict)

    def __call__(self, job: Job) -> Row:
        """One episode of one policy, or the bound of one trace."""
        registration.adopt(self.problem)
        seed, overrides = job["seed"], job["overrides"]
        given = self.seeds.get(seed)
        if given is None:
            trace = _drawn(job["env_id"], job["scenario"], json.dumps(overrides), json.dumps(job["files"]), seed)
        else:
            trace = given if isinstance(given, Trace) else Trace.load(given)
        kind = "recorded" if isinstance(seed, str) else seed_range(seed)
        common = {"seed_range": kind, "versions": versions()}
        if job["row"] == "bound":
            found = cards.bound(make_env(job["env_id"], job["scenario"], overrides).system, trace)
            fields = {"value": found.value, "kind": found.kind, "what": found.what, "lower": found.lower}
            return plain_values({**common, "bound": fields}, "bound", gaps=True)
        policy = copy.deepcopy(self.players[words.spell(job["policy"], job["options"])])
        own = {**overrides, **job["policy_overrides"]}
        env = make_env(job["env_id"], job["scenario"], own)
        if trace.fields != set(env.system.shapes):
            if given is not None:
                raise WrongValue(f"traces: {policy.name} needs fields that a trace recorded without it does not have")
            other = _drawn(job["env_id"], job["scenario"], json.dumps(own), json.dumps(job["files"]), seed)
            trace = _same_episode(trace, other)
        row = {**common, "role": policy.role, **played(env, policy, trace, seed)}
        return plain_values(row, policy.name, gaps=True)


@functools.lru_cache(maxsize=2)  # jobs come by seed; a paper-sized trace takes gigabytes
def _drawn(env_id: str, scenario: str, overrides: str, files: str, seed: int) -> Trace:
    """The trace of a seed; ``files`` are the hashes of what it is read from: a file written anew is other traces."""
    env = make_env(env_id, scenario, json.loads(overrides))
    env.reset(seed=seed)
    return env.trace


def _same_episode(trace: Trace, own: Trace) -> Trace:
    """``own``, drawn under a policy's overrides: it has other fields beside those of ``trace``, which are the same."""
    for name in trace.slots.keys() & own.slots.keys():
        if not np.array_equal(trace.slots[name], own.slots[name]):
            raise WrongValue(f"overrides: a trace that they leave unchanged wanted, got another {name!r}")
    return own
