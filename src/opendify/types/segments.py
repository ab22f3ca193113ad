"""Segments, the pieces that documents are cut into and that a search finds, and the child chunks in them."""

# ruff: noqa: RUF012  pydantic copies the defaults of fields

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from ._model import Count, Many, Model, Text, Time

__all__ = ["ChildChunk", "NewSegment", "Segment", "SegmentBase", "SegmentFile"]


class NewSegment(TypedDict):
    """A segment to write. `answer` is for documents of questions and answers, `keywords` for "economy"."""

    content: str
    answer: NotRequired[str | None]
    keywords: NotRequired[list[str]]
    attachment_ids: NotRequired[list[str]]


class SegmentFile(Model):
    """A picture, or another file, in a segment."""

    id: str
    name: Text = ""
    size: Count = 0
    """Bytes."""
    extension: Text = ""
    mime_type: Text = ""
    source_url: str | None = None
    """Signed, and valid for minutes."""


class ChildChunk(Model):
    """A piece of a segment, by which the segment is found."""

    id: str
    segment_id: str | None = None
    content: Text = ""
    position: Count = 0
    word_count: Count = 0
    type: Literal["automatic", "customized"] | str | None = None
    created_at: Time | None = None
    updated_at: Time | None = None


class SegmentBase(Model):
    """What is told of a segment wherever it stands. Times are seconds since 1970."""

    id: str
    document_id: str
    position: Count = 0
    content: Text = ""
    sign_content: Text = ""
    """The content, with the addresses of its pictures signed."""
    answer: str | None = None
    """Where the document holds questions and answers."""
    word_count: Count = 0
    tokens: Count = 0
    keywords: Many[str] = []
    index_node_id: str | None = None
    index_node_hash: str | None = None
    hit_count: Count = 0
    enabled: bool | None = None
    disabled_at: Time | None = None
    disabled_by: str | None = None
    status: Literal["waiting", "indexing", "completed", "error"] | str | None = None
    created_by: str | None = None
    created_at: Time | None = None
    indexing_at: Time | None = None
    completed_at: Time | None = None
    error: str | None = None
    stopped_at: Time | None = None


class Segment(SegmentBase):
    """A segment of a document."""

    updated_at: Time | None = None
    updated_by: str | None = None
    child_chunks: Many[ChildChunk] = []
    attachments: Many[SegmentFile] = []
    summary: str | None = None
