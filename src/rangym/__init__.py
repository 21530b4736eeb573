"""rangym: Gymnasium environments and reference policies for radio-access-network control."""

from importlib.metadata import version

from rangym import kernel_cache
from rangym.envs.errors import WrongCall, WrongType, WrongValue
from rangym.envs.registration import register, register_envs
from rangym.parallel import parallel_env

__all__ = ["WrongCall", "WrongType", "WrongValue", "parallel_env", "register"]
__version__ = version("rangym")

kernel_cache.provide()
register_envs()
