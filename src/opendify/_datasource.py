"""How the stream of a pipeline's datasource goes: which event it must bring, and what it brings in all. Pure.

Source: Dify's code. A datasource that hands out its pages in parts sends several `datasource_completed`.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import JsonValue

from .types.events import Event
from .types.pipeline import DatasourceCompletedEvent

__all__ = ["DatasourceCourse", "DatasourceFold"]

E = TypeVar("E", bound=Event)


class DatasourceCourse:
    """The way of a datasource: it has not failed, and has brought something."""

    over = False

    def __init__(self) -> None:
        self._complete = False

    @property
    def complete(self) -> bool:
        return self._complete

    def take(self, event: E) -> E:
        if isinstance(event, DatasourceCompletedEvent):
            self._complete = True
        return event


class DatasourceFold:
    """All that a datasource brings, in one list."""

    def __init__(self) -> None:
        self._data: list[JsonValue] = []

    def take(self, event: Event) -> None:
        if isinstance(event, DatasourceCompletedEvent):
            self._data += event.data if isinstance(event.data, list) else [event.data]

    @property
    def text(self) -> str:
        return ""  # a datasource writes none

    def failure(self) -> None:
        """Its failure is an error of the stream."""

    def so_far(self) -> list[JsonValue]:
        return list(self._data)
