"""The calls that come back to a run of a workflow or chatflow. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from pydantic import TypeAdapter

from ._call import Call, EventsCall, WayBack, nothing, path
from ._fold import Fold, RunCourse
from ._page import Page, read_page
from .types.events import ErrorEvent, Event
from .types.human_input import HumanInputAnswer
from .types.message import Message

__all__ = ["form_path", "run_events", "submission", "way_back"]

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


def way_back(
    *,
    user: str,
    events: TypeAdapter[E | ErrorEvent],
    fold: Callable[[], Fold[R]],
    stores_text: bool,
    after_loss: bool,
    goes_on: bool = False,
    workflow_run_id: str | None = None,
) -> WayBack[E, R]:
    """How to come back to a run of `user`; `stores_text`: it is a chatflow's."""

    def stored(conversation_id: str) -> Call[Page[Message]]:
        query = {"conversation_id": conversation_id, "user": user}
        return Call("GET", "/messages", _messages, query=query)

    return WayBack(
        after_loss=after_loss,
        goes_on=goes_on,
        workflow_run_id=workflow_run_id,
        again=partial(run_events, user=user, events=events, fold=fold, include_state_snapshot=True),
        submit=partial(submission, user=user),
        stored=stored if stores_text else None,
    )
