"""A message list, read as a conversation."""

import pytest

from opendify.gateway.conversation import Digest, attachments, read, said
from opendify.gateway.errors import OpenAIError
from opendify.gateway.history import seeded
from opendify.gateway.wire import FilePart, ImageURL, Message, Part

IMAGE = Part("image_url", image_url=ImageURL("https://x/cat.png"))
PDF = Part("file", file=FilePart(file_data="data:,", filename="report.pdf"))


def talk(*turns: str | tuple[str, str]) -> list[Message]:
    """Messages from "role: text" lines."""
    return [Message(*turn.split(": ", 1)) if isinstance(turn, str) else Message(*turn) for turn in turns]


def test_the_last_user_turn_is_the_question_and_what_is_before_it_the_history() -> None:
    chat = read(
        talk("system: Be brief.", "developer: In verse.", "user: Hi", "assistant: Hello", "user: And now?")
    )
    assert chat.system == "Be brief.\n\nIn verse."
    assert [message.text for message in chat.history] == ["Hi", "Hello"]
    assert chat.asks == "And now?"
    assert (chat.places, chat.goes_on) == ([4], True)


def test_nothing_is_lost_that_stands_after_the_question() -> None:
    chat = read(talk("user: Hi", "assistant: Let me"))
    assert [message.text for message in chat.history] == ["Let me"]
    assert "assistant: Let me" in seeded(chat, "")


def test_a_system_prompt_alone_is_the_question() -> None:
    chat = read(talk("system: Say hello."))
    assert (chat.system, chat.asks) == ("", "Say hello.")


@pytest.mark.parametrize(
    "messages", [talk("assistant: Hi"), talk("user:  "), [Message("user", [])], [Message("user", None)]]
)
def test_a_request_that_asks_nothing_is_refused(messages: list[Message]) -> None:
    with pytest.raises(OpenAIError) as refused:
        read(messages)
    assert refused.value.status == 400


def test_a_picture_without_words_is_a_question() -> None:
    assert read([Message("user", [IMAGE])]).has_files(history=False)


def test_the_history_goes_in_as_the_contract_writes_it() -> None:
    chat = read(talk("user: Hi", "assistant: Hello", "user: And now?"))
    history = "<history>\nsystem: Be brief.\n\nuser: Hi\n\nassistant: Hello\n</history>"
    assert seeded(chat, "Be brief.") == f"{history}\n\nCurrent question: And now?"


def test_a_system_prompt_without_a_history_is_a_paragraph_before_the_question() -> None:
    assert seeded(read(talk("user: Hi")), "Be brief.") == "Be brief.\n\nHi"
    assert seeded(read(talk("user: Hi")), "") == "Hi"


@pytest.mark.parametrize(
    ("turns", "label"),
    [
        (("user: 你好", "assistant: 你好！有什么可以帮您？"), "用户当前问题:"),
        (("user: Hi", "assistant: Hello, what is 你好?"), "Current question:"),
        (
            ("user: Python 的 asyncio 是什么意思？请详细解释一下", "assistant: 它是一个异步库"),
            "用户当前问题:",
        ),
    ],
)
def test_the_label_speaks_the_language_of_the_history(turns: tuple[str, str], label: str) -> None:
    assert f"\n\n{label} 再见" in seeded(read(talk(*turns, "user: 再见")), "")


def test_attachments_of_earlier_turns_are_named_in_the_history() -> None:
    message = Message("user", [Part("text", text="See"), IMAGE, PDF])
    chat = read([message, *talk("assistant: Nice", "user: More?")])
    assert "user: See\n[image]\n[report.pdf]\n" in seeded(chat, "")


def test_thinking_stays_out_of_what_is_sent_on() -> None:
    assert said(Message("assistant", "<think>hm</think>\n\nYes ")) == "Yes"
    assert said(Message("assistant", "[THINK]hm[/THINK]Yes")) == "Yes"
    assert said(Message("assistant", "Write <think>hm</think>.")) == "Write <think>hm</think>."
    assert said(Message("user", "<think>hm</think> is a tag")) == "<think>hm</think> is a tag"


@pytest.mark.parametrize("kind", ["thinking", "redacted_thinking", "reasoning"])
def test_parts_in_which_a_client_sends_thinking_back_are_passed_over(kind: str) -> None:
    shown = Message("assistant", [Part(kind, text="hm"), Part("text", text="Yes")])
    assert said(shown) == "Yes"
    assert not list(attachments(shown))
    assert Digest("").add(shown).key() == Digest("").add(Message("assistant", "Yes")).key()


def key(*turns: str | tuple[str, str], system: str = "") -> str:
    digest = Digest(system)
    for message in talk(*turns):
        digest.add(message)
    return digest.key()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("user: Hi", "assistant: Hello"), ("user: Hi ", "assistant: \nHello\n")),
        (("assistant: Yes",), ("assistant: <think>hm</think>\nYes",)),
    ],
)
def test_what_clients_change_on_their_own_makes_no_other_conversation(
    one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    assert key(*one) == key(*other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("user: Hi",), ("user: Ho",)),
        (("user: Hi",), ("assistant: Hi",)),
        (("user: a", "user: b"), ("user: ab",)),
        (("user: a", "user: b"), (("user", "a\nuser: b"),)),
        (("user: Hi",), ("user: Hi", "assistant: ")),
    ],
)
def test_conversations_that_say_something_else_are_others(
    one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    assert key(*one) != key(*other)
    assert key(*one) != key(*one, system="Be brief.")


def test_another_picture_makes_another_conversation() -> None:
    other = Part("image_url", image_url=ImageURL("https://x/dog.png"))
    keys = {Digest("").add(Message("user", [part])).key() for part in (IMAGE, other, PDF)}
    assert len(keys) == 3


def test_lone_surrogates_do_no_harm() -> None:
    assert Digest("\ud800").add(Message("user", "\udfff")).key()
