"""Who is who to Dify: no key and no user ever reaches what is another's, whatever they send."""

from typing import Any

import pytest
from openai import NotFoundError, OpenAI

from opendify.gateway.zero_width import encode
from opendify.simulator import Simulator

from .clients import Ask, Asked, plain

AUTO, MARKED = "Simulated Chat", "memory 2"


def going_on(first: str, answer: str, question: str) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": first},
        {"role": "assistant", "content": answer},
        {"role": "user", "content": question},
    ]


def test_dify_gets_the_key_and_the_user_in_one(ask: Ask, asked: Asked, user: str) -> None:
    ask(AUTO, "Hello")
    assert asked().user == f"ada:{user}"


def test_a_request_without_user_is_the_keys_default_one(openai: OpenAI, bob: OpenAI, asked: Asked) -> None:
    plain(openai, AUTO, "Hello")
    assert asked().user == "ada:default"
    plain(bob, AUTO, "Hello")
    assert asked().user == "bob:default"


def test_the_safety_identifier_beats_the_older_user(ask: Ask, asked: Asked) -> None:
    ask(AUTO, "Hello", user="old", safety_identifier="new")
    assert asked().user == "ada:new"


def test_a_chat_ui_names_its_user_in_a_header_and_the_body_beats_it(openai: OpenAI, asked: Asked) -> None:
    header = {"X-OpenWebUI-User-Id": "from-header"}
    plain(openai, AUTO, "Hello", extra_headers=header)
    assert asked().user == "ada:from-header"
    plain(openai, AUTO, "Hello", extra_headers=header, user="from-body")
    assert asked().user == "ada:from-body"


@pytest.mark.parametrize("odd", ["x" * 300, "line\nbreak", "tab\t", " spaced ", "~tilde", "\u202e", "\x00"])
def test_a_long_or_odd_user_is_a_user_all_the_same(ask: Ask, asked: Asked, odd: str) -> None:
    """Dify answers 500 to a user of 300 characters."""
    assert ask(AUTO, "[[reply:Hello]]", user=odd).content == "Hello"
    shortened = asked().user
    assert shortened.startswith("ada:~")
    assert len(shortened) < 100
    ask(AUTO, "Hello", user=odd)
    assert asked().user == shortened
    ask(AUTO, "Hello", user=f"{odd}!")
    assert asked().user != shortened


def test_users_with_names_in_any_script_keep_them(ask: Ask, asked: Asked) -> None:
    ask(AUTO, "Hello", user="用户 Zoë@example.org")
    assert asked().user == "ada:用户 Zoë@example.org"


def test_no_user_can_pass_for_one_of_another_key(openai: OpenAI, bob: OpenAI, asked: Asked) -> None:
    plain(bob, AUTO, "Hello", user="ada:default")
    assert asked().user == "bob:ada:default"


# Each of these is tried by another user of the same key, and by the same user of another key.

STRANGERS = ("another user", "another key")


@pytest.fixture(params=STRANGERS)
def stranger(request: pytest.FixtureRequest, way: Ask, openai: OpenAI, bob: OpenAI, user: str) -> Ask:
    """Asks as somebody else."""
    client, name = {"another user": (openai, f"{user}-2"), "another key": (bob, user)}[request.param]

    def ask(model: str, messages: Any, **more: Any) -> Any:
        return way(client, model, messages, user=name, **more)

    return ask


def test_a_stranger_with_the_same_history_gets_a_conversation_of_its_own(
    ask: Ask, stranger: Ask, asked: Asked
) -> None:
    first = ask(AUTO, "[[reply:The code is 1234.]]")
    turns = going_on("[[reply:The code is 1234.]]", "The code is 1234.", "[[history]]")
    other = stranger(AUTO, turns)
    assert other.dify["conversation_id"] != first.dify["conversation_id"]
    assert not asked().conversation_id
    assert ask(AUTO, turns).dify["conversation_id"] == first.dify["conversation_id"], "and takes none away"


