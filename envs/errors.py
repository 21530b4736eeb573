"""The errors that a wrong call raises: their text says the field, what was wanted and what came."""

from __future__ import annotations


class WrongCall(Exception):
    """Something the caller can mend. The command line prints these as one line, all others with their traceback."""


class WrongValue(WrongCall, ValueError):
    """A value of the right type that is not allowed."""


class WrongType(WrongCall, TypeError):
    """A value of the wrong type, or a name that does not exist."""


class MissingExtra(WrongCall, ImportError):
    """A package is not installed; the text says which extra brings it."""
