"""Chat apps, agents and chatflows: ask, follow the answer, come back to it, stop it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._call import EventsCall, attached, given, nothing, path
from .._fold import ChatFold, MessageCourse
from .._runs import WayBack, run_events
from ..types.chat import ChatReply
from ..types.events import CHAT_EVENTS, ChatEvent
from ..types.files import InputFile
from ._resource import AsyncResource
from ._stream import Ask, AsyncStream

__all__ = ["AsyncChat"]


class AsyncChat(AsyncResource):
    """Apps that hold a conversation: chat, agent-chat, advanced-chat (chatflow) and agent (New Agent)."""

    async def send(
        self,
        *,
        query: str,
        user: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        conversation_id: str | None = None,
        files: Sequence[InputFile] | None = None,
        auto_generate_name: bool | None = None,
        workflow_id: str | None = None,
        trace_id: str | None = None,
        human_input: Ask | None = None,
        resume: bool = True,
    ) -> ChatReply:
        """Ask, and wait for the whole answer.

        The answer is streamed and put together here: agents refuse anything else, and proxies cut answers
        that take long to begin. Parameters and errors are those of `stream`; a chatflow that fails raises
        `WorkflowFailedError`, with the text that had come until then in its `reply`.

        >>> async def ask(dify: AsyncDify) -> str:
        ...     reply = await dify.chat.send(query="What is the capital of France?", user="ada")
        ...     return reply.answer
        """
        call = self._call(
            query, user, inputs, conversation_id, files, auto_generate_name, workflow_id, trace_id, resume
        )
        return await self._caller.fold(call, human_input)

    def stream(
        self,
        *,
        query: str,
        user: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        conversation_id: str | None = None,
        files: Sequence[InputFile] | None = None,
        auto_generate_name: bool | None = None,
        workflow_id: str | None = None,
        trace_id: str | None = None,
        human_input: Ask | None = None,
        resume: bool = True,
    ) -> AsyncStream[ChatEvent, ChatReply]:
        """Ask, and follow the answer as it is written.

        `user`: your name for the end user; conversations and files belong to it. Needed, unless the client
        has one. `inputs`: values for the app's form (`app.parameters()`); an app with required inputs wants
        them with every query. `conversation_id`: go on in a conversation; left out, a new one begins.
        `files`: see `files.upload`. `auto_generate_name`: `False` saves the second that Dify takes to name
        a new conversation. `workflow_id`: a chatflow's version, if not the published one. `trace_id`: your
        id for this call, for Dify's tracing.

        `human_input`: a function that gets each form that a chatflow waits for and gives a person's answer;
        the run, and this stream, then go on to the end. Left out, both end at the form ("paused"), and
        `human_input.submit` and `events` go on.

        `resume`: take a chatflow's run up again if the stream is lost (Dify 1.14 and later), up to the
        client's `max_retries` without a new event in between. Nothing comes twice. The answer's text is held
        back from there on until Dify has stored it whole, and then comes in one piece. Of nodes that ran
        meanwhile there are no inputs and outputs, and none of them come of a run that ended meanwhile. What
        cannot be had again is said by a `stream_gap`.

        Raises, on entering the stream: `NotFoundError` for a conversation that is not this app's and
        user's, `BadRequestError` for a missing input, and the others of `APIStatusError`.

        >>> async def follow(dify: AsyncDify) -> None:
        ...     async with dify.chat.stream(query="Hello", user="ada") as events:
        ...         async for event in events:
        ...             print(event.text, end="")
        """
        call = self._call(
            query, user, inputs, conversation_id, files, auto_generate_name, workflow_id, trace_id, resume
        )
        return self._caller.stream(call, human_input)

    def events(
        self,
        workflow_run_id: str,
        *,
        user: str | None = None,
        include_state_snapshot: bool = False,
        continue_on_pause: bool = False,
        resume: bool = True,
    ) -> AsyncStream[ChatEvent, ChatReply]:
        """Follow a chatflow's run that was started before. Dify 1.14 and later.

        All is as in `workflows.events`. Text that came while nobody listened is not in the reply;
        `messages.list` has the whole answer, once it is complete.

        >>> async def status(dify: AsyncDify, workflow_run_id: str) -> str | None:
        ...     async with dify.chat.events(workflow_run_id, user="ada") as events:
        ...         return (await events.reply()).workflow_status
        """
        user = self._caller.named(user)
        return self._caller.stream(
            run_events(
                workflow_run_id,
                user=user,
                include_state_snapshot=include_state_snapshot,
                continue_on_pause=continue_on_pause,
                events=CHAT_EVENTS,
                fold=ChatFold,
                way_back=WayBack(
                    user=user,
                    events=CHAT_EVENTS,
                    fold=ChatFold,
                    stores_text=True,
                    after_loss=resume,
                    goes_on=continue_on_pause,
                    workflow_run_id=workflow_run_id,
                ),
            )
        )

    async def stop(self, task_id: str, *, user: str | None = None) -> None:
        """Stop an answer that is being written. `task_id` is in its events; `user` must be who asked.

        Dify says nothing of a task that it does not know or that is another user's. It takes up to a
        second; the stream then ends as usual, with the text so far.
        """
        where = path("/chat-messages/{}/stop", task_id)
        await self._send("POST", where, nothing, json={"user": self._caller.named(user)})

    def _call(
        self,
        query: str,
        user: str | None,
        inputs: Mapping[str, Any] | None,
        conversation_id: str | None,
        files: Sequence[InputFile] | None,
        auto_generate_name: bool | None,
        workflow_id: str | None,
        trace_id: str | None,
        resume: bool,
    ) -> EventsCall[ChatEvent, ChatReply]:
        user = self._caller.named(user)
        return EventsCall(
            "POST",
            "/chat-messages",
            json=given(
                query=query,
                inputs=inputs or {},  # Dify refuses a missing one
                response_mode="streaming",
                user=user,
                conversation_id=conversation_id,
                files=attached(files),
                auto_generate_name=auto_generate_name,
                workflow_id=workflow_id,
                trace_id=trace_id,
            ),
            events=CHAT_EVENTS,
            course=MessageCourse,
            fold=ChatFold,
            way_back=WayBack(
                user=user, events=CHAT_EVENTS, fold=ChatFold, stores_text=True, after_loss=resume
            ),
        )
