"""rangym: Gymnasium environments and reference policies for radio-access-network control."""

from importlib.metadata import version

from rangym import kernel_cache
from rangym.envs.errors import WrongCall, WrongType, WrongValue
from rangym.envs.registration import register, register_envs

__all__ = ["WrongCall", "WrongType", "WrongValue", "register"]
__version__ = version("rangym")

kernel_cache.provide()
register_envs()
