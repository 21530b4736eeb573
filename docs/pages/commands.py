"""The command line's reference: what each command prints with --help."""

import contextlib
import io
import os
from pathlib import Path

from rangym.cli import COMMANDS, main


def write(folder: Path) -> int:
    """One page with every command's help."""
    parts = ["# Commands\n", "What `rangym COMMAND --help` prints.\n"]
    for name, (_, summary) in COMMANDS.items():
        parts.append(f"## rangym {name}\n\n{summary[0].upper()}{summary[1:]}.\n\n```text\n{_help(name)}\n```\n")
    (folder / "commands").mkdir(parents=True, exist_ok=True)
    (folder / "commands" / "index.md").write_text("\n".join(parts), encoding="utf-8")
    return 1


def _help(command: str) -> str:
    """The help of one command, as wide as it may be wherever it is made."""
    os.environ["COLUMNS"] = "90"
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        main([command, "--help"])
    return text.getvalue().rstrip()
