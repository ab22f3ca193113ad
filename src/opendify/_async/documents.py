"""Documents: put them into a dataset, wait until they are indexed, look after them, bring them back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from .._call import (
    FileCall,
    FilePart,
    Form,
    Progress,
    Reply,
    encode_json,
    given,
    nothing,
    path,
    read_as,
)
from .._errors import BadRequestError, retold
from .._indexing import is_indexed, still_indexing
from .._limits import a_hundred, page_size
from .._page import Listing, numbered, read_page
from ..types.documents import (
    DocForm,
    Document,
    DocumentAction,
    DocumentBatch,
    DocumentDetail,
    DocumentDisplayStatus,
    IndexingStatus,
    ProcessRule,
)
from ..types.knowledge import IndexingTechnique
from ..types.retrieval import RetrievalModel, complete
from ._download import AsyncDownload
from ._pages import AsyncPages
from ._poll import async_poll
from ._resource import AsyncResource
from ._upload import AsyncFileContent, async_file_part

__all__ = ["AsyncDocuments"]

AUTOMATIC: ProcessRule = {"mode": "automatic"}

# Within the class, `list` is a method.
_Statuses = list[IndexingStatus]

_batch = read_as(DocumentBatch)
_detail = read_as(DocumentDetail)
_page = read_page(Document)
_statuses = read_page(IndexingStatus)
_link = read_as(dict[str, str])

_ALL = "/datasets/{}/documents"
_ONE = "/datasets/{}/documents/{}"


class AsyncDocuments(AsyncResource):
    """The documents of datasets.

    Dify takes a document at once and indexes it afterwards; until that is done (`wait`), it is not found.
    """

    def list(
        self,
        dataset_id: str,
        *,
        keyword: str | None = None,
        status: DocumentDisplayStatus | None = None,
        limit: int | None = None,
    ) -> AsyncPages[Document]:
        """The documents of a dataset, newest first.

        `keyword`: in the name. `status`: as in `display_status`. `limit`: documents in one page, up to 100;
        20 if left out. Raises `NotFoundError`.

        >>> async def names(knowledge: AsyncKnowledge, dataset_id: str) -> list[str]:
        ...     return [document.name async for document in knowledge.documents.list(dataset_id)]
        """
        query = {"keyword": keyword, "status": status, "limit": page_size(limit)}
        return self._caller.pages(Listing(path(_ALL, dataset_id), query, _page, numbered))

    async def get(
        self, dataset_id: str, document_id: str, *, metadata: Literal["all", "only", "without"] | None = None
    ) -> DocumentDetail:
        """All of one document, its metadata "only", or all "without" that. Raises `NotFoundError`."""
        return await self._send(
            "GET", path(_ONE, dataset_id, document_id), _detail, query={"metadata": metadata}
        )

    async def create_by_text(
        self,
        dataset_id: str,
        *,
        name: str,
        text: str,
        indexing_technique: IndexingTechnique = "high_quality",
        process_rule: ProcessRule | None = AUTOMATIC,
        doc_form: DocForm | None = None,
        doc_language: str | None = None,
        retrieval_model: RetrievalModel | None = None,
        embedding_model: str | None = None,
        embedding_model_provider: str | None = None,
        original_document_id: str | None = None,
    ) -> DocumentBatch:
        """Put a text into a dataset. It is taken at once, and indexed afterwards: see `wait`.

        `indexing_technique`, `doc_form`, `retrieval_model` and the embedding model are the dataset's, which
        the first document settles if nothing did before; later ones change none of it. `process_rule`: how
        the text is cut; `None` takes the rule of the dataset's newest document. `doc_form`: left out,
        "text_model"; "hierarchical_model" wants a `process_rule` with the mode "hierarchical".
        `doc_language`: left out, "English"; questions and answers are made in it.

        Raises `NotFoundError` for a dataset that is not there, and `BadRequestError` for "high_quality" in a
        workspace that has no embedding model.

        >>> async def add(knowledge: AsyncKnowledge, dataset_id: str) -> None:
        ...     taken = await knowledge.documents.create_by_text(dataset_id, name="a.md", text="# Holidays")
        ...     await knowledge.documents.wait(dataset_id, taken.batch)
        """
        document = given(
            name=name,
            text=text,
            indexing_technique=indexing_technique,
            process_rule=process_rule,
            doc_form=doc_form,
            doc_language=doc_language,
            retrieval_model=complete(retrieval_model),
            embedding_model=embedding_model,
            embedding_model_provider=embedding_model_provider,
            original_document_id=original_document_id,
        )
        where = path("/datasets/{}/document/create-by-text", dataset_id)
        return await self._send("POST", where, _batch, json=document)

    async def create_by_file(
        self,
        dataset_id: str,
        file: AsyncFileContent,
        *,
        name: str | None = None,
        mime_type: str | None = None,
        indexing_technique: IndexingTechnique = "high_quality",
        process_rule: ProcessRule | None = AUTOMATIC,
        doc_form: DocForm | None = None,
        doc_language: str | None = None,
        retrieval_model: RetrievalModel | None = None,
        embedding_model: str | None = None,
        embedding_model_provider: str | None = None,
        original_document_id: str | None = None,
        on_progress: Progress | None = None,
    ) -> DocumentBatch:
        """Put a file into a dataset. It is taken at once, and indexed afterwards: see `wait`.

        `file`, `name`, `mime_type` and `on_progress` are those of `Dify.files.upload`; `name` becomes the
        document's. The other parameters are those of `create_by_text`.

        Raises `NotFoundError`, `BadRequestError` (Dify 1.12) or `PayloadTooLargeError` and
        `UnsupportedMediaTypeError` for a file that Dify does not take, and `BadRequestError` for
        "high_quality" in a workspace that has no embedding model.

        >>> async def add(knowledge: AsyncKnowledge, dataset_id: str, document: Path) -> None:
        ...     taken = await knowledge.documents.create_by_file(dataset_id, document)
        ...     await knowledge.documents.wait(dataset_id, taken.batch)
        """
        settings = given(
            indexing_technique=indexing_technique,
            process_rule=process_rule,
            doc_form=doc_form,
            doc_language=doc_language,
            retrieval_model=complete(retrieval_model),
            embedding_model=embedding_model,
            embedding_model_provider=embedding_model_provider,
            original_document_id=original_document_id,
        )
        part = await async_file_part(file, name, mime_type, on_progress)
        where = path("/datasets/{}/document/create-by-file", dataset_id)
        return await self._send_file("POST", where, part, settings)

    async def update_by_text(
        self,
        dataset_id: str,
        document_id: str,
        *,
        name: str | None = None,
        text: str | None = None,
        process_rule: ProcessRule | None = None,
        doc_form: DocForm | None = None,
        doc_language: str | None = None,
        retrieval_model: RetrievalModel | None = None,
    ) -> DocumentBatch:
        """Put a new text in place of a document's, or cut it by another rule. It is indexed anew: see `wait`.

        `text` needs a `name`. Of Dify 1.12 this is to be avoided: it never ends indexing a document that
        was indexed before. Delete the document there, and create it anew.

        Raises `NotFoundError`, and `BadRequestError` while the document is being indexed, or where there is
        neither a text nor a rule.
        """
        if text is not None and name is None:
            raise ValueError("Dify takes a new text only together with a name: pass the document's.")
        settings = _cutting(process_rule, doc_form, doc_language, retrieval_model)
        where = path(_ONE + "/update-by-text", dataset_id, document_id)
        return await self._send("POST", where, _batch, json=given(name=name, text=text, **settings))

    async def update_by_file(
        self,
        dataset_id: str,
        document_id: str,
        file: AsyncFileContent,
        *,
        name: str | None = None,
        mime_type: str | None = None,
        process_rule: ProcessRule | None = None,
        doc_form: DocForm | None = None,
        doc_language: str | None = None,
        retrieval_model: RetrievalModel | None = None,
        on_progress: Progress | None = None,
    ) -> DocumentBatch:
        """Put a file in place of a document's, on a Dify before 1.16; for later ones there is `update`.

        Parameters and errors are those of `create_by_file`. It is indexed anew: see `wait`. On Dify 1.12, see
        `update_by_text`.
        """
        return await self._update(
            "POST",
            path(_ONE + "/update-by-file", dataset_id, document_id),
            await async_file_part(file, name, mime_type, on_progress),
            _cutting(process_rule, doc_form, doc_language, retrieval_model),
        )

    async def update(
        self,
        dataset_id: str,
        document_id: str,
        file: AsyncFileContent,
        *,
        name: str | None = None,
        mime_type: str | None = None,
        process_rule: ProcessRule | None = None,
        doc_form: DocForm | None = None,
        doc_language: str | None = None,
        retrieval_model: RetrievalModel | None = None,
        on_progress: Progress | None = None,
    ) -> DocumentBatch:
        """Put a file in place of a document's (Dify 1.16; before that there is `update_by_file`).

        Parameters and errors are those of `create_by_file`. It is indexed anew: see `wait`. Raises
        `MethodNotAllowedError` on an older Dify.
        """
        return await self._update(
            "PATCH",
            path(_ONE, dataset_id, document_id),
            await async_file_part(file, name, mime_type, on_progress),
            _cutting(process_rule, doc_form, doc_language, retrieval_model),
        )

    async def delete(self, dataset_id: str, document_id: str) -> None:
        """Delete a document. Raises `NotFoundError`, and `PermissionDeniedError` for an archived one."""
        await self._send("DELETE", path(_ONE, dataset_id, document_id), nothing)

    async def indexing_status(self, dataset_id: str, batch: str) -> _Statuses:
        """How far the documents of a batch are. `batch` is what `create_by_text` and the like give.

        Raises `NotFoundError` for a batch that is not there; a document's id is none.
        """
        page = await self._send("GET", path(_ONE + "/indexing-status", dataset_id, batch), _statuses)
        return page.data

    async def wait(
        self,
        dataset_id: str,
        batch: str,
        *,
        timeout: float = 600.0,
        on_progress: Callable[[_Statuses], None] | None = None,
    ) -> _Statuses:
        """Wait until all documents of a batch are indexed, and can be found.

        `timeout`: seconds in all. `on_progress` is called with what `indexing_status` tells, each time that
        it is asked: at first a few times a second, later every few seconds.

        Raises `IndexingFailedError` where a document could not be indexed, with Dify's reason, and
        `IndexingTimeoutError` (a `TimeoutError`) where it takes longer; Dify goes on with it.

        >>> async def follow(knowledge: AsyncKnowledge, dataset_id: str, batch: str) -> int:
        ...     documents = await knowledge.documents.wait(dataset_id, batch, timeout=60, on_progress=print)
        ...     return sum(document.total_segments for document in documents)
        """
        told: _Statuses = []

        async def ask() -> _Statuses:
            nonlocal told
            told = await self.indexing_status(dataset_id, batch)
            if on_progress is not None:
                on_progress(told)
            return told

        try:
            return await async_poll(ask, is_indexed, timeout=timeout)
        except TimeoutError:
            raise still_indexing(told, timeout) from None

    async def set_status(
        self, dataset_id: str, action: DocumentAction, *, document_ids: Sequence[str]
    ) -> None:
        """Let documents be found or not ("enable", "disable"), or put them away ("archive", "un_archive").

        An archived document is not found and cannot be changed. Raises `NotFoundError`, and
        `BadRequestError` for a document that is not indexed yet.
        """
        where = path(_ALL + "/status/{}", dataset_id, action)
        await self._send("PATCH", where, nothing, json={"document_ids": document_ids})

    def download(self, dataset_id: str, document_id: str) -> AsyncDownload:
        """The file that a document was made from, to save or to read (Dify 1.16).

        Raises, when it is asked for: `NotFoundError`, also where the document is of no file or Dify is older.

        >>> async def get(knowledge: AsyncKnowledge, dataset_id: str, document_id: str, folder: Path) -> None:
        ...     await knowledge.documents.download(dataset_id, document_id).save(folder / "document.txt")
        """
        return self._caller.download(
            FileCall("GET", path(_ONE + "/download", dataset_id, document_id), link=_url)
        )

    async def download_url(self, dataset_id: str, document_id: str) -> str:
        """Where the file of `download` is: a signed address that is good for some minutes (Dify 1.16)."""
        return await self._send("GET", path(_ONE + "/download", dataset_id, document_id), _url)

    def download_zip(self, dataset_id: str, *, document_ids: Sequence[str]) -> AsyncDownload:
        """The files of up to 100 documents in one ZIP archive, to save or to read (Dify 1.16).

        Raises, when it is asked for: `NotFoundError`, also where one of the documents is of no file.
        """
        return self._caller.download(
            FileCall(
                "POST",
                path(_ALL + "/download-zip", dataset_id),
                json={"document_ids": a_hundred("document_ids", document_ids)},
            )
        )

    async def _update(
        self, method: str, where: str, part: FilePart, settings: dict[str, object]
    ) -> DocumentBatch:
        # Of a document that is there already, Dify asks the name here and not of the file.
        return await self._send_file(method, where, part, {"name": part.filename, **settings})

    async def _send_file(
        self, method: str, where: str, part: FilePart, settings: dict[str, object]
    ) -> DocumentBatch:
        form = Form({"data": encode_json(settings).decode()}, part)
        try:
            return await self._send(method, where, _batch, form=form)
        except BadRequestError as error:
            if error.message:
                raise
            raise retold(error, _refused(part)) from None


def _cutting(
    process_rule: ProcessRule | None,
    doc_form: DocForm | None,
    doc_language: str | None,
    retrieval_model: RetrievalModel | None,
) -> dict[str, object]:
    """The settings of a document that is there."""
    return given(
        process_rule=process_rule,
        doc_form=doc_form,
        doc_language=doc_language,
        retrieval_model=complete(retrieval_model),
    )


def _refused(part: FilePart) -> str:
    """Dify 1.12 gives no reason: its text for a file that is too large or of a wrong type is empty."""
    size = "" if part.size is None else f", {part.size} bytes"
    return (
        f"Dify does not take the file {part.filename!r} ({part.mime_type}{size}), and does not say why. "
        "It is of a type that Dify does not index, or larger than is allowed (15 MB, if not set otherwise)."
    )


def _url(reply: Reply) -> str:
    return _link(reply)["url"]
