"""A processor that rounds otherwise, in software: `pytest --disturb SEED` finds what depends on the last bits.

Another processor, BLAS or math library gives numbers that differ by a few units in the last place. Three hooks imitate
that, where the numbers of the package come from and where a decision follows from them:

- results of the public formulas (`rangym.envs.physics`, `rangym.envs.learning`): all that an environment computes
  and an algorithm is handed passes through them, on its way to an argmax, a sort, a threshold or a loss;
- results of the formulas within the algorithms, `INNER`: distances, costs, gradients, affinities, from which they sort,
  compare and descend;
- what NumPy, SciPy and scikit-learn see: costs of an assignment, points of K-means and mixtures, matrices of an eigen-
  or singular value decomposition, values and gradients of a minimisation.

How far a number moves, at most `UNITS` of its own dtype's last place, is a function of its bits and the seed. So a call
that is repeated gives the same result, a lane what the single environment gives, and a symmetric matrix stays so: what
the package promises bit for bit still holds, and what fails had relied on more. For the third hook the place counts
too, which breaks exact ties as another order of summation does. Numbers with few significant bits (whole numbers, .5)
are exact everywhere and stay.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Mapping

import numpy as np

UNITS = 2
FORMULAS = ("rangym.envs.physics", "rangym.envs.learning")
INNER = {
    "association.lda": ("initial_weights", "utility_gradient"),
    "clusters.dirichlet": ("log_likelihood", "gradient", "class_profiles"),
    "clusters.spectral": ("affinity",),
    "federated.consensus": ("consensus_weights",),
    "pairing.pair_costs": ("upload_costs", "pair_energy_table", "matching_cost"),
    "placement.placement": ("squared_distances",),
    "placement.harmonic": ("step_factor",),
    "prediction.bcd": ("assignment_gradient",),
    "prediction.communication": ("network_weights",),
    "prediction.head_choice": ("slot_cost",),
    "prediction.nuclear_prox": ("nuclear_norm", "svt", "step_value"),
    "prediction.partition": ("subset_costs",),
    "prediction.problem": ("relaxed_value",),
}
"""Modules of `rangym.policies.algorithms` and their functions that return numbers on which something is decided."""
EXACT = {"fold", "take", "take_row", "ridge_heads", "average", "normalised_average"} | {
    "dirichlet_shares",
    "drifting_shares",
}
"""Formulas that hand on part of what they got, or keep a range however they round: a share of a sum is at most 1."""
_WORDS = {np.dtype(np.float64): (np.uint64, 20), np.dtype(np.float32): (np.uint32, 8)}
"""Integers of a dtype's size, and how many trailing zero bits make a number exact."""


def moved(x: np.ndarray, seed: int, by_place: bool = False) -> np.ndarray:
    """``x`` with its numbers moved, but the exact ones."""
    word, exact = _WORDS[x.dtype]
    bits = np.ascontiguousarray(x).reshape(-1).view(word)
    mixed = bits.astype(np.uint64) + np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)
    if by_place:
        mixed += np.arange(x.size, dtype=np.uint64) * np.uint64(0xD1B54A32D192ED03)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    units = (mixed % np.uint64(2 * UNITS + 1)).astype(np.int64) - UNITS
    stays = ~np.isfinite(x.reshape(-1)) | (bits & word((1 << exact) - 1) == 0)
    # Neighbours in bits are neighbours in value, so units of the last place are units of the integer.
    return (bits + np.where(stays, 0, units).astype(word)).astype(word).view(x.dtype).reshape(x.shape)


def _changed(value, change: Callable[[np.ndarray], np.ndarray]):
    """``value`` with ``change`` of each floating-point array and scalar in it, at any depth."""
    if isinstance(value, float | np.float32):  # np.float64 is a float
        return type(value)(change(np.asarray(value))[()])
    if isinstance(value, np.ndarray):
        return change(value) if value.dtype in _WORDS else value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_changed(v, change) for v in value))
    if isinstance(value, tuple | list):
        return type(value)(_changed(v, change) for v in value)
    if type(value) is dict:
        return {k: _changed(v, change) for k, v in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        twin = copy.copy(value)
        for f in dataclasses.fields(value):
            object.__setattr__(twin, f.name, _changed(getattr(value, f.name), change))
        return twin
    return value


def _results(function: Callable, seed: int) -> Callable:
    """``function`` with moved results."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        return _changed(function(*args, **kwargs), lambda x: moved(x, seed))

    return call


def _arguments(function: Callable, seed: int, by_place: bool = False) -> Callable:
    """``function`` that sees moved arrays; scalars are options and stay."""

    def see(value):
        return moved(value, seed, by_place) if isinstance(value, np.ndarray) and value.dtype in _WORDS else value

    @functools.wraps(function)
    def call(*args, **kwargs):
        return function(*map(see, args), **{k: see(v) for k, v in kwargs.items()})

    return call


def _minimisation(minimize: Callable, seed: int) -> Callable:
    @functools.wraps(minimize)
    def call(fun, x0, args=(), **kwargs):
        return minimize(_results(fun, seed), x0, args, **kwargs)

    return call


def install(seed: int) -> None:
    """Disturb this process from now on; the package's modules must not be imported yet."""
    import scipy.linalg
    import scipy.optimize
    from sklearn.cluster import KMeans
    from sklearn.mixture import GaussianMixture

    for owner, names in ((scipy.linalg, ("eigh", "svd")), (np.linalg, ("eigh", "svd"))):
        for name in names:  # symmetric matrices stay symmetric
            setattr(owner, name, _arguments(getattr(owner, name), seed))
    scipy.optimize.linear_sum_assignment = _arguments(scipy.optimize.linear_sum_assignment, seed, by_place=True)
    scipy.optimize.minimize = _minimisation(scipy.optimize.minimize, seed)
    for model in (KMeans, GaussianMixture):
        model.fit = _arguments(model.fit, seed, by_place=True)
    formulas = [f for package in FORMULAS for f in _public_functions(package)]
    for module, names in INNER.items():
        formulas += [getattr(importlib.import_module(f"rangym.policies.algorithms.{module}"), name) for name in names]
    _replace({formula: _results(formula, seed) for formula in formulas})


def _public_functions(package: str) -> list[Callable]:
    """Those of all modules of a package; kernels are no functions to Python."""
    modules = pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
    found = [(name, value) for m in modules for name, value in vars(importlib.import_module(m.name)).items()]
    return [
        v
        for name, v in found
        if inspect.isfunction(v) and v.__name__ == name and not name.startswith("_") and name not in EXACT
    ]


def _replace(twins: Mapping[Callable, Callable]) -> None:
    """Put each function's twin in its place, in every module of the package that has it by now."""
    for module in [m for name, m in sys.modules.items() if name.startswith("rangym")]:
        for name, value in list(vars(module).items()):
            if inspect.isfunction(value) and value in twins:
                setattr(module, name, twins[value])
            elif type(value) is dict:  # tables of functions
                value |= {k: twins[v] for k, v in value.items() if inspect.isfunction(v) and v in twins}
