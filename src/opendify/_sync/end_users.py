# Made from _async/end_users.py by scripts/unasync.py: edit that file, not this one.
"""The people who talk to an app."""

from __future__ import annotations

from .._call import path, read_as
from ..types.end_user import EndUser
from ._resource import Resource

__all__ = ["EndUsers"]

_end_user = read_as(EndUser)


class EndUsers(Resource):
    """End users of the app."""

    def get(self, end_user_id: str) -> EndUser:
        """Who it is. Dify gives the ids as `created_by` of uploads and as `from_end_user_id` of feedback.

        Raises `NotFoundError` for an end user of another app, and in Dify before 1.13.

        >>> def who(dify: Dify, end_user_id: str) -> str | None:
        ...     return dify.end_users.get(end_user_id).external_user_id
        """
        return self._send("GET", path("/end-users/{}", end_user_id), _end_user)
