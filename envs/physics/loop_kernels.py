"""NumPy's own loops over logarithms, exponentials, sines and cosines, for compiled kernels to call.

Numba compiles such functions to one number at a time, NumPy's loops use the vector instructions of the processor at
hand. A kernel that calls them stays one call for Python, and has the bits that NumPy's functions have.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias, cast

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.base import BaseContext
from numba.core.errors import TypingError
from numba.core.typing import signature
from numba.core.typing.templates import Signature
from numba.extending import intrinsic
from numpy.typing import DTypeLike, NDArray

from rangym.envs.errors import WrongValue, shown

AT_ONCE = 2048
"""Numbers that a kernel works on at once between two such calls: they stay in the nearest cache."""


Loop: TypeAlias = tuple[int, int, int]
"""Addresses of a loop of NumPy's and of the data that it is called with, and the bytes of a number.

A plain tuple: numba's index of compiled kernels names the module of a type that kernels take, and cannot be read once
that module has another name, so kernels take plain types or those of their own module.
"""
INTERPRETED = bool(cast(Any, numba.config).DISABLE_JIT)
"""Whether numba compiles nothing, which the environment variable NUMBA_DISABLE_JIT=1 asks for, to debug kernels."""


class _UFunc(ctypes.Structure):
    """The beginning of `PyUFuncObject` in NumPy's C interface, after what every Python object begins with."""

    _fields_ = [
        *((name, ctypes.c_int) for name in ("inputs", "outputs", "arguments", "identity")),
        ("functions", ctypes.POINTER(ctypes.c_void_p)),
        ("data", ctypes.POINTER(ctypes.c_void_p)),
        ("count", ctypes.c_int),
        ("reserved", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("types", ctypes.POINTER(ctypes.c_ubyte)),
    ]


_FUNCTIONS: dict[Loop, np.ufunc] = {}


@cache
def loop_of(function: np.ufunc, dtype: DTypeLike) -> Loop:
    """The loop of a NumPy function of one argument and one result, both of ``dtype``, a type of real numbers."""
    if not isinstance(function, np.ufunc) or (function.nin, function.nout) != (1, 1):
        raise WrongValue(f"function: a NumPy ufunc of one argument and one result wanted, got {shown(function)}")
    kind, known = np.dtype(dtype), [loop for loop in ("f->f", "d->d") if loop in function.types]
    if (loop := f"{kind.char}->{kind.char}") not in known:
        raise WrongValue(f"dtype: {function.__name__} has {', '.join(known) or 'none'}, got {loop}")
    fields = _UFunc.from_address(id(function) + object.__basicsize__)
    sizes = fields.inputs, fields.outputs, fields.arguments, fields.count  # before a pointer is followed
    if sizes != (1, 1, 2, function.ntypes) or fields.name != function.__name__.encode():
        raise RuntimeError(
            f"NumPy {np.__version__} keeps its functions in another way: {function.__name__} has {sizes}"
        )
    place = function.types.index(loop)
    if not (address := fields.functions[place]):
        raise RuntimeError(f"NumPy {np.__version__} has no loop for {function.__name__} of {loop}")
    found = address, fields.data[place] or 0 if fields.data else 0, kind.itemsize
    _FUNCTIONS[found] = function
    return found


def _call_code(typing_context: object, loop: object, source: object, target: object) -> tuple[object, object]:
    """Call ``loop`` with all numbers of ``source`` for results in ``target``."""
    for array in (source, target):
        if not isinstance(array, types.Array) or array.layout != "C" or not isinstance(array.dtype, types.Float):
            raise TypingError(f"apply: contiguous arrays of real numbers wanted, got {source} and {target}")

    def build(context: BaseContext, builder: ir.IRBuilder, call: Signature, arguments: list[ir.Value]) -> ir.Value:
        size, pointer = ir.IntType(64), ir.IntType(8).as_pointer()
        arrays = [context.make_array(call.args[k])(context, builder, arguments[k]) for k in (1, 2)]
        function, data = (builder.extract_value(arguments[0], k) for k in (0, 1))
        places, count = cgutils.alloca_once(builder, pointer, 2), cgutils.alloca_once(builder, size)
        steps = cgutils.alloca_once(builder, size, 2)
        for k, array in enumerate(arrays):
            at = ir.IntType(32)(k)
            builder.store(builder.bitcast(array.data, pointer), builder.gep(places, [at]))
            builder.store(array.itemsize, builder.gep(steps, [at]))
        builder.store(arrays[0].nitems, count)
        wanted = [pointer.as_pointer(), size.as_pointer(), size.as_pointer(), pointer]
        called = builder.inttoptr(function, ir.FunctionType(ir.VoidType(), wanted).as_pointer())
        builder.call(called, [places, count, steps, builder.inttoptr(data, pointer)])
        return context.get_dummy_value()

    return signature(numba.void, loop, source, target), build


def _call_interpreted(loop: Loop, source: NDArray, target: NDArray) -> None:
    if any(not a.flags.c_contiguous or a.dtype.kind != "f" for a in (source, target)):
        raise TypingError(f"apply: contiguous arrays of real numbers wanted, got {source.dtype} and {target.dtype}")
    _FUNCTIONS[loop](source, out=target)


_call = _call_interpreted if INTERPRETED else cast(Callable[[Loop, NDArray, NDArray], None], intrinsic(_call_code))


@numba.njit(nogil=True)
def apply(loop, source, target):
    """Call ``loop`` with all numbers of ``source`` for results in ``target``: contiguous, of its dtype, of one size."""
    if source.size != target.size or source.itemsize != loop[2] or target.itemsize != loop[2]:
        raise ValueError("apply: source and target of the loop's dtype and of one size wanted")
    _call(loop, source, target)
