"""What a row of results is the result of: the code that made it, and the data files that it was read from.

A row survives every edit that cannot change it (comments, docstrings, other problems, the printing of tables) and no
edit that can: its code is a hash of the syntax trees of all modules that its parts import, directly or not.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import importlib
import importlib.util
import inspect
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import cast

import numpy as np

from rangym.envs.errors import WrongValue, shown
from rangym.envs.files import read_whole
from rangym.policies.base import Policy

DIGITS = 12
LONGEST_PATH = 255
DIRECTORIES = ("rangym", "rangym.envs.registration", "rangym.policies.registry")
"""They say where parts are found, and these are hashed themselves: a new problem must not touch the others' rows."""
EPISODE = "rangym.evaluation.episode"
"""The module that plays an episode and takes its means: with the system and the policy all that makes a row."""


def code_of(*parts: str | type) -> str:
    """A hash of the modules of ``parts`` (names, or classes by their module) and of all that they import of ours.

    "Ours" is rangym, and for a user's module whatever lies in the same folder. Imports inside functions count too.
    """
    modules: set[str] = set()
    loose = []
    for part in parts:
        name = part if isinstance(part, str) else part.__module__
        if _file_of(name) is not None:
            modules |= _closure(name)
        elif isinstance(part, type):  # a class typed into a notebook
            loose.append(_tree_hash(_source_of(part)))
        else:
            raise WrongValue(f"identity: a module with a source file wanted, got {part!r}")
    found = [f"{name} {_module_hash(name)}" for name in sorted(modules)] + sorted(loose)
    return _sha256("\n".join(found).encode())


def files_of(paths: Iterable[str | Path]) -> dict[str, str]:
    """File name -> hash of its content; a second file of the same name and another content is ``NAME 2``."""
    found: dict[str, str] = {}
    for path in paths:
        name, content = Path(path).name, _sha256(read_whole(path, "file"))
        same = [name, *(f"{name} {n}" for n in range(2, len(found) + 2))]
        found[next(key for key in same if found.get(key, content) == content)] = content
    return found


def named_files(values: Mapping[str, object]) -> list[str]:
    """The values that are files: a map in an override, an agent's weights in an option."""
    return [v for v in values.values() if isinstance(v, str) and len(v) < LONGEST_PATH and Path(v).is_file()]


def data_beside(module: str) -> list[Path]:
    """The data files in the folder of ``module``."""
    folder = cast(Path, _file_of(module)).parent
    return sorted(p for p in folder.iterdir() if p.suffix in (".json", ".npz"))


def options_of(policy: Policy) -> tuple[dict[str, object], dict[str, str]]:
    """The options of ``policy`` that are not the constructor's defaults, as JSON's own types; models apart, as hashes.

    Raises `WrongValue` for an option without a stable value: its rows could not be told from others.
    """
    options: dict[str, object] = {}
    models = {}
    for f in dataclasses.fields(policy):
        value = getattr(policy, f.name)
        default = f.default_factory() if f.default_factory is not dataclasses.MISSING else f.default
        if callable(parameters := getattr(value, "get_parameters", None)):  # a model of stable-baselines3
            models[f.name] = f"{type(value).__name__} {_sha256(b''.join(_bytes(parameters())))}"
        elif value is not default and (isinstance(value, bool) != isinstance(default, bool) or value != default):
            options[f.name] = _stable(value, f.name)
    return options, models


def _stable(value: object, name: str) -> object:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        return int(value)  # 6 and 6.0 are the same option
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_stable(v, name) for v in value]
    if isinstance(value, Mapping):
        return {str(k): _stable(v, name) for k, v in value.items()}
    if isinstance(value, Policy):
        options, models = options_of(value)
        files = files_of([*value.data_files(), *named_files(options)])
        own = {"policy": type(value).__qualname__, "code": code_of(type(value)), **options, **models}
        return own | ({"files": files} if files else {})
    raise WrongValue(f"the option {name!r} has no stable value: a number, word, tuple or policy wanted, got {value!r}")


def _bytes(value: object) -> Iterator[bytes]:
    """The content of nested dictionaries of arrays (or tensors, which NumPy reads), numbers and words.

    Raises `WrongValue` for anything else: the bytes of an object are its address, and so no content.
    """
    if isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield str(key).encode()
            yield from _bytes(value[key])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _bytes(item)
    else:
        array = np.ascontiguousarray(value.cpu() if hasattr(value, "cpu") else "None" if value is None else value)
        if array.dtype.hasobject:
            raise WrongValue(f"a model whose parameters are arrays, numbers and words wanted, got {shown(value)}")
        yield f"{array.dtype.str} {array.shape}".encode()
        yield array.tobytes()


# Modules and their syntax trees ---------------------------------------------------------------------------------------


@functools.cache
def _closure(name: str) -> frozenset[str]:
    """``name`` and the modules that it imports, directly or not, as far as they are ours (or in the same folder)."""
    found, todo = {name}, [name]
    while todo:
        new = _imports(todo.pop()) - found
        found |= new
        todo += new
    return frozenset(found)


@functools.cache
def _imports(name: str) -> frozenset[str]:
    """The modules of ours that ``name`` imports anywhere in its code."""
    home = cast(Path, _file_of(name)).parent
    return frozenset(m for m in _imported(_tree(name), name) if _is_ours(m, home))


def _imported(tree: ast.Module, name: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                parts = name.split(".") + ["__init__"] * _is_package(name)
                module = ".".join([*parts[: -node.level], *filter(None, [module])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _is_package(name: str) -> bool:
    return cast(Path, _file_of(name)).name == "__init__.py"


def _is_ours(name: str, home: Path) -> bool:
    if name in DIRECTORIES or name.startswith("rangym.envs.") and name.endswith((".render", ".rendering")):
        return False  # and pictures cannot change a number
    if name.split(".")[0] in sys.stdlib_module_names:
        return False
    file = _file_of(name)
    return file is not None and (name.startswith("rangym.") or file.is_relative_to(home))


@functools.cache
def _file_of(name: str) -> Path | None:
    """The source file of a module; None for what is no module or has none."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        file = getattr(loaded, "__file__", None)
    else:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            return None
        file = spec.origin if spec is not None and spec.has_location else None
    return Path(file) if file is not None and file.endswith(".py") else None


def _tree(name: str) -> ast.Module:
    return ast.parse(cast(Path, _file_of(name)).read_bytes())


@functools.cache
def _module_hash(name: str) -> str:
    return _tree_hash(_tree(name))


def _source_of(cls: type) -> ast.Module:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError) as error:
        raise WrongValue(f"{cls.__name__}: its source cannot be had, so its rows have no identity ({error})") from None


def _tree_hash(tree: ast.Module) -> str:
    """A hash of a syntax tree without docstrings, equal under all versions of Python that parse it alike."""
    return _sha256("".join(_spelled(tree)).encode())


def _spelled(node: object) -> Iterator[str]:
    """A tree in words: the class of each node, and its fields that hold something."""
    if isinstance(node, ast.AST):
        yield f"({type(node).__name__}"
        for name, value in ast.iter_fields(node):
            if value is None or value == []:
                continue
            if name == "body" and isinstance(value, list) and _is_docstring(value[0]):
                value = value[1:]
            yield f" {name}:"
            yield from _spelled(value)
        yield ")"
    elif isinstance(node, list):
        for item in node:
            yield from _spelled(item)
    else:
        yield repr(node)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:DIGITS]
