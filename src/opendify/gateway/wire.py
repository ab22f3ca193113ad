"""OpenAI's shapes: what a chat completion request says, and the bytes of its answers. Pure.

Requests are decoded by msgspec (typed, and a message that names the field at fault); what is sent once a
token is spliced from bytes that were prepared once a stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NotRequired, TypedDict, cast

import msgspec
from msgspec.structs import astuple
from pydantic_core import to_json

from opendify.gateway.errors import invalid, misfit
from opendify.gateway.structured import ResponseFormat, response_format
from opendify.gateway.tools.definitions import FunctionDefinition, ToolDefinition, Toolset, toolset

DONE = b"data: [DONE]\n\n"
PING = b": ping\n\n"

_encode = msgspec.json.Encoder().encode
"""Writes answers; of a chunk only the string that differs from the one before, for a tenth of the price."""


# ── Requests ─────────────────────────────────────────────────────────────────────────────────────────


class ImageURL(msgspec.Struct, frozen=True):
    """``image_url`` of a content part: an http(s) or a data URL."""

    url: str


class InputAudio(msgspec.Struct, frozen=True):
    """``input_audio`` of a content part: base64 and its format (``wav``, ``mp3``)."""

    data: str
    format: str = ""


class FilePart(msgspec.Struct, frozen=True):
    """``file`` of a content part: a data URL, or the id of a file that was sent before."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


THINKING_PARTS = frozenset({"thinking", "redacted_thinking", "reasoning", "redacted_reasoning"})
"""What clients call the parts in which they send back an answer's thinking: no part of what was said."""


class Part(msgspec.Struct, frozen=True):
    """One part of a message whose content is a list."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: ImageURL | str | None = None
    input_audio: InputAudio | None = None
    file: FilePart | None = None


class FunctionCall(msgspec.Struct, frozen=True):
    """A call that an assistant's message asks for; ``arguments`` is JSON as text."""

    name: str
    arguments: str = "{}"


class ToolCall(msgspec.Struct, frozen=True):
    """An entry of an assistant's ``tool_calls``."""

    id: str
    function: FunctionCall
    type: str = "function"


class Message(msgspec.Struct, frozen=True):
    """One message of the conversation, as the client sent it.

    Attributes:
        tool_calls: What an assistant's message asks the client to call.
        function_call: The same, of a client that speaks of functions.
        tool_call_id: Of a message of role ``tool``: whose result it is. One of role ``function`` says so by
            its ``name``.
    """

    role: str
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    function_call: FunctionCall | None = None

    @property
    def text(self) -> str:
        """What the message says: text parts joined by newlines."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(
            part.text for part in self.content or () if part.text and part.type not in THINKING_PARTS
        )


class StreamOptions(msgspec.Struct, frozen=True):
    """``stream_options`` of a request."""

    include_usage: bool | None = None


class ChatRequest(msgspec.Struct, frozen=True):
    """A checked ``POST /v1/chat/completions`` body.

    Attributes:
        messages: At least one.
        n: How many answers, 1 to 16.
        stop: Up to 16 strings before which the answer is cut.
        user: Who the client says is asking; ``safety_identifier`` wins over the older ``user``.
        inputs: Values for the app's form, from ``inputs`` or ``metadata.inputs``; None where there are none.
        conversation_id: The Dify conversation to go on in, from the body or ``metadata``; empty for none.
        toolset: What the model may call; None where the request brings no tools.
        response_format: What JSON the answer must be; None where it may be any text.
        ignored: Names of settings that Dify has no place for, or that belong to the other form of tools.
    """

    model: str
    messages: Sequence[Message]
    stream: bool = False
    include_usage: bool = False
    n: int = 1
    stop: Sequence[str] = ()
    user: str | None = None
    inputs: Mapping[str, object] | None = None
    conversation_id: str = ""
    toolset: Toolset | None = None
    response_format: ResponseFormat | None = None
    ignored: Sequence[str] = ()


class Body(msgspec.Struct, frozen=True):
    """The fields of a request that mean something here, as they came."""

    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    inputs: dict[str, object] | None = None
    conversation_id: str | None = None
    metadata: dict[str, object] | None = None
    tools: list[ToolDefinition] | None = None
    tool_choice: str | dict[str, object] | None = None
    parallel_tool_calls: bool | None = None
    functions: list[FunctionDefinition] | None = None
    function_call: str | dict[str, object] | None = None
    response_format: dict[str, object] | None = None

    @property
    def has_schemas(self) -> bool:
        """Whether there may be JSON schemas in it, which take their time."""
        return bool(self.tools or self.functions or self.response_format)


SETTINGS = (
    "audio",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "modalities",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "reasoning_effort",
    "seed",
    "service_tier",
    "store",
    "temperature",
    "top_logprobs",
    "top_p",
    "verbosity",
    "web_search_options",
)
"""OpenAI's settings that Dify has no place for. Others are ignored like them, and take a second reading."""

