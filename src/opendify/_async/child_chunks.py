"""Child chunks: the pieces by which a segment is found, in documents with `doc_form` "hierarchical_model"."""

from __future__ import annotations

from .._call import nothing, path, read_data
from .._limits import page_size
from .._page import Listing, numbered, read_page
from ..types.segments import ChildChunk
from ._pages import AsyncPages
from ._resource import AsyncResource

__all__ = ["AsyncChildChunks"]

_child_chunk = read_data(ChildChunk)
_page = read_page(ChildChunk)

_ALL = "/datasets/{}/documents/{}/segments/{}/child_chunks"
_ONE = "/datasets/{}/documents/{}/segments/{}/child_chunks/{}"


class AsyncChildChunks(AsyncResource):
    """The child chunks of segments. A search goes by them, and gives their segments."""

    def list(
        self,
        dataset_id: str,
        document_id: str,
        segment_id: str,
        *,
        keyword: str | None = None,
        limit: int | None = None,
    ) -> AsyncPages[ChildChunk]:
        """The child chunks of a segment, in order.

        `keyword`: in the content. `limit`: child chunks in one page, up to 100; 20 if left out. Raises
        `NotFoundError`.
        """
        query = {"keyword": keyword, "limit": page_size(limit)}
        return self._caller.pages(
            Listing(path(_ALL, dataset_id, document_id, segment_id), query, _page, numbered)
        )

    async def create(self, dataset_id: str, document_id: str, segment_id: str, *, content: str) -> ChildChunk:
        """Put a child chunk at the end of a segment. It can be found at once.

        Raises `NotFoundError`, and `BadRequestError` where the embedding model fails.
        """
        where = path(_ALL, dataset_id, document_id, segment_id)
        return await self._send("POST", where, _child_chunk, json={"content": content})

    async def update(
        self, dataset_id: str, document_id: str, segment_id: str, child_chunk_id: str, *, content: str
    ) -> ChildChunk:
        """Write a child chunk anew. Raises `NotFoundError`, and `BadRequestError` as `create`."""
        where = path(_ONE, dataset_id, document_id, segment_id, child_chunk_id)
        return await self._send("PATCH", where, _child_chunk, json={"content": content})

    async def delete(self, dataset_id: str, document_id: str, segment_id: str, child_chunk_id: str) -> None:
        """Delete a child chunk. Raises `NotFoundError`."""
        await self._send("DELETE", path(_ONE, dataset_id, document_id, segment_id, child_chunk_id), nothing)
