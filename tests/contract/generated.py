"""What the tests of generated input share: values of every wrong kind, and the judgement of what a door does with them.

A door passes with success or with a `rangym.WrongCall` whose text says what came; anything else is a failure.
"""

from collections import Counter
from collections.abc import Callable, Iterator

from hypothesis import strategies as st

from rangym import WrongCall
from rangym.envs.errors import printable, shown

COUNTS: Counter[str] = Counter()
"""Door -> inputs generated, and under ``(door, "refused")`` those refused."""

NOTHING = object()
SHORT = 40
"""Letters of a value that an error holds at least."""

EDGES = (0, -1, 1, 2, -0.0, 5e-324, 1e-300, 1e-9, 0.5, 1e9, 1e300, float("inf"), float("-inf"), float("nan"), 10**30)
TEXTS = ("", " ", "small", "tiny", "None", "$x^2$", "\x1b[31m", "../..", "a" * 300, "1e999", "\x00", "\ud800")

numbers = st.sampled_from(EDGES) | st.floats() | st.integers(-(10**9), 10**9) | st.sampled_from([10**400, -(10**4000)])
texts = st.sampled_from(TEXTS) | st.text(max_size=12)
scalars = st.none() | st.booleans() | numbers | texts | st.binary(max_size=3) | st.complex_numbers()
anything = st.recursive(
    scalars | st.just(object()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(texts | st.integers(), inner, max_size=2)
    ),
    max_leaves=4,
)


def answered(door: str, call: Callable[[], object], *names: str, came: object = NOTHING) -> bool:
    """Whether ``call`` succeeds; a refusal must be a clear one that holds one of ``names`` and says what came: of the
    value ``came`` that was given, it or the part that is refused."""
    COUNTS[door] += 1
    try:
        call()
    except WrongCall as error:
        COUNTS[f"{door}, refused"] += 1
        text = str(error)
        assert all(c.isprintable() or c == "\n" for c in text), text
        assert any(word in text for word in ("wanted", "got", "unknown", "missing", "holds", "not a")), text
        assert not names or any(name in text for name in names), (names, text)
        assert came is NOTHING or holds(text, came), (came, text)
        assert len(text) < 3000, text
        return False
    return True


def holds(text: str, value: object) -> bool:
    """Whether an error's text says what came, as any of `spellings`."""
    return any(map(text.__contains__, spellings(value)))


def spellings(value: object) -> Iterator[str]:
    """How an error may write a value: it, or one of its parts, as it is shown, shortened, by its type or its size."""
    yield shown(value)[:SHORT]
    yield f"got {type(value).__name__}"
    if isinstance(value, str):
        yield printable(value.strip())[:SHORT]
    if isinstance(value, list | tuple | dict):
        yield from (f"got {len(value)}", *["got none"] * (not value))
        for part in (*value, *value.values()) if isinstance(value, dict) else value:
            yield from spellings(part)
    elif isinstance(value, float):
        yield f"={value:g}"
