"""Dify's events as an OpenAI answer. Pure: the raw events of a network read in, pieces of text out.

One `Answer` serves plain and streamed replies alike, so the two can't drift apart. Events that carry text,
and ends that carry nothing but usage, are decoded to the few fields they need; all others to the SDK's typed
events.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, cast
from urllib.parse import unquote, urlsplit

import msgspec
from pydantic import JsonValue, TypeAdapter

from opendify import APIStatusError, DifyError, MalformedStreamError, TruncatedStreamError
from opendify._errors import refusal
from opendify.gateway.errors import OpenAIError, upstream
from opendify.gateway.human import elsewhere
from opendify.gateway.text import Links
from opendify.gateway.thinking import Thinking
from opendify.gateway.wire import Annotation, DifyNote, FinishReason, MessageFile, Usage
from opendify.types import PauseReason
from opendify.types import events as dify
from opendify.types.chat import MessageFile as DifyFile
from opendify.types.chat import RetrieverResource
from opendify.types.chat import Usage as DifyUsage

Delta = tuple[Literal["content", "reasoning"], str]
"""A piece of the answer, or of what the app thought on the way."""

TEXT_EVENTS: Mapping[str, frozenset[str]] = {
    "chat": frozenset({"message", "message_file"}),
    "advanced-chat": frozenset({"message", "message_file"}),
    "completion": frozenset({"message", "message_file"}),
    "agent-chat": frozenset({"agent_message", "message", "message_file"}),
    "agent": frozenset({"agent_message", "message_file"}),
    "workflow": frozenset({"text_chunk"}),
}
"""Which events bring the answer's text, by app mode. A `message_file` does so if it has an `answer`: Dify
1.11.2 to 1.12 send every delta under that name once a message has a file."""


class _Head(msgspec.Struct, gc=False):
    """What is read of every event; the rest only of those that carry no text."""

    event: str = ""
    answer: str | None = None
    conversation_id: str | None = None
    message_id: str | None = None
    task_id: str | None = None
    workflow_run_id: str | None = None
    created_at: int | None = None
    from_variable_selector: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()


class _Chunk(msgspec.Struct, gc=False):
    text: str | None = None
    from_variable_selector: msgspec.Raw = msgspec.Raw()


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class _Metadata(msgspec.Struct):
    usage: _Usage | None = None
    retriever_resources: list[msgspec.Raw] | None = None


class _End(msgspec.Struct):
    """What is read of a `message_end`, which every answer has; most have neither sources nor files."""

    metadata: _Metadata | None = None
    files: list[msgspec.Raw] | None = None


_EVENTS: Mapping[str, TypeAdapter[dify.Event]] = {
    "completion": cast("TypeAdapter[dify.Event]", dify.COMPLETION_EVENTS),  # every event is one
    "workflow": cast("TypeAdapter[dify.Event]", dify.WORKFLOW_EVENTS),
}
_CHAT_EVENTS = cast("TypeAdapter[dify.Event]", dify.CHAT_EVENTS)
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_decode_end = msgspec.json.Decoder(_End).decode
_decode_selector = msgspec.json.Decoder(list[str] | None).decode


def prepare(modes: Collection[str]) -> None:
    """Make what reads the events of such apps: their first event would hold up everybody for 15 ms."""
    for mode in modes:
        _EVENTS.get(mode, _CHAT_EVENTS).rebuild()


class Answer:
    """One Dify answer while it comes in.

    Args:
        mode: The app's mode, which decides where its text stands.
        base_url: Dify's address, for links that are relative to it.
        agent_steps: Tell an agent's tool calls as reasoning.
        workflow_nodes: Tell the progress of workflow nodes as reasoning.

    Attributes:
        conversation_id, message_id, task_id, workflow_run_id: Dify's ids, empty until they are known.
        created: Epoch seconds at which Dify began, None before it says so.
        usage: Tokens as Dify reports them, None while it hasn't.
        finish_reason: How the answer ended.
        paused: The forms that the run waits for, if it does.
        replacement: What moderation put in place of the whole answer.
        failure: Why there is no (whole) answer; what came before it is valid.
        complete: Nothing more will come that belongs to the answer.
        heard: Dify has said something, be it without text.

    >>> answer = Answer("chat", "https://dify.example/v1")
    >>> answer.feed([b'{"event":"message","answer":"Hi","task_id":"t"}', b'{"event":"message_end"}'])
    [('content', 'Hi')]
    >>> answer.task_id, answer.complete
    ('t', True)
    """

    # What most answers leave as it is stands here: to set it all anew is 1.5 KB a stream.
    conversation_id = ""
    message_id = ""
    task_id = ""
    workflow_run_id = ""
    created: int | None = None
    usage: Usage | None = None
    finish_reason: FinishReason = "stop"
    paused: Sequence[PauseReason] = ()
    replacement: str | None = None
    failure: DifyError | OpenAIError | None = None
    complete = False
    heard = False
    resources: Sequence[dict[str, object]] = ()
    outputs: Mapping[str, object] | None = None
    _source: msgspec.Raw | None = None  # the variable whose text comes, as Dify names it
    _flows = False  # text of the same source goes out as it comes: nothing is held or looked for
    _lent = False  # a template opened the thinking that goes on in it
    _thought = False
    _reasoning_of: object = None  # what was told last beside the answer
    _reasoning_ends = True  # with a newline
    _gap = False
    _failed_node = ("", "")
    _prompt_tokens = _completion_tokens = 0
    _workflow_open = False
    _message_ended = False
    _resumed = _told = False

    def __init__(
        self, mode: str, base_url: str, *, agent_steps: bool = True, workflow_nodes: bool = False
    ) -> None:
        self.files: list[MessageFile] = []
        self.annotations: list[Annotation] = []
        self._mode = mode
        self._text_events = TEXT_EVENTS.get(mode, frozenset[str]())
        self._events = _EVENTS.get(mode, _CHAT_EVENTS)
        self._agent_steps = agent_steps
        self._workflow_nodes = workflow_nodes
        self._thinking = Thinking()
        self._links = Links(base_url)
        self._pieces: list[str] = []
        self._steps: dict[str, int] = {}
        self._told_apart: set[str | None] = set()  # nodes whose thinking came in events of its own

    def feed(self, payloads: Sequence[bytes]) -> list[Delta]:
        """The events of one network read in; what the client gets of them out."""
        out: list[Delta] = []
        for payload in payloads:
            self.heard = True
            if self.complete or self.failure:
                break
            try:
                self._event(payload, out)
            except (msgspec.MsgspecError, ValueError) as error:
                # what is no event, has a field of the wrong type, or an address that is none; the error of a
                # decoder may quote what it read, so only its kind is told
                self.failure = MalformedStreamError(
                    f"Dify sent an event that can't be read ({type(error).__name__})."
                )
        return out

    def go_on(self, *, told: bool) -> None:
        """The run goes on after a pause: what comes now belongs to the answer, too.

        Args:
            told: Before the pause, the client got some of the run's text.
        """
        self.complete = False
        self.paused = ()
        self._thinking = Thinking()
        self._flows = False
        self._resumed = True
        self._told = self._told or told

    def end(self) -> list[Delta]:
        """Dify closed the stream."""
        if self.complete or self.failure:
            return []
        if self._message_ended:
            self.complete = True
            return []
        self.failure = TruncatedStreamError("Dify's stream ended before the answer did.")
        return []

    @property
    def over(self) -> bool:
        """Dify's run has ended, well or badly, so that there is nothing to stop.

        Where only its stream has ended, or can't be read, the run may go on.
        """
        return self.complete or isinstance(self.failure, (APIStatusError, OpenAIError))

    @property
    def told(self) -> bool:
        """Some of the run's text has been told, in this answer or before."""
        return self._told or bool(self._pieces)

    @property
    def text(self) -> str:
        """The answer so far, before moderation."""
        return "".join(self._pieces)

    def note(self) -> DifyNote:
        """What the client is told beyond OpenAI's fields; what isn't known is left out."""
        note: DifyNote = {}
        if self.conversation_id:
            note["conversation_id"] = self.conversation_id
        if self.message_id:
            note["message_id"] = self.message_id
        if self.task_id:
            note["task_id"] = self.task_id
        if self.workflow_run_id:
            note["workflow_run_id"] = self.workflow_run_id
        if self._mode == "workflow" and self.outputs is not None:
            note["outputs"] = self.outputs
        if self.resources:
            note["retriever_resources"] = self.resources
        if self.files:
            note["files"] = self.files
        return note

    # ── one event ────────────────────────────────────────────────────────────────────────────────────

    def _event(self, payload: bytes, out: list[Delta]) -> None:
        try:
            head = _decode_head(payload)
            text = head.answer
            if (
                text
                and self._flows
                and head.event in self._text_events
                and head.from_variable_selector == self._source
                and "]" not in text  # which a link may begin with
            ):  # as all but the first words of an answer: half the price of the way below
                self._pieces.append(text)
                out.append(("content", text))
                return
        except msgspec.ValidationError:
            # an event that nobody knows yet may have something else under a name that is known
            event = self._events.validate_json(payload)
            if isinstance(event, dify.OtherEvent) and isinstance(event.payload.get("event"), str):
                return
            raise
        self._flows = False
        if not self.task_id:
            self._introduce(head)
        name = head.event
        if name in self._text_events:
            if head.answer is not None:
                self._text(head.answer, head.from_variable_selector, out)
                return
            if name == "text_chunk":
                chunk = _decode_chunk(head.data)
                self._text(chunk.text or "", chunk.from_variable_selector, out)
                return
        elif name == "message" and self._pieces:
            return  # New Agent closes with its whole answer once more
        elif name == "message" and head.answer:
            self._text(head.answer, head.from_variable_selector, out)
            return
        elif name == "message_end" and self._mode != "workflow" and self._plain_end(payload, out):
            return
        self._other(self._events.validate_json(payload), out)

    def _introduce(self, head: _Head) -> None:
        """Take Dify's names for this answer from the first events that know them."""
        self.task_id = head.task_id or ""
        self.conversation_id = head.conversation_id or self.conversation_id
        self.message_id = head.message_id or self.message_id
        self.workflow_run_id = head.workflow_run_id or self.workflow_run_id
        self.created = head.created_at or self.created

    def _other(self, event: dify.Event, out: list[Delta]) -> None:
        match event:
            case dify.AgentThoughtEvent():
                self._step(event, out)
            case dify.MessageFileEvent() if event.file:
                self._file(event.file, out)
            case dify.MessageReplaceEvent():
                self.replacement = event.answer
                self.finish_reason = "content_filter"
            case dify.MessageEndEvent():
                metadata = event.metadata
                self._message_end(metadata.usage, metadata.retriever_resources, event.files, out)
            case dify.ReasoningChunkEvent():
                self._told_apart.add(event.data.node_id)
                self._reason(event.data.node_id, event.data.reasoning, out)
            case dify.AgentLogEvent():
                self._end_text(out)
                self._logged_step(event.data, out)
            case dify.IterationNextEvent() | dify.LoopNextEvent():
                self._end_text(out)
            case dify.WorkflowStartedEvent():
                self._workflow_open = True
                self.workflow_run_id = event.data.id or self.workflow_run_id
                self.created = self.created or event.data.created_at
            case dify.NodeStartedEvent() | dify.NodeFinishedEvent():
                self._node(event, out)
            case dify.WorkflowFinishedEvent():
                self._workflow_finished(event, out)
            case dify.WorkflowPausedEvent():
                self._pause(event, out)
            case dify.ErrorEvent():
                self.failure = refusal(event.status, event.code, event.message, in_stream=True)
            case _:
                pass  # speech, what a later Dify may send: no part of the answer

    def _text(self, text: str, source: msgspec.Raw, out: list[Delta]) -> None:
        if self.replacement is not None or not text:
            return
        if source != self._source:
            self._turn_to(source, out)
        if not self._thinking.over:
            thought, text = self._thinking.feed(text)
            self._think(thought, out)
        self._content(self._links.feed(text), out)
        self._flows = bool(self._thinking.over and not self._links.held and self.task_id)

    def _turn_to(self, source: msgspec.Raw, out: list[Delta]) -> None:
        """The text of another node begins, which may begin with thinking of its own.

        Thinking that an Answer node's template opens goes on through the texts that are put into it.
        """
        before, self._source = self._source, source
        if before is None:
            return
        self._lent = self._thinking.open and (self._lent or _is_template(before))
        if not self._lent:
            self._end_text(out)

    def _end_text(self, out: list[Delta]) -> None:
        """A model has said what it says here; what comes next is another text."""
        self._flush_thinking(out)
        self._thinking = Thinking()

    def _flush_thinking(self, out: list[Delta]) -> None:
        if self._thinking.over:
            return
        thought, text = self._thinking.flush()
        self._think(thought, out)
        self._content(self._links.feed(text), out)

    def _think(self, thought: str, out: list[Delta]) -> None:
        if not thought:
            return
        self._thought = True
        if not self._told_apart or _node(self._source) not in self._told_apart:
            self._reason(self._thinking, thought, out)

    def _reason(self, origin: object, text: str, out: list[Delta]) -> None:
        """Tell something beside the answer, on lines apart from what another origin told."""
        if not text:
            return
        if origin != self._reasoning_of:
            self._reasoning_of = origin
            if not self._reasoning_ends:
                text = f"\n\n{text}"
        self._reasoning_ends = text.endswith("\n")
        out.append(("reasoning", text))

    def _content(self, text: str, out: list[Delta]) -> None:
        if not text:
            return
        if self._gap:
            self._gap = False
            text = "\n\n" + text.lstrip("\n")
        self._pieces.append(text)
        out.append(("content", text))

    def _flush_text(self, out: list[Delta]) -> None:
        self._flush_thinking(out)
        self._content(self._links.flush(), out)

    def _step(self, event: dify.AgentThoughtEvent, out: list[Delta]) -> None:
        """An agent's step comes several times under one id while it fills up: the call, then what it gave.

        Its `thought` is never told: it is the answer's text, or will be.
        """
        if event.tool or event.id not in self._steps:
            self._end_text(out)
        told = self._steps.setdefault(event.id, 0)
        if not self._agent_steps or not event.tool:
            return
        if told == 0:
            self._reason("step", f"{event.tool}({event.tool_input or ''})\n", out)
            told = 1
        if told == 1 and event.observation:
            self._reason("step", f"→ {event.observation}\n\n", out)
            told = 2
        self._steps[event.id] = told

    def _logged_step(self, log: dify.AgentLogData, out: list[Delta]) -> None:
        """An Agent node of a chatflow logs what its model wants called, and later what each call gave."""
        if not self._agent_steps or log.status != "success":
            return
        match log.data:
            case {"tool_input": [*wanted]}:
                for call in wanted:
                    if isinstance(call, dict):
                        self._reason("step", f"{call.get('name')}({_brief(call.get('args'))})\n", out)
            case {"output": {"tool_call_name": _, "tool_response": given}}:
                self._reason("step", f"→ {_brief(given)}\n\n", out)
            case _:
                pass  # the rounds around them

    def _tool_node(self, title: str, data: dify.NodeFinishedData, out: list[Delta]) -> None:
        """A tool that a workflow calls is told as an agent's is."""
        outputs = data.outputs or {}
        given = data.error or outputs.get("text") or outputs.get("json") or ""
        self._reason("step", f"{title}({_brief(data.inputs)})\n→ {_brief(given)}\n\n", out)

    def _file(self, file: DifyFile, out: list[Delta]) -> None:
        """A file that the app made: a link in the text, unless the app has put it there itself."""
        address = file.url or file.remote_url
        if not address or file.belongs_to == "user":
            return
        url = self._links.absolute(address)
        path = urlsplit(url).path
        if any(urlsplit(known["url"]).path == path for known in self.files):
            return
        name = file.filename or unquote(path.rpartition("/")[2]) or "file"
        kind = file.type or "custom"
        self.files.append(
            {
                "id": file.related_id or file.id,
                "type": kind,
                "filename": name,
                "mime_type": file.mime_type,
                "url": url,
            }
        )
        if path not in self.text:
            self._gap = bool(self._pieces)
            self._content(f"{'!' if kind == 'image' else ''}[{name}]({url})", out)
            self._gap = True

    def _node(self, event: dify.NodeStartedEvent | dify.NodeFinishedEvent, out: list[Delta]) -> None:
        data = event.data
        title = data.title or data.node_id or ""
        if isinstance(event, dify.NodeStartedEvent):
            if self._workflow_nodes:
                self._reason("node", f"{title} …\n", out)
            return
        prompt, completion = _node_tokens(event.data)
        self._prompt_tokens += prompt
        self._completion_tokens += completion
        if event.data.status == "failed":
            self._failed_node = (title, event.data.error or "")
        if event.data.node_type == "tool" and self._agent_steps:
            self._tool_node(title, event.data, out)
        if self._workflow_nodes:
            self._reason("node", f"{title}: {event.data.status}\n", out)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────

    def _plain_end(self, payload: bytes, out: list[Delta]) -> bool:
        """Take a `message_end` that has nothing but usage; False leaves it to those who know all of it."""
        try:
            end = _decode_end(payload)
        except msgspec.ValidationError:
            return False
        metadata = end.metadata or _Metadata()
        if metadata.retriever_resources or end.files:
            return False
        self._message_end(metadata.usage, (), (), out)
        return True

    def _message_end(
        self,
        usage: _Usage | DifyUsage | None,
        resources: Sequence[RetrieverResource],
        files: Sequence[DifyFile],
        out: list[Delta],
    ) -> None:
        self._message_ended = True
        if self._resumed:
            self.usage = self._since()  # Dify tells that of the whole run
        elif usage:
            self.usage = {
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "total_tokens": usage.total_tokens,
            }
        self._flush_text(out)
        self.resources = [
            cast("dict[str, object]", resource.model_dump(mode="json")) for resource in resources
        ]
        self._cite()
        for file in files:
            self._file(file, out)
        if not self._workflow_open:
            self.complete = True

    def _workflow_finished(self, event: dify.WorkflowFinishedEvent, out: list[Delta]) -> None:
        data = event.data
        self._workflow_open = False
        self.outputs = data.outputs
        if data.status == "failed":
            title, error = self._failed_node
            where = f" in node '{title}'" if title else ""
            self.failure = upstream(
                f"The workflow failed{where}: {error or data.error or 'Dify gave no reason.'}"
            )
            return
        if self._mode == "workflow":
            self.usage = self._since()
            if not self._resumed:
                self.usage["total_tokens"] = data.total_tokens or 0
            self._flush_text(out)
            if not (self.told or self._thought):
                self._text(_outputs_text(data.outputs or {}), msgspec.Raw(), out)
                self._flush_text(out)
            for file in data.files:
                self._file(file, out)
        if self._mode == "workflow" or self._message_ended:
            self.complete = True

    def _pause(self, event: dify.WorkflowPausedEvent, out: list[Delta]) -> None:
        """The run waits for a person. A form without token is answered elsewhere."""
        self._flush_text(out)
        self.paused = [form for form in event.data.forms if form.form_token]
        if not self.paused:
            self.failure = elsewhere(event.data.forms)
            return
        self.usage = self._since()
        self.complete = True

    def _since(self) -> Usage:
        """The tokens of the nodes that were heard of."""
        prompt, completion = self._prompt_tokens, self._completion_tokens
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }

    def _cite(self) -> None:
        """Sources with an address become citations. Dify does not say which words they stand for: all."""
        end = len(self.text)
        for resource in self.resources:
            if url := _address(resource):
                title = str(resource.get("title") or resource.get("document_name") or url)
                self.annotations.append(
                    {
                        "type": "url_citation",
                        "url_citation": {"url": url, "title": title, "start_index": 0, "end_index": end},
                    }
                )


