"""Which Dify conversation goes on, in each of the four memory modes.

Dify keeps conversations; OpenAI clients send all of theirs with every call. `Memory` brings the two together
and remembers, in the store, digests and ids, and what an app's form was filled in with: no question and no
answer.

One conversation has one next turn at a time. Whoever goes on in one holds it (`Thread.claim`) until the
answer is complete; a second request meanwhile gets no id and so becomes a branch: a new conversation that is
seeded with the history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace
from pydantic_core import from_json, to_json

from opendify.gateway import zero_width
from opendify.gateway.conversation import Conversation, called, calls
from opendify.gateway.settings import MemoryMode
from opendify.gateway.store import Store
from opendify.gateway.wire import Message

CONVERSATION_HEADER = b"x-dify-conversation-id"
OPEN_WEBUI_HEADER = b"x-openwebui-chat-id"
CHAT_HEADERS = (OPEN_WEBUI_HEADER, b"x-session-id", b"x-chat-id")
"""Headers in which chat UIs name their chat: one Dify conversation per id."""

TASK_MARK = "### Task:"
"""How Open WebUI begins its own requests for titles and tags: no part of the chat whose id they carry."""

CLAIM_SECONDS = 1200.0
"""Dify itself ends a run after this time (APP_MAX_EXECUTION_TIME), so no claim outlives its run by much."""

LONG_ARGUMENTS = 5_000
"""Characters from which on the arguments of calls, which are read as JSON, are read in a thread."""


class Owner(msgspec.Struct, frozen=True):
    """To whom memory belongs: ids never cross from one owner to another.

    Attributes:
        identity: The gateway's Dify user: client key and user in one.
        app: A stable name of the Dify app that gives its key away to nobody.
    """

    identity: str
    app: str

    def key(self, kind: str, name: str) -> str:
        """The store key of something that is this owner's. Stores keep no key as it is."""
        identity, app = self.identity, self.app
        return f"{kind}:{len(identity)},{len(app)}:{identity}{app}{name}"


class Thread(msgspec.Struct, frozen=True):
    """How one request stands to Dify's conversations.

    Attributes:
        conversation_id: Where to go on; None starts a new conversation.
        instead_of: The conversation that a new one takes the place of, as it is busy or gone from Dify.
        history: A new conversation is seeded with the earlier turns.
        explicit: The client named this conversation itself: if Dify doesn't know it, the client must hear so.
        claim: The store key that this request holds while it runs.
        turn: The store entry that was taken for going on, and goes back if Dify never began.
        chat: The store key of the client's chat id, which gets the conversation that comes of this.
        by_digest: The conversation is to be found again by its history.
        by_mark: The first answer in words carries the conversation's id, invisible. Calls and JSON, which
            programs read, carry none: up to there the conversation is found by its history.
        marked: An earlier answer carries an id: that of `conversation_id`, or of the one it is instead of.
    """

    conversation_id: str | None = None
    instead_of: str | None = None
    history: bool = False
    explicit: bool = False
    claim: str | None = None
    turn: str | None = None
    chat: str | None = None
    by_digest: bool = False
    by_mark: bool = False
    marked: bool = False

    def fresh(self) -> Thread:
        """The same request when its conversation is gone from Dify: a new one, seeded."""
        return replace(self, conversation_id=None, instead_of=self.conversation_id, history=True, turn=None)


