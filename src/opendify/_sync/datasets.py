# Made from _async/datasets.py by scripts/unasync.py: edit that file, not this one.
"""Datasets: make them, set them up, search them."""

from __future__ import annotations

from collections.abc import Sequence

from .._call import given, nothing, path, read_as
from .._limits import DATASET_NAME, QUERY, at_most, page_size
from .._page import Listing, numbered, read_page
from ..types.knowledge import (
    Dataset,
    DatasetPermission,
    IndexingTechnique,
    PartialMember,
    SummaryIndexSetting,
)
from ..types.retrieval import ExternalRetrievalModel, Retrieval, RetrievalModel, complete
from ._pages import Pages
from ._resource import Resource

__all__ = ["Datasets"]

_dataset = read_as(Dataset)
_page = read_page(Dataset)
_retrieval = read_as(Retrieval)


class Datasets(Resource):
    """The knowledge bases of a workspace."""

    def list(
        self,
        *,
        keyword: str | None = None,
        tag_ids: Sequence[str] | None = None,
        include_all: bool | None = None,
        limit: int | None = None,
    ) -> Pages[Dataset]:
        """The datasets, newest first.

        `keyword`: in the name. `tag_ids`: those with any of the tags (Dify 1.12 refuses this with
        `BadRequestError`, whatever the tags). `include_all`: those too that the key's owner may not see
        otherwise. `limit`: datasets in one page, up to 100; 20 if left out.

        >>> def names(knowledge: Knowledge) -> list[str]:
        ...     return [dataset.name for dataset in knowledge.datasets.list(keyword="hand")]
        """
        query = {
            "keyword": keyword,
            "tag_ids": tag_ids,
            "include_all": include_all,
            "limit": page_size(limit),
        }
        return self._caller.pages(Listing("/datasets", query, _page, numbered))

    def create(
        self,
        *,
        name: str,
        description: str | None = None,
        indexing_technique: IndexingTechnique | None = None,
        permission: DatasetPermission | None = None,
        embedding_model: str | None = None,
        embedding_model_provider: str | None = None,
        retrieval_model: RetrievalModel | None = None,
        summary_index_setting: SummaryIndexSetting | None = None,
        provider: str | None = None,
        external_knowledge_api_id: str | None = None,
        external_knowledge_id: str | None = None,
    ) -> Dataset:
        """Make an empty dataset.

        `name`: up to 40 characters, and no other dataset's. `indexing_technique`: left out, the first
        document settles it. `permission`: left out, "only_me". `embedding_model` and
        `embedding_model_provider`: both or none, from `models.list("text-embedding")`; Dify does not check
        them, and takes the workspace's own where they are left out. `retrieval_model`: how `retrieve`
        searches where it is not told otherwise. `provider` is "external" for one that is kept outside of
        Dify, with the two ids of it.

        Raises `ConflictError` where the name is taken, and `BadRequestError` for "high_quality" in a
        workspace that has no embedding model.

        >>> def make(knowledge: Knowledge) -> str:
        ...     return knowledge.datasets.create(name="Handbook").id
        """
        return self._send(
            "POST",
            "/datasets",
            _dataset,
            json=given(
                name=at_most(DATASET_NAME, "name", name),
                description=description,
                indexing_technique=indexing_technique,
                permission=permission,
                embedding_model=embedding_model,
                embedding_model_provider=embedding_model_provider,
                retrieval_model=complete(retrieval_model),
                summary_index_setting=summary_index_setting,
                provider=provider,
                external_knowledge_api_id=external_knowledge_api_id,
                external_knowledge_id=external_knowledge_id,
            ),
        )

    def get(self, dataset_id: str) -> Dataset:
        """One dataset. Raises `NotFoundError`, and `PermissionDeniedError` where it is another's own."""
        return self._send("GET", path("/datasets/{}", dataset_id), _dataset)

    def update(
        self,
        dataset_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        indexing_technique: IndexingTechnique | None = None,
        permission: DatasetPermission | None = None,
        partial_member_list: Sequence[PartialMember] | None = None,
        embedding_model: str | None = None,
        embedding_model_provider: str | None = None,
        retrieval_model: RetrievalModel | None = None,
        external_retrieval_model: ExternalRetrievalModel | None = None,
        external_knowledge_api_id: str | None = None,
        external_knowledge_id: str | None = None,
    ) -> Dataset:
        """Change what is named, and leave the rest as it is. Parameters are those of `create`.

        `partial_member_list`: who may see it where `permission` is "partial_members". Another embedding
        model, or another `indexing_technique`, makes Dify index all documents anew.

        Raises `NotFoundError`, `ConflictError` where the name is taken, and `BadRequestError`.
        """
        return self._send(
            "PATCH",
            path("/datasets/{}", dataset_id),
            _dataset,
            json=given(
                name=at_most(DATASET_NAME, "name", name),
                description=description,
                indexing_technique=indexing_technique,
                permission=permission,
                partial_member_list=partial_member_list,
                embedding_model=embedding_model,
                embedding_model_provider=embedding_model_provider,
                retrieval_model=complete(retrieval_model),
                external_retrieval_model=external_retrieval_model,
                external_knowledge_api_id=external_knowledge_api_id,
                external_knowledge_id=external_knowledge_id,
            ),
        )

    def delete(self, dataset_id: str) -> None:
        """Delete a dataset with all that is in it.

        Raises `NotFoundError`, and `ConflictError` where an app uses it (Dify 1.12 deletes it all the same).
        """
        self._send("DELETE", path("/datasets/{}", dataset_id), nothing)

    def retrieve(
        self,
        dataset_id: str,
        *,
        query: str,
        retrieval_model: RetrievalModel | None = None,
        external_retrieval_model: ExternalRetrievalModel | None = None,
        attachment_ids: Sequence[str] | None = None,
    ) -> Retrieval:
        """Search a dataset. What is found comes best first.

        `query`: up to 250 characters. `retrieval_model`: how to search; left out, as the dataset is set up.
        `external_retrieval_model`: the same for a dataset outside of Dify. `attachment_ids`: pictures to
        search by (Dify 1.16).

        Raises `NotFoundError`, and `BadRequestError` where the embedding model fails.

        >>> def find(knowledge: Knowledge, dataset_id: str) -> list[str]:
        ...     how: RetrievalModel = {"search_method": "full_text_search", "top_k": 3}
        ...     found = knowledge.datasets.retrieve(dataset_id, query="holidays", retrieval_model=how)
        ...     return [record.segment.content for record in found.records]
        """
        return self._send(
            "POST",
            path("/datasets/{}/retrieve", dataset_id),
            _retrieval,
            json=given(
                query=at_most(QUERY, "query", query),
                retrieval_model=complete(retrieval_model),
                external_retrieval_model=external_retrieval_model,
                attachment_ids=attachment_ids,
            ),
        )
