"""What a client is told when something fails: OpenAI's error shape, and Dify's refusals in it. Pure.

The table follows one rule: the status says who can mend it. 4xx: the client. 502 and 503: whoever
runs the gateway or the Dify behind it. 504: nobody, it was too slow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

import msgspec
from pydantic_core import to_json

from opendify import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    DifyError,
    ModelError,
    PayloadTooLargeError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    TruncatedStreamError,
)

RETRY_AFTER_SECONDS = 2
"""Dify names no time to wait (it sends no rate-limit header at all), so the gateway does."""

DO_NOT_RETRY = {"x-should-retry": "false"}
"""OpenAI's clients would send again what ends in 409 or 5xx; not with this header."""

NOT_DIFY = "unknown"
"""The code of a refusal below 500 that does not come from Dify, but from a proxy before it: a web page."""


class ErrorBody(TypedDict):
    """The inside of OpenAI's ``{"error": ...}``."""

    message: str
    type: str
    param: str | None
    code: str | None


@dataclass(eq=False)
class OpenAIError(Exception):
    """A refusal as an OpenAI client reads it.

    >>> import json
    >>> json.loads(OpenAIError(404, "No such model.", code="model_not_found").body())["error"]["code"]
    'model_not_found'
    """

    status: int
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def __str__(self) -> str:
        return self.message

    def body(self) -> bytes:
        """The JSON answer, ready to send."""
        error: ErrorBody = {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }
        return to_json({"error": error})

    def frame(self) -> bytes:
        """The same as an event in a stream that is already open."""
        return b"data: " + self.body() + b"\n\n"


def invalid(
    message: str, param: str | None = None, *, code: str | None = None, status: int = 400
) -> OpenAIError:
    """The client's own mistake: what is wrong and, in ``param``, where."""
    return OpenAIError(status, message, code=code, param=param)


_PATH = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"required field `(?P<name>[^`]+)`")


def misfit(error: msgspec.ValidationError, field: str = "") -> OpenAIError:
    """The client's mistake that msgspec found in a request, or in this field of it.

    msgspec names the place as ``$.messages[0].role``; OpenAI's ``param`` has no ``$``.

    >>> try:
    ...     msgspec.convert("two", int)
    ... except msgspec.ValidationError as error:
    ...     misfit(error, "n").message
    "'n': Expected `int`, got `str`."
    """
    text = str(error)
    place = _PATH.search(text)
    missing = _MISSING.search(text)
    steps = (field, place["path"] if place else "", missing["name"] if missing else "")
    param = ".".join(step for step in steps if step).replace(".[", "[")
    if missing:
        return invalid(f"'{param}' is missing.", param)
    what = _PATH.sub("", text)
    return invalid(f"'{param}': {what}." if param else f"The request body: {what}.", param or None)


def unauthorized(message: str) -> OpenAIError:
    """No client key came with the request, or none that is known here."""
    return OpenAIError(401, message, code="invalid_api_key", headers={"www-authenticate": "Bearer"})


def upstream(message: str) -> OpenAIError:
    """Dify answered with something that is no answer."""
    return OpenAIError(502, message, type="api_error", code="upstream_error")


def from_dify(error: DifyError, model: str) -> OpenAIError:
    """What the client of ``model`` is told of an error of the SDK.

    Keys, addresses and tracebacks stay behind: only Dify's own message goes through, and not even that
    where it is about the operator's key.
    """
    said = error.message if isinstance(error, APIStatusError) else ""
    said = said or "Dify gave no reason."  # a file that is too large, for one, it refuses without a word
    match error:
        case AuthenticationError():
            return OpenAIError(
                502,
                f"Dify refused the gateway's key for model '{model}'. Whoever runs the gateway must mend it.",
                type="api_error",
                code="upstream_auth",
            )
        case QuotaExceededError():
            return OpenAIError(429, said, type="insufficient_quota", code="insufficient_quota")
        case RateLimitError():
            seconds = str(max(1, round(error.retry_after or RETRY_AFTER_SECONDS)))
            return OpenAIError(
                429,
                said,
                type="rate_limit_error",
                code="rate_limit_exceeded",
                headers={"retry-after": seconds},
            )
        case ProviderUnavailableError():
            return OpenAIError(503, said, type="api_error", code="upstream_unavailable")
        case ModelError():
            return upstream(said)
        case APIStatusError() if 400 <= error.status < 500 and error.code != NOT_DIFY:
            return invalid(said, code=error.code, status=error.status)
        case PayloadTooLargeError():
            return invalid(
                f"A web server before Dify refused this request for model '{model}': it is too large.",
                code="request_too_large",
                status=413,
            )
        case APIStatusError() if 300 <= error.status < 400:
            return upstream(
                f"Dify is at another address than the gateway's for model '{model}'. "
                "Whoever runs the gateway must mend it."
            )
        case APIStatusError():
            return upstream(f"Dify failed with status {error.status} on model '{model}': {said}")
        case APITimeoutError() if error.phase == "silence":
            return OpenAIError(
                504,
                f"Dify sent nothing for too long on model '{model}'; the call was given up.",
                type="api_error",
                code="upstream_timeout",
            )
        case APIConnectionError() if not error.sent:
            return OpenAIError(
                503,
                f"Dify could not be reached for model '{model}'.",
                type="api_error",
                code="upstream_unreachable",
            )
        case APIConnectionError():
            return upstream(f"The connection to Dify broke while it was answering on model '{model}'.")
        case TruncatedStreamError():
            return upstream(f"Dify's answer on model '{model}' ended before it was complete.")
        case _:
            return upstream(f"Dify's answer on model '{model}' could not be read.")


def let_go(error: BaseException) -> None:
    """Forget the way that an error came, once it is dealt with.

    What stands on that way may hold the error in turn, and holds all of the request: megabytes, which only
    the garbage collection would find, and that comes seldom.

    >>> try:
    ...     raise KeyError("a") from ValueError("b")
    ... except KeyError as error:
    ...     let_go(error)
    ...     print(error.__traceback__)
    None
    """
    on: BaseException | None = error
    while on is not None:
        on.__traceback__ = None
        on = on.__cause__ or on.__context__
