"""How a client speaks with its server."""

from __future__ import annotations

import ssl

from ..._connections import Connections
from ..enum import LogLevel


class Config:
    """What `ClientBuilder` sets, and the connections of the client.

    `timeout` is in seconds: for the connection, and between two signs of life from Dify; `None` is for ever.
    `keepalive_expiry` is in seconds: how long an unused connection is kept. The server of a self-hosted Dify
    closes one after 2 s; a request sent at that moment is lost, and a message must not be sent twice.
    """

    def __init__(self) -> None:
        self.domain: str | None = None
        self.timeout: float | None = 120.0
        self.log_level: LogLevel = LogLevel.WARNING
        self.max_retry_count: int = 3
        self.max_keepalive_connections: int = 20
        self.max_connections: int = 100
        self.keepalive_expiry: float = 1.5
        self.verify_ssl: ssl.SSLContext | str | bool = True
        self._connections = Connections()

    @property
    def connections(self) -> Connections:
        """The connections of the client."""
        return self._connections
