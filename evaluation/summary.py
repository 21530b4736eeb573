"""The numbers of a comparison, policy by policy, and the plain tables that print them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rangym.envs.errors import WrongValue, printable, shown
from rangym.envs.params import listed, nearest
from rangym.evaluation.cards import zero_policy
from rangym.evaluation.columns import aligned, counted, paragraph, scale
from rangym.evaluation.protocol import seed_range
from rangym.evaluation.results import Comparison, Results, is_named
from rangym.evaluation.statistics import (
    Difference,
    Interval,
    dynamic_regret,
    holm,
    interquartile_mean_interval,
    mean_interval,
    normalised_score,
    paired_difference,
)


@dataclass(frozen=True)
class PolicySummary:
    """One policy's line. Rewards are per slot; ``score`` and the regrets are None where there is no bound."""

    policy: str
    role: str
    knowledge: str
    overrides: Mapping[str, object]
    reward: Interval
    iqm: Interval
    score: Interval | None
    regret: float | None
    """At most this much better is possible (None unless the bound is certified)."""
    regret_least: float | None
    """At least this much better is possible: the best decisions known."""
    difference: Difference | None
    """Against the reference policy; None for itself."""
    p_adjusted: float
    cpu_ms: float
    """The policy's CPU time per slot, its reset included: the median episode, so that compilation does not count."""
    terms: Mapping[str, float]
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Summary:
    """All policies of a comparison, best first."""

    comparison: Comparison
    reference: str
    """The policy that the differences are against."""
    chosen_here: bool
    """Whether it is the reference because it did best on these very traces."""
    zero: str | None
    """The policy that scores 0, where it is among the rows."""
    policies: tuple[PolicySummary, ...]


def summarise(comparison: Comparison, against: str | None = None) -> Summary:
    """Means, scores, regrets and paired differences; ``against`` is the best policy that is no oracle by default."""
    rewards = {policy: comparison.rewards(policy) for policy in comparison.rows}
    order = sorted(rewards, key=lambda policy: -rewards[policy].mean())
    causal = [policy for policy in order if comparison.first(policy)["knowledge"] != "oracle"] or order
    chosen_here = against is None and len(causal) > 1
    if against is None:
        against = causal[0]
    else:
        against = comparison.find(against)
    wanted = zero_policy(comparison.env_id, comparison.scenario)
    zero = wanted if wanted in rewards else None
    bound, lower = comparison.bound(), comparison.bound("lower")
    has_score = bound is not None and zero is not None and _leaves_room(rewards[zero], bound)
    has_score = has_score and comparison.bound_kind != "none"
    differences = {p: paired_difference(rewards[p], rewards[against]) for p in order if p != against}
    adjusted = dict(zip(differences, holm([d.p for d in differences.values()]), strict=True))
    lines = []
    for policy in order:
        row, values = comparison.first(policy), rewards[policy]
        score = None
        if has_score and bound is not None and zero is not None:
            score = mean_interval(normalised_score(values, float(rewards[zero].mean()), bound))
        upper = bound if comparison.bound_kind == "certified" else None
        lines.append(
            PolicySummary(
                policy=policy,
                role=row["role"],
                knowledge=row["knowledge"],
                overrides=row["policy_overrides"],
                reward=mean_interval(values),
                iqm=interquartile_mean_interval(values),
                score=score,
                regret=None if upper is None else float(dynamic_regret(values, upper).mean()),
                regret_least=None if lower is None else float(dynamic_regret(values, lower).mean()),
                difference=differences.get(policy),
                p_adjusted=float(adjusted.get(policy, np.nan)),
                cpu_ms=float(np.median([r["cpu_ms_per_slot"] for r in comparison.rows[policy].values()])),
                terms={name: float(comparison.field(policy, "terms", name).mean()) for name in row["terms"]},
                metrics={name: _mean(comparison.field(policy, "metrics", name)) for name in row["metrics"]},
            )
        )
    return Summary(comparison, against, chosen_here, zero, tuple(lines))


def _leaves_room(zero: np.ndarray, bound: np.ndarray) -> bool:
    """Whether the policy that scores 0 stays below the bound, rounding apart."""
    return bool(bound.mean() - zero.mean() > 1e-9 * max(1.0, abs(bound.mean())))


def summarise_all(results: Results, against: str | None = None) -> list[Summary]:
    """Every comparison of ``results``; ``against`` counts in those that have it, and one must."""

    def has(c: Comparison) -> bool:
        return against is not None and any(is_named(label, against) for label in c.rows)

    if against is not None and results.comparisons and not any(has(c) for c in results.comparisons):
        known = dict.fromkeys(policy for c in results.comparisons for policy in c.rows)
        close = nearest(against, known)
        raise WrongValue(f"against: one of {listed(known, against)} wanted, got {shown(against)}{close}")
    return [summarise(c, against if has(c) else None) for c in results.comparisons]


