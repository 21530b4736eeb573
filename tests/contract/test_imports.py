"""Imports run one way, and `import rangym` stays light."""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from rangym.envs.registration import OURS
from rangym.kernel_cache import KERNELS

ROOT = Path(__file__).resolve().parents[2]
# What each part may import of ours; the front door `rangym/` is exempt because it imports lazily.
ALLOWED = {
    "envs.physics": {"envs.physics", "envs.errors"},
    "envs.learning": {"envs.learning", "envs.physics", "envs.errors", "envs.files"},
    "envs": {"envs"},
    "policies.algorithms": {"policies.algorithms", "envs.physics", "envs.learning", "envs.errors"},
    "policies": {"policies", "envs"},
    "evaluation": {"evaluation", "policies", "envs"},
    "baselines": {"baselines", "evaluation", "policies", "envs"},
}
# The top-level folders, not `src/rangym`: rglob does not follow the links there.
MODULES = [
    p for folder in ("envs", "policies", "evaluation", "baselines") for p in sorted((ROOT / folder).rglob("*.py"))
]


def _imports(path: Path, top_level_only: bool = False):
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(part + ".")


def test_the_walk_found_the_modules():
    found = Counter(p.relative_to(ROOT).parts[0] for p in MODULES)
    least = {"envs": 35, "policies": 35, "evaluation": 30, "baselines": 12}
    assert all(found[folder] >= count for folder, count in least.items()), found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_arrows(path):
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    part = max((p for p in ALLOWED if _within(module, p)), key=len)
    for name in _imports(path):
        if name == "rangym" or not name.startswith("rangym."):
            continue
        target = name.removeprefix("rangym.")
        assert any(_within(target, allowed) for allowed in ALLOWED[part]), f"{module} imports {name}"
        pieces = module.split("."), target.split(".")
        is_environment = all(
            len(p) > 1 and p[0] == "envs" and (ROOT / "envs" / p[1] / "system.py").exists() for p in pieces
        )
        if is_environment:
            assert pieces[0][1] == pieces[1][1], f"{module} imports another environment: {name}"


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(ROOT / "envs")], ids=lambda p: p.stem)
def test_environments_import_only_numpy_gymnasium_and_scipy_at_module_level(path):
    names = list(_imports(path, top_level_only=True))
    outside = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names)
    if path.stem.endswith("_kernels"):
        outside -= {"numba", "llvmlite"}  # the second brings the first its intrinsics
    else:  # kernels are imported where they are called first
        assert not [name for name in names if name.endswith("_kernels")]
    assert outside <= {"numpy", "gymnasium", "scipy", "rangym"}


def test_kernels_have_a_cache_folder():
    """`rangym.kernel_cache` knows every folder that numba wants to write to."""
    folders = {p.relative_to(ROOT).parent for p in MODULES if "numba.njit" in p.read_text()}
    assert len(folders) >= 5
    assert not [f for f in folders if not any(f.match(pattern) for pattern in KERNELS)]


def test_kernels_take_no_type_of_another_module():
    """numba's index of a kernel names the module of each type that it was compiled for, and is read before it is known
    to be out of date: where that module was renamed, or removed, no kernel of the file could be used any more."""
    code = (
        "import sys, gymnasium, rangym\n"
        "from numba.core.types import BaseNamedTuple\n"
        "from rangym.policies import registry\n"
        f"for env_id in {list(OURS)}:\n"
        "    env = gymnasium.make(env_id, scenario='tiny')\n"
        "    env.reset(seed=0); env.step(env.action_space.sample())\n"
        "from rangym.policies.algorithms.pairing import matching, pair_costs\n"
        "costs = pair_costs.upload_costs([[4.0, 9.0]], [0.2], bits_per_hz=1.1, deadline_s=0.8, max_power_w=0.2)\n"
        "matching.swap_matching(costs, matching.random_places(costs, __import__('numpy').random.default_rng(0)))\n"
        "kernels = {k for name, m in list(sys.modules.items()) if name.startswith('rangym.')\n"
        "           for k in vars(m).values() if hasattr(k, 'nopython_signatures')}\n"
        "compiled = [(k, t) for k in kernels if k.stats.cache_path for s in k.nopython_signatures for t in s.args]\n"
        "foreign = [(k.__module__, k.__name__, str(t)) for k, t in compiled\n"
        "           if isinstance(t, BaseNamedTuple) and t.instance_class.__module__ != k.__module__]\n"
        "print(len(compiled), foreign)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    count, foreign = done.stdout.split(" ", 1)
    assert int(count) > 50 and foreign == "[]\n"


def test_kernels_return_no_tuple_of_arrays():
    """An interrupt while numba makes one for Python ends the process: such kernels fill arrays that they are given.

    Checked where a tuple is returned: what is in it was never made by NumPy in the kernel, nor copied.
    """
    kernels = [
        node
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and any("njit" in ast.unparse(d) for d in node.decorator_list)
    ]
    assert len(kernels) >= 60
    for kernel in kernels:
        arrays = {
            name.id
            for node in ast.walk(kernel)
            if isinstance(node, ast.Assign)
            and re.search(r"np\.(empty|zeros|full|ones)|copy\(", ast.unparse(node.value))
            for target in node.targets
            for name in ast.walk(target)
            if isinstance(name, ast.Name) and not isinstance(target, ast.Subscript)
        }
        for node in ast.walk(kernel):
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple | ast.Call):
                several = node.value.elts if isinstance(node.value, ast.Tuple) else node.value.args
                named = {x.id for x in several if isinstance(x, ast.Name)} if len(several) > 1 else set()
                returned = (
                    named if isinstance(node.value, ast.Tuple) or ast.unparse(node.value.func)[0].isupper() else set()
                )
                assert not returned & arrays, f"{kernel.name} returns {ast.unparse(node.value)}"


HEAVY = {"torch", "matplotlib", "sklearn", "stable_baselines3", "joblib", "jinja2"}


def _loaded(code: str) -> set[str]:
    """The modules that a process has loaded after ``code``."""
    code = f"{code}\nimport sys; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_importing_and_making_load_nothing_heavy_and_no_numba():
    code = "import gymnasium, rangym, rangym.policies\nrangym.policies.make('random')\n"
    code += "".join(f"gymnasium.make({env_id!r}, scenario='tiny')\n" for env_id in OURS)
    assert not _loaded(code) & (HEAVY | {"numba"})


def test_stepping_loads_nothing_heavy_but_the_compiler_of_kernels():
    code = f"import gymnasium, rangym\nfor env_id in {list(OURS)}:\n    env = gymnasium.make(env_id, scenario='tiny')\n"
    assert not _loaded(code + "    env.reset(seed=0); env.step(env.action_space.sample())") & HEAVY


def test_algorithms_work_without_gymnasium():
    code = (
        "import importlib, pathlib, sys, types\n"
        "sys.modules['gymnasium'] = None\n"
        f"root = pathlib.Path({str(ROOT)!r})\n"
        "for name in ('', '.envs', '.policies'):\n"  # without the front door, which registers with Gymnasium
        "    part = types.ModuleType('rangym' + name); part.__path__ = [str(root / 'src' / 'rangym' / name[1:])]\n"
        "    sys.modules['rangym' + name] = part\n"
        "paths = sorted((root / 'policies' / 'algorithms').rglob('*.py'))\n"
        "for path in paths:\n"
        "    name = '.'.join(path.relative_to(root).with_suffix('').parts).removesuffix('.__init__')\n"
        "    importlib.import_module('rangym.' + name)\n"
        "print(len(paths))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(done.stdout) >= 20
