"""Plain tables, and the texts around them, that fit a terminal of 80 columns."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

WIDTH = 80
GAP = "  "
NARROWEST_TEXT = 24
NAMES = 32
"""What names of rows take of a line at most where a table does not fit: longer ones are broken."""
BAR = 10
"""Characters of a `scale`."""


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]], align: str = "", width: int = WIDTH) -> str:
    """A plain table of at most ``width`` characters a line where its cells allow it.

    ``align`` has "l" or "r" for each column (the first to the left, others to the right by default). What is too wide
    goes on: a last column of text in further lines of its row, other columns in a further table below, which repeats
    the columns on the left that name the row.
    """
    align = align or "l" + "r" * (len(header) - 1)
    names = len(align) - len(align.lstrip("l"))
    table = [list(header), *(list(row) for row in rows)]
    if _width(_widths(table)) <= width:
        return _lines(table, align, width)
    if names == len(header):
        return _lines(table, align, width)
    keys = _width(_widths([row[:names] for row in table]))
    longest = max((_width([w]) for w in _widths([row[names:] for row in table])), default=0)
    room = min(keys, max(width - longest - len(GAP), NARROWEST_TEXT), NAMES if names == 1 else keys)
    blocks: list[list[int]] = [[]]
    used = room
    for k, w in enumerate(_widths(table)[names:], names):
        if blocks[-1] and used + len(GAP) + w > width:
            blocks.append([])
            used = room
        blocks[-1].append(k)
        used += len(GAP) + w
    parts = []
    for block in blocks:
        chosen = [*range(names), *block]
        part = [[row[k] for k in chosen] for row in table]
        parts.append(_lines(part, "".join(align[k] for k in chosen), width))
    return "\n\n".join(parts)


def paragraph(text: str, width: int = WIDTH) -> str:
    """``text`` in lines of at most ``width``; words stay whole, so that names of policies can be copied."""
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(part for line in lines for part in broken(line, width))


def counted(number: int, things: str) -> str:
    """A number of things, said in the plural with an s, as a text says it.

    >>> counted(1, "traces"), counted(2048, "traces")
    ('1 trace', '2,048 traces')
    """
    return f"{number:,} {things.removesuffix('s') if number == 1 else things}"


def scale(score: float) -> str:
    """A score as a bar from 0 (the policy that scores 0) to 1 (the bound); an arrow where it is beyond.

    >>> scale(0.74), scale(-0.2), scale(1.2)
    ('#######...', '<.........', '#########>')
    """
    if score < -0.5 / BAR:
        return "<" + "." * (BAR - 1)
    if score > 1 + 0.5 / BAR:
        return "#" * (BAR - 1) + ">"
    filled = round(BAR * min(max(score, 0.0), 1.0))
    return "#" * filled + "." * (BAR - filled)


def _widths(table: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*table, strict=True)]


def _width(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _lines(table: Sequence[Sequence[str]], align: str, width: int) -> str:
    """The table with its rule; text columns are broken, the widest first, until a line fits."""
    widths = _widths(table)
    while _width(widths) > width:
        text = [k for k, a in enumerate(align) if a == "l" and widths[k] > NARROWEST_TEXT]
        if not text:
            break
        widest = max(text, key=lambda k: widths[k])
        widths[widest] = max(widths[widest] - (_width(widths) - width), NARROWEST_TEXT)
    lines = []
    for row in [table[0], ["-" * w for w in widths], *table[1:]]:
        cells = [broken(cell, w) for cell, w in zip(row, widths, strict=True)]
        for n in range(max(map(len, cells))):
            shown = [cell[n] if n < len(cell) else "" for cell in cells]
            padded = [c.ljust(w) if a == "l" else c.rjust(w) for c, w, a in zip(shown, widths, align, strict=True)]
            lines.append(GAP.join(padded).rstrip())
    return "\n".join(lines)


def broken(text: str, width: int) -> list[str]:
    """``text`` in lines of at most ``width``, broken at spaces, after commas and colons, else anywhere."""
    if len(text) <= width:
        return [text]
    lines = [""]
    for piece in re.findall(r"[^\s,:]*[\s,:]*", text):
        for part in [piece[i : i + width] for i in range(0, len(piece), width)]:
            if len((lines[-1] + part).rstrip()) > width:
                lines.append("")
            lines[-1] += part
    return [line.rstrip() for line in lines]
