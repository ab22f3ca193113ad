"""The people who talk to an app."""

from __future__ import annotations

from .._call import Call, path, read_as
from ..types.end_user import EndUser
from ._caller import AsyncCaller

__all__ = ["AsyncEndUsers"]

_end_user = read_as(EndUser)


class AsyncEndUsers:
    """End users of the app."""

    def __init__(self, caller: AsyncCaller) -> None:
        self._caller = caller

    async def get(self, end_user_id: str) -> EndUser:
        """Who it is. Dify gives the ids as `created_by` of uploads and as `from_end_user_id` of feedback.

        Raises `NotFoundError` for an end user of another app, and in Dify before 1.13.

        >>> async def who(dify: AsyncDify, end_user_id: str) -> str | None:
        ...     return (await dify.end_users.get(end_user_id)).external_user_id
        """
        return await self._caller.send(Call("GET", path("/end-users/{}", end_user_id), _end_user))
