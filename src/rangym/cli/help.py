"""Help texts, at most 80 columns wide."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Iterator

WIDTH = 80
MARGIN = 2
"""argparse leaves so many columns of a terminal free."""
CONTINUATION = " \\"


class HelpFormatter(argparse.HelpFormatter):
    """Fills the paragraphs of descriptions; indented lines of them, commands and samples, stay lines of their own.

    A command that is too long for a line goes on in the next one after a backslash, so that it can be copied.
    """

    def __init__(self, prog: str):
        columns = shutil.get_terminal_size().columns
        super().__init__(prog, width=min(WIDTH, columns - MARGIN))

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line if line else "" for line in _filled(text, width - len(indent)))


def _filled(text: str, width: int) -> Iterator[str]:
    paragraph: list[str] = []
    for line in [*text.splitlines(), ""]:
        if line and not line.startswith(" "):
            paragraph.append(line)
            continue
        yield from textwrap.wrap(" ".join(paragraph), width, break_long_words=False, break_on_hyphens=False)
        paragraph = []
        yield from _continued(line.rstrip(), width)


def _continued(line: str, width: int) -> Iterator[str]:
    """A line that is kept, in several where it is too long."""
    indent = line[: len(line) - len(line.lstrip())]
    while len(line) > width:
        end = line.rfind(" ", len(indent), width - len(CONTINUATION) + 1)
        if end <= len(indent):
            break  # one word
        yield line[:end].rstrip() + CONTINUATION
        indent = indent if indent.endswith("    ") else indent + "    "
        line = indent + line[end:].lstrip()
    yield line
