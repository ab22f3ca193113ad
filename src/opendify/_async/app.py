"""What an app tells of itself."""

from __future__ import annotations

from .._call import Call, read_as
from ..types.app import AppInfo, AppMeta, AppParameters, AppSite
from ._caller import AsyncCaller

__all__ = ["AsyncApp"]

_info = read_as(AppInfo)
_parameters = read_as(AppParameters)
_meta = read_as(AppMeta)
_site = read_as(AppSite)


class AsyncApp:
    """The app that the API key belongs to: its name and kind, its form, its limits."""

    def __init__(self, caller: AsyncCaller) -> None:
        self._caller = caller

    async def info(self) -> AppInfo:
        """Name, description, tags and kind (`mode`) of the app.

        >>> async def kind(dify: AsyncDify) -> str:
        ...     return (await dify.app.info()).mode
        """
        return await self._caller.send(Call("GET", "/info", _info))

    async def parameters(self) -> AppParameters:
        """What the app asks for before a conversation, what is switched on, and which files it takes.

        Raises `ProviderUnavailableError` for an app that was never published, `BadRequestError` for a New
        Agent that was not.

        >>> async def wanted(dify: AsyncDify) -> list[str]:
        ...     form = (await dify.app.parameters()).user_input_form
        ...     return [field.variable for field in form if field.required]
        """
        return await self._caller.send(Call("GET", "/parameters", _parameters))

    async def meta(self) -> AppMeta:
        """The icons of the app's tools."""
        return await self._caller.send(Call("GET", "/meta", _meta))

    async def site(self) -> AppSite:
        """How the app's own web page looks: title, icon, colours, texts.

        Raises `PermissionDeniedError` for an app without one.
        """
        return await self._caller.send(Call("GET", "/site", _site))
