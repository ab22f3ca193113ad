"""What a Dify server tells of itself."""

from __future__ import annotations

from .._call import Call, read_as
from .._errors import NotFoundError
from ..types.server import ServerInfo
from ._caller import AsyncCaller

__all__ = ["AsyncServer"]

_info = read_as(ServerInfo)


class AsyncServer:
    """The Dify server. No key opens or closes this; a wrong one does no harm."""

    def __init__(self, caller: AsyncCaller) -> None:
        self._caller = caller

    async def info(self) -> ServerInfo:
        """Which Dify it is.

        Dify 1.12 has nothing at this address, but says its version there as everywhere, in a header.

        >>> async def version(dify: AsyncDify) -> str:
        ...     return (await dify.server.info()).server_version
        """
        try:
            return await self._caller.send(Call("GET", "/", _info))
        except NotFoundError as error:
            if "x-version" not in error.headers:
                raise
            return ServerInfo(server_version=error.headers["x-version"])
