"""Segments and their child chunks, and how Dify shows them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from uuid import uuid4

from opendify.simulator.model import count


def _id() -> str:
    return str(uuid4())


@dataclass(eq=False, slots=True)
class ChildChunk:
    """A part of a segment, by which the segment is found."""

    segment_id: str
    content: str
    position: int
    type: str = "automatic"
    id: str = field(default_factory=_id)
    created_at: float = field(default_factory=time.time)
    updated_at: float = field(default_factory=time.time)

    def json(self) -> dict[str, object]:
        """As Dify shows it."""
        return {
            "id": self.id,
            "segment_id": self.segment_id,
            "content": self.content,
            "position": self.position,
            "word_count": len(self.content),
            "type": self.type,
            "created_at": int(self.created_at),
            "updated_at": int(self.updated_at),
        }


@dataclass(eq=False, slots=True)
class Segment:
    """A piece of a document.

    Args:
        completed_at: when it can be found; until then it is being indexed.
    """

    document_id: str
    content: str
    position: int
    created_by: str
    created_at: float
    indexing_at: float
    completed_at: float
    answer: str | None = None
    keywords: list[str] | None = None
    summary: str | None = None
    enabled: bool = True
    disabled_at: float | None = None
    updated_at: float | None = None
    updated_by: str | None = None
    children: list[ChildChunk] = field(default_factory=lambda: list[ChildChunk]())
    id: str = field(default_factory=_id)
    index_node_id: str = field(default_factory=_id)

    @property
    def word_count(self) -> int:
        """Its characters: so Dify counts words."""
        return len(self.content) + len(self.answer or "")

    @property
    def tokens(self) -> int:
        """Its tokens, by the simulator's rule."""
        return _counted(self.content) + _counted(self.answer or "")

    def status(self, now: float) -> str:
        """Dify's word for how far it is."""
        return "completed" if now >= self.completed_at else "indexing"

    def cut(self, children: Sequence[str]) -> None:
        """Give it child chunks in place of those it has."""
        self.children = [
            ChildChunk(self.id, content, position) for position, content in enumerate(children, start=1)
        ]

    def found(self, now: float) -> dict[str, object]:
        """As it stands in what a search found, but for its document."""
        return {
            "id": self.id,
            "position": self.position,
            "document_id": self.document_id,
            "content": self.content,
            "sign_content": self.content,
            "answer": self.answer,
            "word_count": self.word_count,
            "tokens": self.tokens,
            "keywords": self.keywords,
            "index_node_id": self.index_node_id,
            "index_node_hash": hashlib.sha256(f"{self.content}None".encode()).hexdigest(),
            "hit_count": 0,
            "enabled": self.enabled,
            "disabled_at": whole(self.disabled_at),
            "disabled_by": None if self.disabled_at is None else self.created_by,
            "status": self.status(now),
            "created_by": self.created_by,
            "created_at": int(self.created_at),
            "indexing_at": int(self.indexing_at),
            "completed_at": int(self.completed_at) if now >= self.completed_at else None,
            "error": None,
            "stopped_at": None,
        }

    def json(self, now: float) -> dict[str, object]:
        """As Dify shows it."""
        shown: dict[str, object] = {}
        for name, value in self.found(now).items():
            shown[name] = value
            if name == "created_at":
                shown["updated_at"] = int(self.updated_at or self.created_at)
                shown["updated_by"] = self.updated_by
        return {
            **shown,
            "child_chunks": [child.json() for child in self.children],
            "attachments": list[object](),
            "summary": self.summary,
        }


_counted = lru_cache(50_000)(count)


def whole(moment: float | None) -> int | None:
    """A moment in whole seconds, if there is one."""
    return None if moment is None else int(moment)
