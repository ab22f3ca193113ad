"""Every Dify operation from Python, sync and async.

>>> from opendify import Dify
>>> def ask() -> str:
...     with Dify("app-…", base_url="https://dify.example.com") as dify:
...         return dify.chat.send(query="Hello", user="ada").answer
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import types as types
from ._lazy import find

if TYPE_CHECKING:
    __version__: str
    from ._async._client import AsyncDify, AsyncKnowledge
    from ._async._download import AsyncDownload
    from ._async._httpx import AsyncHttpxTransport
    from ._async._pages import AsyncPages
    from ._async._stream import AsyncStream
    from ._async._transport import AsyncRequest, AsyncResponse, AsyncTransport
    from ._call import Reply, Timeout
    from ._errors import (
        APIConnectionError,
        APIStatusError,
        APITimeoutError,
        AuthenticationError,
        BadRequestError,
        ConflictError,
        DifyError,
        FormElsewhereError,
        IndexingFailedError,
        IndexingTimeoutError,
        MalformedStreamError,
        MethodNotAllowedError,
        ModelError,
        NotFoundError,
        PayloadTooLargeError,
        PermissionDeniedError,
        PreconditionFailedError,
        ProviderUnavailableError,
        QuotaExceededError,
        RateLimitError,
        ResponseError,
        ServerError,
        StreamError,
        TruncatedStreamError,
        UnsupportedMediaTypeError,
        WorkflowFailedError,
    )
    from ._page import Page
    from ._sync._client import Dify, Knowledge
    from ._sync._download import Download
    from ._sync._httpx import HttpxTransport
    from ._sync._pages import Pages
    from ._sync._stream import Stream
    from ._sync._transport import Request, Response, Transport
    from ._watch import RequestInfo, ResponseInfo

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncDify",
    "AsyncDownload",
    "AsyncHttpxTransport",
    "AsyncKnowledge",
    "AsyncPages",
    "AsyncRequest",
    "AsyncResponse",
    "AsyncStream",
    "AsyncTransport",
    "AuthenticationError",
    "BadRequestError",
    "ConflictError",
    "Dify",
    "DifyError",
    "Download",
    "FormElsewhereError",
    "HttpxTransport",
    "IndexingFailedError",
    "IndexingTimeoutError",
    "Knowledge",
    "MalformedStreamError",
    "MethodNotAllowedError",
    "ModelError",
    "NotFoundError",
    "Page",
    "Pages",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "PreconditionFailedError",
    "ProviderUnavailableError",
    "QuotaExceededError",
    "RateLimitError",
    "Reply",
    "Request",
    "RequestInfo",
    "Response",
    "ResponseError",
    "ResponseInfo",
    "ServerError",
    "Stream",
    "StreamError",
    "Timeout",
    "Transport",
    "TruncatedStreamError",
    "UnsupportedMediaTypeError",
    "WorkflowFailedError",
]

# Where the names above are, in the order in which it is looked for them: who works with `Dify` alone never
# loads the async half, and the other way round.
_SHARED = ("_errors", "_watch", "_call", "_page")
_TWINS = ("_client", "_transport", "_pages", "_download", "_stream", "_httpx")


if not TYPE_CHECKING:  # or else every name would seem to be there

    def __getattr__(name: str) -> object:
        if name == "__version__":  # of the distribution that is installed; read only when it is asked for
            from importlib.metadata import version

            return version(__name__)
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if name.startswith("Async"):
            return find(__name__, name, [f"_async.{home}" for home in _TWINS])
        return find(__name__, name, [*_SHARED, *(f"_sync.{home}" for home in _TWINS)])
