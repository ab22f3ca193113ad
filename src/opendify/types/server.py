"""What a Dify server tells of itself."""

from __future__ import annotations

from ._model import Model

__all__ = ["ServerInfo"]


class ServerInfo(Model):
    """Which Dify it is."""

    server_version: str
    """As in "1.12.1"."""
    api_version: str = "v1"
    welcome: str = ""
