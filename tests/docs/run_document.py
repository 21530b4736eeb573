"""Run a document's code as it is printed: ``python run_document.py FILE.md '{"rangym train": "--steps 1"}'``.

All in this process and this folder, in the order of the text:

- a block ``python`` whose first line is ``# name.py`` becomes that file; any other is executed in one namespace with
  those before it, or is left out, and counted, where it begins with ``python needs=ray,torchrl`` and one is missing;
- a block ``csv`` becomes the file that the text before it names last;
- each line of a block ``sh`` or ``bash``, and each command in the first column of a table, goes to a shell that has
  ``rangym`` on its path. The second argument says what is added to commands that take long, by their beginning; null:
  the command is parsed and not run.

Prints one line for each block and command; ends with status 1 at the first that fails or takes more than
a minute of processor time, which on a busy machine may be several on the clock.
"""

import importlib.util
import json
import os
import re
import resource
import shlex
import subprocess
import sys
from pathlib import Path

BLOCK = re.compile(r"^```(python|sh|bash|csv)(?: needs=([\w,]+))?\n(.*?)^```$|^\| `(rangym [^`]*)` \|", re.M | re.S)
FILE = re.compile(r"# (\w+\.py)\n")
TABLE_FILE = re.compile(r"`(\w+\.csv)`")
MOST_CPU_SECONDS, MOST_SECONDS = 60, 600
RANGYM = """#!/bin/sh
exec {python} -m rangym "$@"
"""
"""Stands in for the script of an installation where the package is only on the path; an installed one comes first."""


def main(path: str, fewer: str = "{}") -> None:
    changes = json.loads(fewer)
    stand_in = Path("bin")
    stand_in.mkdir()
    (stand_in / "rangym").write_text(RANGYM.format(python=shlex.quote(sys.executable)))
    (stand_in / "rangym").chmod(0o755)
    places = [str(Path(sys.executable).parent), str(stand_in.resolve()), os.environ.get("PATH", "")]
    os.environ["PATH"] = os.pathsep.join(places)
    sys.path.insert(0, os.getcwd())
    names: dict[str, object] = {"__name__": "__main__"}
    text = Path(path).read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        language, needs, code, command = match.groups()
        code = code or ""
        missing = [name for name in (needs or "").split(",") if name and importlib.util.find_spec(name) is None]
        if missing:
            print(f"LEFT OUT, needs {', '.join(missing)}: {code.splitlines()[0]}", flush=True)
        elif name := FILE.match(code) if language == "python" else _named_last(text[: match.start()], language):
            Path(name[1]).write_text(code, encoding="utf-8")
            print(f"FILE {name[1]}", flush=True)
        elif language == "python":
            start = cpu_seconds()
            exec(compile(code, path, "exec"), names)
            print(f"RAN python: {code.splitlines()[0]}  [{_checked(start):.1f} s]", flush=True)
        else:
            for line in [command] if command else code.replace("\\\n", "").strip().splitlines():
                _shell(line, changes)


def _named_last(before: str, language: str | None) -> re.Match[str] | None:
    """The file that a block ``csv`` is to become; None for other blocks."""
    if language != "csv":
        return None
    return list(TABLE_FILE.finditer(before))[-1]


def _shell(line: str, changes: dict[str, str | None]) -> None:
    """Run a line; what `changes` has for its beginning is added first."""
    more = next((more for start, more in changes.items() if f"{line} ".startswith(f"{start} ")), "")
    if more is None:
        from rangym.cli import _parser

        argv = shlex.split(line)[1:]
        _parser(argv).parse_args(argv)
        print(f"PARSED $ {line}", flush=True)
        return
    start = cpu_seconds()
    subprocess.run(f"{line} {more}", shell=True, check=True, timeout=MOST_SECONDS)
    print(f"RAN $ {line}  [{_checked(start):.1f} s]", flush=True)


def cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _checked(start: float) -> float:
    """Processor time since ``start``; too much ends the run."""
    if (took := cpu_seconds() - start) > MOST_CPU_SECONDS:
        sys.exit(f"took {took:.0f} s of processor time, more than {MOST_CPU_SECONDS}")
    return took


if __name__ == "__main__":
    main(*sys.argv[1:])
