# Made from _async/annotations.py by scripts/unasync.py: edit that file, not this one.
"""Answers written by people, which an app gives in place of the model's."""

from __future__ import annotations

from .._call import nothing, path, read_as
from .._page import Listing, numbered, read_page
from ..types.annotation import Annotation, AnnotationReplyAction, AnnotationReplyJob
from ._pages import Pages
from ._poll import poll
from ._resource import Resource

__all__ = ["Annotations"]

_annotation = read_as(Annotation)
_annotations = read_page(Annotation)
_job = read_as(AnnotationReplyJob)


class Annotations(Resource):
    """Annotations of the app, and whether it answers with them."""

    def list(self, *, keyword: str | None = None, limit: int | None = None) -> Pages[Annotation]:
        """The app's annotations, the newest first; with `keyword`, those that have it in question or answer.

        `limit`: how many a page; 20 if left out.

        >>> def answers(dify: Dify) -> dict[str, str]:
        ...     found = dify.annotations.list(keyword="opening hours")
        ...     return {annotation.question: annotation.answer for annotation in found}
        """
        return self._caller.pages(
            Listing("/apps/annotations", {"keyword": keyword, "limit": limit}, _annotations, numbered)
        )

    def create(self, *, question: str, answer: str) -> Annotation:
        """Write an answer.

        >>> def teach(dify: Dify) -> str:
        ...     return dify.annotations.create(question="When are you open?", answer="Always.").id
        """
        return self._send(
            "POST", "/apps/annotations", _annotation, json={"question": question, "answer": answer}
        )

    def update(self, annotation_id: str, *, question: str, answer: str) -> Annotation:
        """Write question and answer anew. Raises `NotFoundError` for an annotation that is not there."""
        where = path("/apps/annotations/{}", annotation_id)
        return self._send("PUT", where, _annotation, json={"question": question, "answer": answer})

    def delete(self, annotation_id: str) -> None:
        """Delete an annotation. Raises `NotFoundError` for one that is not there."""
        self._send("DELETE", path("/apps/annotations/{}", annotation_id), nothing)

    def enable_reply(
        self, *, embedding_provider_name: str, embedding_model_name: str, score_threshold: float
    ) -> AnnotationReplyJob:
        """Let the app answer with annotations. That takes a while: see `wait`.

        An annotation is the answer to every query that is at least as close to its question as
        `score_threshold`, 0 to 1, by the embeddings of this model. The names are Dify's own, as
        `models.list` of a `Knowledge` tells them.

        >>> def use_annotations(dify: Dify) -> str:
        ...     job = dify.annotations.enable_reply(
        ...         embedding_provider_name="langgenius/openai/openai",
        ...         embedding_model_name="text-embedding-3-small",
        ...         score_threshold=0.9,
        ...     )
        ...     return dify.annotations.wait(job.job_id, action="enable").job_status
        """
        return self._reply(
            "enable",
            embedding_provider_name=embedding_provider_name,
            embedding_model_name=embedding_model_name,
            score_threshold=score_threshold,
        )

    def disable_reply(self) -> AnnotationReplyJob:
        """Let the model alone answer again. The annotations stay."""
        # Dify wants the fields here too, and looks at none of them.
        return self._reply(
            "disable", embedding_provider_name="none", embedding_model_name="none", score_threshold=1
        )

    def _reply(self, action: AnnotationReplyAction, **settings: object) -> AnnotationReplyJob:
        return self._send("POST", path("/apps/annotation-reply/{}", action), _job, json=settings)

    def reply_status(self, job_id: str, *, action: AnnotationReplyAction) -> AnnotationReplyJob:
        """How far `enable_reply` or `disable_reply` has come; `action` says which of the two it was.

        Raises `BadRequestError` for a job that Dify does not know, or knows no more.
        """
        return self._send("GET", path("/apps/annotation-reply/{}/status/{}", action, job_id), _job)

    def wait(
        self, job_id: str, *, action: AnnotationReplyAction, timeout: float = 60.0
    ) -> AnnotationReplyJob:
        """Wait until a job is done, and give it back: its `job_status` is then "completed" or "error".

        Raises `TimeoutError` after `timeout` seconds; the job goes on at Dify.
        """
        return poll(lambda: self.reply_status(job_id, action=action), lambda job: job.done, timeout=timeout)
