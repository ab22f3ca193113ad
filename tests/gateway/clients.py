"""Asking a gateway with the `openai` package, plainly or as a stream, and reading the answer in one way."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
from openai import OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import ChoiceDelta

from opendify.simulator import GenerationRequest

ADA, BOB = "sk-ada-0001", "sk-bob-0002"
"""Two client keys that may use all models."""

PIXEL = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde"
    b"\x00\x00\x00\x0cIDATx\x9cc\xf8\xcf\xc0\x00\x00\x03\x01\x01\x00\xc9\xfe\x92\xef"
    b"\x00\x00\x00\x00IEND\xaeB`\x82"
)
"""A PNG of one pixel."""


@dataclass
class Answer:
    """One answer, the same whether it came whole or in pieces.

    Attributes:
        tool_calls: As a client sends them back.
        function_call: The same for a client of `functions`.
        chunks: What a stream brought; empty for a plain answer.
    """

    content: str
    reasoning: str
    finish_reason: str | None
    usage: Any
    dify: dict[str, Any]
    annotations: list[Any]
    completion: ChatCompletion | None = None
    chunks: Sequence[ChatCompletionChunk] = field(default=())
    tool_calls: Sequence[dict[str, Any]] = field(default=())
    function_call: dict[str, Any] | None = None

    @property
    def json(self) -> Any:
        """What an app says that was asked to `[[echo]]`, or for its `[[history]]`."""
        return json.loads(self.content)

    @property
    def calls(self) -> list[tuple[str, Any]]:
        """The tools that it calls, and with what."""
        called = [call["function"] for call in self.tool_calls]
        return [(function["name"], json.loads(function["arguments"])) for function in called]


Ask = Callable[..., Answer]
Asked = Callable[[], GenerationRequest]


def plain(client: OpenAI, model: str, messages: Any, **more: Any) -> Answer:
    """Ask for a plain answer."""
    answer = client.chat.completions.create(model=model, messages=_messages(messages), **more)
    (choice,) = answer.choices
    extra: dict[str, Any] = {**(choice.message.model_extra or {})}
    return Answer(
        content=choice.message.content or "",
        reasoning=extra.get("reasoning_content", ""),
        finish_reason=choice.finish_reason,
        usage=answer.usage,
        dify=(answer.model_extra or {})["dify"],
        annotations=list(choice.message.annotations or []),
        completion=answer,
        tool_calls=[call.model_dump() for call in choice.message.tool_calls or []],
        function_call=choice.message.function_call and choice.message.function_call.model_dump(),
    )


def streamed(client: OpenAI, model: str, messages: Any, **more: Any) -> Answer:
    """Ask for a stream, and put it together."""
    more.setdefault("stream_options", {"include_usage": True})
    create = client.chat.completions.create
    with create(model=model, messages=_messages(messages), stream=True, **more) as stream:
        chunks = list(stream)
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    extras = [delta.model_extra or {} for delta in deltas]
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices]
    return Answer(
        content="".join(delta.content or "" for delta in deltas),
        reasoning="".join(extra.get("reasoning_content", "") for extra in extras),
        finish_reason=reasons[-1],
        usage=chunks[-1].usage,
        dify=(chunks[-1].model_extra or {})["dify"],
        annotations=[note for extra in extras for note in extra.get("annotations", [])],
        chunks=chunks,
        tool_calls=_tool_calls(deltas),
        function_call=_function_call(deltas),
    )


def _tool_calls(deltas: Sequence[ChoiceDelta]) -> list[dict[str, Any]]:
    """The calls that come in pieces: index, id and name of each once, in its first piece."""
    calls: list[dict[str, Any]] = []
    for piece in (piece for delta in deltas for piece in delta.tool_calls or []):
        function = piece.function
        assert function is not None
        if piece.index == len(calls):
            assert piece.type == "function"
            assert (piece.id or "").startswith("call_")
            named = {"name": function.name, "arguments": ""}
            calls.append({"id": piece.id, "type": "function", "function": named})
        else:
            assert piece.index == len(calls) - 1
            assert (piece.id, function.name) == (None, None)
        calls[-1]["function"]["arguments"] += function.arguments or ""
    return calls


def _function_call(deltas: Sequence[ChoiceDelta]) -> dict[str, Any] | None:
    pieces = [delta.function_call for delta in deltas if delta.function_call]
    if not pieces:
        return None
    (name,) = [piece.name for piece in pieces if piece.name is not None]
    return {"name": name, "arguments": "".join(piece.arguments or "" for piece in pieces)}


def _messages(messages: Any) -> Any:
    return [{"role": "user", "content": messages}] if isinstance(messages, str) else messages


def http(method: str, url: str, **more: Any) -> httpx2.Response:
    """One HTTP request; without loading certificates, which takes longer than most tests."""
    return httpx2.request(method, url, verify=False, **more)


WAYS = {"plain": plain, "streamed": streamed}
