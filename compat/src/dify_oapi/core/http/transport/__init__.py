"""Where requests are sent."""

from .async_transport import ATransport
from .connection_pool import ConnectionPoolManager, connection_pool
from .sync_transport import Transport

__all__ = ["ATransport", "ConnectionPoolManager", "Transport", "connection_pool"]
