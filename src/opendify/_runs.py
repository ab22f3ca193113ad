"""The calls that come back to a run of a workflow or chatflow. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from ._call import Call, EventsCall, nothing, path
from ._fold import Fold, RunCourse
from ._page import Page, read_page
from .types.events import ErrorEvent, Event
from .types.human_input import HumanInputAnswer
from .types.message import Message

__all__ = ["WayBack", "form_path", "run_events", "submission"]

E = TypeVar("E", bound=Event)
R = TypeVar("R")

_messages = read_page(Message)


def run_events(
    workflow_run_id: str,
    *,
    user: str,
    events: TypeAdapter[E | ErrorEvent],
    fold: Callable[[], Fold[R]],
    include_state_snapshot: bool,
    continue_on_pause: bool,
    way_back: WayBack[E, R] | None = None,
) -> EventsCall[E, R]:
    """The events of a run that was started before."""
    return EventsCall(
        method="GET",
        path=path("/workflow/{}/events", workflow_run_id),
        query={
            "user": user,
            "include_state_snapshot": include_state_snapshot,
            "continue_on_pause": continue_on_pause,
        },
        events=events,
        course=partial(RunCourse, continue_on_pause=continue_on_pause),
        fold=fold,
        way_back=way_back,
    )


def form_path(form_token: str) -> str:
    """Where a form is."""
    if not form_token:
        raise ValueError(
            "This form has no token: it is delivered elsewhere, as by e-mail, and can only be submitted "
            "there, unless its node delivers it to the WebApp, too."
        )
    return path("/form/human_input/{}", form_token)


def submission(form_token: str, answer: HumanInputAnswer, *, user: str) -> Call[None]:
    """The answer to a form."""
    body = {"action": answer.action, "inputs": answer.inputs, "user": user}
    return Call("POST", form_path(form_token), nothing, json=body)


@dataclass(slots=True, kw_only=True)
class WayBack(Generic[E, R]):
    """The calls that come back to a run of `user`."""

    user: str
    events: TypeAdapter[E | ErrorEvent]
    fold: Callable[[], Fold[R]]
    stores_text: bool
    """It is a chatflow's: Dify stores the answer in a conversation."""
    after_loss: bool
    """Not only after a pause, but also if the stream is lost."""
    goes_on: bool = False
    """The stream does not end at a pause."""
    workflow_run_id: str | None = None
    """The run, if it is known before its first event."""

    def again(self, workflow_run_id: str, *, continue_on_pause: bool) -> EventsCall[E, R]:
        """The stream of a run, from a snapshot on. One that goes on at pauses does not end at an old one."""
        return run_events(
            workflow_run_id,
            user=self.user,
            events=self.events,
            fold=self.fold,
            include_state_snapshot=True,
            continue_on_pause=continue_on_pause,
        )

    def submit(self, form_token: str, answer: HumanInputAnswer) -> Call[None]:
        """The answer to the form with this token."""
        return submission(form_token, answer, user=self.user)

    def stored(self, conversation_id: str) -> Call[Page[Message]]:
        """The newest messages of the conversation with this id."""
        query = {"conversation_id": conversation_id, "user": self.user}
        return Call("GET", "/messages", _messages, query=query)
