"""The errors that a wrong call raises: their text says the field, what was wanted and what came."""

from __future__ import annotations

LONGEST = 120
"""Characters of a value in an error's text."""


def printable(text: str) -> str:
    """``text`` with whatever would steer a terminal (escape sequences, control characters) shown as an escape.

    >>> printable("a\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def shown(value: object) -> str:
    """A value in an error's text: its repr, shortened.

    >>> shown("x" * 200)[-20:]
    'xxx... (202 letters)'
    """
    try:
        text = repr(value)
    except Exception as error:  # an integer of more digits than Python prints, or a foreign class
        return f"{type(value).__name__} ({error})"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} letters)"


class WrongCall(Exception):
    """Something the caller can mend. The command line prints these as one line, all others with their traceback."""

    def __str__(self) -> str:
        return printable(super().__str__())


class WrongValue(WrongCall, ValueError):
    """A value of the right type that is not allowed."""


class WrongType(WrongCall, TypeError):
    """A value of the wrong type, or a name that does not exist."""


class UnreadableFile(WrongCall, FileNotFoundError):
    """A file that was named is not there or cannot be read."""


class MissingExtra(WrongCall, ImportError):
    """A package is not installed; the text says which extra brings it."""
