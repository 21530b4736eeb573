"""``rangym list``: environments, scenarios and policies."""

from __future__ import annotations

import argparse

from rangym.cli import arguments

DESCRIPTION = "Print every environment with its scenarios, and every policy with what it may know and where it is from."
EXAMPLE = "  rangym list\n  rangym list --env CellAssociation"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--env", help="this environment only")


def run(args: argparse.Namespace) -> int:
    from rangym.envs.registration import PROBLEMS
    from rangym.evaluation.columns import aligned, paragraph
    from rangym.policies import registry

    for env_id in [arguments.env_id(args.env)] if args.env else PROBLEMS:
        print(f"{env_id}\n")
        print(aligned(["scenario", "sizes"], _scenarios(env_id), "ll"))
        rows = [[name, e.role, e.knows, e.source] for name, e in registry.entries(env_id).items()]
        print(f"\n{aligned(['policy', 'role', 'knows', 'source'], rows, 'llll')}\n")
    knows = "observation = what each observation says; model = also the parameters; oracle = also the future."
    print(paragraph(f"knows: {knows}"))
    return 0


def _scenarios(env_id: str) -> list[list[str]]:
    """Name and sizes; a scenario that is another one under a second name says so."""
    from rangym.envs.registration import problem

    seen: list[tuple[str, object]] = []
    rows = []
    for scenario, params in problem(env_id).system_class.scenarios.items():
        same = [other for other, known in seen if known is params]
        rows.append([scenario, f"= {same[0]}" if same else sizes(params)])
        seen.append((scenario, params))
    return rows


def sizes(params) -> str:
    """The counts of a scenario, and what tells it from others: ``10 UEs, 6 cells, 200 slots, mobility``."""
    import dataclasses

    from rangym.envs.params import ranges
    from rangym.evaluation.columns import counted

    unused = {name for name, declared in ranges(params).items() if not declared.is_used(params)}
    fields = {f.name: getattr(params, f.name) for f in dataclasses.fields(params) if f.name not in unused}
    counts = [counted(v, k.removeprefix("num_")) for k, v in fields.items() if k.startswith("num_") and v is not None]
    words = [counted(fields["horizon"], "slots")] if fields.get("horizon") is not None else []
    words += [str(fields[k]) for k in ("law",) if k in fields]
    words += [f"needs {k}" if fields[k] is None else f"{k} {fields[k]}" for k in ("map", "days") if k in fields]
    return ", ".join(counts + words)