class Memory:
    """Finds and remembers conversations in a store.

    Args:
        store: Where digests and ids are kept.
        ttl: Seconds after which an unused conversation is forgotten.
        secret: Signs the zero-width ids, so that none can be forged.
    """

    def __init__(self, store: Store, *, ttl: float, secret: bytes) -> None:
        self._store = store
        self._ttl = ttl
        self._secret = secret

    async def recall(
        self,
        mode: MemoryMode,
        owner: Owner,
        conversation: Conversation,
        *,
        conversation_id: str = "",
        headers: Mapping[bytes, bytes],
    ) -> Thread:
        """Where this request goes on, with the claim on it already taken.

        Args:
            mode: The app's memory mode; what the client says explicitly beats it.
            owner: Whose conversations may be found.
            conversation: What the request says.
            conversation_id: A Dify conversation that the request's body names.
            headers: The request's headers that may name a conversation or chat, in lower case.
        """
        explicit = conversation_id or headers.get(CONVERSATION_HEADER, b"").decode("latin-1")
        if explicit:
            return await self._hold(owner, explicit, Thread(explicit=True, history=True))
        for name in CHAT_HEADERS:
            if chat := headers.get(name):
                if _is_side_task(name, conversation):
                    return Thread()
                return await self._chat(owner, chat.decode("latin-1"))
        match mode:
            case "0":
                return Thread()
            case "1":
                return Thread(history=True)
            case "2":
                return await self._zero_width(owner, conversation)
            case "auto":
                return await self._auto(owner, conversation)

    async def remember(
        self,
        thread: Thread,
        owner: Owner,
        conversation: Conversation,
        conversation_id: str,
        answer: Message,
        *,
        mark: str = "",
        inputs: Mapping[str, object] | None = None,
        tools: str = "",
    ) -> None:
        """Keep what the next request needs to go on from this answer. Call it before the client sees the end.

        Args:
            answer: The answer as the client will send it back.
            mark: The invisible id that it ends with, if any.
            inputs: The app's inputs for the turns to come; None or empty for none.
            tools: The digest of the tools that the model has been told of just now; empty for none.
        """
        entries: dict[str, str] = {}
        if thread.chat:
            entries[thread.chat] = conversation_id
        marked = mark or (thread.marked and thread.conversation_id)
        if thread.by_digest or (thread.by_mark and not marked):
            entries[await _turn_key(owner, conversation, answer)] = conversation_id
        if names := called(answer):
            entries[owner.key("calls", conversation_id)] = _listed(names)
        if inputs:
            entries[owner.key("inputs", conversation_id)] = to_json(inputs).decode()
        if tools:
            entries[owner.key("tools", conversation_id)] = tools
        if entries:
            await self._store.put(entries, ttl=self._ttl)

    async def has_calls(self, thread: Thread, owner: Owner, conversation: Conversation) -> bool:
        """Whether the calls whose results come now were the last ones made in this thread's conversation.

        An id that a client names may be that of another conversation: it has gone on elsewhere while this one
        was busy, or brings calls of its own.
        """
        if thread.conversation_id is None or not conversation.called:
            return False
        if thread.turn:  # it was found by its history
            return True
        made = await self._store.get(owner.key("calls", thread.conversation_id))
        return made == _listed(conversation.called)

    async def release(self, thread: Thread, *, begun: bool) -> None:
        """Let the conversation go, at the end of a request however it ended.

        Args:
            begun: Dify may have added a turn. If it surely hasn't, the history is still the newest one.
        """
        if thread.turn and thread.conversation_id and not begun:
            await self._store.put({thread.turn: thread.conversation_id}, ttl=self._ttl)
        if thread.claim:
            await self._store.delete(thread.claim)

    def mark(self, thread: Thread, owner: Owner, conversation_id: str) -> str:
        """What an answer in words ends with in this thread: nothing, or the conversation's invisible id.

        An id that is no UUID gets no mark. All of Dify's are; what only looks like Dify goes without memory.
        """
        marked = thread.marked and thread.conversation_id
        if not thread.by_mark or marked or not zero_width.fits(conversation_id):
            return ""
        return zero_width.encode(conversation_id, secret=self._secret, context=owner.key("mark", ""))

    async def inputs(self, owner: Owner, conversation_id: str) -> Mapping[str, object]:
        """The app inputs that this conversation was last asked with. Dify wants them on every turn."""
        kept = await self._store.get(owner.key("inputs", conversation_id))
        return from_json(kept) if kept else {}

    async def tools(self, owner: Owner, conversation_id: str) -> str:
        """The digest of the tools that the model of this conversation was last told of; empty for none."""
        return await self._store.get(owner.key("tools", conversation_id)) or ""

    async def _zero_width(self, owner: Owner, conversation: Conversation) -> Thread:
        marked = self._marked(owner, conversation)
        if marked is None or conversation.called:  # calls carry no mark, and may be those of another branch
            found = await self._auto(owner, conversation)
            if marked is None or found.turn or found.instead_of:
                return replace(found, by_digest=False, by_mark=True)
        return await self._hold(owner, marked, Thread(history=True, by_mark=True, marked=True))

    def _marked(self, owner: Owner, conversation: Conversation) -> str | None:
        """The id that the nearest answer carries; None if none does."""
        context = owner.key("mark", "")
        for message in reversed(conversation.history):
            if message.role == "assistant":
                marked = zero_width.decode(message.text, secret=self._secret, context=context)
                if marked:
                    return marked
        return None

    async def _auto(self, owner: Owner, conversation: Conversation) -> Thread:
        thread = Thread(history=True, by_digest=True)
        if not conversation.goes_on:
            return thread
        turn = await _turn_key(owner, conversation)
        found = await self._store.take(turn)
        if found is None:
            return thread
        held = await self._hold(owner, found, thread)
        return replace(held, turn=turn) if held.conversation_id else held

    async def _chat(self, owner: Owner, chat: str) -> Thread:
        key = owner.key("chat", chat)
        found = await self._store.get(key)
        if found is None:
            claim = owner.key("claim", f"chat {chat}")
            if not await self._store.add(claim, "", ttl=CLAIM_SECONDS):
                return Thread(history=True)  # the chat's first turn is still being answered
            found = await self._store.get(key)
            if found is None:
                return Thread(history=True, claim=claim, chat=key)
            await self._store.delete(claim)  # it has been answered meanwhile
        held = await self._hold(owner, found, Thread(history=True))
        return replace(held, chat=key) if held.conversation_id else held

    async def _hold(self, owner: Owner, conversation_id: str, thread: Thread) -> Thread:
        """The thread in this conversation, or a branch if somebody else is at it."""
        claim = owner.key("claim", conversation_id)
        if await self._store.add(claim, "", ttl=CLAIM_SECONDS):
            return replace(thread, conversation_id=conversation_id, claim=claim)
        return replace(thread, instead_of=conversation_id)


def _listed(names: Sequence[str]) -> str:
    return to_json(names).decode()


def _is_side_task(header: bytes, conversation: Conversation) -> bool:
    return (
        header == OPEN_WEBUI_HEADER and not conversation.history and conversation.asks.startswith(TASK_MARK)
    )


async def _turn_key(owner: Owner, conversation: Conversation, answer: Message | None = None) -> str:
    """The store key of the history; with an answer, that of the next request's history.

    Pictures, long texts and long arguments are read in a thread: they would hold up everybody else's tokens.
    """
    arguments = sum([len(call.function.arguments) for call in calls(answer)]) if answer else 0
    if conversation.large or arguments > LONG_ARGUMENTS or conversation.has_files(history=True):
        return await asyncio.to_thread(_turn_key_now, owner, conversation, answer)
    return _turn_key_now(owner, conversation, answer)


def _turn_key_now(owner: Owner, conversation: Conversation, answer: Message | None) -> str:
    digest = conversation.digest
    if answer is not None:
        digest = digest.copy().add([*conversation.new, answer])
    return owner.key("turn", digest.key())
