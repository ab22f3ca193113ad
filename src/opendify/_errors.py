"""What can go wrong, and the one table that tells which exception Dify's refusal becomes. Pure.

    DifyError
    ├─ APIConnectionError          no answer: refused, DNS, TLS, reset            .sent .url
    │  └─ APITimeoutError          no connection, or no byte, for too long        .phase
    ├─ APIStatusError              Dify refused                                   .status .code .message …
    │  ├─ BadRequestError          400
    │  ├─ AuthenticationError      401
    │  ├─ PermissionDeniedError    403
    │  ├─ NotFoundError            404
    │  ├─ MethodNotAllowedError    405
    │  ├─ ConflictError            409
    │  ├─ PreconditionFailedError  412
    │  ├─ PayloadTooLargeError     413
    │  ├─ UnsupportedMediaTypeError 415
    │  ├─ RateLimitError           429, and the 400 and 403 that mean the same    .retry_after
    │  ├─ QuotaExceededError       the model provider's quota is used up
    │  ├─ ProviderUnavailableError the app's model cannot be used as configured
    │  ├─ ModelError               the model refused or failed
    │  └─ ServerError              5xx
    ├─ WorkflowFailedError         a run that ended as "failed"                   .node_title .error .reply
    ├─ IndexingFailedError         documents that Dify could not index            .documents
    ├─ IndexingTimeoutError        documents that are not indexed yet             .documents .timeout
    ├─ FormElsewhereError          a run waits for a form that cannot be submitted here  .workflow_run_id
    ├─ StreamError                 an answer that broke while it was being read
    │  ├─ TruncatedStreamError     it ended before Dify said that it ended        .workflow_run_id …
    │  └─ MalformedStreamError     bytes that are not Dify's events
    └─ ResponseError               a success that is not what Dify promises (a web page, broken JSON)

No message holds an API key, a header of the request or a query string.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic_core import from_json

from ._advice import ADVICE

if TYPE_CHECKING:
    from .types.chat import ChatReply
    from .types.documents import IndexingStatus
    from .types.workflow import WorkflowReply

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "ConflictError",
    "DifyError",
    "FormElsewhereError",
    "IndexingFailedError",
    "IndexingTimeoutError",
    "MalformedStreamError",
    "MethodNotAllowedError",
    "ModelError",
    "NotFoundError",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "PreconditionFailedError",
    "ProviderUnavailableError",
    "QuotaExceededError",
    "RateLimitError",
    "ResponseError",
    "ServerError",
    "StreamError",
    "TruncatedStreamError",
    "UnsupportedMediaTypeError",
    "WorkflowFailedError",
    "broken",
    "no_connection",
    "no_connection_in_time",
    "no_free_connection",
    "refusal",
    "refusal_from_reply",
    "retold",
    "shown",
    "silence",
]


class DifyError(Exception):
    """Anything that goes wrong between this program and a Dify app."""

    def __reduce__(self) -> tuple[object, ...]:
        """Without this, pickle would call `__init__` with the message alone: process pools pickle errors."""
        return _revive, (type(self), self.args, vars(self))


def _revive(kind: type[DifyError], args: tuple[object, ...], state: dict[str, object]) -> DifyError:
    error = kind.__new__(kind, *args)
    error.args = args  # a `TimeoutError` does not take them from there
    vars(error).update(state)
    return error


class APIConnectionError(DifyError):
    """Dify gave no answer.

    `sent` tells whether the request may have reached Dify: `False` is a promise that it did not, so
    sending it again cannot run anything twice. `url` is the address, without its query.
    """

    def __init__(self, message: str, *, url: str, sent: bool) -> None:
        super().__init__(message)
        self.url = url
        self.sent = sent


class APITimeoutError(APIConnectionError):
    """No connection within `Timeout.connect` (`phase` is "connect"), or no byte for `Timeout.silence`."""

    def __init__(self, message: str, *, url: str, sent: bool, phase: Literal["connect", "silence"]) -> None:
        super().__init__(message, url=url, sent=sent)
        self.phase: Literal["connect", "silence"] = phase


class APIStatusError(DifyError):
    """Dify refused, by a status or by an `error` event within a stream (`in_stream`).

    `status`, `code` and `message` are Dify's own, `code` is "unknown" where it gave none; `params` names the
    field where Dify says which one; `advice` is what to do next, empty where nobody can say;
    `headers` are those of the answer that help to find it again, and `request_id` is the id in one of them,
    which only servers before Dify give; `retry_after` is in seconds, where the server told (Dify never does).
    """

    _usual_advice: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        params: str | None = None,
        headers: Mapping[str, str] | None = None,
        in_stream: bool = False,
        retry_after: float | None = None,
        advice: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.params = params
        self.headers = dict(headers or {})
        self.in_stream = in_stream
        self.retry_after = retry_after
        self.advice = ADVICE.get(code, self._usual_advice) if advice is None else advice

    @property
    def request_id(self) -> str | None:
        """What the server calls this request: `x-request-id`, `x-trace-id` or `cf-ray`."""
        return next((self.headers[name] for name in _ID_HEADERS if name in self.headers), None)

    def __str__(self) -> str:
        message = self.message.rstrip() or "Dify gave no reason."
        stop = "" if message.endswith((".", "!", "?", "。")) or not self.advice else "."
        return f"{self.status} {self.code}: {message}{stop} {self.advice}".rstrip()


class BadRequestError(APIStatusError):
    """400: a value that Dify does not take, or the wrong kind of app for the call."""


class AuthenticationError(APIStatusError):
    """401: the API key is missing, wrong, or of the other kind (app key against dataset key)."""

    _usual_advice = (
        "Take the key of an app (app-…) from its page API Access in Dify, that of knowledge (dataset-…) from "
        "Knowledge, Service API."
    )


class PermissionDeniedError(APIStatusError):
    """403: the app's API is switched off, the file is another app's, or the plan does not allow it."""

    _usual_advice = "Check in Dify that the app's API is switched on, and what the workspace's plan allows."


class NotFoundError(APIStatusError):
    """404: no such conversation, file or workflow for this app and this user; or a wrong base URL."""

    _usual_advice = (
        "Check the id and the base URL. An app's key opens what is of the app and the same user, "
        "a dataset key what is of its workspace."
    )


class MethodNotAllowedError(APIStatusError):
    """405: the address exists, the method does not."""

    _usual_advice = "Check the method and the path."


class ConflictError(APIStatusError):
    """409: the name is taken, or the thing is in use."""


class PreconditionFailedError(APIStatusError):
    """412: a form that was submitted already, or that has expired."""


class PayloadTooLargeError(APIStatusError):
    """413: the file is larger than Dify, or the web server before it, takes."""

    _usual_advice = (
        "Send less, or raise the limit: Dify's, which client.app.parameters() tells, or that of a web server "
        "before it."
    )


class UnsupportedMediaTypeError(APIStatusError):
    """415: a file type or a content type that Dify does not take."""


class RateLimitError(APIStatusError):
    """Too many requests now: 429, and the 400 and 403 by which Dify says the same."""

    _usual_advice = "Wait a little, send fewer at a time, or raise the app's limit in Dify."


class QuotaExceededError(APIStatusError):
    """The model provider's quota in Dify is used up; trying again does not help."""


