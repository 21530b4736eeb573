"""rangym: Gymnasium environments and reference policies for radio-access-network control."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# In a source checkout the sub-packages are sibling folders of this one: let them be found without an install,
# and when this folder shadows an installed copy (python -m, python -c and python -m pytest put the cwd first).
_root = Path(__file__).resolve().parent.parent
if (_root / "pyproject.toml").is_file() and (_root / "envs" / "registration.py").is_file():
    __path__.insert(0, str(_root))

from rangym.envs.registration import register_envs

try:
    __version__ = version("rangym")
except PackageNotFoundError:
    __version__ = "0+source"

register_envs()
