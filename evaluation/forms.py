"""What a row of a results file must hold, so that a line of another command, or an edited one, is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rangym.envs.errors import shown
from rangym.envs.params import Range

Check = Callable[[object], str]
"""What was wanted in place of a value; empty where nothing was."""
Form = Callable[[Mapping[str, Any]], str]
"""What is wrong with a row: field, what was wanted and what came; empty where nothing is."""


def of(allowed: Range) -> Check:
    """A value inside a `Range`."""
    return lambda value: "" if allowed.allows(value) else str(allowed)


TEXT, NUMBER, COUNT = of(Range(kind=str)), of(Range()), of(Range(kind=int, low=0))
MAYBE_NUMBER, DICTIONARY = of(Range(optional=True)), of(Range(kind=dict))


def either(*checks: Check) -> Check:
    """A value that one of the checks finds right."""

    def check(value: object) -> str:
        wanted = [check(value) for check in checks]
        return "" if "" in wanted else " or ".join(wanted)

    return check


def by_name(entry: Check) -> Check:
    """A dictionary whose values are right."""

    def check(value: object) -> str:
        if not isinstance(value, Mapping):
            return "a dictionary"
        wrong = [f"{name}: {wanted}" for name, v in value.items() if (wanted := entry(v))]
        return f"a dictionary with {wrong[0]}" if wrong else ""

    return check


def many(entry: Check, at_least: int = 0) -> Check:
    """A list whose values are right."""

    def check(value: object) -> str:
        if not isinstance(value, list) or len(value) < at_least:
            return f"a list of at least {at_least}"
        wrong = [wanted for v in value if (wanted := entry(v))]
        return f"a list, each {wrong[0]}" if wrong else ""

    return check


def holding(fields: Mapping[str, Check]) -> Check:
    """A dictionary with all of the fields; it may have further ones."""

    def check(value: object) -> str:
        if not isinstance(value, Mapping):
            return "a dictionary"
        fault = form(fields)(value)
        return f"a dictionary ({fault})" if fault else ""

    return check


def form(fields: Mapping[str, Check]) -> Form:
    """The first of the fields that is missing or wrong."""

    def fault(row: Mapping[str, Any]) -> str:
        for name, check in fields.items():
            if name not in row:
                return f"{name}: missing"
            if wanted := check(row[name]):
                return f"{name}: {wanted} wanted, got {shown(row[name])}"
        return ""

    return fault


FAILED = {"error": TEXT, "where": TEXT}
"""What a job that failed has in place of results."""
ROW = {"key": TEXT, "seed": either(COUNT, TEXT)}
WHERE = {"env_id": TEXT, "scenario": TEXT, "overrides": DICTIONARY, "files": by_name(TEXT), "trace_code": TEXT}
PLAYER = {"policy": TEXT, "options": DICTIONARY, "policy_overrides": DICTIONARY}
EPISODE = {
    "role": TEXT,
    "knowledge": of(Range(kind=str, words=("observation", "model", "oracle"))),
    "horizon": of(Range(kind=int, low=1)),
    "reward": NUMBER,
    "terms": by_name(MAYBE_NUMBER),
    "metrics": by_name(MAYBE_NUMBER),
    "cpu_ms_per_slot": NUMBER,
    "versions": by_name(TEXT),
}
KINDS = of(Range(kind=str, words=("certified", "best known", "none")))
BOUND = {"bound": holding({"kind": KINDS, "what": TEXT, "value": MAYBE_NUMBER, "lower": MAYBE_NUMBER})}


def evaluated(row: Mapping[str, Any]) -> str:
    """What is wrong with a row of `rangym.evaluation.evaluate`: an episode or a bound, done or failed."""
    kind = row.get("row")
    if kind not in ("episode", "bound"):
        return f"row: one of ['episode', 'bound'] wanted, got {shown(kind)}"
    own = {**ROW, **WHERE, **(PLAYER if kind == "episode" else {})}
    if "error" in row:
        return form({**own, **FAILED})(row)
    if fault := form({**own, **(EPISODE if kind == "episode" else BOUND)})(row):
        return fault
    if kind == "bound" and (row["bound"]["value"] is None) != (row["bound"]["kind"] == "none"):
        return f"bound: a value unless its kind is 'none' wanted, got {shown(row['bound'])}"
    return ""
