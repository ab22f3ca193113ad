# Made from _async/app.py by scripts/unasync.py: edit that file, not this one.
"""What an app tells of itself."""

from __future__ import annotations

from .._call import read_as
from ..types.app import AppInfo, AppMeta, AppParameters, AppSite
from ._resource import Resource

__all__ = ["App"]

_info = read_as(AppInfo)
_parameters = read_as(AppParameters)
_meta = read_as(AppMeta)
_site = read_as(AppSite)


class App(Resource):
    """The app that the API key belongs to: its name and kind, its form, its limits."""

    def info(self) -> AppInfo:
        """Name, description, tags and kind (`mode`) of the app.

        >>> def kind(dify: Dify) -> str:
        ...     return dify.app.info().mode
        """
        return self._send("GET", "/info", _info)

    def parameters(self) -> AppParameters:
        """What the app asks for before a conversation, what is switched on, and which files it takes.

        Raises `ProviderUnavailableError` for an app that was never published, `BadRequestError` for a New
        Agent that was not.

        >>> def wanted(dify: Dify) -> list[str]:
        ...     form = dify.app.parameters().user_input_form
        ...     return [field.variable for field in form if field.required]
        """
        return self._send("GET", "/parameters", _parameters)

    def meta(self) -> AppMeta:
        """The icons of the app's tools."""
        return self._send("GET", "/meta", _meta)

    def site(self) -> AppSite:
        """How the app's own web page looks: title, icon, colours, texts.

        Raises `PermissionDeniedError` for an app without one.
        """
        return self._send("GET", "/site", _site)
