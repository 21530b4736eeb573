"""NumPy's own loops over logarithms, exponentials, sines and cosines, for compiled kernels to call.

Numba compiles such functions to one number at a time, NumPy's loops use the vector instructions of the processor at
hand. A kernel that calls them stays one call for Python, and has the bits that NumPy's functions have.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import NamedTuple, cast

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.typing import signature
from numba.core.typing.templates import Signature
from numba.extending import intrinsic
from numpy.typing import DTypeLike, NDArray

AT_ONCE = 2048
"""Numbers that a kernel works on at once between two such calls: they stay in the nearest cache."""


class Loop(NamedTuple):
    """Addresses of a loop of NumPy's and of the data that it is called with."""

    function: int
    data: int


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


@cache
def loop_of(function: np.ufunc, dtype: DTypeLike) -> Loop:
    """The loop of a NumPy function of one argument and one result, both numbers of ``dtype``."""
    kind, fields = np.dtype(dtype).char, _UFunc.from_address(id(function) + object.__basicsize__)
    found = fields.name, fields.arguments, fields.count
    if found != (wanted := (function.__name__.encode(), 2, function.ntypes)):
        raise RuntimeError(f"NumPy {np.__version__}: a function {wanted} of one argument wanted, got {found}")
    place = function.types.index(f"{kind}->{kind}")
    return Loop(fields.functions[place] or 0, fields.data[place] or 0 if fields.data else 0)


def _apply_code(typing_context: object, loop: object, source: object, target: object) -> tuple[object, object]:
    """Call ``loop`` with all numbers of the contiguous ``source``, for results in ``target``, of the same size."""

    def build(context: BaseContext, builder: ir.IRBuilder, types: Signature, arguments: list[ir.Value]) -> ir.Value:
        size, pointer = ir.IntType(64), ir.IntType(8).as_pointer()
        arrays = [context.make_array(types.args[k])(context, builder, arguments[k]) for k in (1, 2)]
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


apply = cast(Callable[[Loop, NDArray, NDArray], None], intrinsic(_apply_code))
