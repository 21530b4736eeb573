"""Settings of the whole test suite."""

from hypothesis import settings

# A first example may compile a kernel, and machines are shared: time is measured in tests/benchmarks, never here.
settings.register_profile("rangym", deadline=None)
settings.load_profile("rangym")
