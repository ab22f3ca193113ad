"""The people who talk to an app."""

from __future__ import annotations

from .._call import path, read_as
from ..types.end_user import EndUser
from ._resource import AsyncResource

__all__ = ["AsyncEndUsers"]

_end_user = read_as(EndUser)


class AsyncEndUsers(AsyncResource):
    """End users of the app."""

    async def get(self, end_user_id: str) -> EndUser:
        """Who it is. Dify gives the ids as `created_by` of uploads and as `from_end_user_id` of feedback.

        Raises `NotFoundError` for an end user of another app, and in Dify before 1.13.

        >>> async def who(dify: AsyncDify, end_user_id: str) -> str | None:
        ...     return (await dify.end_users.get(end_user_id)).external_user_id
        """
        return await self._send("GET", path("/end-users/{}", end_user_id), _end_user)
