"""Knowledge: datasets, their tags and metadata, and the models that a workspace has for them."""

# ruff: noqa: RUF012  pydantic copies the defaults of fields

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from pydantic import JsonValue

from ._model import Count, Many, Model, Text, Time
from .retrieval import RetrievalSettings

__all__ = [
    "AvailableModel",
    "Dataset",
    "DatasetPermission",
    "DocumentMetadata",
    "IndexingTechnique",
    "MetadataField",
    "MetadataOperation",
    "MetadataType",
    "MetadataValue",
    "ModelProvider",
    "ModelType",
    "PartialMember",
    "SummaryIndexSetting",
    "Tag",
]

IndexingTechnique = Literal["high_quality", "economy"]
"""By an embedding model, or by keywords alone."""

DatasetPermission = Literal["only_me", "all_team_members", "partial_members"]
"""Who in the workspace sees a dataset."""

MetadataType = Literal["string", "number", "time"]
"""What the values of a metadata field are."""

ModelType = Literal["text-embedding", "rerank", "llm", "tts", "speech2text", "moderation"]
"""What a model is for."""


class Tag(Model):
    """A tag of datasets."""

    id: str
    name: str
    type: str | None = None
    """"knowledge"; not told in the tags of one dataset."""
    binding_count: int | None = None
    """How many datasets have it. Dify writes it as text."""


class MetadataField(Model):
    """A metadata field of a dataset, or one of Dify's own, which have no `id`."""

    id: str | None = None
    name: str
    type: MetadataType | str = "string"
    count: int | None = None
    """How many documents have a value in it."""


class MetadataValue(Model):
    """What a document has in a metadata field."""

    id: str | None = None
    name: str = ""
    type: MetadataType | str = "string"
    value: JsonValue = None


class DocumentMetadata(TypedDict):
    """A value to write into a metadata field: text, a number, or seconds since 1970; `None` empties it."""

    id: str
    name: str
    value: NotRequired[str | float | None]


class MetadataOperation(TypedDict):
    """The metadata to write to one document. Without `partial_update`, fields not named are emptied."""

    document_id: str
    metadata_list: list[DocumentMetadata]
    partial_update: NotRequired[bool]


class PartialMember(TypedDict):
    """A member of the team who may see a dataset."""

    user_id: str


class SummaryIndexSetting(TypedDict, total=False):
    """Whether, and by which model, summaries are made and indexed (Dify 1.16)."""

    enable: bool
    model_name: str
    model_provider_name: str
    summary_prompt: str


class Dataset(Model):
    """A knowledge base. Times are seconds since 1970."""

    id: str
    name: str
    description: Text = ""
    provider: Literal["vendor", "external"] | str = "vendor"
    permission: DatasetPermission | str = "only_me"
    data_source_type: str | None = None
    indexing_technique: IndexingTechnique | str | None = None
    """`None` until the first document settles it, if `create` did not."""
    app_count: Count = 0
    document_count: Count = 0
    word_count: Count = 0
    created_by: str | None = None
    author_name: str | None = None
    created_at: Time | None = None
    updated_by: str | None = None
    updated_at: Time | None = None
    embedding_model: str | None = None
    embedding_model_provider: str | None = None
    embedding_available: bool | None = None
    """Whether the model can be used; told by `get` and `list`."""
    retrieval_model_dict: RetrievalSettings | None = None
    """How `retrieve` searches where it is not told otherwise."""
    summary_index_setting: dict[str, JsonValue] | None = None
    tags: Many[Tag] = []
    doc_form: Literal["text_model", "hierarchical_model", "qa_model"] | str | None = None
    external_knowledge_info: dict[str, JsonValue] | None = None
    external_retrieval_model: dict[str, JsonValue] | None = None
    doc_metadata: Many[MetadataField] = []
    built_in_field_enabled: bool | None = None
    pipeline_id: str | None = None
    runtime_mode: Literal["general", "rag_pipeline"] | str | None = None
    chunk_structure: str | None = None
    icon_info: dict[str, JsonValue] | None = None
    is_published: bool | None = None
    """Of its pipeline."""
    total_documents: Count = 0
    total_available_documents: Count = 0
    enable_api: bool | None = None
    is_multimodal: bool | None = None
    maintainer: str | None = None
    partial_member_list: Many[JsonValue] = []


class AvailableModel(Model):
    """A model of a provider."""

    model: str
    """Its name, as `embedding_model` takes it."""
    label: dict[str, str] = {}
    """By language: en_US, zh_Hans."""
    model_type: ModelType | str = ""
    features: Many[str] = []
    fetch_from: Literal["predefined-model", "customizable-model"] | str = ""
    model_properties: dict[str, JsonValue] = {}
    deprecated: bool = False
    status: str = ""
    """"active" if it can be used."""
    load_balancing_enabled: bool = False
    has_invalid_load_balancing_configs: bool = False


class ModelProvider(Model):
    """A provider, and those of its models that the workspace can use."""

    provider: str
    """Its name, as `embedding_model_provider` takes it."""
    tenant_id: str | None = None
    label: dict[str, str] = {}
    icon_small: dict[str, str] | None = None
    icon_small_dark: dict[str, str] | None = None
    status: str = ""
    models: Many[AvailableModel] = []