class ProviderUnavailableError(APIStatusError):
    """The app cannot run as it is configured: no credentials, a model that is off, no settings."""


class ModelError(APIStatusError):
    """The model behind the app refused or failed."""


class ServerError(APIStatusError):
    """5xx: Dify, or a proxy before it, failed."""

    _usual_advice = "If it stays, look at the log of the Dify server."


class WorkflowFailedError(DifyError):
    """A workflow, or a chatflow, ran and ended as "failed".

    `node_title` names the node that failed (empty if none said so), `error` is its text, and `reply`
    holds all that is known of the run, the text written so far among it.
    """

    def __init__(self, *, node_title: str, error: str, reply: WorkflowReply | ChatReply) -> None:
        at = f" in node {node_title!r}" if node_title else ""
        super().__init__(f"The workflow failed{at}: {error or 'Dify gave no reason.'}")
        self.node_title = node_title
        self.error = error
        self.reply = reply


class IndexingFailedError(DifyError):
    """Documents could not be indexed: `documents` are those, each with Dify's reason in its `error`."""

    def __init__(self, message: str, *, documents: list[IndexingStatus]) -> None:
        super().__init__(message)
        self.documents = documents


class IndexingTimeoutError(DifyError, TimeoutError):
    """Documents were not indexed in the time that was given: `documents` are those, and how they stand.

    Dify goes on with them. `timeout` is in seconds.
    """

    def __init__(self, message: str, *, documents: list[IndexingStatus], timeout: float) -> None:
        super().__init__(message)
        self.documents = documents
        self.timeout = timeout


class FormElsewhereError(DifyError):
    """A run waits for a form without token: it was delivered elsewhere, as by e-mail, and is submitted there.

    Afterwards `workflows.events` or `chat.events` follows the run on; `workflow_run_id` is its name.
    """

    def __init__(self, *, node_title: str, workflow_run_id: str | None) -> None:
        super().__init__(
            f"The form of node {node_title!r} is delivered elsewhere and must be submitted there; then "
            f"events follows run {workflow_run_id} on. To submit it here, let its node deliver it to the "
            "WebApp, too."
        )
        self.node_title = node_title
        self.workflow_run_id = workflow_run_id


