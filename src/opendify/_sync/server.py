# Made from _async/server.py by scripts/unasync.py: edit that file, not this one.
"""What a Dify server tells of itself."""

from __future__ import annotations

from .._call import read_as
from .._errors import NotFoundError
from ..types.server import ServerInfo
from ._resource import Resource

__all__ = ["Server"]

_info = read_as(ServerInfo)


class Server(Resource):
    """The Dify server. No key opens or closes this; a wrong one does no harm."""

    def info(self) -> ServerInfo:
        """Which Dify it is.

        Dify 1.12 has nothing at this address, but says its version there as everywhere, in a header.

        >>> def version(dify: Dify) -> str:
        ...     return dify.server.info().server_version
        """
        try:
            return self._send("GET", "/", _info)
        except NotFoundError as error:
            if "x-version" not in error.headers:
                raise
            return ServerInfo(server_version=error.headers["x-version"])
