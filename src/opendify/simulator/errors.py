"""How Dify says no: the refusals that the simulator gives, in Dify's words. Pure.

Texts and codes are as recorded from Dify 1.12.1. What was never provoked there is worded as in the
reference of 1.16 and in Dify's source: quota, an unsupported model, the 429 forms, a switched-off API, a bad
signature.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from opendify.simulator.wire import escaped


class Refusal(Exception):
    """A reply other than 2xx.

    Args:
        status: the HTTP status.
        code: Dify's word for it.
        message: Dify's sentence.
        headers: more headers of the reply.
    """

    content_type = "application/json"

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """The reply's body."""
        if self.code == "unknown":  # an uncaught exception: another handler, another order of keys
            return escaped({"message": self.message, "code": self.code, "status": self.status})
        return escaped({"code": self.code, "message": self.message, "status": self.status})


class Page(Refusal):
    """A refusal in HTML: from the router (unknown path), or from a proxy in front of Dify."""

    content_type = "text/html; charset=utf-8"

    def __init__(self, status: int, html: str, content_type: str | None = None) -> None:
        super().__init__(status, "html", html.split("\n", 1)[0])
        self._html = html
        self.content_type = content_type or self.content_type

    def body(self) -> bytes:
        return self._html.encode()


NOT_FOUND_PAGE = (
    "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n"
    "<p>The requested URL was not found on the server. If you entered the URL manually please check your "
    "spelling and try again.</p>\n"
)


class WorkerPage(Page):
    """What gunicorn answers when Dify's own code fails while the answer goes out; then it hangs up."""

    def __init__(self) -> None:
        html = (
            "<html>\n  <head>\n    <title>Internal Server Error</title>\n  </head>\n  <body>\n"
            "    <h1><p>Internal Server Error</p></h1>\n    \n  </body>\n</html>\n"
        )
        super().__init__(500, html, "text/html")


def proxy_page(status: int, title: str) -> Page:
    """What nginx answers when it has nobody to ask, or will not take a body."""
    html = (
        f"<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{status} {title}</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n"
        "</body>\r\n</html>\r\n"
    )
    return Page(status, html, "text/html")


def invalid(message: str) -> Refusal:
    """400 invalid_param: Dify's answer to most that is wrong with a request."""
    return Refusal(400, "invalid_param", message)


def bad_request(message: str) -> Refusal:
    """400 bad_request."""
    return Refusal(400, "bad_request", message)


def not_found(message: str) -> Refusal:
    """404 not_found."""
    return Refusal(404, "not_found", message)


def unauthorized(message: str) -> Refusal:
    """401, with the challenge."""
    return Refusal(401, "unauthorized", message, {"WWW-Authenticate": 'Bearer realm="api"'})


def unsupported_media_type() -> Refusal:
    """415: the body is not declared as JSON."""
    return Refusal(
        415,
        "unsupported_media_type",
        "Did not attempt to load JSON data because the request Content-Type was not 'application/json'.",
    )


def unreadable() -> Refusal:
    """400: the body is not JSON at all."""
    return bad_request("The browser (or proxy) sent a request that this server could not understand.")


def internal() -> Refusal:
    """500: something that Dify did not catch."""
    return Refusal(500, "unknown", "Internal Server Error")


def not_chat_app() -> Refusal:
    """400: this route is for chat apps."""
    return Refusal(400, "not_chat_app", "Please check if your app mode matches the right API route.")


def not_workflow_app() -> Refusal:
    """400: this route is for workflow apps."""
    return Refusal(400, "not_workflow_app", "Please check if your app mode matches the right API route.")


def app_unavailable() -> Refusal:
    """400: this route is for completion apps (so Dify words it)."""
    return Refusal(400, "app_unavailable", "App unavailable, please check your app configurations.")


def too_busy(behaviour: str, app_id: str, limit: int) -> Refusal:
    """The app answers as many requests as it may: 400 in Dify 1.12 (a bug there), 429 since."""
    message = (
        "Too many requests. Please try again later. "
        f"The current maximum concurrent requests allowed for {app_id} is {limit}."
    )
    if behaviour == "1.12":
        return invalid(message)
    return Refusal(429, "too_many_requests", message)


def not_exists(what: str, uri: str) -> Refusal:
    """404 for a conversation or message, with the advice that Dify's framework adds to it."""
    advice = _DID_YOU_MEAN.get(uri) or next(
        (path for pattern, path in _SIMILAR if re.fullmatch(pattern, uri)), None
    )
    if advice is None:
        return not_found(f"{what} Not Exists.")
    return not_found(f"{what} Not Exists. You have requested this URI [{uri}] but did you mean {advice} ?")


