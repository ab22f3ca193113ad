# Made from _async/metadata.py by scripts/unasync.py: edit that file, not this one.
"""Metadata: fields of a dataset, what its documents have in them, and so what a search can be narrowed by."""

from __future__ import annotations

from collections.abc import Sequence

from .._call import nothing, path, read_as
from .._page import Listing, read_page, whole
from ..types.knowledge import MetadataField, MetadataOperation, MetadataType
from ._pages import Pages
from ._resource import Resource

__all__ = ["Metadata"]

_field = read_as(MetadataField)
_fields = read_page(MetadataField, "doc_metadata")
_built_in = read_page(MetadataField, "fields")


class Metadata(Resource):
    """The metadata fields of datasets."""

    def list(self, dataset_id: str) -> Pages[MetadataField]:
        """A dataset's own fields, and how many documents have something in each. Raises `NotFoundError`.

        >>> def ids(knowledge: Knowledge, dataset_id: str) -> dict[str, str | None]:
        ...     return {field.name: field.id for field in knowledge.metadata.list(dataset_id)}
        """
        return self._caller.pages(Listing(path("/datasets/{}/metadata", dataset_id), {}, _fields, whole))

    def create(
        self,
        dataset_id: str,
        *,
        name: str,
        type: MetadataType,  # noqa: A002  Dify's own name for it
    ) -> MetadataField:
        """Make a field for text ("string"), numbers or times.

        Raises `NotFoundError`, and `BadRequestError` where the dataset has a field of this name.
        """
        return self._send(
            "POST", path("/datasets/{}/metadata", dataset_id), _field, json={"type": type, "name": name}
        )

    def update(self, dataset_id: str, metadata_id: str, *, name: str) -> MetadataField:
        """Give a field another name. Raises `NotFoundError`, and `BadRequestError` where it is taken."""
        where = path("/datasets/{}/metadata/{}", dataset_id, metadata_id)
        return self._send("PATCH", where, _field, json={"name": name})

    def delete(self, dataset_id: str, metadata_id: str) -> None:
        """Delete a field, and all that documents have in it. Raises `NotFoundError`."""
        self._send("DELETE", path("/datasets/{}/metadata/{}", dataset_id, metadata_id), nothing)

    def built_in(self, dataset_id: str) -> Pages[MetadataField]:
        """The fields that Dify itself fills in where they are switched on. They have no `id`."""
        return self._caller.pages(
            Listing(path("/datasets/{}/metadata/built-in", dataset_id), {}, _built_in, whole)
        )

    def enable_built_in(self, dataset_id: str) -> None:
        """Switch Dify's own fields on, for the documents that are there, too. Raises `NotFoundError`."""
        self._switch(dataset_id, "enable")

    def disable_built_in(self, dataset_id: str) -> None:
        """Switch Dify's own fields off, and empty them. Raises `NotFoundError`."""
        self._switch(dataset_id, "disable")

    def update_documents(self, dataset_id: str, *, operation_data: Sequence[MetadataOperation]) -> None:
        """Write metadata to documents, each its own.

        What a document had in fields that are not named is lost, unless `partial_update` is `True`.

        Raises `NotFoundError`, and `BadRequestError`.

        >>> def write(
        ...     knowledge: Knowledge, dataset_id: str, document_id: str, metadata_id: str
        ... ) -> None:
        ...     author: DocumentMetadata = {"id": metadata_id, "name": "author", "value": "Ada"}
        ...     operation: MetadataOperation = {"document_id": document_id, "metadata_list": [author]}
        ...     knowledge.metadata.update_documents(dataset_id, operation_data=[operation])
        """
        where = path("/datasets/{}/documents/metadata", dataset_id)
        self._send("POST", where, nothing, json={"operation_data": operation_data})

    def _switch(self, dataset_id: str, action: str) -> None:
        self._send("POST", path("/datasets/{}/metadata/built-in/{}", dataset_id, action), nothing, json={})
