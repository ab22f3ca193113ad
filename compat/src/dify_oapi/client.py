"""The client, and its builder."""

from __future__ import annotations

import ssl
from functools import cached_property

from .api.chat.service import ChatService
from .api.chatflow.service import ChatflowService
from .api.completion.service import CompletionService
from .api.dify.service import DifyService
from .api.knowledge.service import KnowledgeService
from .api.workflow.service import WorkflowService
from .core.enum import LogLevel
from .core.http.transport import Transport
from .core.log import logger
from .core.model.base_request import BaseRequest
from .core.model.base_response import BaseResponse
from .core.model.config import Config


class Client:
    """All services of a Dify server. Make one with `Client.builder()`; `close` or `aclose` it at the end."""

    def __init__(self) -> None:
        self._config = Config()

    @cached_property
    def chat(self) -> ChatService:
        """Chat apps and agents."""
        return ChatService(self._config)

    @cached_property
    def chatflow(self) -> ChatflowService:
        """Chatflows."""
        return ChatflowService(self._config)

    @cached_property
    def completion(self) -> CompletionService:
        """Text generators."""
        return CompletionService(self._config)

    @cached_property
    def dify(self) -> DifyService:
        """What all apps have."""
        return DifyService(self._config)

    @cached_property
    def workflow(self) -> WorkflowService:
        """Workflows."""
        return WorkflowService(self._config)

    @cached_property
    def knowledge(self) -> KnowledgeService:
        """Knowledge; wants a key of its own kind."""
        return KnowledgeService(self._config)

    def request(self, request: BaseRequest) -> BaseResponse:
        """Send a request that you have made yourself."""
        return Transport.execute(self._config, request)

    def close(self) -> None:
        """Close the connections of sync calls."""
        self._config.connections.close()

    async def aclose(self) -> None:
        """Close the connections of sync calls, and of async calls in this event loop."""
        await self._config.connections.aclose()

    @staticmethod
    def builder() -> ClientBuilder:
        """Begin a client."""
        return ClientBuilder()


class ClientBuilder:
    """Sets the options of a client: see `Config`."""

    def __init__(self) -> None:
        self._config = Config()

    def domain(self, domain: str) -> ClientBuilder:
        """Where Dify is, with or without /v1."""
        self._config.domain = domain
        return self

    def log_level(self, level: LogLevel) -> ClientBuilder:
        """How much is logged."""
        self._config.log_level = level
        return self

    def max_retry_count(self, count: int) -> ClientBuilder:
        """How often a request is sent again, where that cannot run anything twice."""
        self._config.max_retry_count = count
        return self

    def max_keepalive_connections(self, count: int) -> ClientBuilder:
        """How many unused connections are kept."""
        self._config.max_keepalive_connections = count
        return self

    def max_connections(self, count: int) -> ClientBuilder:
        """How many connections there are at once."""
        self._config.max_connections = count
        return self

    def keepalive_expiry(self, seconds: float) -> ClientBuilder:
        """How long an unused connection is kept."""
        self._config.keepalive_expiry = seconds
        return self

    def timeout(self, seconds: float | None) -> ClientBuilder:
        """How long to wait for a connection, and between two signs of life; `None` is for ever."""
        self._config.timeout = seconds
        return self

    def verify_ssl(self, verify: ssl.SSLContext | str | bool) -> ClientBuilder:
        """Check certificates: as the system trusts them, as those of a file or folder say, or not at all."""
        self._config.verify_ssl = verify
        return self

    def build(self) -> Client:
        """The client. Nothing is opened before the first call."""
        logger.setLevel(self._config.log_level.value)
        client = Client()
        client._config = self._config  # pyright: ignore[reportPrivateUsage] a builder knows what it builds
        return client