@pytest.mark.parametrize("place", ["body", "metadata", "header"])
def test_a_strangers_conversation_id_is_unknown(ask: Ask, stranger: Ask, dify: Simulator, place: str) -> None:
    theirs = ask(AUTO, "[[reply:The code is 1234.]]").dify["conversation_id"]
    sent: dict[str, Any] = {
        "body": {"extra_body": {"conversation_id": theirs}},
        "metadata": {"metadata": {"conversation_id": theirs}},
        "header": {"extra_headers": {"X-Dify-Conversation-Id": theirs}},
    }[place]
    with pytest.raises(NotFoundError) as caught:
        stranger(AUTO, "[[history]]", **sent)
    assert caught.value.code == "conversation_not_found"
    assert ask(AUTO, "[[history]]", **sent).dify["conversation_id"] == theirs


@pytest.mark.parametrize("header", ["X-OpenWebUI-Chat-Id", "X-Session-Id", "X-Chat-Id"])
def test_a_strangers_chat_id_leads_to_a_chat_of_ones_own(
    ask: Ask, stranger: Ask, user: str, header: str
) -> None:
    named = {"extra_headers": {header: f"chat {user}"}}
    theirs = ask(AUTO, "[[reply:The code is 1234.]]", **named)
    other = stranger(AUTO, "[[history]]", **named)
    assert other.dify["conversation_id"] != theirs.dify["conversation_id"]
    assert "1234" not in other.content
    again = ask(AUTO, "[[history]]", **named)
    assert again.dify["conversation_id"] == theirs.dify["conversation_id"]


def test_a_strangers_invisible_mark_says_nothing(ask: Ask, stranger: Ask, dify: Simulator) -> None:
    theirs = ask(MARKED, "[[reply:The code is 1234.]]")
    before = dify.counts().calls["POST /chat-messages"]
    other = stranger(MARKED, going_on("Hi", theirs.content, "[[history]]"))
    assert other.dify["conversation_id"] != theirs.dify["conversation_id"]
    assert dify.counts().calls["POST /chat-messages"] == before + 1, "Dify is not even asked for it"


def test_a_forged_mark_says_nothing(ask: Ask, asked: Asked, user: str) -> None:
    theirs = ask(MARKED, "Hello").dify["conversation_id"]
    forged = encode(theirs, secret=b"guessed", context=f"ada:{user}")
    ask(MARKED, going_on("Hi", f"Hello {forged}", "And now?"))
    assert not asked().conversation_id
    assert asked().query.startswith("<history>\nuser: Hi\n\nassistant: Hello\n</history>")


def test_the_first_opendifys_marks_are_not_signed_but_dify_keeps_strangers_out(
    ask: Ask, stranger: Ask, asked: Asked
) -> None:
    theirs = ask(MARKED, "[[reply:The code is 1234.]]").dify["conversation_id"]
    alphabet = "\u200b\u200c\u200d\ufeff\u2060\u180e\u2061\u2062"
    bits = int.from_bytes(theirs.encode(), "big")
    mark = "".join(alphabet[bits >> shift & 7] for shift in range(285, -1, -3))
    turns = going_on("Hi", f"Hello{mark}", "[[history]]")
    other = stranger(MARKED, turns)
    assert other.dify["conversation_id"] != theirs
    assert "1234" not in other.content
    assert ask(MARKED, turns).dify["conversation_id"] == theirs, "its own user goes on by it"


def test_remembered_inputs_are_nobody_elses(ask: Ask, stranger: Ask, asked: Asked) -> None:
    given = {"name": "Ada", "lang": "English"}
    first = ask("Simulated Form", "[[reply:Hi]]", extra_body={"inputs": given})
    with pytest.raises(Exception, match="needs the input 'name'"):
        stranger("Simulated Form", going_on("[[reply:Hi]]", first.content, "And now?"))
