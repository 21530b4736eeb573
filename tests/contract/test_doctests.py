"""The examples in the docstrings of every module say what really comes out."""

import doctest
import importlib
import os
from pathlib import Path

import pytest

import rangym

ROOT = Path(rangym.__file__).parent


def _modules():
    """Names of all modules; `os.walk` follows the links to the folders, `rglob` would not."""
    for folder, _, files in os.walk(ROOT, followlinks=True):
        for file in sorted(files):
            if file.endswith(".py") and file != "__main__.py":
                parts = (Path(folder) / file).relative_to(ROOT.parent).with_suffix("").parts
                yield ".".join(parts).removesuffix(".__init__")


MODULES = sorted(_modules())
FEDERATED = "rangym.policies.algorithms.federated"
PARTS = {f"{FEDERATED}.{part}" for part in ("association", "coefficients", "conic_program", "copies", "count_search")}
"""Of the conic reference and the primal-dual solver, which have the examples."""
EXTRAS = {"rangym.parallel": "pettingzoo", "rangym.parallel_shell": "pettingzoo"}
"""Module -> the package of an extra that its examples need."""
ALGORITHMS = [
    name
    for name in MODULES
    if name.count(".") == 4
    and name.startswith("rangym.policies.algorithms.")
    and not name.endswith("_kernels")
    and name not in PARTS
]


def test_every_module_is_found():
    assert len(MODULES) > 150 and len(ALGORITHMS) >= 13
    assert {"rangym", "rangym.envs.physics.sic", "rangym.cli.federated"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    if name in EXTRAS:
        pytest.importorskip(EXTRAS[name])
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", ALGORITHMS)
def test_modules_of_algorithms_have_examples(name):
    assert any(test.examples for test in doctest.DocTestFinder().find(importlib.import_module(name)))