def _node(source: msgspec.Raw | None) -> str | None:
    """The node that a text comes from; None where Dify doesn't say."""
    selector = _decode_selector(source) if source else None
    return selector[0] if selector else None


def _is_template(source: msgspec.Raw) -> bool:
    """Whether a text stands in an Answer node itself: Dify names that node's output `answer`."""
    selector = _decode_selector(source) if source else None
    return selector is not None and selector[-1:] == ["answer"]


def _address(resource: Mapping[str, object]) -> str | None:
    """Where a source stands in the web: Dify has no field for it, crawled pages have it in their metadata."""
    metadata = resource.get("doc_metadata")
    places = (
        [resource, cast("Mapping[str, object]", metadata)] if isinstance(metadata, Mapping) else [resource]
    )
    for place in places:
        for name in ("url", "source_url", "source"):
            value = place.get(name)
            if isinstance(value, str) and value.startswith(("http://", "https://")):
                return value
    return None


def _brief(value: JsonValue) -> str:
    """A tool's arguments, or what it gave: text as it is, nothing for nothing, else JSON."""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode() if value else ""


def _node_tokens(data: dify.NodeFinishedData) -> tuple[int, int]:
    """What a node's model took and gave, in tokens. A node without a model may pass another's usage on."""
    for place in (data.process_data, data.outputs) if data.execution_metadata else ():
        usage = place.get("usage") if place else None
        if isinstance(usage, dict):
            prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
            return (prompt if isinstance(prompt, int) else 0), (
                completion if isinstance(completion, int) else 0
            )
    return 0, 0


def _outputs_text(outputs: Mapping[str, object]) -> str:
    """A workflow's outputs as an answer: its one text, or all of them as JSON."""
    values = list(outputs.values())
    if not values:
        return ""
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return msgspec.json.encode(outputs).decode()
