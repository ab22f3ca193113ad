"""The people who talk to an app."""

from __future__ import annotations

from typing import Literal

from ._model import Model, Moment

__all__ = ["EndUser"]


class EndUser(Model):
    """Somebody who talks to an app."""

    id: str
    tenant_id: str = ""
    app_id: str | None = None
    type: Literal["service-api"] | str = ""
    external_user_id: str | None = None
    """The `user` of your calls."""
    name: str | None = None
    is_anonymous: bool | None = None
    """Whether the calls named no user."""
    session_id: str | None = None
    created_at: Moment | None = None
    updated_at: Moment | None = None
