"""rangym: Gymnasium environments and reference policies for radio-access-network control."""

from importlib.metadata import version
from typing import TYPE_CHECKING

from rangym import kernel_cache
from rangym.envs.errors import MissingExtra, WrongCall, WrongType, WrongValue
from rangym.envs.registration import register, register_envs
from rangym.parallel import parallel_env

if TYPE_CHECKING:
    from rangym.baselines.vec_adapter import Sb3VecEnv as Sb3VecEnv

__all__ = ["WrongCall", "WrongType", "WrongValue", "parallel_env", "register"]
__version__ = version("rangym")

kernel_cache.provide()
register_envs()


def __getattr__(name: str) -> object:
    """`Sb3VecEnv` on demand, since it needs stable-baselines3 and thereby torch."""
    if name != "Sb3VecEnv":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from rangym.baselines.vec_adapter import Sb3VecEnv
    except ImportError as error:
        raise MissingExtra(f"Sb3VecEnv needs {error.name}: pip install 'rangym[rl]'") from error
    return Sb3VecEnv
