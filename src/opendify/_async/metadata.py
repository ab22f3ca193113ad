"""Metadata: fields of a dataset, what its documents have in them, and so what a search can be narrowed by."""

from __future__ import annotations

from collections.abc import Sequence

from .._call import nothing, path, read_as
from .._page import Listing, read_page, whole
from ..types.knowledge import MetadataField, MetadataOperation, MetadataType
from ._pages import AsyncPages
from ._resource import AsyncResource

__all__ = ["AsyncMetadata"]

_field = read_as(MetadataField)
_fields = read_page(MetadataField, "doc_metadata")
_built_in = read_page(MetadataField, "fields")


class AsyncMetadata(AsyncResource):
    """The metadata fields of datasets."""

    def list(self, dataset_id: str) -> AsyncPages[MetadataField]:
        """A dataset's own fields, and how many documents have something in each. Raises `NotFoundError`.

        >>> async def ids(knowledge: AsyncKnowledge, dataset_id: str) -> dict[str, str | None]:
        ...     return {field.name: field.id async for field in knowledge.metadata.list(dataset_id)}
        """
        return self._caller.pages(Listing(path("/datasets/{}/metadata", dataset_id), {}, _fields, whole))

    async def create(
        self,
        dataset_id: str,
        *,
        name: str,
        type: MetadataType,  # noqa: A002  Dify's own name for it
    ) -> MetadataField:
        """Make a field for text ("string"), numbers or times.

        Raises `NotFoundError`, and `BadRequestError` where the dataset has a field of this name.
        """
        return await self._send(
            "POST", path("/datasets/{}/metadata", dataset_id), _field, json={"type": type, "name": name}
        )

    async def update(self, dataset_id: str, metadata_id: str, *, name: str) -> MetadataField:
        """Give a field another name. Raises `NotFoundError`, and `BadRequestError` where it is taken."""
        where = path("/datasets/{}/metadata/{}", dataset_id, metadata_id)
        return await self._send("PATCH", where, _field, json={"name": name})

    async def delete(self, dataset_id: str, metadata_id: str) -> None:
        """Delete a field, and all that documents have in it. Raises `NotFoundError`."""
        await self._send("DELETE", path("/datasets/{}/metadata/{}", dataset_id, metadata_id), nothing)

    def built_in(self, dataset_id: str) -> AsyncPages[MetadataField]:
        """The fields that Dify itself fills in where they are switched on. They have no `id`."""
        return self._caller.pages(
            Listing(path("/datasets/{}/metadata/built-in", dataset_id), {}, _built_in, whole)
        )

    async def enable_built_in(self, dataset_id: str) -> None:
        """Switch Dify's own fields on, for the documents that are there, too. Raises `NotFoundError`."""
        await self._switch(dataset_id, "enable")

    async def disable_built_in(self, dataset_id: str) -> None:
        """Switch Dify's own fields off, and empty them. Raises `NotFoundError`."""
        await self._switch(dataset_id, "disable")

    async def update_documents(self, dataset_id: str, *, operation_data: Sequence[MetadataOperation]) -> None:
        """Write metadata to documents, each its own.

        What a document had in fields that are not named is lost, unless `partial_update` is `True`.

        Raises `NotFoundError`, and `BadRequestError`.

        >>> async def write(
        ...     knowledge: AsyncKnowledge, dataset_id: str, document_id: str, metadata_id: str
        ... ) -> None:
        ...     author: DocumentMetadata = {"id": metadata_id, "name": "author", "value": "Ada"}
        ...     operation: MetadataOperation = {"document_id": document_id, "metadata_list": [author]}
        ...     await knowledge.metadata.update_documents(dataset_id, operation_data=[operation])
        """
        where = path("/datasets/{}/documents/metadata", dataset_id)
        await self._send("POST", where, nothing, json={"operation_data": operation_data})

    async def _switch(self, dataset_id: str, action: str) -> None:
        await self._send(
            "POST", path("/datasets/{}/metadata/built-in/{}", dataset_id, action), nothing, json={}
        )
