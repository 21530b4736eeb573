"""rangym: Gymnasium environments and reference policies for radio-access-network control."""

from importlib.metadata import version

from rangym.envs.registration import register_envs

__version__ = version("rangym")

register_envs()