class StreamError(DifyError):
    """The answer broke while it was being read. What came before it was real."""


class TruncatedStreamError(StreamError):
    """The answer ended, or the connection was lost, before Dify said that the answer is complete.

    Dify does not stop for that. What is known by then to find the run or the answer again:
    `workflow_run_id` (workflows and chatflows, for `workflows.get`), `task_id` (for `stop`),
    `conversation_id` and `message_id` (for `messages.list`).
    """

    def __init__(
        self,
        message: str,
        *,
        workflow_run_id: str | None = None,
        task_id: str | None = None,
        conversation_id: str | None = None,
        message_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.workflow_run_id = workflow_run_id
        self.task_id = task_id
        self.conversation_id = conversation_id
        self.message_id = message_id

    def __str__(self) -> str:
        advice = ""
        if self.workflow_run_id is not None:
            advice = f" Run {self.workflow_run_id} goes on at Dify: workflows.get tells how it ends."
        elif self.conversation_id is not None:
            advice = f" Conversation {self.conversation_id} may get the answer: messages.list has it then."
        return f"{super().__str__()}{advice}"


class MalformedStreamError(StreamError):
    """The stream holds something that is not an event of Dify's: broken JSON, bytes that are no UTF-8, …"""


class ResponseError(DifyError):
    """A 2xx answer that is not what Dify promises: a web page, broken JSON, a missing field."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


_BY_CODE: dict[str, type[APIStatusError]] = {
    "too_many_requests": RateLimitError,
    "rate_limit_error": RateLimitError,
    "provider_quota_exceeded": QuotaExceededError,
    "provider_not_initialize": ProviderUnavailableError,
    "model_currently_not_support": ProviderUnavailableError,
    "app_unavailable": ProviderUnavailableError,
    "completion_request_error": ModelError,
}

_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    409: ConflictError,
    412: PreconditionFailedError,
    413: PayloadTooLargeError,
    415: UnsupportedMediaTypeError,
    429: RateLimitError,
}

# Dify 1.12.1 answers the app's concurrency limit with 400 invalid_param, because the exception is a
# ValueError and that handler is asked first; later versions answer 429.
_TOO_MANY = "Too many requests"
# The knowledge rate limit (N requests in 60 s) is 403 forbidden, told from others by its words alone.
_KNOWLEDGE_LIMIT = "rate limit"
_KNOWLEDGE_ADVICE = "Wait a minute, send fewer at a time, or raise the workspace's plan in Dify."
# Flask-RESTX adds a hint about routes to every 404; it is about the server's code, not the caller's fault.
_ROUTE_HINT = re.compile(r"\s*You have requested this URI \[.*", re.DOTALL)

# A refused parameter is told with pydantic's whole dump, which may quote a prompt.
_PYDANTIC_DUMP = re.compile(
    r" \[type=\w+, input_value=.*?, input_type=[\w.]+\](\n\s+For further information visit \S+)?", re.DOTALL
)

_ID_HEADERS = ("x-request-id", "x-trace-id", "cf-ray")
_USEFUL_HEADERS = (*_ID_HEADERS, "content-type", "retry-after", "server", "x-env", "x-version")


def refusal(
    status: int,
    code: str,
    message: str,
    *,
    params: str | None = None,
    headers: Mapping[str, str] | None = None,
    in_stream: bool = False,
    retry_after: float | None = None,
    advice: str | None = None,
) -> APIStatusError:
    """The exception for Dify's refusal, from its status, code and message.

    >>> type(refusal(400, "invalid_param", "Too many requests. Please try again later.")).__name__
    'RateLimitError'
    >>> type(refusal(404, "not_found", "Conversation Not Exists.")).__name__
    'NotFoundError'
    """
    message = _PYDANTIC_DUMP.sub("", _ROUTE_HINT.sub("", message) if status == 404 else message)
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status) or (ServerError if status >= 500 else APIStatusError)
    if (kind is BadRequestError and message.startswith(_TOO_MANY)) or (
        kind is PermissionDeniedError and _KNOWLEDGE_LIMIT in message.lower()
    ):
        kind = RateLimitError
        advice = _KNOWLEDGE_ADVICE if status == 403 and advice is None else advice
    return kind(
        message,
        status=status,
        code=code,
        params=params,
        headers={name: headers[name] for name in _USEFUL_HEADERS if name in headers} if headers else None,
        in_stream=in_stream,
        retry_after=retry_after,
        advice=advice,
    )


def retold(error: APIStatusError, message: str, advice: str | None = None) -> APIStatusError:
    """The same refusal in other words, where Dify's own say nothing, or what is not so."""
    return refusal(
        error.status,
        error.code,
        message,
        params=error.params,
        headers=error.headers,
        retry_after=error.retry_after,
        advice=advice,
    )


def refusal_from_reply(status: int, headers: Mapping[str, str], body: bytes) -> APIStatusError:
    """The exception for a whole HTTP answer that is not a success: JSON, a web page, or nothing.

    `headers` must find a name in any case. Not all of Dify speaks its envelope: an unknown route is an
    HTML 404, a crash is gunicorn's HTML 500, a proxy answers 413 and 502 in HTML, and a few endpoints
    say `{"error": …}`.
    """
    told = _json_object(body)
    code = _text(told.get("code")) or "unknown"
    message = _text(told.get("message")) or _text(told.get("error"))
    if not told:
        message = _in_place_of_json(status, headers, body)
    return refusal(
        status,
        code,
        message,
        params=_text(told.get("params")) or None,
        headers=headers,
        retry_after=_seconds(headers.get("retry-after")),
    )


def _in_place_of_json(status: int, headers: Mapping[str, str], body: bytes) -> str:
    if 300 <= status < 400:
        target = shown(headers.get("location", ""))
        return f"The server redirects to {target or 'nowhere'}; set base_url to where Dify really is."
    if not body.strip():
        return "The answer is empty."
    by = headers.get("server", "")
    title = re.search(rb"<title>\s*(.*?)\s*</title>", body[:4096], re.IGNORECASE | re.DOTALL)
    page = f" ({title[1].decode('utf-8', 'replace')})" if title else ""
    return f"The answer is not Dify's JSON but a page{page} of the web server{f' {by}' if by else ''}."


def _json_object(body: bytes) -> dict[str, object]:
    try:
        value: object = from_json(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType] JSON has str keys


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _seconds(value: str | None) -> float | None:
    """`Retry-After` in seconds; its other form, a date, is of no use without a clock that agrees."""
    return float(value) if value and re.fullmatch(r"\d{1,9}(\.\d+)?", value) else None


_FORM_TOKEN = re.compile(r"(/form/human_input/)[^/]+")


def shown(url: str) -> str:
    """What of an address may be seen: not its query, nor the token of a form, which opens it to anybody.

    >>> shown("https://dify.example.com/v1/form/human_input/0f3c?user=ada")
    'https://dify.example.com/v1/form/human_input/…'
    """
    seen = url.partition("?")[0]
    return _FORM_TOKEN.sub(r"\1…", seen) if "/form/" in seen else seen


# What transports say, each of its own library's exceptions. `cause` is what to show under the error: not
# where it would repeat what was sent or received.


def no_connection(
    url: str, said: str, cause: Exception | None, *, by_proxy: bool = False
) -> APIConnectionError:
    """Nothing could be sent. `by_proxy`: it may be a proxy that did not answer."""
    advice = "Is the server up, and the address right?" + (" Or the proxy's: one is set." if by_proxy else "")
    error = APIConnectionError(f"No connection to {url}: {said}. {advice}", url=url, sent=False)
    error.__cause__ = cause
    return error


def no_connection_in_time(url: str, seconds: float | None, cause: Exception | None) -> APITimeoutError:
    """Nothing could be sent within `Timeout.connect`."""
    error = APITimeoutError(
        f"No connection to {url} within {seconds} s. Is the server up, and the address right?",
        url=url,
        sent=False,
        phase="connect",
    )
    error.__cause__ = cause
    return error


def no_free_connection(url: str, seconds: float | None, cause: BaseException | None) -> APITimeoutError:
    """All connections that the transport may have were in use."""
    error = APITimeoutError(
        f"No connection to {url} became free within {seconds} s. Raise max_connections, or close "
        "streams that nobody reads any more.",
        url=url,
        sent=False,
        phase="connect",
    )
    error.__cause__ = cause
    return error


def silence(url: str, seconds: float | None, cause: Exception | None) -> APITimeoutError:
    """No byte came for `Timeout.silence`."""
    error = APITimeoutError(
        f"{url} sent nothing for {seconds} s. If the app thinks longer than that, raise Timeout.silence.",
        url=url,
        sent=True,
        phase="silence",
    )
    error.__cause__ = cause
    return error


def broken(url: str, said: str, cause: Exception | None) -> APIConnectionError:
    """The connection broke after something may have been sent."""
    error = APIConnectionError(f"The connection to {url} broke: {said.rstrip('.')}.", url=url, sent=True)
    error.__cause__ = cause
    return error
