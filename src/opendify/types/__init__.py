"""Everything that Dify tells, typed. Unknown fields are kept in `model_extra`."""

# ruff: noqa: F403  each module lists in its `__all__` what it offers, once for all

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .._lazy import find

if TYPE_CHECKING:
    from .annotation import *
    from .app import *
    from .audio import *
    from .chat import *
    from .conversation import *
    from .documents import *
    from .end_user import *
    from .events import *
    from .feedback import *
    from .files import *
    from .human_input import *
    from .knowledge import *
    from .message import *
    from .pipeline import *
    from .retrieval import *
    from .segments import *
    from .server import *
    from .workflow import *

# The modules above, in the order in which they are looked through: each is loaded when a name is wanted that
# none before it has.
_HOMES = (
    *("annotation", "app", "audio", "chat", "conversation", "end_user", "events", "feedback", "files"),
    *("human_input", "message", "server", "workflow", "retrieval", "knowledge", "documents", "segments"),
    "pipeline",
)


if not TYPE_CHECKING:  # or else every name would seem to be there

    def __getattr__(name: str) -> object:
        if name == "__all__":
            return sorted(name for home in _HOMES for name in import_module(f".{home}", __name__).__all__)
        return find(__name__, name, _HOMES)
