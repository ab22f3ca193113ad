"""What requests with a dataset key must look like. Dify shows pydantic's messages, and so do we. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from opendify.simulator.knowledge.pipelines import DatasourceType
from opendify.simulator.knowledge.retrieval import RetrievalModel
from opendify.simulator.knowledge.rules import ProcessRule
from opendify.simulator.wire import mapping

IndexingTechnique = Literal["high_quality", "economy"]
Permission = Literal["only_me", "all_team_members", "partial_members"]
DocForm = Literal["text_model", "hierarchical_model", "qa_model"]
TagName = Annotated[str, Field(min_length=1, max_length=50)]

# The names of these classes are part of the messages that users see.


class SummaryIndexSetting(BaseModel):
    """Whether summaries of segments are made, and how."""

    enable: bool | None = None
    model_name: str | None = None
    model_provider_name: str | None = None
    summary_prompt: str | None = None


class DatasetCreatePayload(BaseModel):
    """Body of POST /datasets."""

    name: Annotated[str, Field(min_length=1, max_length=40)]
    description: Annotated[str, Field(max_length=400)] = ""
    indexing_technique: IndexingTechnique | None = None
    permission: Permission | None = "only_me"
    provider: Literal["vendor", "external"] = "vendor"
    retrieval_model: RetrievalModel | None = None
    embedding_model: str | None = None
    embedding_model_provider: str | None = None
    summary_index_setting: SummaryIndexSetting | None = None


class DatasetUpdatePayload(BaseModel):
    """Body of PATCH /datasets/{dataset_id}."""

    name: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    description: Annotated[str, Field(max_length=400)] | None = None
    indexing_technique: IndexingTechnique | None = None
    permission: Permission | None = None
    retrieval_model: RetrievalModel | None = None
    embedding_model: str | None = None
    embedding_model_provider: str | None = None
    partial_member_list: list[dict[str, str]] | None = None


class DatasetListQuery(BaseModel):
    """Query of GET /datasets."""

    page: int = 1
    limit: int = 20
    keyword: str | None = None
    include_all: bool = False
    tag_ids: list[str] = Field(default_factory=lambda: list[str]())


class DocumentTextCreatePayload(BaseModel):
    """Body of POST /datasets/{dataset_id}/document/create-by-text."""

    name: str
    text: str
    process_rule: ProcessRule | None = None
    original_document_id: str | None = None
    doc_form: DocForm = "text_model"
    doc_language: str = "English"
    indexing_technique: str | None = None
    retrieval_model: RetrievalModel | None = None
    embedding_model: str | None = None
    embedding_model_provider: str | None = None


class DocumentTextUpdate(BaseModel):
    """Body of POST /datasets/{dataset_id}/documents/{document_id}/update-by-text."""

    name: str | None = None
    text: str | None = None
    process_rule: ProcessRule | None = None
    doc_form: DocForm = "text_model"
    doc_language: str = "English"
    retrieval_model: RetrievalModel | None = None

    @model_validator(mode="after")
    def _named(self) -> DocumentTextUpdate:
        if self.text is not None and self.name is None:
            raise ValueError("name is required when text is provided")
        return self


class KnowledgeConfig(BaseModel):
    """What a document is made of, as Dify checks it in the end."""

    original_document_id: str | None = None
    duplicate: bool = True
    indexing_technique: IndexingTechnique
    data_source: dict[str, object] | None = None
    process_rule: ProcessRule | None = None
    retrieval_model: RetrievalModel | None = None
    doc_form: DocForm = "text_model"
    doc_language: str = "English"
    embedding_model: str | None = None
    embedding_model_provider: str | None = None
    name: str | None = None


class PageQuery(BaseModel):
    """Query of lists that go by page."""

    page: Annotated[int, Field(ge=1)] = 1
    limit: Annotated[int, Field(ge=1)] = 20
    keyword: str | None = None
    status: str | None = None


class SegmentListQuery(BaseModel):
    """Query of GET /datasets/{dataset_id}/documents/{document_id}/segments."""

    page: Annotated[int, Field(ge=1)] = 1
    limit: Annotated[int, Field(ge=1)] = 20
    keyword: str | None = None
    status: list[str] = Field(default_factory=lambda: list[str]())


class SegmentCreateArgs(BaseModel):
    """One segment to be made."""

    content: str | None = None
    answer: str | None = None
    keywords: list[str] | None = None
    attachment_ids: list[str] | None = None


class SegmentCreatePayload(BaseModel):
    """Body of POST .../segments."""

    segments: list[SegmentCreateArgs] | None = None


class SegmentUpdateArgs(SegmentCreateArgs):
    """What is to be changed of a segment."""

    enabled: bool | None = None
    regenerate_child_chunks: bool = False
    summary: str | None = None


class SegmentUpdatePayload(BaseModel):
    """Body of POST .../segments/{segment_id}."""

    segment: SegmentUpdateArgs


class ChildChunkCreatePayload(BaseModel):
    """Body of POST .../child_chunks."""

    content: str


class ChildChunkUpdatePayload(BaseModel):
    """Body of PATCH .../child_chunks/{child_chunk_id}."""

    content: str


class DocumentStatusPayload(BaseModel):
    """Body of PATCH /datasets/{dataset_id}/documents/status/{action}."""

    document_ids: list[str] = Field(default_factory=lambda: list[str]())


class DocumentBatchDownloadZipPayload(BaseModel):
    """Body of POST /datasets/{dataset_id}/documents/download-zip."""

    document_ids: Annotated[list[str], Field(min_length=1, max_length=100)]


class HitTestingPayload(BaseModel):
    """Body of POST /datasets/{dataset_id}/retrieve."""

    query: Annotated[str, Field(max_length=250)]
    retrieval_model: dict[str, object] | None = None
    external_retrieval_model: dict[str, object] | None = None
    attachment_ids: list[str] | None = None


class MetadataArgs(BaseModel):
    """Body of POST /datasets/{dataset_id}/metadata."""

    type: Literal["string", "number", "time"]
    name: str


class MetadataUpdatePayload(BaseModel):
    """Body of PATCH /datasets/{dataset_id}/metadata/{metadata_id}."""

    name: str


class MetadataDetail(BaseModel):
    """The value of one field."""

    id: str
    name: str
    value: str | int | float | None = None


class DocumentMetadataOperation(BaseModel):
    """The values of one document."""

    document_id: str
    metadata_list: list[MetadataDetail]
    partial_update: bool = False


class MetadataOperationData(BaseModel):
    """Body of POST /datasets/{dataset_id}/documents/metadata."""

    operation_data: list[DocumentMetadataOperation]


class TagCreatePayload(BaseModel):
    """Body of POST /datasets/tags."""

    name: TagName


class TagUpdatePayload(BaseModel):
    """Body of PATCH /datasets/tags."""

    name: TagName
    tag_id: str


class TagDeletePayload(BaseModel):
    """Body of DELETE /datasets/tags."""

    tag_id: str


class TagBindingPayload(BaseModel):
    """Body of POST /datasets/tags/binding."""

    tag_ids: list[str]
    target_id: str

    @field_validator("tag_ids")
    @classmethod
    def _some(cls, value: list[str]) -> list[str]:
        if not value:
            raise ValueError("Tag IDs is required.")
        return value


class TagUnbindingPayload(BaseModel):
    """Body of POST /datasets/tags/unbinding. Dify 1.12 takes `tag_id` only."""

    tag_ids: list[str] = Field(default_factory=lambda: list[str]())
    tag_id: str | None = None
    target_id: str

    @model_validator(mode="before")
    @classmethod
    def _one_is_some(cls, data: object) -> object:
        given = mapping(data)
        if given is not None and not given.get("tag_ids") and given.get("tag_id"):
            return {**given, "tag_ids": [given["tag_id"]]}
        return data

    @model_validator(mode="after")
    def _some(self) -> TagUnbindingPayload:
        if not self.tag_ids:
            raise ValueError("Tag IDs is required.")
        return self


class DatasourceNodeRunPayload(BaseModel):
    """Body of POST /datasets/{dataset_id}/pipeline/datasource/nodes/{node_id}/run."""

    inputs: dict[str, object]
    datasource_type: DatasourceType
    credential_id: str | None = None
    is_published: bool


class PipelineRunApiEntity(BaseModel):
    """Body of POST /datasets/{dataset_id}/pipeline/run."""

    inputs: dict[str, object]
    datasource_type: DatasourceType
    datasource_info_list: list[dict[str, object]]
    start_node_id: str
    is_published: bool
    response_mode: Literal["streaming", "blocking"]


class DataSetTag(BaseModel):
    """A tag as Dify 1.12.1 checks what it is about to say, and fails: the count is a number."""

    id: str
    name: str
    type: str
    binding_count: str
