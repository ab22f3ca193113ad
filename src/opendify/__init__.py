"""Every Dify operation from Python, sync and async.

>>> from opendify import Dify
>>> def ask() -> str:
...     with Dify("app-…", base_url="https://dify.example.com") as dify:
...         return dify.chat.send(query="Hello", user="ada").answer
"""

from ._async._client import AsyncDify, AsyncKnowledge
from ._async._download import AsyncDownload
from ._async._pages import AsyncPages
from ._async._stream import AsyncStream
from ._async._transport import AsyncHttpxTransport, AsyncRequest, AsyncResponse, AsyncTransport
from ._call import Reply, Timeout
from ._errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    DifyError,
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
from ._sync._pages import Pages
from ._sync._stream import Stream
from ._sync._transport import HttpxTransport, Request, Response, Transport

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
    "HttpxTransport",
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
    "Response",
    "ResponseError",
    "ServerError",
    "Stream",
    "StreamError",
    "Timeout",
    "Transport",
    "TruncatedStreamError",
    "UnsupportedMediaTypeError",
    "WorkflowFailedError",
]
