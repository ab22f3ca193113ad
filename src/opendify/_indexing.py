"""Is a batch of documents indexed, or did it fail? What to say when the time is over? Pure.

Facts of Dify 1.12.1, recorded: a document whose text is updated after it was indexed stays "indexing" for
ever, with no segment done, because the task that indexes it waits for a lock that it holds itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from ._errors import IndexingFailedError, IndexingTimeoutError
from .types.documents import IndexingStatus

__all__ = ["is_indexed", "still_indexing"]


def is_indexed(documents: Sequence[IndexingStatus]) -> bool:
    """Whether all is done. Raises `IndexingFailedError` when nothing more is to come and some failed."""
    if not all(document.indexing_status in ("completed", "error") for document in documents):
        return False
    if failed := [document for document in documents if document.indexing_status == "error"]:
        raise IndexingFailedError(_told(failed), documents=failed)
    return True


def still_indexing(documents: Sequence[IndexingStatus], timeout: float) -> IndexingTimeoutError:
    """What to raise when the time is over."""
    left = [document for document in documents if document.indexing_status not in ("completed", "error")]
    standing = "; ".join(
        f"document {document.id} is {document.indexing_status!r}, {document.completed_segments} of "
        f"{document.total_segments} segments done"
        for document in left
    )
    states = {document.indexing_status for document in left}
    advice = " ".join(text for state, text in _ADVICE.items() if state in states) or _GOES_ON
    return IndexingTimeoutError(
        f"Not indexed within {timeout:g} s: {standing}. {advice}".rstrip(), documents=left, timeout=timeout
    )


_GOES_ON = "Dify goes on with it: wait again, or give wait a longer timeout."
_ADVICE = {
    "paused": "Somebody paused it in Dify.",
    "waiting": "Dify's worker is busy, or does not run.",
    "indexing": "On Dify 1.12 a document that is updated after it was indexed never gets further: delete it, "
    "and create it anew. Otherwise it goes on, and can be waited for again.",
}


def _told(failed: Sequence[IndexingStatus]) -> str:
    return " ".join(
        f"Dify could not index document {document.id}: {(document.error or 'it gave no reason').rstrip('.')}."
        for document in failed
    )
