"""Documents of a dataset: what they are, how they are cut into segments, how far indexing is."""

# ruff: noqa: RUF012  pydantic copies the defaults of fields

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from pydantic import JsonValue

from ._model import Count, Many, Model, Text, Time
from .knowledge import MetadataValue

__all__ = [
    "DocForm",
    "Document",
    "DocumentAction",
    "DocumentBatch",
    "DocumentDetail",
    "DocumentDisplayStatus",
    "IndexingState",
    "IndexingStatus",
    "PreProcessingRule",
    "ProcessRule",
    "ProcessRules",
    "Segmentation",
]

DocForm = Literal["text_model", "hierarchical_model", "qa_model"]
"""Segments of text; segments that are found by their child chunks; questions with answers."""

DocumentAction = Literal["enable", "disable", "archive", "un_archive"]
"""What can be done to documents without changing them."""

DocumentDisplayStatus = Literal["queuing", "indexing", "paused", "error", "available", "disabled", "archived"]
"""What Dify's own pages say of a document: `indexing_status`, `enabled` and `archived` in one word."""

IndexingState = Literal[
    "waiting", "parsing", "cleaning", "splitting", "indexing", "completed", "error", "paused"
]
"""How far the indexing of a document is."""


class PreProcessingRule(TypedDict):
    """What is taken out of the text before it is cut."""

    id: Literal["remove_extra_spaces", "remove_urls_emails", "remove_stopwords"]
    enabled: bool


class Segmentation(TypedDict, total=False):
    """Where the text is cut."""

    separator: str
    max_tokens: int
    chunk_overlap: int
    """Tokens."""


class ProcessRules(TypedDict, total=False):
    """The rules of one's own."""

    pre_processing_rules: list[PreProcessingRule]
    segmentation: Segmentation
    parent_mode: Literal["full-doc", "paragraph"]
    """Hierarchical: whether the whole document is the one parent."""
    subchunk_segmentation: Segmentation
    """Hierarchical: how the parents are cut into child chunks."""


class ProcessRule(TypedDict):
    """How a document is cut into segments: by Dify's own rules, or by `rules`.

    "hierarchical" goes with `doc_form` "hierarchical_model".
    """

    mode: Literal["automatic", "custom", "hierarchical"]
    rules: NotRequired[ProcessRules]


class Document(Model):
    """A document of a dataset. Times are seconds since 1970."""

    id: str
    name: Text = ""
    position: Count = 0
    data_source_type: str | None = None
    data_source_info: dict[str, JsonValue] | None = None
    data_source_detail_dict: dict[str, JsonValue] | None = None
    dataset_process_rule_id: str | None = None
    created_from: str | None = None
    created_by: str | None = None
    created_at: Time | None = None
    tokens: int | None = None
    """`None` until it is indexed, as `word_count` is."""
    indexing_status: IndexingState | str | None = None
    error: str | None = None
    """Why indexing failed."""
    enabled: bool | None = None
    disabled_at: Time | None = None
    disabled_by: str | None = None
    archived: bool | None = None
    display_status: DocumentDisplayStatus | str | None = None
    word_count: int | None = None
    hit_count: Count = 0
    doc_form: DocForm | str | None = None
    doc_metadata: Many[MetadataValue] = []
    summary_index_status: str | None = None
    need_summary: bool | None = None


class DocumentDetail(Document):
    """All that Dify tells of one document. Asked for its metadata "only", it tells nothing else."""

    doc_type: str | None = None
    doc_language: str | None = None
    dataset_process_rule: dict[str, JsonValue] | None = None
    document_process_rule: dict[str, JsonValue] | None = None
    completed_at: Time | None = None
    updated_at: Time | None = None
    indexing_latency: float | None = None
    """Seconds."""
    segment_count: Count = 0
    average_segment_length: float | None = None
    """Characters."""


class DocumentBatch(Model):
    """A document that Dify has taken, and the batch by which its indexing can be followed."""

    document: Document
    batch: str
    """What `documents.wait` and `documents.indexing_status` take."""


class IndexingStatus(Model):
    """How far the indexing of a document is. Times are seconds since 1970."""

    id: str
    """The document's."""
    indexing_status: IndexingState | str
    processing_started_at: Time | None = None
    parsing_completed_at: Time | None = None
    cleaning_completed_at: Time | None = None
    splitting_completed_at: Time | None = None
    completed_at: Time | None = None
    paused_at: Time | None = None
    error: str | None = None
    stopped_at: Time | None = None
    completed_segments: Count = 0
    total_segments: Count = 0
    """0 until the document is cut."""