def _mean(values: np.ndarray) -> float:
    """Mean over the episodes that have the metric (a share of no handover is none)."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def heading(summary: Summary) -> str:
    """What was compared, in one line."""
    c = summary.comparison
    numbers = [seed for seed in c.seeds if isinstance(seed, int)]
    kinds = sorted({seed_range(seed) for seed in numbers}) + ["recorded"] * (len(numbers) < len(c.seeds))
    seeds = f"seeds {_ranges(numbers)}, " if numbers else ""
    horizon = c.first(summary.reference)["horizon"]
    text = f"{c.title}: {counted(len(c.seeds), 'traces')} of {counted(horizon, 'slots')} ({seeds}{', '.join(kinds)})"
    return text + (f"; {c.dropped_seeds} left out, where a policy has no row" if c.dropped_seeds else "")


def notes(summary: Summary) -> list[str]:
    """What the columns mean, as far as the comparison has them."""
    c = summary.comparison
    found = ["reward: mean per slot with its 95 % interval; all policies saw the same traces."]
    if len(summary.policies) > 1:
        found.append(
            f"difference: paired, to {summary.reference}; p: paired t-test, Holm's correction for "
            f"{counted(len(summary.policies) - 1, 'comparisons')}."
        )
    if summary.chosen_here:
        found.append(
            f"winner's curse: {summary.reference} is the comparator because it did best on these very traces, which "
            "overstates its lead a little; --against names one beforehand."
        )
    if len({row["trace_code"] for by_seed in c.rows.values() for row in by_seed.values()}) > 1:
        found.append("CAUTION: the rows come from several versions of the code; compare them in a new results file.")
    same = [line.policy for line in summary.policies if len(c.seeds) > 1 and len(set(c.rewards(line.policy))) == 1]
    if same:
        found.append(
            f"CAUTION: {same[0]} has one and the same reward on all traces; where these are the same (windows of one "
            "file may be), neither intervals nor p say anything."
        )
    bounds = c.bound()
    if bounds is not None and c.bound_kind != "none":
        what = c.bounds[c.seeds[0]]["what"]
        found.append(f"bound: {bounds.mean():.4f} per slot, {c.bound_kind} ({what}).")
        if summary.zero is None:
            found.append(f"score: needs {zero_policy(c.env_id, c.scenario)} among the policies.")
        else:
            what = f"0 is the mean of {summary.zero}, 1 the bound{_mark(c)}"
            if not any(line.score for line in summary.policies):
                what = f"none, since {summary.zero} reaches the bound"
            found.append(f"score: {what}.")
        if c.bound_kind == "certified":
            found.append("regret: bound minus reward; no decisions, hindsight included, gain more.")
    else:
        found.append("bound: none, so neither score nor regret.")
    found.append("ms/slot: CPU time of the policy, its planning at the start included (median episode).")
    for line in summary.policies:
        if line.overrides:
            listed = ", ".join(f"{k}={v}" for k, v in line.overrides.items())
            found.append(f"{line.policy} acts under {listed} (same traces).")
    return found


def main_table(summary: Summary, bars: bool = False) -> tuple[list[str], list[list[str]]]:
    """Header and cells of the table of rewards; with ``bars`` scores are drawn in characters as well."""
    has_score = any(line.score for line in summary.policies)
    has_regret = any(line.regret is not None for line in summary.policies)
    header = ["policy", "knows", "reward", "95 % interval"]
    header += [f"score{_mark(summary.comparison)}"] if has_score else []
    header += ["0 to 1"] if has_score and bars else []
    header += ["regret"] if has_regret else []
    header += ["difference", "95 % interval", "p"] if len(summary.policies) > 1 else []
    header += ["ms/slot"]
    rows = []
    for line in summary.policies:
        row = [line.policy, line.knowledge, f"{line.reward.value:.4f}", interval(line.reward)]
        row += [f"{round(line.score.value, 3) + 0.0:.3f}"] if line.score else []
        row += [scale(line.score.value)] if line.score and bars else []
        row += ["" if line.regret is None else f"{line.regret:.4f}"] if has_regret else []
        if len(summary.policies) > 1:
            d = line.difference
            row += ["", "", ""] if d is None else [f"{d.value:+.4f}", interval(d, "+"), p_value(line.p_adjusted)]
        rows.append([*row, f"{line.cpu_ms:.3g}"])
    return header, rows


def detail_table(summary: Summary) -> tuple[list[str], list[list[str]]]:
    """Header and cells of the table of interquartile means, reward terms and metrics (means over the episodes)."""
    terms = list(dict.fromkeys(name for line in summary.policies for name in line.terms))
    metrics = list(dict.fromkeys(name for line in summary.policies for name in line.metrics))
    header = ["policy", "reward IQM", "95 % interval", *terms, *metrics]
    rows = []
    for line in summary.policies:
        values = [line.terms.get(name, np.nan) for name in terms]
        values += [line.metrics.get(name, np.nan) for name in metrics]
        numbers = ("" if np.isnan(v) else f"{v:.4g}" for v in values)
        rows.append([line.policy, f"{line.iqm.value:.4f}", interval(line.iqm), *numbers])
    return header, rows


def text_report(summary: Summary, details: bool = False) -> str:
    """The comparison as plain text for a terminal."""
    table = aligned(*main_table(summary, bars=True))
    parts = [paragraph(heading(summary)), "", table, "", *map(paragraph, notes(summary))]
    if details:
        parts += ["", "Terms and metrics, means over slots:", aligned(*detail_table(summary))]
    return printable("\n".join(parts))


def interval(i: Interval, sign: str = "") -> str:
    return "" if np.isnan(i.low) else f"[{i.low:{sign}.4f}, {i.high:{sign}.4f}]"


def p_value(p: float) -> str:
    return "" if np.isnan(p) else "<.001" if p < 0.001 else f"{p:.3f}".lstrip("0")


def _mark(c: Comparison) -> str:
    return "" if c.bound_kind == "certified" else " (best known)"


def _ranges(seeds: Sequence[int]) -> str:
    """``0..4, 7`` for (0, 1, 2, 3, 4, 7)."""
    parts: list[list[int]] = []
    for seed in seeds:
        if parts and seed == parts[-1][-1] + 1:
            parts[-1][-1:] = [parts[-1][-1], seed] if len(parts[-1]) == 1 else [seed]
        else:
            parts.append([seed])
    return ", ".join(str(p[0]) if len(p) == 1 else f"{p[0]}..{p[-1]}" for p in parts)
