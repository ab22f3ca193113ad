"""Names that a package offers and loads when they are wanted: importing it must not cost what nobody uses."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import import_module

__all__ = ["find"]


def find(package: str, name: str, homes: Iterable[str]) -> object:
    """What a package offers under a name: of the first of its modules `homes` that lists it in `__all__`.

    For a package's `__getattr__` (PEP 562), so it raises `AttributeError` where none does. What was found
    stays in the package, and is not looked for again.
    """
    if not name.startswith("_"):
        for home in homes:
            module = import_module(f".{home}", package)
            if name in module.__all__:
                value: object = getattr(module, name)
                setattr(sys.modules[package], name, value)
                return value
    raise AttributeError(f"module {package!r} has no attribute {name!r}")
