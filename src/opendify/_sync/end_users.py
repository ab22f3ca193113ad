# Made from _async/end_users.py by scripts/unasync.py: edit that file, not this one.
"""The people who talk to an app."""

from __future__ import annotations

from .._call import Call, path, read_as
from ..types.end_user import EndUser
from ._caller import Caller

__all__ = ["EndUsers"]

_end_user = read_as(EndUser)


class EndUsers:
    """End users of the app."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def get(self, end_user_id: str) -> EndUser:
        """Who it is. Dify gives the ids as `created_by` of uploads and as `from_end_user_id` of feedback.

        Raises `NotFoundError` for an end user of another app, and in Dify before 1.13.

        >>> def who(dify: Dify, end_user_id: str) -> str | None:
        ...     return (dify.end_users.get(end_user_id)).external_user_id
        """
        return self._caller.send(Call("GET", path("/end-users/{}", end_user_id), _end_user))
