"""What a row's numbers depend on beside the code: versions of Python and packages, and the kind of processor."""

from __future__ import annotations

import functools
import importlib
import os
import platform
from importlib import metadata

import numpy as np
from threadpoolctl import threadpool_info


@functools.cache
def versions() -> dict[str, str]:
    """The versions and the processor that a row's numbers depend on."""
    packages = {name: metadata.version(name) for name in ("rangym", "numpy", "scipy", "numba", "gymnasium")}
    return {"python": platform.python_version(), **packages, "processor": processor()}


@functools.cache
def processor() -> str:
    """The kind of processor, as far as it decides the last bits of a number.

    BLAS and NumPy choose their kernels by processor, numba compiles for it, and the C library chooses its exponentials;
    each sums and rounds in an order of its own. Machines of one kind give the same bits, others agree to rounding.
    """
    import scipy.linalg  # noqa: F401  (loads SciPy's own BLAS, so that the answer does not depend on who asks first)
    from llvmlite.binding import get_host_cpu_name  # numba's compiler

    library = " ".join(filter(None, platform.libc_ver()))
    compiled_for = os.environ.get("NUMBA_CPU_NAME") or get_host_cpu_name()
    loops = ["baseline", *numpy_dispatch()][-1]
    parts = platform.machine(), library, *_blas_kernels(), f"NumPy {loops}", f"numba {compiled_for}"
    return ", ".join(filter(None, parts))


def _blas_kernels() -> list[str]:
    """The BLAS libraries of NumPy and SciPy, each with its kernels."""
    found = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return sorted({f"{library['internal_api']} {library.get('architecture', '')}".strip() for library in found})


def numpy_dispatch() -> list[str]:
    """The features of this processor, beyond those that NumPy always needs, that its loops use; ascending."""
    umath = importlib.import_module(f"{'numpy._core' if hasattr(np, '_core') else 'numpy.core'}._multiarray_umath")
    return [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name]]
