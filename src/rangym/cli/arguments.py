"""Arguments that several commands share, and what they mean."""

from __future__ import annotations

import argparse
import ast
import shlex
import sys
from collections.abc import Sequence
from typing import Any

DEFAULT_ENV = "CellAssociation"


def add_environment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--env", default=DEFAULT_ENV, help="environment (default: %(default)s)")
    parser.add_argument("--scenario", default="small", help="scenario (default: %(default)s; see `rangym list`)")
    parser.add_argument(
        "--set", dest="overrides", metavar="KEY=VALUE", action="append", default=[], help="override a parameter"
    )


def add_workers(parser: argparse.ArgumentParser, default: int = 1) -> None:
    parser.add_argument("--workers", type=int, default=default, help="processes, -1: one a core (default: %(default)s)")


def env_id(name: str) -> str:
    """``"CellAssociation"``, ``"cell_association"`` or the full id -> the full id."""
    from rangym.envs.params import nearest
    from rangym.envs.registration import SYSTEMS

    short = {_plain(full): full for full in SYSTEMS}
    if _plain(name) not in short:
        names = [full.partition("/")[2].partition("-")[0] for full in SYSTEMS]
        raise ValueError(f"--env: one of {', '.join(names)} wanted, got {name!r}{nearest(name, names)}")
    return short[_plain(name)]


def _plain(name: str) -> str:
    return name.rpartition("/")[2].partition("-")[0].replace("_", "").lower()


def key_values(parts: Sequence[str], option: str) -> dict[str, Any]:
    """``["gamma=5", "law=static"]`` -> ``{"gamma": 5, "law": "static"}``."""
    return {key: literal(value) for key, value in _pairs(parts, option)}


def grid(parts: Sequence[str]) -> dict[str, list[Any]]:
    """``["offset_db=1,3", "rounding=coupled,argmax"]`` -> a list of values for each key."""
    return {key: [literal(v) for v in value.split(",") if v.strip()] for key, value in _pairs(parts, "--grid")}


def _pairs(parts: Sequence[str], option: str) -> list[tuple[str, str]]:
    pairs = []
    for part in parts:
        key, equals, value = part.partition("=")
        if not (key.strip() and equals and value.strip()):
            raise ValueError(f"{option}: KEY=VALUE wanted, got {part!r}")
        pairs.append((key.strip(), value))
    return pairs


def literal(text: str) -> Any:
    """A Python literal, or the word itself."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text.strip()


def command_line() -> str:
    """The command as it was typed, for reports and the file of tuned options."""
    return shlex.join(["rangym", *sys.argv[1:]])


def print_problems(results: Any, path: Any = None) -> int:
    """Say on stderr what is wrong with results; 1 if anything is."""
    if results.torn:
        lines = ", ".join(map(str, results.torn[:5])) + (", ..." if len(results.torn) > 5 else "")
        print(
            f"note: {len(results.torn)} line(s) of {path} do not parse and were skipped (line {lines})",
            file=sys.stderr,
        )
    for problem in results.problems[:20]:
        print(f"PROBLEM: {problem}", file=sys.stderr)
    if len(results.problems) > 20:
        print(f"PROBLEM: ... and {len(results.problems) - 20} more", file=sys.stderr)
    return 1 if results.problems else 0
