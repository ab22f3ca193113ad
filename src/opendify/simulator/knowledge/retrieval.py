"""Segments found again: by their words, by likeness, or both. Pure.

There is no embedding model here. `full_text_search` is BM25, divided by what a perfect match would score.
`semantic_search` compares words, and a little the letters of words, and as in a vector search every segment
is more or less like the query: it finds the `top_k` nearest. `hybrid_search` weighs both, and a reranking
model scores what share of the query's words a segment has. All scores are 0 to 1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel

from opendify.simulator.knowledge.metadata import MetadataFilteringCondition
from opendify.simulator.knowledge.segments import ChildChunk, Segment
from opendify.simulator.knowledge.words import words

_K1, _B = 1.2, 0.75  # BM25's usual constants
_PIECE = 0.25  # what three letters count, where a word counts one
_SEEN = 50_000  # texts whose words are remembered

SearchMethod = Literal["keyword_search", "semantic_search", "full_text_search", "hybrid_search"]


class RerankingModel(BaseModel):
    """The model that ranks anew."""

    reranking_provider_name: str | None = None
    reranking_model_name: str | None = None


class VectorSetting(BaseModel):
    """What likeness weighs."""

    vector_weight: float = 0.7
    embedding_provider_name: str = ""
    embedding_model_name: str = ""


class KeywordSetting(BaseModel):
    """What words weigh."""

    keyword_weight: float = 0.3


class WeightModel(BaseModel):
    """The weights of a hybrid search."""

    weight_type: Literal["semantic_first", "keyword_first", "customized"] | None = None
    vector_setting: VectorSetting | None = None
    keyword_setting: KeywordSetting | None = None


class RetrievalModel(BaseModel):
    """`retrieval_model` of a request."""

    search_method: SearchMethod
    reranking_enable: bool
    reranking_model: RerankingModel | None = None
    reranking_mode: str | None = None
    top_k: int
    score_threshold_enabled: bool
    score_threshold: float | None = None
    weights: WeightModel | None = None
    metadata_filtering_conditions: MetadataFilteringCondition | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A segment that was found.

    Args:
        children: its child chunks that were found, with their scores; None if its document has none.
    """

    segment: Segment
    score: float
    children: list[tuple[ChildChunk, float]] | None = field(default=None)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A text that is searched: of a segment, or of one of its child chunks."""

    text: str
    segment: Segment
    child: ChildChunk | None = None


def search(query: str, segments: Sequence[Segment], model: RetrievalModel) -> list[Hit]:
    """Find segments, the best first."""
    entries = [
        _Entry(part.content, segment, part if isinstance(part, ChildChunk) else None)
        for segment in segments
        for part in (segment.children or (segment,))
    ]
    scored = _METHODS[model.search_method](query, [entry.text for entry in entries], model)
    scores = [round(score, 4) for score in scored]
    ranked = sorted(zip(scores, entries, strict=True), key=lambda scored: -scored[0])
    if model.search_method == "full_text_search":
        ranked = [(score, entry) for score, entry in ranked if score > 0]
    ranked = ranked[: model.top_k]
    if model.reranking_enable and model.reranking_mode != "weighted_score":
        ranked = sorted(((_share(query, entry.text), entry) for _, entry in ranked), key=lambda one: -one[0])
    if model.score_threshold_enabled:
        ranked = [(score, entry) for score, entry in ranked if score >= (model.score_threshold or 0.0)]
    found: dict[str, Hit] = {}
    for score, entry in ranked:
        children = None if entry.child is None else list[tuple[ChildChunk, float]]()
        hit = found.setdefault(entry.segment.id, Hit(entry.segment, score, children))
        if hit.children is not None and entry.child is not None:
            hit.children.append((entry.child, score))
    return list(found.values())


def by_keyword(query: str, segments: Sequence[Segment], top_k: int) -> list[Hit]:
    """What an economy dataset finds: segments that share a word with the query. Their score is 0."""
    wanted = set(words(query))
    shared = [
        (len(wanted & {*_words(segment.content), *(segment.keywords or ())}), segment) for segment in segments
    ]
    ranked = sorted((one for one in shared if one[0]), key=lambda one: -one[0])
    return [Hit(segment, 0.0) for _, segment in ranked[:top_k]]


def full_text(query: str, texts: Sequence[str], model: RetrievalModel | None = None) -> list[float]:
    """How well each text answers to the words of the query, 0 to 1.

    >>> full_text("mars colony", ["The colony on Mars.", "Mars", "Jupiter"])[2]
    0.0
    """
    wanted = set(words(query))
    counted = [_words(text) for text in texts]
    average = sum(text.total() for text in counted) / max(len(texts), 1) or 1.0
    rarity = {
        word: math.log(1 + (len(texts) + 0.5) / (sum(word in text for text in counted) + 0.5))
        for word in wanted
    }
    best = sum(rarity.values()) * (_K1 + 1) or 1.0

    def score(text: Counter[str]) -> float:
        length = _K1 * (1 - _B + _B * text.total() / average)
        return sum(
            rarity[word] * text[word] * (_K1 + 1) / (text[word] + length) for word in wanted if word in text
        )

    return [score(text) / best for text in counted]


def semantic(query: str, texts: Sequence[str], model: RetrievalModel | None = None) -> list[float]:
    """How like the query each text is, 0 to 1: the cosine of their words and pieces of words.

    >>> [round(score, 2) for score in semantic("mars colony", ["Mars colonies", "Jupiter"])]
    [0.56, 0.0]
    """
    wanted, size = _vector(query)

    def score(text: dict[str, float], length: float) -> float:
        return sum(weight * text.get(piece, 0.0) for piece, weight in wanted.items()) / (size * length)

    return [min(score(*_vector(text)), 1.0) for text in texts]


def _hybrid(query: str, texts: Sequence[str], model: RetrievalModel) -> list[float]:
    weights = model.weights or WeightModel()
    vector = (weights.vector_setting or VectorSetting()).vector_weight
    keyword = (weights.keyword_setting or KeywordSetting()).keyword_weight
    both = zip(semantic(query, texts), full_text(query, texts), strict=True)
    return [vector * like + keyword * named for like, named in both]


_METHODS = {
    "semantic_search": semantic,
    "full_text_search": full_text,
    "hybrid_search": _hybrid,
    "keyword_search": full_text,
}


def _share(query: str, text: str) -> float:
    """What share of the query's words a text has."""
    wanted = set(words(query))
    return len(wanted & _words(text).keys()) / len(wanted) if wanted else 0.0


@lru_cache(_SEEN)
def _words(text: str) -> Counter[str]:
    return Counter(words(text))


@lru_cache(_SEEN)
def _vector(text: str) -> tuple[dict[str, float], float]:
    """A text's words, and with less weight their letters three by three; and the length of this vector."""
    found: dict[str, float] = {}
    for word in words(text):
        whole = f" {word} "
        for at in range(len(whole) - 2):
            piece = whole[at : at + 3]
            found[piece] = found.get(piece, 0.0) + _PIECE
        found[whole] = found.get(whole, 0.0) + 1.0
    return found, math.sqrt(sum(weight * weight for weight in found.values())) or 1.0
