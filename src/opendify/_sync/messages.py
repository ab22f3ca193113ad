# Made from _async/messages.py by scripts/unasync.py: edit that file, not this one.
"""Messages of a conversation, and what could be asked next."""

from __future__ import annotations

from .._call import path
from .._page import Listing, before_first, read_page
from ..types.message import Message
from ._pages import Pages
from ._resource import Resource

__all__ = ["Messages"]

_messages = read_page(Message)
_questions = read_page(str)

Questions = list[str]  # within the class, `list` is its own method


class Messages(Resource):
    """Messages of chat apps, agents and chatflows."""

    def list(
        self, conversation_id: str, *, user: str | None = None, limit: int | None = None
    ) -> Pages[Message]:
        """The messages of a conversation. Iterated, the newest comes first; within a page, the oldest.

        `limit`: how many a page, 1 to 100; 20 if left out.

        Raises `NotFoundError` if the end user has no such conversation.

        >>> def last_answer(dify: Dify, conversation_id: str) -> str:
        ...     for message in dify.messages.list(conversation_id, user="ada"):
        ...         return message.answer
        ...     return ""
        """
        return self._caller.pages(
            Listing(
                "/messages",
                {"conversation_id": conversation_id, "user": self._caller.named(user), "limit": limit},
                _messages,
                before_first(lambda message: message.id),
                newest_first=True,
            )
        )

    def suggested(self, message_id: str, *, user: str | None = None) -> Questions:
        """Questions that the end user could ask after this answer. The app must have them switched on.

        Raises `BadRequestError` where they are off, `NotFoundError` for a message that is not there.

        >>> def next_questions(dify: Dify, message_id: str) -> list[str]:
        ...     return dify.messages.suggested(message_id, user="ada")
        """
        where = path("/messages/{}/suggested", message_id)
        told = self._send("GET", where, _questions, query={"user": self._caller.named(user)})
        return told.data
