"""Documents: how far one is at a moment, and how Dify shows it.

Nothing runs in the background: a document knows when it was given in and how long its indexing takes, and
says from the clock how far it is.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from opendify.simulator.errors import Refusal
from opendify.simulator.files import File
from opendify.simulator.knowledge.metadata import Metadata
from opendify.simulator.knowledge.rules import ProcessRule
from opendify.simulator.knowledge.segments import Segment, whole
from opendify.simulator.knowledge.splitting import Piece, Unsplittable, pieces
from opendify.simulator.knowledge.words import words

# How far indexing is, as a share of the time that it takes. Dify's word `cleaning` is not among them: Dify
# 1.12.1 stamps cleaning and splitting in one go, and shows `splitting` before that (recorded).
_PARSING, _SPLITTING, _INDEXING = 0.1, 0.2, 0.6
_MOVING = ("parsing", "splitting", "indexing")
FAILING = "[[error:index]]"
"""A text with this directive cannot be indexed."""


@dataclass(frozen=True, slots=True)
class Given:
    """What was given in: a file, its text, and how to split it.

    Args:
        at: when.
        takes: seconds that indexing takes.
        stuck: it never ends (Dify 1.12.1, for the update of a document that was indexed).
    """

    file: File
    text: str
    rule: ProcessRule
    doc_form: str
    at: float
    takes: float
    stuck: bool = False


@dataclass(eq=False, slots=True)
class Document:
    """A document of a dataset."""

    name: str
    position: int
    given: Given
    batch: str
    created_by: str
    economy: bool
    created_from: str = "api"
    doc_language: str = "English"
    id: str = field(default_factory=lambda: str(uuid4()))
    rule_id: str = field(default_factory=lambda: str(uuid4()))
    segments: list[Segment] = field(default_factory=lambda: list[Segment]())
    metadata: dict[str, object] = field(default_factory=lambda: dict[str, object]())
    error: str | None = None
    enabled: bool = True
    disabled_at: float | None = None
    archived: bool = False
    created_at: float = 0.0
    updated_at: float = 0.0
    source: tuple[str, Mapping[str, object]] | None = None
    """Of a document that a pipeline made: the type of the datasource, and the item."""
    had: tuple[int, int] | None = None
    """Words and tokens of the text that it had before."""

    def __post_init__(self) -> None:
        self.created_at = self.updated_at = self.given.at
        self._split()

    def replace(self, given: Given, *, name: str, created_from: str) -> None:
        """Take another text, and be indexed anew."""
        self.had = self._counted(given.at)
        if given.rule is not self.given.rule:
            self.rule_id = str(uuid4())
        self.name, self.given, self.created_from = name, given, created_from
        self.updated_at = given.at
        self._split()

    def _split(self) -> None:
        self.error = None
        try:
            found = pieces(self.given.text, self.given.rule, self.given.doc_form)
        except Unsplittable as error:
            found, self.error = list[Piece](), str(error)
        if FAILING in self.given.text:
            self.error = "The text asked for an error."
        self.segments = []
        for piece in found:
            segment = self.add(piece.content, None, at=self.given.at + _INDEXING * self.given.takes)
            segment.completed_at = self.done_at
            segment.cut(piece.children)
            if self.given.doc_form == "qa_model":
                segment.content, segment.answer = piece.content.partition("\n")[0], piece.content

    def add(self, content: str, keywords: list[str] | None, *, at: float) -> Segment:
        """Add a segment at the end."""
        position = self.segments[-1].position + 1 if self.segments else 1
        segment = Segment(self.id, content, position, self.created_by, at, at, at)
        segment.keywords = keywords or (_keywords(content) if self.economy else None)
        self.segments.append(segment)
        return segment

    @property
    def done_at(self) -> float:
        """When indexing ends, if it does."""
        return float("inf") if self.given.stuck or self.error else self.given.at + self.given.takes

    @property
    def words(self) -> int:
        """Its characters: so Dify counts words."""
        return sum(segment.word_count for segment in self.segments)

    @property
    def tokens(self) -> int:
        """Its tokens, by the simulator's rule."""
        return sum(segment.tokens for segment in self.segments)

    def status(self, now: float) -> str:
        """`indexing_status`: Dify's word for how far it is."""
        given = self.given
        if now <= given.at:
            return "waiting"
        part = (now - given.at) / given.takes if given.takes else 1.0
        if part >= _INDEXING and self.error:
            return "error"
        if part >= 1 and not given.stuck:
            return "completed"
        if part < _PARSING:
            return "waiting"
        return "parsing" if part < _SPLITTING else "splitting" if part < _INDEXING else "indexing"

    def display_status(self, now: float) -> str:
        """What a person sees, and a list can be filtered by."""
        status = self.status(now)
        if status == "waiting":
            return "queuing"
        if status != "completed":
            return "indexing" if status in _MOVING else status
        return "archived" if self.archived else "available" if self.enabled else "disabled"

    def searched(self, now: float) -> bool:
        """Whether a search looks into it."""
        return self.display_status(now) == "available"

    def visible(self, now: float) -> list[Segment]:
        """The segments that there are by now."""
        return self.segments if self.status(now) in ("indexing", "completed") else []

    def change(self, action: str, now: float) -> None:
        """Enable, disable, archive or un_archive it.

        Raises:
            Refusal: 400 for what Dify does not do.
        """
        if action == "disable" and self.status(now) != "completed":
            raise Refusal(400, "invalid_action", f"Document: {self.name} is not completed.")
        if action in ("enable", "disable") and self.enabled is not (action == "enable"):
            self.enabled = action == "enable"
            self.disabled_at = None if self.enabled else now
        elif action in ("archive", "un_archive"):
            self.archived = action == "archive"
        self.updated_at = now

    def progress(self, now: float) -> dict[str, object]:
        """As indexing-status shows it."""
        status, given = self.status(now), self.given

        def reached(part: float) -> int | None:
            moment = given.at + part * given.takes
            return int(moment) if status != "waiting" and now >= moment else None

        segments = self.visible(now)
        done = len(segments)
        if status == "indexing":
            part = (now - given.at) / given.takes if given.takes else 1.0
            done = 0 if given.stuck else int(done * (part - _INDEXING) / (1 - _INDEXING))
        return {
            "id": self.id,
            "indexing_status": status,
            "processing_started_at": reached(_PARSING),
            "parsing_completed_at": reached(_SPLITTING),
            "cleaning_completed_at": reached(_INDEXING),
            "splitting_completed_at": reached(_INDEXING),
            "completed_at": int(self.done_at) if status == "completed" else None,
            "paused_at": None,
            "error": self.error if status == "error" else None,
            "stopped_at": int(given.at + _INDEXING * given.takes) if status == "error" else None,
            "completed_segments": done,
            "total_segments": len(segments),
        }

    def json(self, now: float, metadata: Metadata) -> dict[str, object]:
        """As lists show it, and what created it."""
        file = self._file()
        kind, info = self.source or ("upload_file", {"upload_file_id": file["id"]})
        counted = self._counted(now)
        return {
            "id": self.id,
            "position": self.position,
            "data_source_type": kind,
            "data_source_info": dict(info),
            "data_source_detail_dict": dict(info) if self.source else {"upload_file": file},
            "dataset_process_rule_id": self.rule_id,
            "name": self.name,
            "created_from": self.created_from,
            "created_by": self.created_by,
            "created_at": int(self.created_at),
            "tokens": counted and counted[1],
            **self._state(now),
            "display_status": self.display_status(now),
            "word_count": counted and counted[0],
            "hit_count": 0,
            "doc_form": self.given.doc_form,
            "doc_metadata": metadata.values(self.metadata),
            "summary_index_status": None,
            "need_summary": False,
        }

    def detail(
        self, now: float, metadata: Metadata, *, dataset_id: str, dataset_rule: Mapping[str, object]
    ) -> dict[str, object]:
        """As it is shown on its own."""
        counted, segments = self._counted(now), self.visible(now)
        status, given = self.status(now), self.given
        rule = {"id": self.rule_id, "dataset_id": dataset_id, **given.rule.shown()}
        state = self._state(now)
        kind, info = self.source or ("upload_file", {"upload_file": self._file()})
        return {
            "id": self.id,
            "position": self.position,
            "data_source_type": kind,
            "data_source_info": dict(info),
            "dataset_process_rule_id": self.rule_id,
            "dataset_process_rule": dataset_rule,
            "document_process_rule": rule,
            "name": self.name,
            "created_from": self.created_from,
            "created_by": self.created_by,
            "created_at": int(self.created_at),
            "tokens": counted and counted[1],
            "indexing_status": state.pop("indexing_status"),
            "completed_at": int(self.done_at) if status == "completed" else None,
            "updated_at": int(self.updated_at),
            "indexing_latency": given.takes if status == "completed" else None,
            **state,
            "doc_type": None,
            "doc_metadata": metadata.values(self.metadata),
            "segment_count": len(segments),
            "average_segment_length": (self.words // len(segments)) if segments else 0,
            "hit_count": 0,
            "display_status": self.display_status(now),
            "doc_form": given.doc_form,
            "doc_language": self.doc_language,
            "summary_index_status": None,
            "need_summary": False,
        }

    def _state(self, now: float) -> dict[str, object]:
        status = self.status(now)
        return {
            "indexing_status": status,
            "error": self.error if status == "error" else None,
            "enabled": self.enabled,
            "disabled_at": whole(self.disabled_at),
            "disabled_by": None if self.enabled else self.created_by,
            "archived": self.archived,
        }

    def _counted(self, now: float) -> tuple[int, int] | None:
        """Words and tokens, as far as they are known."""
        return (self.words, self.tokens) if self.visible(now) else self.had

    def _file(self) -> dict[str, object]:
        file = self.given.file
        return {
            "id": file.id,
            "name": file.name,
            "size": len(file.content),
            "extension": file.extension,
            "mime_type": file.mime_type,
            "created_by": file.user,
            "created_at": self.given.at,
        }


def _keywords(content: str) -> list[str]:
    """What an economy dataset keeps of a segment: its ten most frequent words."""
    return [word for word, _ in Counter(words(content)).most_common(10)]


def new_batch() -> str:
    """An id for what is given in together."""
    return time.strftime("%Y%m%d%H%M%S", time.gmtime()) + f"{uuid4().int % 1_000_000:06}"
