"""Conversations of an end user: found again, named, deleted; and what a chatflow remembers in them."""

from __future__ import annotations

from .._call import given, nothing, path, read_as
from .._page import Listing, after_last, read_page
from ..types.conversation import Conversation, ConversationVariable, SortBy
from ._pages import AsyncPages
from ._resource import AsyncResource

__all__ = ["AsyncConversations"]

_conversation = read_as(Conversation)
_conversations = read_page(Conversation)
_variable = read_as(ConversationVariable)
_variables = read_page(ConversationVariable)


class AsyncConversations(AsyncResource):
    """Conversations of chat apps, agents and chatflows. An end user has their own, and sees no others."""

    def list(
        self, *, user: str | None = None, sort_by: SortBy | None = None, limit: int | None = None
    ) -> AsyncPages[Conversation]:
        """The end user's conversations, those that were changed last first, unless `sort_by` says otherwise.

        `limit`: how many a page, 1 to 100; 20 if left out. Each page is found by the last conversation of
        the one before, so do not delete while you iterate: make a list of all first.

        >>> async def names(dify: AsyncDify) -> list[str]:
        ...     return [conversation.name async for conversation in dify.conversations.list(user="ada")]
        """
        return self._caller.pages(
            Listing(
                "/conversations",
                {"user": self._caller.named(user), "sort_by": sort_by, "limit": limit},
                _conversations,
                after_last(lambda conversation: conversation.id),
            )
        )

    async def rename(
        self,
        conversation_id: str,
        *,
        name: str | None = None,
        auto_generate: bool | None = None,
        user: str | None = None,
    ) -> Conversation:
        """Give a conversation another name; or, with `auto_generate=True`, let the model find one.

        Raises `NotFoundError` if the end user has no such conversation, `BadRequestError` if neither is
        given.

        >>> async def rename(dify: AsyncDify, conversation_id: str) -> str:
        ...     renamed = await dify.conversations.rename(conversation_id, name="Travel plans", user="ada")
        ...     return renamed.name
        """
        return await self._send(
            "POST",
            path("/conversations/{}/name", conversation_id),
            _conversation,
            json=given(name=name, auto_generate=auto_generate, user=self._caller.named(user)),
        )

    async def delete(self, conversation_id: str, *, user: str | None = None) -> None:
        """Delete a conversation and all its messages.

        Dify 1.12.1 says nothing of one that is not there, or that is another user's.
        """
        where = path("/conversations/{}", conversation_id)
        await self._send("DELETE", where, nothing, json={"user": self._caller.named(user)})

    def variables(
        self,
        conversation_id: str,
        *,
        variable_name: str | None = None,
        user: str | None = None,
        limit: int | None = None,
    ) -> AsyncPages[ConversationVariable]:
        """What a chatflow remembers in a conversation. Chat apps and agents have no variables.

        `variable_name`: only the one of this name; Dify 1.12.1 on PostgreSQL fails on it with a 500. `limit`:
        how many a page, 1 to 100; 20 if left out.

        Raises `NotFoundError` if the end user has no such conversation.

        >>> async def remembered(dify: AsyncDify, conversation_id: str) -> dict[str, JsonValue]:
        ...     variables = dify.conversations.variables(conversation_id, user="ada")
        ...     return {variable.name: variable.value async for variable in variables}
        """
        return self._caller.pages(
            Listing(
                path("/conversations/{}/variables", conversation_id),
                {"user": self._caller.named(user), "variable_name": variable_name, "limit": limit},
                _variables,
                after_last(lambda variable: variable.id),
            )
        )

    async def update_variable(
        self, conversation_id: str, variable_id: str, *, value: object, user: str | None = None
    ) -> ConversationVariable:
        """Change what a chatflow remembers. `value` is anything that JSON can say, of the variable's type.

        Raises `BadRequestError` for a value of another type, `NotFoundError` for a variable or conversation
        that is not there.
        """
        where = path("/conversations/{}/variables/{}", conversation_id, variable_id)
        return await self._send(
            "PUT", where, _variable, json={"value": value, "user": self._caller.named(user)}
        )