def did_you_mean(message: str, uri: str) -> Refusal:
    """404 with any message, and the framework's advice after it."""
    return not_found(
        f"{message}. You have requested this URI [{uri}] but did you mean {_DID_YOU_MEAN[uri]} ?"
    )


_DID_YOU_MEAN = {
    "/v1/chat-messages": "/v1/chat-messages or /api/chat-messages or /v1/chat-messages/<string:task_id>/stop",
    "/v1/messages": "/v1/messages or /v1/chat-messages or /api/messages",
    "/v1/conversations": "/v1/conversations or /v1/conversations/<uuid:c_id>/variables/<uuid:variable_id> "
    "or /api/conversations",
}

_SIMILAR = ((r"/v1/conversations/[^/]+/variables", "/v1/conversations/<uuid:c_id>/variables"),)
"""Paths with an id, and what the advice names for them."""

SCRIPTED: dict[str, Callable[[], Refusal]] = {
    "401": lambda: unauthorized("Access token is invalid"),
    "403": lambda: Refusal(403, "forbidden", "The app's API service has been disabled."),
    "404": lambda: did_you_mean("Conversation Not Exists", "/v1/chat-messages"),
    "413": lambda: proxy_page(413, "Request Entity Too Large"),
    "415": unsupported_media_type,
    "429": lambda: Refusal(429, "too_many_requests", "Too many requests. Please try again later."),
    "limit": lambda: too_busy("1.12", "00000000-0000-4000-8000-000000000000", 10),
    "knowledge": lambda: Refusal(
        403,
        "forbidden",
        "Sorry, you have reached the knowledge base request rate limit of your subscription.",
    ),
    "workflows": lambda: Refusal(429, "rate_limit_error", "Rate Limit Error"),
    "quota": lambda: Refusal(
        400,
        "provider_quota_exceeded",
        "Your quota for Dify Hosted OpenAI has been exhausted. Please go to Settings -> Model Provider to "
        "complete your own provider credentials.",
    ),
    "credentials": lambda: Refusal(
        400,
        "provider_not_initialize",
        "No valid model provider credentials found. Please go to Settings -> Model Provider to complete your "
        "provider credentials.",
    ),
    "unsupported": lambda: Refusal(
        400, "model_currently_not_support", "Dify Hosted OpenAI trial currently not support the GPT-4 model."
    ),
    "unavailable": app_unavailable,
    "500": internal,
    "502": lambda: proxy_page(502, "Bad Gateway"),
    "503": lambda: proxy_page(503, "Service Temporarily Unavailable"),
    "504": lambda: proxy_page(504, "Gateway Time-out"),
}
"""`[[http:KIND]]`: the refusals that a prompt can ask for."""


@dataclass(frozen=True, slots=True)
class Failure:
    """How the model fails.

    Args:
        code: Dify's code for it in chat, agent and completion apps.
        message: the sentence, as a stream has it.
        blocking: the sentence of a blocking answer where it differs.
        status: in the error event.
    """

    code: str
    message: str
    blocking: str | None = None
    status: int = 400


_PLUGIN = '{"error_type": "ZeroDivisionError", "message": "division by zero", "args": {}}'

FAILURES = {
    "bad_request": Failure(
        "completion_request_error",
        "[simulated] Bad Request Error, Error code: 400 - "
        "{'error': {'message': 'scripted failure', 'type': 'invalid_request_error'}}",
    ),
    "auth": Failure("completion_request_error", "Incorrect API key provided"),
    "rate_limit": Failure(
        "completion_request_error",
        "[simulated] Rate Limit Error, Error code: 429 - {'error': {'message': 'scripted rate limit'}}",
    ),
    "connection": Failure("completion_request_error", "[simulated] Connection Error, Connection error."),
    "server": Failure(
        "completion_request_error", "[simulated] Server Unavailable Error, Error code: 503 - overloaded"
    ),
    "credentials": Failure("invalid_param", "credentials validation failed"),
    "plugin": Failure("invalid_param", _PLUGIN, f"req_id: 20d8f2080d PluginInvokeError: {_PLUGIN}"),
    "inner": Failure("invalid_param", "killed by timeout-500"),
    "raw": Failure("invalid_param", "raw text, not JSON-500"),
    "quota": Failure(
        "provider_quota_exceeded",
        "Your quota for Dify Hosted OpenAI has been exhausted. Please go to Settings -> Model Provider to "
        "complete your own provider credentials.",
    ),
    "internal": Failure(
        "internal_server_error", "Internal Server Error, please contact support.", status=500
    ),
}
"""`[[error:KIND]]` and `[[error0:KIND]]`: codes and wording as recorded from Dify 1.12.1."""
