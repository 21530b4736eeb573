"""Compiled passes of Box and Muller's transformation.

The words of many generators are drawn in one call: a call for each would take and give back the interpreter as often,
for which several threads would wait.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import cast

import numba
import numpy as np
from llvmlite import ir
from numba.core.base import BaseContext
from numba.core.typing import signature
from numba.extending import intrinsic
from numpy.typing import NDArray

from rangym.envs.physics.loop_kernels import AT_ONCE, INTERPRETED, apply, loop_of

_HALF, _WORD, _TURN = np.float32(0.5), np.float32(2.0**-32), np.float32(math.pi * 2.0**-31)
_MINUS_TWO = np.float32(-2.0)
LOG, COS, SIN = loop_of(np.log, "float32"), loop_of(np.cos, "float32"), loop_of(np.sin, "float32")
"""For `words_to_normals`: addresses of this process, which no compiled kernel may keep."""

_bitgen_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def bitgens(rngs: Sequence[np.random.Generator]) -> NDArray[np.uintp]:
    """Addresses of the generators' `bitgen_t`, NumPy's interface for other languages; valid while they live."""
    return np.array([_bitgen_of(rng.bit_generator.capsule, b"BitGenerator") for rng in rngs], np.uintp)


def _drawing(place: int, number: ir.Type, kind: object, c_type: type) -> Callable[[int], int]:
    """What draws a number by the function at ``place`` of `bitgen_t`, which starts with the state for it."""

    def interpreted(bitgen: int) -> int:
        fields = (ctypes.c_void_p * (place + 1)).from_address(int(bitgen))
        return cast(int, ctypes.CFUNCTYPE(c_type, ctypes.c_void_p)(fields[place] or 0)(fields[0]))

    def code(typing_context: object, bitgen: object) -> tuple[object, object]:
        def build(context: BaseContext, builder: ir.IRBuilder, kinds: object, arguments: list[ir.Value]) -> ir.Value:
            pointer = ir.IntType(8).as_pointer()
            fields = builder.inttoptr(arguments[0], pointer.as_pointer())
            state, draw = (builder.load(builder.gep(fields, [ir.IntType(32)(k)])) for k in (0, place))
            return builder.call(builder.bitcast(draw, ir.FunctionType(number, [pointer]).as_pointer()), [state])

        return signature(kind, numba.uintp), build

    return interpreted if INTERPRETED else cast(Callable[[int], int], intrinsic(code))


_next_uint64 = _drawing(1, ir.IntType(64), numba.uint64, ctypes.c_uint64)
_next_double = _drawing(3, ir.DoubleType(), numba.float64, ctypes.c_double)


@numba.njit(cache=True, nogil=True)
def draw_words(bitgens, words):
    """Fill row k of ``words`` ``(l, n)`` uint64 from generator k of ``bitgens`` ``(l,)``, as its `integers` would."""
    for k in range(len(words)):
        for i in range(words.shape[1]):
            words[k, i] = _next_uint64(bitgens[k])


@numba.njit(cache=True, nogil=True)
def draw_doubles(bitgens, doubles):
    """Fill row k of ``doubles`` ``(l, n)`` from generator k of ``bitgens`` ``(l,)``, as its `random` would."""
    for k in range(len(doubles)):
        for i in range(doubles.shape[1]):
            doubles[k, i] = _next_double(bitgens[k])


@numba.njit(cache=True, nogil=True)
def words_to_normals(words, log, cosine, sine):
    """Make of each row of ``words`` ``(l, 2 n)``, uint32, float32 normal variates in the same memory.

    The first half gives uniform variates u in (0, 1], the other an angle each, in [-pi, pi]; of these come the radius
    sqrt(-2 log u) times the cosines, then times the sines. The functions are `LOG`, `COS` and `SIN`.
    """
    pairs, floats = words.shape[1] // 2, words.view(np.float32)
    angles, radii, parts = np.empty(AT_ONCE, np.float32), np.empty(AT_ONCE, np.float32), np.empty(AT_ONCE, np.float32)
    for k in range(len(words)):
        for start in range(0, pairs, AT_ONCE):
            n = min(AT_ONCE, pairs - start)
            angle, radius, part = angles[:n], radii[:n], parts[:n]
            one, other = words[k, start : start + n], words[k, pairs + start : pairs + start + n]
            for i in range(n):
                radius[i] = (np.float32(one[i]) + _HALF) * _WORD
                angle[i] = np.float32(np.int32(other[i])) * _TURN
            apply(log, radius, radius)
            for i in range(n):
                radius[i] = np.sqrt(radius[i] * _MINUS_TWO)
            apply(cosine, angle, part)
            for i in range(n):
                floats[k, start + i] = radius[i] * part[i]
            apply(sine, angle, part)
            for i in range(n):
                floats[k, pairs + start + i] = radius[i] * part[i]
