"""Which Dify conversation goes on. Each test plays the clients that come back and the store between them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from opendify.gateway.conversation import read
from opendify.gateway.memory import Memory, Owner, Thread
from opendify.gateway.settings import MemoryMode
from opendify.gateway.store import Store, open_store
from opendify.gateway.wire import Message, Part

ADA = Owner("key-1:ada", "app-1")
ONE = "11111111-1111-4111-8111-111111111111"
TWO = "22222222-2222-4222-8222-222222222222"


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    opened = open_store("memory:")
    yield opened
    await opened.aclose()


@pytest.fixture
def memory(store: Store) -> Memory:
    return Memory(store, ttl=3600, secret=b"secret")


class Client:
    """A client of one owner: it asks, hears an answer, and keeps the history that OpenAI clients keep."""

    def __init__(self, memory: Memory, mode: MemoryMode = "auto", owner: Owner = ADA) -> None:
        self.memory, self.mode, self.owner = memory, mode, owner
        self.messages: list[Message] = []

    async def ask(self, text: str, **explicit: str) -> Thread:
        """Ask; the thread is held until `hear` or `give_up`."""
        self.messages.append(Message("user", text))
        self.conversation = read(self.messages)
        headers = {
            name.replace("_", "-").encode(): value.encode()
            for name, value in explicit.items()
            if name != "conversation_id"
        }
        self.thread = await self.memory.recall(
            self.mode,
            self.owner,
            self.conversation,
            conversation_id=explicit.get("conversation_id", ""),
            headers=headers,
        )
        return self.thread

    async def hear(self, conversation_id: str, answer: str = "Well.") -> str:
        """Dify answered in this conversation. What the client has of it is the answer and the mark."""
        answer += self.memory.mark(self.thread, self.owner, conversation_id)
        await self.memory.remember(
            self.thread, self.owner, self.conversation, conversation_id, Message("assistant", answer)
        )
        await self.memory.release(self.thread, begun=True)
        self.messages.append(Message("assistant", answer))
        return answer

    async def turn(self, text: str, conversation_id: str, **explicit: str) -> Thread:
        thread = await self.ask(text, **explicit)
        await self.hear(conversation_id)
        return thread


@pytest.mark.parametrize(("mode", "history"), [("0", False), ("1", True)])
async def test_without_memory_every_question_is_a_new_conversation(
    memory: Memory, mode: MemoryMode, history: bool
) -> None:
    client = Client(memory, mode)
    await client.turn("Hi", ONE)
    thread = await client.turn("More?", TWO)
    assert (thread.conversation_id, thread.history) == (None, history)
    assert client.messages[1].text == "Well."


@pytest.mark.parametrize("mode", ["2", "auto"])
async def test_a_conversation_goes_on_turn_after_turn(memory: Memory, mode: MemoryMode) -> None:
    client = Client(memory, mode)
    assert (await client.turn("Hi", ONE)).conversation_id is None
    for question in ("And?", "More?", "Still?"):
        assert (await client.turn(question, ONE)).conversation_id == ONE


async def test_only_the_first_answer_carries_the_invisible_id(memory: Memory) -> None:
    client = Client(memory, "2")
    await client.turn("Hi", ONE)
    await client.turn("More?", ONE)
    assert client.messages[1].text != "Well."
    assert client.messages[1].text.startswith("Well.")
    assert client.messages[3].text == "Well."


async def test_auto_leaves_no_trace_in_the_answer(memory: Memory) -> None:
    client = Client(memory)
    await client.turn("Hi", ONE)
    assert client.messages[1].text == "Well."


async def test_a_client_that_trims_and_shows_thinking_is_still_recognised(memory: Memory) -> None:
    client = Client(memory)
    await client.turn("Hi ", ONE)
    client.messages = [Message("user", "Hi"), Message("assistant", "<think>hm</think>\n Well.\n")]
    assert (await client.ask("More?")).conversation_id == ONE


@pytest.mark.parametrize(
    "history",
    [
        [Message("user", "Ho"), Message("assistant", "Well.")],
        [Message("user", "Hi"), Message("assistant", "Not so well.")],
        [Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Well.")],
        [Message("user", "Hi"), Message("assistant", "Well."), Message("user", "unanswered")],
    ],
)
async def test_an_edited_history_is_another_conversation(memory: Memory, history: list[Message]) -> None:
    client = Client(memory)
    await client.turn("Hi", ONE)
    client.messages = history
    thread = await client.ask("More?")
    assert (thread.conversation_id, thread.history) == (None, True)


async def test_a_regenerated_answer_is_a_branch_and_both_branches_go_on(memory: Memory) -> None:
    client, other = Client(memory), Client(memory)
    await client.turn("Hi", ONE)
    other.messages = list(client.messages)
    await client.ask("More?")
    await client.hear(ONE, "This.")
    assert (await other.ask("More?")).conversation_id is None
    await other.hear(TWO, "That.")
    assert (await client.ask("So?")).conversation_id == ONE
    assert (await other.ask("So?")).conversation_id == TWO


async def test_two_requests_on_one_conversation_never_meet_in_it(memory: Memory) -> None:
    first = Client(memory)
    await first.turn("Hi", ONE)
    clients = [Client(memory) for _ in range(20)]
    for client in clients:
        client.messages = list(first.messages)
    threads = await asyncio.gather(*(client.ask("More?") for client in clients))
    assert [thread.conversation_id for thread in threads].count(ONE) == 1
    assert all(thread.history for thread in threads)


@pytest.mark.parametrize("explicit", [{"conversation_id": ONE}, {"x_dify_conversation_id": ONE}])
async def test_a_conversation_that_is_named_goes_on_but_only_for_one_at_a_time(
    memory: Memory, explicit: dict[str, str]
) -> None:
    first, second = Client(memory), Client(memory)
    held = await first.ask("Hi", **explicit)
    assert (held.conversation_id, held.explicit) == (ONE, True)
    assert (await second.ask("Hi", **explicit)).conversation_id is None
    await first.hear(ONE)
    assert (await second.ask("Hi", **explicit)).conversation_id == ONE


@pytest.mark.parametrize("header", ["x_openwebui_chat_id", "x_session_id", "x_chat_id"])
async def test_a_chat_id_is_one_conversation_whatever_the_history_says(memory: Memory, header: str) -> None:
    client = Client(memory)
    assert (await client.turn("Hi", ONE, **{header: "chat-1"})).conversation_id is None
    client.messages = []
    assert (await client.turn("Something else", ONE, **{header: "chat-1"})).conversation_id == ONE
    client.messages = []
    assert (await client.ask("Hi", **{header: "chat-2"})).conversation_id is None


async def test_two_first_requests_of_one_chat_make_one_conversation_that_lasts(memory: Memory) -> None:
    first, second = Client(memory), Client(memory)
    await first.ask("Hi", x_chat_id="c")
    await second.ask("Ho", x_chat_id="c")
    await second.hear(TWO)
    await first.hear(ONE)
    assert (await Client(memory).ask("More?", x_chat_id="c")).conversation_id == ONE


async def test_a_chat_uis_own_tasks_stay_out_of_its_chat(memory: Memory) -> None:
    client = Client(memory)
    await client.turn("Hi", ONE, x_openwebui_chat_id="c")
    task = await Client(memory).ask("### Task:\nGenerate a title", x_openwebui_chat_id="c")
    assert (task.conversation_id, task.claim, task.chat) == (None, None, None)


STRANGERS = [Owner("key-1:bob", "app-1"), Owner("key-2:ada", "app-1"), Owner("key-1:ada", "app-2")]


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("mode", ["2", "auto"])
async def test_no_other_user_key_or_app_finds_the_conversation(
    memory: Memory, mode: MemoryMode, stranger: Owner
) -> None:
    client, other = Client(memory, mode), Client(memory, mode, stranger)
    await client.turn("Hi", ONE, x_chat_id="c") if mode == "auto" else await client.turn("Hi", ONE)
    other.messages = list(client.messages)
    assert (await other.ask("More?")).conversation_id is None
    assert (await other.ask("More?", x_chat_id="c")).conversation_id is None


async def test_a_turn_that_never_began_can_be_asked_again(memory: Memory) -> None:
    client = Client(memory)
    await client.turn("Hi", ONE)
    await client.memory.release(await client.ask("More?"), begun=False)
    client.messages.pop()
    assert (await client.ask("More?")).conversation_id == ONE


async def test_a_turn_that_broke_off_makes_the_next_one_a_new_conversation(memory: Memory) -> None:
    client = Client(memory)
    await client.turn("Hi", ONE)
    await client.memory.release(await client.ask("More?"), begun=True)
    client.messages.pop()
    assert (await client.ask("More?")).conversation_id is None


async def test_a_conversation_that_is_gone_from_dify_is_started_anew_with_its_history(memory: Memory) -> None:
    client = Client(memory)
    await client.turn("Hi", ONE)
    client.thread = (await client.ask("More?")).fresh()
    assert (client.thread.conversation_id, client.thread.history) == (None, True)
    await client.hear(TWO)
    assert (await client.ask("Still?")).conversation_id == TWO


async def test_the_inputs_of_a_conversation_are_kept_for_its_owner(memory: Memory) -> None:
    asked, answer = read([Message("user", "Hi")]), Message("assistant", "Hello")
    await memory.remember(Thread(), ADA, asked, ONE, answer, inputs={"city": "Rome", "n": 1})
    assert await memory.inputs(ADA, ONE) == {"city": "Rome", "n": 1}
    assert await memory.inputs(ADA, TWO) == {}
    assert [await memory.inputs(stranger, ONE) for stranger in STRANGERS] == [{}, {}, {}]


def test_parts_of_an_owner_cannot_be_moved_from_one_to_the_next() -> None:
    assert Owner("a", "bc").key("turn", "d") != Owner("ab", "c").key("turn", "d")
    assert Owner("a", "b").key("turn", "d") != Owner("a", "b").key("chat", "d")


async def test_others_are_served_while_the_pictures_of_a_history_are_read(memory: Memory) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    picture = Part("image_url", image_url="data:image/png;base64," + "A" * 8_000_000)
    look, answer = Message("user", [picture]), Message("assistant", "A cat.")
    serving = asyncio.create_task(others())
    await memory.recall("auto", ADA, read([look, answer, Message("user", "And now?")]), headers={})
    assert turns > 0
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
