"""Retrieval: how to search a dataset, and what was found."""

# ruff: noqa: RUF012  pydantic copies the defaults of fields

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from pydantic import JsonValue

from ._model import Count, Many, Model, Text
from .segments import SegmentBase, SegmentFile

__all__ = [
    "ExternalRetrievalModel",
    "KeywordSetting",
    "MetadataCondition",
    "MetadataFilter",
    "RerankingModel",
    "Retrieval",
    "RetrievalModel",
    "RetrievalQuery",
    "RetrievalRecord",
    "RetrievalSettings",
    "RetrievedChildChunk",
    "RetrievedDocument",
    "RetrievedSegment",
    "SearchMethod",
    "VectorSetting",
    "Weights",
]

SearchMethod = Literal["keyword_search", "semantic_search", "full_text_search", "hybrid_search"]
"""A dataset with `indexing_technique` "economy" knows "keyword_search" alone."""


class RerankingModel(TypedDict):
    """The model that puts what was found into a better order."""

    reranking_provider_name: str
    reranking_model_name: str


class VectorSetting(TypedDict):
    """What meaning counts in a hybrid search, and whose embeddings tell it."""

    vector_weight: float
    embedding_provider_name: str
    embedding_model_name: str


class KeywordSetting(TypedDict):
    """What words count in a hybrid search."""

    keyword_weight: float


class Weights(TypedDict):
    """How a hybrid search weighs meaning against words. The two weights add up to 1."""

    vector_setting: VectorSetting
    keyword_setting: KeywordSetting
    weight_type: NotRequired[Literal["semantic_first", "keyword_first", "customized"]]


class MetadataCondition(TypedDict):
    """A condition on one metadata field, by the field's name.

    For text "contains" to "not in", for numbers "=" to "≤", for times "before" and "after", for all of them
    "empty" and "not empty", which take no value. "in" and "not in" take a list.
    """

    name: str
    comparison_operator: (
        Literal["contains", "not contains", "start with", "end with", "is", "is not", "in", "not in"]
        | Literal["empty", "not empty", "=", "≠", ">", "<", "≥", "≤", "before", "after"]
    )
    value: NotRequired[str | list[str] | float | None]


class MetadataFilter(TypedDict):
    """Only documents whose metadata is like this are searched."""

    conditions: list[MetadataCondition]
    logical_operator: NotRequired[Literal["and", "or"]]


class RetrievalModel(TypedDict):
    """How to search a dataset.

    What is left out is filled in before it is sent, because Dify wants it whole: `top_k` 4, reranking where
    a `reranking_model` or `weights` are given, a threshold where `score_threshold` is.
    """

    search_method: SearchMethod
    top_k: NotRequired[int]
    """How many segments, at most."""
    score_threshold_enabled: NotRequired[bool]
    score_threshold: NotRequired[float | None]
    """From 0 to 1."""
    reranking_enable: NotRequired[bool]
    reranking_mode: NotRequired[Literal["reranking_model", "weighted_score"] | None]
    reranking_model: NotRequired[RerankingModel | None]
    weights: NotRequired[Weights | None]
    metadata_filtering_conditions: NotRequired[MetadataFilter | None]


class ExternalRetrievalModel(TypedDict, total=False):
    """How to search a dataset that is kept outside of Dify."""

    top_k: int
    score_threshold: float
    score_threshold_enabled: bool


def complete(model: RetrievalModel | None) -> dict[str, object] | None:
    """The model as Dify 1.12 must have it: with the fields that it reads without looking.

    >>> complete({"search_method": "hybrid_search", "score_threshold": 0.5})["score_threshold_enabled"]
    True
    """
    if model is None:
        return None
    mode = "reranking_model" if model.get("reranking_model") else None
    return {
        "top_k": 4,
        "score_threshold_enabled": model.get("score_threshold") is not None,
        "reranking_enable": mode is not None,
        "reranking_mode": "weighted_score" if model.get("weights") else mode,
        "weights": None,
        **model,
    }


class RetrievalSettings(Model):
    """How a dataset is searched where a search says nothing else."""

    search_method: SearchMethod | str = "semantic_search"
    reranking_enable: bool | None = None
    reranking_mode: str | None = None
    reranking_model: dict[str, JsonValue] | None = None
    weights: dict[str, JsonValue] | None = None
    top_k: int | None = None
    score_threshold_enabled: bool | None = None
    score_threshold: float | None = None


class RetrievedDocument(Model):
    """The document that a found segment is of."""

    id: str
    name: Text = ""
    data_source_type: str | None = None
    doc_type: str | None = None
    doc_metadata: dict[str, JsonValue] | list[JsonValue] | None = None


class RetrievedSegment(SegmentBase):
    """A segment that was found."""

    document: RetrievedDocument | None = None


class RetrievedChildChunk(Model):
    """A child chunk by which its segment was found."""

    id: str
    content: Text = ""
    position: Count = 0
    score: float | None = None


class RetrievalRecord(Model):
    """A segment that was found, and how well it fits."""

    segment: RetrievedSegment
    score: float | None = None
    """From 0 to 1; `None` where the search gives none."""
    child_chunks: Many[RetrievedChildChunk] = []
    tsne_position: JsonValue = None
    files: Many[SegmentFile] = []
    summary: str | None = None


class RetrievalQuery(Model):
    """What was asked."""

    content: Text = ""


class Retrieval(Model):
    """What was found, best first."""

    query: RetrievalQuery
    records: Many[RetrievalRecord] = []
