"""Asking a gateway with the `openai` package, plainly or as a stream, and reading the answer in one way."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
from openai import OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

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

    @property
    def json(self) -> Any:
        """What an app says that was asked to `[[echo]]`, or for its `[[history]]`."""
        return json.loads(self.content)


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
    )


def _messages(messages: Any) -> Any:
    return [{"role": "user", "content": messages}] if isinstance(messages, str) else messages


def http(method: str, url: str, **more: Any) -> httpx2.Response:
    """One HTTP request; without loading certificates, which takes longer than most tests."""
    return httpx2.request(method, url, verify=False, **more)


WAYS = {"plain": plain, "streamed": streamed}
