"""What a module says of itself, read from its source: nothing is imported, so no extra is needed for it.

Our docstrings are Markdown with numpydoc's sections; both become plain Markdown here.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pages.links import ROOT

SECTION = re.compile(r"^(Parameters|Attributes|Returns|Raises|Yields|Notes|Examples|References)\n-+$", re.M)
ITEM = re.compile(r"^([\w*][\w*, .]*?) : (.+)$", re.M)
DOCTEST = re.compile(r"^>>> .*(?:\n(?!\s*$).*)*", re.M)
LONGEST_VALUE = 160


@dataclass(frozen=True)
class Thing:
    """A constant, function, class or method: its name within the module, how it is written, and what it says."""

    name: str
    code: str
    text: str
    parts: tuple[Thing, ...] = ()


def source(module: str) -> Path:
    """The file of one of our modules."""
    path = ROOT.joinpath("src", *module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def read(module: str) -> tuple[str, tuple[Thing, ...]]:
    """A module's docstring, and everything public in it that says something."""
    code = source(module).read_text(encoding="utf-8")
    tree = ast.parse(code)
    return ast.get_docstring(tree) or "", tuple(_things(tree.body, code.split("\n"), ""))


def exported(module: str) -> dict[str, str]:
    """Name -> module that has it, of what a package takes from its modules."""
    tree = ast.parse(source(module).read_text(encoding="utf-8"))
    taken = [n for n in tree.body if isinstance(n, ast.ImportFrom) and (n.module or "").startswith("rangym.")]
    return {alias.name: str(node.module) for node in taken for alias in node.names if alias.asname is None}


def markdown(docstring: str) -> str:
    """A docstring with numpydoc's sections as lists, and doctests as code.

    >>> print(markdown("Sum.\\n\\nParameters\\n----------\\nx : a number\\n    of any size."))
    Sum.
    <BLANKLINE>
    **Parameters**
    <BLANKLINE>
    - `x`: a number
        of any size.
    """
    head, *sections = SECTION.split(docstring)
    parts = [head]
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        parts.append(f"**{title}**\n\n{ITEM.sub(lambda m: f'- `{m[1]}`: {m[2]}', body.lstrip())}")
    return DOCTEST.sub(lambda m: f"```pycon\n{m[0]}\n```", "".join(parts))


def _things(body: Sequence[ast.stmt], lines: Sequence[str], prefix: str) -> Iterator[Thing]:
    for node, after in itertools.zip_longest(body, body[1:]):
        name = _name(node)
        if name is None or name.startswith("_"):
            continue
        if isinstance(node, ast.FunctionDef) and (text := ast.get_docstring(node)) is not None:
            yield Thing(prefix + name, _head(node, lines), text)
        elif isinstance(node, ast.ClassDef):
            parts = tuple(_things(node.body, lines, f"{prefix}{name}."))
            yield Thing(prefix + name, _head(node, lines), ast.get_docstring(node) or "", parts)
        elif (
            isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
        ):
            code = ast.unparse(node)
            short = code if len(code) <= LONGEST_VALUE else f"{code.partition('=')[0]}= ..."
            yield Thing(prefix + name, short, inspect.cleandoc(after.value.value))


def _name(node: ast.stmt) -> str | None:
    """What a statement defines or assigns to, where that is one name."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    return target.id if isinstance(target, ast.Name) else None


def _head(node: ast.FunctionDef | ast.ClassDef, lines: Sequence[str]) -> str:
    """The lines from the first decorator that says what kind of thing it is to the colon, as they are written."""
    kinds = [ast.unparse(d) for d in node.decorator_list]
    decorators = [f"@{kind}\n" for kind in kinds if kind.rpartition(".")[2] in ("property", "cached_property")]
    code = textwrap.dedent("\n".join(lines[node.lineno - 1 : node.body[0].lineno - 1])).rstrip()
    if not code:  # the body stands on the line of its head
        code = ast.unparse(node).partition("\n")[0]
    return "".join(decorators) + code.removesuffix(":")
