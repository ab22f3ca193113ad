"""What a request says over HTTP, and what an answer means. Pure: nothing here is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom
from typing import Any, BinaryIO, cast

from pydantic_core import from_json

from opendify import APIStatusError, DifyError, ResponseError, Timeout
from opendify._call import api_url, header_fields, path, query_string
from opendify._errors import refusal_from_reply
from opendify._retry import wait_before_retry

from ._model import REPLY
from .core.const import AUTHORIZATION
from .core.json import JSON
from .core.log import logger
from .core.model.base_request import BaseRequest
from .core.model.base_response import BaseResponse
from .core.model.config import Config
from .core.model.raw_response import RawResponse
from .core.model.request_option import RequestOption
from .core.type import T

__all__ = ["Asked", "File", "answer", "ask", "is_success", "refusal", "wait"]

GONE = {
    "/upload-file": "Dify removed this operation in 2025. What it told is in the document: "
    "knowledge.v1.document.get, data_source_info.",
}
"""Ends of addresses that Dify no longer has, and what to do instead."""

GENERATIONS = ("/v1/chat-messages", "/v1/completion-messages", "/v1/workflows/run")
"""Where answers are made: at once, or as a stream."""

_DICE = SystemRandom()


@dataclass(frozen=True, slots=True)
class File:
    """The file that goes with a request."""

    part: str
    content: bytes | BinaryIO
    name: str
    mime_type: str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, complete but for the bytes of its file."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    json: bytes | None = field(repr=False)
    form: Mapping[str, str] = field(repr=False)
    file: File | None = field(repr=False)
    timeout: Timeout
    max_retries: int

    @property
    def what(self) -> str:
        """For the log: without the query, which may name a user."""
        return f"{self.method} {self.url.partition('?')[0]}"


# Asking


def ask(config: Config, request: BaseRequest, option: RequestOption | None, *, stream: bool) -> Asked:
    """What is sent.

    Raises `RuntimeError` without a domain or a method, `ValueError` without a path parameter and for a key
    or header that HTTP cannot carry.
    """
    if request.http_method is None or not request.uri:
        raise RuntimeError("HTTP method and uri are required: make requests with their builder().")
    body = _body(request, stream)
    files = request.files or {}
    if len(files) > 1:
        raise ValueError("A request takes one file.")
    return Asked(
        method=request.http_method.name,
        url=_url(config.domain, request),
        headers=_headers(request, option or RequestOption(), body, stream),
        json=None if files or body is None else (JSON.marshal(body) or "").encode(),
        form={name: _text(value) for name, value in (body or {}).items()} if files else {},
        file=next((_file(part, given) for part, given in files.items()), None),
        timeout=Timeout(connect=config.timeout, silence=config.timeout),
        max_retries=config.max_retry_count,
    )


def _url(domain: str | None, request: BaseRequest) -> str:
    if not domain:
        raise RuntimeError("domain is required")
    uri = request.uri or ""
    names = re.findall(r":(\w+)", uri)
    for name in names:
        if not request.paths.get(name):
            raise ValueError(f"{type(request).__name__} needs {name}: give it to the builder.")
    filled = path(re.sub(r":\w+", "{}", uri), *(request.paths[name] for name in names))
    query: dict[str, list[str]] = {}
    for name, value in request.queries:
        query.setdefault(name, []).append(value)
    # The addresses in this package have /v1, people's domains may have it, too.
    return f"{api_url(domain)}{filled.removeprefix('/v1')}{query_string(query)}"


def _headers(request: BaseRequest, option: RequestOption, body: object, stream: bool) -> dict[str, str]:
    headers = {"accept": "text/event-stream" if stream else "*/*"}
    if stream:
        headers["accept-encoding"] = "identity"  # a compressed stream is a buffered stream
    if body is not None and not request.files:
        headers["content-type"] = "application/json"
    key = {AUTHORIZATION: f"Bearer {option.api_key}"} if option.api_key else {}
    for given in (request.headers, option.headers or {}, key):
        headers |= header_fields(given)
    return headers


def _body(request: BaseRequest, stream: bool) -> Mapping[str, Any] | None:
    """The body. The call decides whether to stream; Dify wants inputs even where there are none."""
    body = request.body
    if request.uri in GENERATIONS:
        return {"inputs": {}, **(body or {}), "response_mode": "streaming" if stream else "blocking"}
    empty = not body and request.http_method is not None and request.http_method.name in _BODILESS
    return None if empty else body


_BODILESS = ("GET", "HEAD", "DELETE")


def _text(value: object) -> str:
    return value if isinstance(value, str) else JSON.marshal(value) or ""


def _file(part: str, given: Any) -> File:  # Any: as httpx takes files
    """A file: its content, or a tuple of name, content and, perhaps, MIME type."""
    name_of_its_own = Path(str(getattr(given, "name", ""))).name
    parts: list[Any] = [*given] if isinstance(given, tuple) else [name_of_its_own, given]
    name, content, *kind = parts
    if hasattr(content, "seek"):
        content.seek(0)
    return File(part, content, name or "upload", kind[0] if kind else None)


# Being answered


def wait(error: DifyError, asked: Asked, attempt: int) -> float | None:
    """Seconds until another try, or `None`; attempt 1 was the first."""
    seconds = wait_before_retry(
        error,
        attempt=attempt,
        max_retries=asked.max_retries,
        reads_only=asked.method == "GET",
        random=_DICE,
    )
    if seconds is not None:
        logger.info("%s failed (%s): trying again in %.1f s", asked.what, type(error).__name__, seconds)
    return seconds


def is_success(status: int, headers: Mapping[str, str]) -> bool:
    """Whether Dify did it. A web page is none of its answers, whatever the status."""
    return 200 <= status < 300 and not headers.get("content-type", "").startswith("text/html")


def refusal(asked: Asked, raw: RawResponse) -> APIStatusError:
    """The error for an answer that is not a success."""
    error = refusal_from_reply(raw.status_code or 0, raw.headers, raw.content or b"")
    if error.status == 404:
        error.message = next((say for end, say in GONE.items() if asked.what.endswith(end)), error.message)
    return error


def answer(asked: Asked, raw: RawResponse, kind: type[T]) -> T:
    """The response of a class that an answer makes. A failure is one that is no `success`.

    Raises `opendify.ResponseError` where Dify promises JSON and says something else.
    """
    response = kind.model_validate(_said(asked, raw, kind), context=REPLY)
    response.raw = raw
    return response


def _said(asked: Asked, raw: RawResponse, kind: type[BaseResponse]) -> dict[str, Any]:
    content, content_type = raw.content or b"", raw.content_type or ""
    status = raw.status_code or 0
    if not is_success(status, raw.headers):
        error = refusal(asked, raw)
        return {"code": error.code, "message": error.message or str(error)}
    done = {"result": "success"} if "result" in kind.model_fields else {}
    if status == 204 or not content:
        return done
    if not content_type.startswith("application/json"):
        return {}
    try:
        value: object = from_json(content)
    except ValueError:
        raise ResponseError(f"{asked.what}: the answer should be JSON and is not.", status=status) from None
    if isinstance(value, dict):
        return cast(dict[str, Any], value)  # JSON has str keys
    if isinstance(value, list):
        return {"data": value}
    # Eight DELETEs of Dify 1.12.1 say 204 in a 200.
    return done if value in (204, None) else {"result": str(value)}
