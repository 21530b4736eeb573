"""The words by which policies are asked for, on the command line and in code, and how they are spelled back."""

from __future__ import annotations

import ast
import cmath
from collections.abc import Mapping
from dataclasses import dataclass

from rangym.envs.errors import WrongType, WrongValue, printable, shown

OPENING, CLOSING, QUOTES = "([{", ")]}", "'\""
TUNED = "tuned"


@dataclass(frozen=True)
class Word:
    """``NAME``, ``NAME:tuned``, ``NAME:key=value,...`` or ``module:Class`` with options after a second colon.

    Attributes
    ----------
    name : the registry's name, or ``"module:Class"``.
    options : the options that the word gives.
    tuned : whether those stored for the scenario are asked for.
    """

    name: str
    options: Mapping[str, object]
    tuned: bool = False


def parse(text: str) -> Word:
    """The parts of a policy's word; values are Python literals or bare words, and quotes and brackets hold commas.

    >>> parse("a3:offset_db=6,time_to_trigger=2").options
    {'offset_db': 6, 'time_to_trigger': 2}
    >>> parse("my_module:Mine:file='a,b.npz',sizes=(1, 2)")
    Word(name='my_module:Mine', options={'file': 'a,b.npz', 'sizes': (1, 2)}, tuned=False)
    """
    if not isinstance(text, str):
        raise WrongType(f"policy: a name such as 'a3' or 'a3:offset_db=6' wanted, got {shown(text)}")
    name, colon, rest = (part.strip() for part in text.partition(":"))
    if colon and rest and rest != TUNED and "=" not in rest.partition(":")[0]:
        if not rest.partition(":")[0].isidentifier():
            raise WrongValue(f"policy {shown(text)}: options are KEY=VALUE, got {shown(rest)}")
        target, colon, rest = rest.partition(":")
        if not colon and "." not in name and not target[:1].isupper():  # `a3:offset_db` is an option without a value
            raise WrongValue(f"policy {shown(text)}: options are KEY=VALUE, got {shown(target)}")
        name = f"{name}:{target}"
    if not name or (colon and not rest):
        raise WrongValue(f"policy {shown(text)}: NAME, NAME:tuned, NAME:key=value,... or module:Class wanted")
    if rest == TUNED:
        return Word(name, {}, tuned=True)
    return Word(name, key_values(split(rest), f"policy {shown(text)}: options are"))


def split(text: str) -> list[str]:
    """The parts between the commas of ``text`` that stand outside quotes and brackets."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in QUOTES:
            quote = letter
        depth += 0 if quote else (letter in OPENING) - (letter in CLOSING)
        if letter == "," and not quote and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part for part in parts if part.strip()]


def key_values(parts: list[str], who: str) -> dict[str, object]:
    """``["gamma=5", "law=static"]`` -> ``{"gamma": 5, "law": "static"}``; ``who`` begins the error's text."""
    found: dict[str, object] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not (key.strip() and equals and value.strip()):
            raise WrongValue(f"{who} KEY=VALUE, got {shown(part)}")
        if key.strip() in found:
            raise WrongValue(f"{who} KEY=VALUE, each key once, got {shown(key.strip())} twice")
        found[key.strip()] = finite_literal(value, f"{who} {printable(key.strip())}")
    return found


def literal(text: str) -> object:
    """A Python literal, or the word itself."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):  # the last three: {[]: 1}, deep nesting
        return text.strip()


def finite_literal(text: str, where: str) -> object:
    """A literal that holds no infinite number: ``1e999`` is none, and would be no other value's row either."""
    value = literal(text)
    if not _is_finite(value):
        raise WrongValue(f"{where}: finite numbers wanted, got {shown(text.strip())}")
    return value


def _is_finite(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(_is_finite(v) for pair in value.items() for v in pair)
    if isinstance(value, list | tuple | set):
        return all(map(_is_finite, value))
    return not isinstance(value, float | complex) or cmath.isfinite(value)


def spell(name: str, options: Mapping[str, object]) -> str:
    """The word that asks for ``name`` with ``options``; `parse` reads it back.

    >>> spell("lda", {"rounding": "coupled", "step_scale": 3.0})
    'lda:rounding=coupled,step_scale=3.0'
    """
    shown = ",".join(f"{key}={_shown(value)}" for key, value in sorted(options.items()))
    return f"{name}:{shown}" if shown else name


def _shown(value: object) -> str:
    """The text of a value: bare where `literal` reads it back as the same, else with quotes."""
    text = str(value)
    plain = isinstance(value, str) and literal(text) == text and len(split(text)) == 1 and not set(text) & set(QUOTES)
    return text if plain else repr(value)
