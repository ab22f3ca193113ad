"""Datasets: what is in one, and how Dify shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from opendify.simulator.apps import Behaviour
from opendify.simulator.errors import not_found
from opendify.simulator.knowledge.documents import Document
from opendify.simulator.knowledge.metadata import Metadata
from opendify.simulator.knowledge.retrieval import Hit, RetrievalModel, by_keyword, search
from opendify.simulator.knowledge.rules import ProcessRule
from opendify.simulator.knowledge.segments import ChildChunk, Segment

PIPELINE = "[[pipeline]]"
"""A dataset with this directive in its description is made with a knowledge pipeline (Dify 1.16)."""

_TOP_K = 4  # of a search that does not say how it is to be done
_UNRANKED: dict[str, object] = {"reranking_provider_name": "", "reranking_model_name": ""}


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of a workspace. The id follows from the name it was made with."""

    id: str
    name: str


@dataclass(eq=False, slots=True)
class Dataset:
    """A dataset of a workspace."""

    name: str
    owner_id: str
    created_at: float
    description: str = ""
    provider: str = "vendor"
    permission: str = "only_me"
    indexing_technique: str | None = None
    embedding_model: str | None = None
    embedding_model_provider: str | None = None
    retrieval_model: RetrievalModel | None = None
    summary_index_setting: Mapping[str, object] = field(default_factory=lambda: dict[str, object]())
    partial_members: list[str] = field(default_factory=lambda: list[str]())
    id: str = field(default_factory=lambda: str(uuid4()))
    documents: list[Document] = field(default_factory=lambda: list[Document]())
    metadata: Metadata = field(default_factory=Metadata)
    tags: list[Tag] = field(default_factory=lambda: list[Tag]())
    updated_at: float = 0.0
    rule: ProcessRule | None = None
    """The process rule that was given last."""

    def __post_init__(self) -> None:
        self.updated_at = self.created_at

    @property
    def economy(self) -> bool:
        """Whether it is searched by keywords only."""
        return self.indexing_technique == "economy"

    @property
    def pipeline_id(self) -> str | None:
        """The id of its knowledge pipeline, if it has one."""
        return self.id if PIPELINE in self.description else None

    @property
    def data_source_type(self) -> str | None:
        """Where its documents are from; None while there are none."""
        return "upload_file" if self.documents else None

    @property
    def doc_form(self) -> str | None:
        """The form of its documents; None while there are none."""
        return self.documents[0].given.doc_form if self.documents else None

    def document(self, document_id: str, message: str = "Document not found.") -> Document:
        """A document of this dataset.

        Raises:
            Refusal: 404.
        """
        for document in self.documents:
            if document.id == document_id:
                return document
        raise not_found(message)

    def next_position(self) -> int:
        """Where the next document stands."""
        return max((document.position for document in self.documents), default=0) + 1

    def retrieve(self, query: str, model: RetrievalModel | None, now: float) -> list[tuple[Document, Hit]]:
        """What a search finds in documents that are enabled and completed."""
        conditions = model.metadata_filtering_conditions if model else None
        searched = [
            document
            for document in self.documents
            if document.searched(now) and (conditions is None or conditions.holds(document.metadata))
        ]
        segments = [segment for document in searched for segment in document.segments if segment.enabled]
        if self.economy:
            hits = by_keyword(query, segments, model.top_k if model else _TOP_K)
        elif model is not None and model.search_method == "keyword_search":
            hits = []  # only an economy dataset has a table of keywords (Dify 1.12.1)
        else:
            hits = search(query, segments, model or self._search())
        by_id = {document.id: document for document in searched}
        return [(by_id[hit.segment.document_id], hit) for hit in hits]

    def _search(self) -> RetrievalModel:
        """How to search if a request does not say: as the dataset was told, or Dify's default."""
        if self.retrieval_model is not None:
            return self.retrieval_model
        return RetrievalModel(
            search_method="semantic_search",
            reranking_enable=False,
            top_k=_TOP_K,
            score_threshold_enabled=False,
        )

    def json(self, behaviour: Behaviour, now: float, *, available: bool | None) -> dict[str, object]:
        """As Dify shows it.

        Args:
            available: whether its embedding model is there; None where Dify does not look.
        """
        usable = sum(document.searched(now) for document in self.documents)
        piped = self.pipeline_id is not None
        shown: dict[str, object] = {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "provider": self.provider,
            "permission": self.permission,
            "data_source_type": self.data_source_type,
            "indexing_technique": self.indexing_technique,
            "app_count": 0,
            "document_count": len(self.documents),
            "word_count": sum(
                sum(s.word_count for s in document.visible(now)) for document in self.documents
            ),
            "created_by": self.owner_id,
            "author_name": "Owner",
            "created_at": int(self.created_at),
            "updated_by": self.owner_id,
            "updated_at": int(self.updated_at),
            "embedding_model": self.embedding_model,
            "embedding_model_provider": self.embedding_model_provider,
            "embedding_available": available,
            **self._retrieval(),
            "tags": [{"id": tag.id, "name": tag.name, "type": "knowledge"} for tag in self.tags],
            "doc_form": self.doc_form,
            "external_knowledge_info": dict.fromkeys(_EXTERNAL),
            **self._external_retrieval(),
            "doc_metadata": self.metadata.json(),
            "built_in_field_enabled": self.metadata.built_in,
            "pipeline_id": self.pipeline_id,
            "runtime_mode": "rag_pipeline" if piped else "general",
            "chunk_structure": "text_model" if piped else None,
            "icon_info": dict.fromkeys(("icon_type", "icon", "icon_background", "icon_url")),
            "is_published": piped,
            "total_documents": len(self.documents),
            "total_available_documents": usable,
            "enable_api": True,
            "is_multimodal": False,
        }
        return shown if behaviour == "1.12" else {**shown, "maintainer": None}

    def _retrieval(self) -> dict[str, object]:
        model, summary = self.retrieval_model, self.summary_index_setting
        shown: dict[str, object] = {
            "search_method": model.search_method if model else "semantic_search",
            "reranking_enable": bool(model and model.reranking_enable),
            "reranking_mode": model.reranking_mode if model else None,
            "reranking_model": _ranked(model),
            "weights": model.weights.model_dump() if model and model.weights else None,
            "top_k": model.top_k if model else 2,
            "score_threshold_enabled": bool(model and model.score_threshold_enabled),
            "score_threshold": model.score_threshold if model else None,
        }
        return {
            "retrieval_model_dict": shown,
            "summary_index_setting": {name: summary.get(name) for name in _SUMMARY},
        }

    def _external_retrieval(self) -> dict[str, object]:
        model = self.retrieval_model
        shown: dict[str, object] = {
            "top_k": model.top_k if model else 2,
            "score_threshold": model.score_threshold if model else 0.0,
            "score_threshold_enabled": model.score_threshold_enabled if model else None,
        }
        return {"external_retrieval_model": shown}


_SUMMARY = ("enable", "model_name", "model_provider_name", "summary_prompt")
_EXTERNAL = (
    "external_knowledge_id",
    "external_knowledge_api_id",
    "external_knowledge_api_name",
    "external_knowledge_api_endpoint",
)


def _ranked(model: RetrievalModel | None) -> Mapping[str, object]:
    if model is None:
        return _UNRANKED
    ranking = model.reranking_model
    return ranking.model_dump() if ranking else dict.fromkeys(_UNRANKED)


def find_segment(segments: Iterable[Segment], segment_id: str) -> Segment:
    """A segment by its id.

    Raises:
        Refusal: 404.
    """
    for segment in segments:
        if segment.id == segment_id:
            return segment
    raise not_found("Segment not found.")


def find_child(children: Sequence[ChildChunk], child_id: str) -> ChildChunk:
    """A child chunk by its id.

    Raises:
        Refusal: 404.
    """
    for child in children:
        if child.id == child_id:
            return child
    raise not_found("Child chunk not found.")
