"""What an app tells of itself."""

from __future__ import annotations

from .._call import read_as
from ..types.app import AppInfo, AppMeta, AppParameters, AppSite
from ._resource import AsyncResource

__all__ = ["AsyncApp"]

_info = read_as(AppInfo)
_parameters = read_as(AppParameters)
_meta = read_as(AppMeta)
_site = read_as(AppSite)


class AsyncApp(AsyncResource):
    """The app that the API key belongs to: its name and kind, its form, its limits."""

    async def info(self) -> AppInfo:
        """Name, description, tags and kind (`mode`) of the app.

        >>> async def kind(dify: AsyncDify) -> str:
        ...     return (await dify.app.info()).mode
        """
        return await self._send("GET", "/info", _info)

    async def parameters(self) -> AppParameters:
        """What the app asks for before a conversation, what is switched on, and which files it takes.

        Raises `ProviderUnavailableError` for an app that was never published, `BadRequestError` for a New
        Agent that was not.

        >>> async def wanted(dify: AsyncDify) -> list[str]:
        ...     form = (await dify.app.parameters()).user_input_form
        ...     return [field.variable for field in form if field.required]
        """
        return await self._send("GET", "/parameters", _parameters)

    async def meta(self) -> AppMeta:
        """The icons of the app's tools."""
        return await self._send("GET", "/meta", _meta)

    async def site(self) -> AppSite:
        """How the app's own web page looks: title, icon, colours, texts.

        Raises `PermissionDeniedError` for an app without one.
        """
        return await self._send("GET", "/site", _site)