_Known = msgspec.defstruct(
    "_Known",
    [(name, msgspec.Raw, msgspec.Raw()) for name in SETTINGS],
    bases=(Body,),
    frozen=True,
    forbid_unknown_fields=True,
)
"""A body in which nothing else stands: most are, and so are read once, which matters to one of 40 KB."""

MAX_CHOICES = 16
MAX_STOPS, MAX_STOP_CHARACTERS = 16, 1000
"""OpenAI takes 4. Each is looked for in each piece of text, while other streams wait."""

_decode_known = msgspec.json.Decoder(_Known).decode
_decode_body = msgspec.json.Decoder(Body).decode
_decode_keys = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_object = msgspec.json.Decoder(dict[str, object]).decode
_NAMES = frozenset(Body.__struct_fields__)
_OLDER = ("functions", "function_call")
_NEWER = ("tool_choice", "parallel_tool_calls")
"""What says nothing where the tools came in the other form."""


def parse(body: bytes) -> ChatRequest:
    """Read and check a request: `decode` and `check` in one.

    >>> parse(b'{"model": "Support", "messages": [{"role": "user", "content": "Hi"}]}').messages[0].text
    'Hi'
    """
    return check(*decode(body))


def decode(body: bytes) -> tuple[Body, Sequence[str]]:
    """What a request says, and the names of what is ignored.

    Raises:
        OpenAIError: 400 for what is no JSON, or has something else where a field's value has to be.
    """
    try:
        return _fields(body)
    except msgspec.ValidationError as error:
        raise misfit(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid(f"The request body is not JSON that can be read: {error}.") from None


def check(fields: Body, ignored: Sequence[str]) -> ChatRequest:
    """What a request means.

    Raises:
        OpenAIError: 400 with the field at fault in ``param``.
    """
    if not fields.model:
        raise invalid("'model' is empty; GET /v1/models lists the names that can stand there.", "model")
    if not fields.messages:
        raise invalid("'messages' is empty; it takes at least one message.", "messages")
    choices = 1 if fields.n is None else fields.n
    if not 1 <= choices <= MAX_CHOICES:
        raise invalid(f"'n' is {choices}; it takes 1 to {MAX_CHOICES}.", "n")
    metadata = fields.metadata or {}
    inputs = fields.inputs if fields.inputs is not None else _metadata_inputs(metadata)
    if inputs is not None:
        _check_depth(inputs)
    options = fields.stream_options
    unheard = _OLDER if fields.tools else _NEWER if fields.functions else ()
    return ChatRequest(
        model=fields.model,
        messages=fields.messages,
        stream=bool(fields.stream),
        include_usage=bool(options and options.include_usage),
        n=choices,
        stop=_stops(fields.stop) if fields.stop else (),
        user=fields.safety_identifier or fields.user,
        inputs=inputs,
        conversation_id=fields.conversation_id or _metadata_text(metadata, "conversation_id"),
        toolset=toolset(
            fields.tools,
            fields.tool_choice,
            fields.parallel_tool_calls,
            fields.functions,
            fields.function_call,
        ),
        response_format=None if fields.response_format is None else response_format(fields.response_format),
        ignored=[*ignored, *(name for name in unheard if getattr(fields, name) is not None)],
    )


def _fields(body: bytes) -> tuple[Body, Sequence[str]]:
    try:
        known = cast("Body", _decode_known(body))
    except msgspec.ValidationError:
        return _decode_body(body), [name for name in _decode_keys(body) if name not in _NAMES]
    settings = astuple(known)[-len(SETTINGS) :]
    return known, [name for name, value in zip(SETTINGS, settings, strict=True) if value] if any(
        settings
    ) else ()


def _stops(stop: str | Sequence[str]) -> Sequence[str]:
    texts = [stop] if isinstance(stop, str) else stop
    if len(texts) > MAX_STOPS or any(len(text) > MAX_STOP_CHARACTERS for text in texts):
        raise invalid(
            f"'stop' takes up to {MAX_STOPS} strings of up to {MAX_STOP_CHARACTERS} characters.", "stop"
        )
    return [text for text in texts if text]


def _metadata_inputs(metadata: Mapping[str, object]) -> Mapping[str, object] | None:
    """OpenAI's SDKs only let strings into ``metadata``, so the inputs stand there as JSON."""
    inputs = metadata.get("inputs")
    if inputs is None:
        return None
    try:
        return (
            _decode_object(inputs) if isinstance(inputs, str) else msgspec.convert(inputs, dict[str, object])
        )
    except msgspec.MsgspecError:
        raise invalid(
            '\'metadata.inputs\' takes the app\'s inputs as one JSON object, for example {"city": "Rome"}.',
            "metadata.inputs",
        ) from None


def _check_depth(inputs: Mapping[str, object]) -> None:
    """What can be read here may be nested more deeply than what can be written into a Dify call."""
    try:
        to_json({"inputs": inputs})
    except ValueError:
        raise invalid("'inputs' is nested too deeply.", "inputs") from None


def _metadata_text(metadata: Mapping[str, object], name: str) -> str:
    value = metadata.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid(f"'metadata.{name}' takes a string.", f"metadata.{name}")
    return value or ""


# ── Answers ──────────────────────────────────────────────────────────────────────────────────────────

FinishReason = Literal["stop", "length", "content_filter", "tool_calls", "function_call"]


class Usage(TypedDict):
    """Tokens, as Dify reports them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class UrlCitation(TypedDict):
    """Where in the web a statement comes from; indices count characters of the answer."""

    url: str
    title: str
    start_index: int
    end_index: int


class Annotation(TypedDict):
    """A source of the answer."""

    type: Literal["url_citation"]
    url_citation: UrlCitation


class MessageFile(TypedDict):
    """A file that the app made; ``url`` is absolute and, in Dify, good for about five minutes."""

    id: str | None
    type: str
    filename: str
    mime_type: str | None
    url: str


class CalledFunction(TypedDict):
    """What is to be called; ``arguments`` is a JSON object as text."""

    name: str
    arguments: str


class CalledTool(TypedDict):
    """An entry of ``tool_calls``."""

    id: str
    type: Literal["function"]
    function: CalledFunction


class AnswerMessage(TypedDict):
    """The message of a plain answer; its ``content`` is null where it only calls."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    tool_calls: NotRequired[list[CalledTool]]
    function_call: NotRequired[CalledFunction]
    reasoning_content: NotRequired[str]
    annotations: NotRequired[list[Annotation]]
    files: NotRequired[list[MessageFile]]


class Choice(TypedDict):
    """One of ``n`` answers."""

    index: int
    message: AnswerMessage
    logprobs: None
    finish_reason: FinishReason


class DifyNote(TypedDict, total=False):
    """What Dify calls this answer, and what it says beyond text: the extension field ``dify``."""

    conversation_id: str
    message_id: str
    task_id: str
    workflow_run_id: str
    outputs: Mapping[str, object]
    retriever_resources: Sequence[dict[str, object]]
    files: list[MessageFile]
    uploads: list[dict[str, str]]


class ChatCompletion(TypedDict):
    """A plain answer."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage | None
    dify: DifyNote


def total(usages: Iterable[Usage | None]) -> Usage | None:
    """What several runs took together; None if Dify told of none."""
    known = [usage for usage in usages if usage is not None]
    if len(known) < 2:
        return known[0] if known else None
    return {
        "prompt_tokens": sum(usage["prompt_tokens"] for usage in known),
        "completion_tokens": sum(usage["completion_tokens"] for usage in known),
        "total_tokens": sum(usage["total_tokens"] for usage in known),
    }


def completion(body: ChatCompletion) -> bytes:
    """The bytes of a plain answer."""
    return _encode(body)


class Frames:
    """The chunks of one streamed answer.

    Everything but the text is the same in each of them, so it is encoded once.

    >>> import json
    >>> frame = Frames("chatcmpl-1", 1700000000, "Support").content("Hi")
    >>> json.loads(frame.removeprefix(b"data: "))["choices"][0]["delta"]
    {'content': 'Hi'}
    """

    __slots__ = ("_content", "_delta", "_head", "_index", "_reasoning")
    _END = b'},"logprobs":null,"finish_reason":null}]}\n\n'

    def __init__(self, completion_id: str, created: int, model: str, index: int = 0) -> None:
        self._head = (
            b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,"choices":['
            % (
                _encode(completion_id),
                created,
                _encode(model),
            )
        )
        self._index = index
        self._delta = b'%b{"index":%d,"delta":{' % (self._head, index)
        self._content = self._delta + b'"content":'
        self._reasoning = self._delta + b'"reasoning_content":'

    def role(self) -> bytes:
        """The first chunk."""
        return self._delta + b'"role":"assistant","content":""' + self._END

    def content(self, text: str) -> bytes:
        """A piece of the answer."""
        return self._content + _encode(text) + self._END

    def reasoning(self, text: str) -> bytes:
        """A piece of what the app thought on the way."""
        return self._reasoning + _encode(text) + self._END

    def call(self, number: int, call_id: str, name: str) -> bytes:
        """The beginning of a call: which tool, and the id that its result will name."""
        return (
            b'%b"tool_calls":[{"index":%d,"id":%b,"type":"function","function":{"name":%b,"arguments":""}}]%b'
            % (
                self._delta,
                number,
                _encode(call_id),
                _encode(name),
                self._END,
            )
        )

    def arguments(self, number: int, fragment: str) -> bytes:
        """A piece of that call's arguments."""
        return b'%b"tool_calls":[{"index":%d,"function":{"arguments":%b}}]%b' % (
            self._delta,
            number,
            _encode(fragment),
            self._END,
        )

    def function_call(self, name: str) -> bytes:
        """The beginning of the one call that a client of ``functions`` knows."""
        return b'%b"function_call":{"name":%b,"arguments":""}%b' % (self._delta, _encode(name), self._END)

    def function_arguments(self, fragment: str) -> bytes:
        """A piece of its arguments."""
        return b'%b"function_call":{"arguments":%b}%b' % (self._delta, _encode(fragment), self._END)

    def finish(
        self, reason: FinishReason, annotations: Sequence[Annotation] = (), dify: DifyNote | None = None
    ) -> bytes:
        """The last chunk of this choice."""
        delta = b'"annotations":' + _encode(annotations) if annotations else b""
        return b'%b{"index":%d,"delta":{%b},"logprobs":null,"finish_reason":"%b"}]%b}\n\n' % (
            self._head,
            self._index,
            delta,
            reason.encode(),
            _note(dify),
        )

    def usage(self, usage: Usage | None, dify: DifyNote) -> bytes:
        """The chunk without choices that a client gets when it asked for usage."""
        return b'%b],"usage":%b%b}\n\n' % (self._head, _encode(usage), _note(dify))


def _note(dify: DifyNote | None) -> bytes:
    return b',"dify":' + _encode(dify) if dify else b""
