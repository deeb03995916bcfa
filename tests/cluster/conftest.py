"""The world of tests/promises, for the jobs that are submitted one by one."""

from tests.promises.conftest import _base, world

__all__ = ["_base", "world"]
