"""Compiled passes of Box and Muller's transformation; logarithms, sines and cosines stay with NumPy.

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
from numba.extending import intrinsic
from numpy.typing import NDArray

_HALF, _WORD, _TURN = np.float32(0.5), np.float32(2.0**-32), np.float32(math.pi * 2.0**-31)
_MINUS_TWO = np.float32(-2.0)

_bitgen_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def bitgens(rngs: Sequence[np.random.Generator]) -> NDArray[np.uintp]:
    """Addresses of the generators' `bitgen_t`, NumPy's interface for other languages; valid while they live."""
    return np.array([_bitgen_of(rng.bit_generator.capsule, b"BitGenerator") for rng in rngs], np.uintp)


def _next_uint64_code(typing_context: object, bitgen: object) -> tuple[object, object]:
    """The next word of the generator at an address: `bitgen_t` starts with a state and the function that takes it."""

    def build(context: BaseContext, builder: ir.IRBuilder, signature: object, arguments: list[ir.Value]) -> ir.Value:
        pointer, word = ir.IntType(8).as_pointer(), ir.IntType(64)
        function = ir.FunctionType(word, [pointer]).as_pointer()
        fields = builder.inttoptr(arguments[0], ir.LiteralStructType([pointer, function]).as_pointer())
        state, draw = (builder.load(builder.gep(fields, [ir.IntType(32)(0), ir.IntType(32)(k)])) for k in (0, 1))
        return builder.call(draw, [state])

    return numba.uint64(numba.uintp), build


_next_uint64 = cast(Callable[[int], int], intrinsic(_next_uint64_code))


@numba.njit(cache=True, nogil=True)
def draw_words(bitgens, words):
    """Fill row k of ``words`` ``(l, n)`` uint64 from generator k of ``bitgens`` ``(l,)``, as its `integers` would."""
    for k in range(len(words)):
        for i in range(words.shape[1]):
            words[k, i] = _next_uint64(bitgens[k])


@numba.njit(cache=True, nogil=True)
def uniform_and_angle(words, uniform, angle):
    """Uniform variates in (0, 1] from the first half of each row of ``words`` ``(l, 2 n)``, angles from the other.

    The words are uint32. Both are ``(l, n)`` float32, the angles in [-pi, pi].
    """
    lanes, pairs = uniform.shape
    for k in range(lanes):
        for i in range(pairs):
            uniform[k, i] = (np.float32(words[k, i]) + _HALF) * _WORD
            angle[k, i] = np.float32(np.int32(words[k, pairs + i])) * _TURN


@numba.njit(cache=True, nogil=True)
def polar(log_uniform, cosine, sine):
    """``(l, 2 n)`` normal variates: the radius sqrt(-2 log u) times the cosines, then times the sines."""
    lanes, pairs = log_uniform.shape
    normal = np.empty((lanes, 2 * pairs), np.float32)
    for k in range(lanes):
        for i in range(pairs):
            radius = np.sqrt(log_uniform[k, i] * _MINUS_TWO)
            normal[k, i] = radius * cosine[k, i]
            normal[k, pairs + i] = radius * sine[k, i]
    return normal
