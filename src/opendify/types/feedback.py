"""What people think of answers."""

from __future__ import annotations

from typing import Literal

from ._model import Model, Moment

__all__ = ["Feedback", "Rating"]

Rating = Literal["like", "dislike"]
"""A thumb up, or a thumb down."""


class Feedback(Model):
    """A rating of one answer, by an end user or by somebody who works on the app."""

    id: str
    app_id: str = ""
    conversation_id: str = ""
    message_id: str = ""
    rating: Rating | str | None = None
    content: str | None = None
    """What was said beside the rating."""
    from_source: Literal["user", "admin"] | str = "user"
    from_end_user_id: str | None = None
    """For `end_users.get`; None if it is from an admin."""
    from_account_id: str | None = None
    created_at: Moment | None = None
    updated_at: Moment | None = None
