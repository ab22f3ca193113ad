"""The connections of all clients at once. Each client has its own: `Client.close` closes those alone."""

from __future__ import annotations

from ...._connections import ALL


class ConnectionPoolManager:
    """Closes all connections of this package."""

    def close_all(self) -> None:
        """Close the sync connections of all clients."""
        for connections in list(ALL):
            connections.close()

    async def aclose_all(self) -> None:
        """Close the sync connections of all clients, and their async ones in this event loop."""
        for connections in list(ALL):
            await connections.aclose()


connection_pool = ConnectionPoolManager()
