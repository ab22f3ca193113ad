"""Answers written by people, and the job that makes an app use them."""

from __future__ import annotations

from typing import Literal

from ._model import Count, Model, Text

__all__ = ["Annotation", "AnnotationReplyAction", "AnnotationReplyJob"]

AnnotationReplyAction = Literal["enable", "disable"]
"""What is to become of the answers from annotations."""


class Annotation(Model):
    """An answer that a person wrote, for a question and all that are close to it."""

    id: str
    question: Text = ""
    answer: Text = ""
    hit_count: Count = 0
    """How often it was the answer."""
    created_at: int | None = None
    """Seconds since 1970."""


class AnnotationReplyJob(Model):
    """The work that Dify has with switching annotated answers on or off. It goes on by itself."""

    job_id: str
    job_status: Literal["waiting", "processing", "completed", "error"] | str
    error_msg: Text = ""
    """Why it failed."""

    @property
    def done(self) -> bool:
        """It goes on no more: it is completed, or it failed."""
        return self.job_status in ("completed", "error")
