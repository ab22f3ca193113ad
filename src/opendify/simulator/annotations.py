"""An app's annotations: answers that its owner wrote, and the setting by which they are given."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import uuid4

Action = Literal["enable", "disable"]
JobStatus = Literal["waiting", "processing", "completed"]


@dataclass(slots=True)
class Annotation:
    """A question, and the answer to it."""

    question: str
    answer: str
    id: str = field(default_factory=lambda: str(uuid4()))
    hit_count: int = 0
    created_at: int = field(default_factory=lambda: int(time.time()))


@dataclass(frozen=True, slots=True)
class Job:
    """Switching the answers on or off, which takes Dify a while: all annotations are embedded.

    Args:
        began: on the clock of `time.monotonic`.
        seconds: how long it takes; half of them it waits.
    """

    action: Action
    began: float
    seconds: float

    @property
    def status(self) -> JobStatus:
        """How far it is."""
        passed = time.monotonic() - self.began
        if passed >= self.seconds:
            return "completed"
        return "processing" if passed >= self.seconds / 2 else "waiting"


class Annotations:
    """The annotations of one app.

    Args:
        notes: those that it begins with, answers by question. With any, they are also given.
    """

    def __init__(self, notes: Mapping[str, str]) -> None:
        self._kept = {note.id: note for note in (Annotation(*item) for item in notes.items())}
        self._at_first = bool(notes)
        self._jobs: dict[str, Job] = {}

    @property
    def on(self) -> bool:
        """Are they given as answers?"""
        done = [job for job in self._jobs.values() if job.status == "completed"]
        return done[-1].action == "enable" if done else self._at_first

    def switch(self, action: Action, seconds: float) -> str:
        """Begin to switch the answers on or off: the id of the job that does it."""
        job_id = str(uuid4())
        self._jobs[job_id] = Job(action, time.monotonic(), seconds)
        return job_id

    def job(self, action: str, job_id: str) -> Job | None:
        """A job, if it is one of this action."""
        found = self._jobs.get(job_id)
        return found if found is not None and found.action == action else None

    def add(self, question: str, answer: str) -> Annotation:
        """Keep a new one."""
        annotation = Annotation(question, answer)
        self._kept[annotation.id] = annotation
        return annotation

    def get(self, annotation_id: str) -> Annotation | None:
        """One of them."""
        return self._kept.get(annotation_id)

    def delete(self, annotation_id: str) -> bool:
        """Forget one; False if there is none."""
        return self._kept.pop(annotation_id, None) is not None

    def matching(self, keyword: str) -> list[Annotation]:
        """Those whose question or answer holds a word, in any case; the newest first."""
        word = keyword.lower()
        newest = reversed(self._kept.values())
        return [one for one in newest if word in f"{one.question}\n{one.answer}".lower()]

    def hit(self, question: str) -> Annotation | None:
        """The one that answers a question, counted as used. Dify compares meanings, the simulator words."""
        if not self.on:
            return None
        found = next((one for one in self._kept.values() if one.question == question), None)
        if found is not None:
            found.hit_count += 1
        return found
