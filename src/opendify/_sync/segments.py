# Made from _async/segments.py by scripts/unasync.py: edit that file, not this one.
"""Segments: what a document was cut into."""

from __future__ import annotations

from collections.abc import Sequence

from .._call import given, nothing, path, read_data
from .._limits import page_size
from .._page import Listing, numbered, read_page
from ..types.segments import NewSegment, Segment
from ._pages import Pages
from ._resource import Resource

__all__ = ["Segments"]

# Within the class, `list` is a method.
_Segments = list[Segment]

_segment = read_data(Segment)
_page = read_page(Segment)

_ALL = "/datasets/{}/documents/{}/segments"
_ONE = "/datasets/{}/documents/{}/segments/{}"


class Segments(Resource):
    """The segments of documents, which a search finds. Dify calls them chunks, too."""

    def list(
        self,
        dataset_id: str,
        document_id: str,
        *,
        keyword: str | None = None,
        status: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> Pages[Segment]:
        """The segments of a document, in the order of its text.

        `keyword`: in the content. `status`: any of these, of "waiting", "indexing", "completed" and "error".
        `limit`: segments in one page, up to 100; 20 if left out. Raises `NotFoundError`.

        >>> def texts(knowledge: Knowledge, dataset_id: str, document_id: str) -> list[str]:
        ...     segments = knowledge.segments.list(dataset_id, document_id, limit=100)
        ...     return [segment.content for segment in segments]
        """
        query = {"keyword": keyword, "status": status, "limit": page_size(limit)}
        return self._caller.pages(Listing(path(_ALL, dataset_id, document_id), query, _page, numbered))

    def create(self, dataset_id: str, document_id: str, *, segments: Sequence[NewSegment]) -> _Segments:
        """Put segments at the end of a document that is indexed. They can be found at once.

        Raises `NotFoundError`, and `BadRequestError` for a segment without content, or without answer where
        the document holds questions and answers.

        >>> def add(knowledge: Knowledge, dataset_id: str, document_id: str) -> str:
        ...     new: NewSegment = {"content": "There are 30 days of holidays."}
        ...     [segment] = knowledge.segments.create(dataset_id, document_id, segments=[new])
        ...     return segment.id
        """
        page = self._send("POST", path(_ALL, dataset_id, document_id), _page, json={"segments": segments})
        return page.data

    def get(self, dataset_id: str, document_id: str, segment_id: str) -> Segment:
        """One segment. Raises `NotFoundError`."""
        return self._send("GET", path(_ONE, dataset_id, document_id, segment_id), _segment)

    def update(
        self,
        dataset_id: str,
        document_id: str,
        segment_id: str,
        *,
        content: str | None = None,
        answer: str | None = None,
        keywords: Sequence[str] | None = None,
        enabled: bool | None = None,
        regenerate_child_chunks: bool | None = None,
        attachment_ids: Sequence[str] | None = None,
        summary: str | None = None,
    ) -> Segment:
        """Write a segment anew, or let it be found or not (`enabled`).

        `content` is wanted with every change but of `enabled`. `keywords` stay as they were where the
        dataset is not "economy". `regenerate_child_chunks`: cut the new content into child chunks again.
        `attachment_ids` and `summary`: Dify 1.16.

        Raises `NotFoundError`, and `BadRequestError` for a segment that is being indexed or is not enabled.
        """
        segment = given(
            content=content,
            answer=answer,
            keywords=keywords,
            enabled=enabled,
            regenerate_child_chunks=regenerate_child_chunks,
            attachment_ids=attachment_ids,
            summary=summary,
        )
        return self._send(
            "POST", path(_ONE, dataset_id, document_id, segment_id), _segment, json={"segment": segment}
        )

    def delete(self, dataset_id: str, document_id: str, segment_id: str) -> None:
        """Delete a segment. Raises `NotFoundError`, and `BadRequestError` while it is being indexed."""
        self._send("DELETE", path(_ONE, dataset_id, document_id, segment_id), nothing)
