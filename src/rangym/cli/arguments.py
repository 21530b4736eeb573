"""Arguments that several commands share, and what they mean."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from rangym.envs.errors import WrongValue, printable, shown
from rangym.policies import words


class HasProblems(Protocol):
    """Results of any command: what makes them untrustworthy, and the lines of their file that are no rows of it."""

    @property
    def problems(self) -> tuple[str, ...]: ...
    @property
    def torn(self) -> tuple[int, ...]: ...


DEFAULT_ENV = "CellAssociation"


def add_environment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--env", default=DEFAULT_ENV, help="environment (default: %(default)s)")
    parser.add_argument("--scenario", default="small", help="scenario (default: %(default)s; see `rangym list`)")
    parser.add_argument(
        "--set", dest="overrides", metavar="KEY=VALUE", action="append", default=[], help="override a parameter"
    )


def add_workers(parser: argparse.ArgumentParser, default: int = 1) -> None:
    parser.add_argument("--workers", type=int, default=default, help="processes, -1: one a core (default: %(default)s)")


def rows_kept(args: argparse.Namespace) -> str:
    """What an interrupted command that keeps rows in the file ``--out`` leaves behind."""
    if args.out is None:
        return "nothing was kept; with --out finished rows are"
    if not (Path(args.out).exists() and Path(args.out).stat().st_size):
        return "no row was finished"
    return f"finished rows are in {args.out}, and the same command goes on from them"


def checkpoint_kept(args: argparse.Namespace, file: str) -> str:
    """What an interrupted training leaves behind, whose last checkpoint is whole once ``file`` is there."""
    if not (Path(args.out) / file).exists():
        return f"there is no checkpoint in {args.out} yet, so the same command starts again"
    again = "the same command" if args.resume else f"{command_line()} --resume"
    return f"it goes on from its last checkpoint with: {again}"


def env_id(name: str) -> str:
    """``"CellAssociation"``, ``"cell_association"``, the full id, or ``"my_module:lab/Mine-v0"`` -> the full id."""
    from rangym.envs.params import listed as listed_names
    from rangym.envs.params import nearest
    from rangym.envs.registration import PROBLEMS, import_user, problem

    module, colon, rest = name.rpartition(":")
    if colon:
        import_user(module)  # it may register what comes after the colon
    short = {_plain(full): full for full in PROBLEMS}
    if rest in PROBLEMS or colon:
        return problem(rest).env_id
    if _plain(rest) not in short:
        names = [full.partition("/")[2].partition("-")[0] for full in PROBLEMS]
        raise WrongValue(f"--env: one of {listed_names(names, name)} wanted, got {shown(name)}{nearest(name, names)}")
    return short[_plain(rest)]


def _plain(name: str) -> str:
    return name.rpartition("/")[2].partition("-")[0].replace("_", "").lower()


def key_values(parts: Sequence[str], option: str) -> dict[str, object]:
    """``["gamma=5", "law=static"]`` -> ``{"gamma": 5, "law": "static"}``."""
    return words.key_values(list(parts), f"{option}:")


def listed(values: Iterable[str | float]) -> str:
    """``(0.1, 0.5)`` -> ``"0.1,0.5"``, as `numbers` and `listed_words` read it."""
    return ",".join(value if isinstance(value, str) else f"{value:g}" for value in values)


def listed_words(text: str) -> list[str]:
    """The words between commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def numbers(text: str, option: str) -> list[float]:
    """The numbers between commas."""
    try:
        found = [float(word) for word in listed_words(text)]
    except ValueError:
        found = [math.nan]
    if not all(map(math.isfinite, found)):
        raise WrongValue(f"{option}: numbers with commas between them, all finite, wanted, got {shown(text)}")
    return found


def policy_words(text: str) -> list[str]:
    """The words of policies between commas, which may have options with commas between them as well.

    >>> policy_words("fednova_dpu:mean_minibatch=0.3,mean_iterations=2,fednova_ue")
    ['fednova_dpu:mean_minibatch=0.3,mean_iterations=2', 'fednova_ue']
    """
    found: list[str] = []
    for part in words.split(text):
        if found and "=" in part.partition(":")[0]:  # no policy's name has one: a further option of the last word
            found[-1] += f",{part.strip()}"
        else:
            found.append(part.strip())
    return found


def span(seeds: range) -> str:
    """``range(5)`` -> ``"0:5"``, as `rangym.evaluation.protocol.parse_seeds` reads it."""
    return f"{seeds.start}:{seeds.stop}"


def grid(parts: Sequence[str]) -> dict[str, list[object]]:
    """``["offset_db=1,3", "rounding=coupled,argmax"]`` -> a list of values for each key."""
    pairs = (part.partition("=") for part in parts)
    texts = {key.strip(): values for key, _, values in pairs}
    words.key_values(list(parts), "--grid:")  # refuses what is no KEY=VALUES
    return {
        key: [words.finite_literal(value, f"--grid: {key}") for value in words.split(values)]
        for key, values in texts.items()
    }


def command_line() -> str:
    """The command as it was typed, for reports and the file of tuned options."""
    return shlex.join(["rangym", *sys.argv[1:]])


def print_problems(results: HasProblems, path: str | Path | None = None) -> int:
    """Say on stderr what is wrong with results; 1 if anything is."""
    print_skipped(results.torn, path)
    for problem in results.problems[:20]:
        print(f"PROBLEM: {printable(problem)}", file=sys.stderr)
    if len(results.problems) > 20:
        print(f"PROBLEM: ... and {len(results.problems) - 20} more", file=sys.stderr)
    return 1 if results.problems else 0


def print_skipped(torn: Sequence[int], path: str | Path | None) -> None:
    """Say on stderr which lines of a file were passed over."""
    if torn:
        lines = ", ".join(map(str, torn[:5])) + (", ..." if len(torn) > 5 else "")
        note = f"note: {len(torn)} line(s) of {path} are no rows of this command and were skipped (line {lines})"
        print(printable(note), file=sys.stderr)
