"""How a conversation goes on, in each of the four memory modes, seen by what Dify's model gets to see."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openai import APIError, APIStatusError, AsyncOpenAI, NotFoundError, OpenAI

from opendify.gateway.zero_width import strip
from opendify.simulator import Simulator
from servers import Gateway, eventually, running_gateway

from .clients import ADA, Answer, Ask, Asked, http, plain

AUTO, NONE, TOLD, MARKED = "Simulated Chat", "memory 0", "memory 1", "memory 2"
MODES = (AUTO, NONE, TOLD, MARKED)
CHAT_APPS = ("Simulated Chat", "Simulated Agent", "Simulated Chatflow")

Turns = list[dict[str, Any]]


def user_turn(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def after(turns: Turns, answer: Answer, text: str) -> Turns:
    """The next request of a client that keeps the history: all that was said, and a question."""
    return [*turns, {"role": "assistant", "content": answer.content}, user_turn(text)]


def said(text: str) -> Answer:
    """An answer of some earlier time, that this gateway never gave."""
    return Answer(text, "", "stop", None, {}, [])


def conversation_of(answer: Answer) -> str:
    return str(answer.dify["conversation_id"])


def told(answer: Answer) -> list[tuple[str, str]]:
    """What the model saw, where it was asked for its `[[history]]`."""
    seen = [(message["role"], message["content"]) for message in json.loads(strip(answer.content))]
    return [message for message in seen if message[0] != "system"]


@pytest.fixture
def delete(dify: Simulator) -> Callable[[str, str, str], None]:
    """Delete a conversation in Dify: app, user, id."""

    def delete(app: str, user: str, conversation_id: str) -> None:
        reply = http(
            "DELETE",
            f"{dify.base_url}/conversations/{conversation_id}",
            json={"user": user},
            headers={"Authorization": f"Bearer {dify.keys[app]}"},
        )
        assert reply.status_code == 204

    return delete


# ── Mode 0: nothing ──────────────────────────────────────────────────────────────────────────────────


def test_mode_0_asks_the_last_turn_alone_each_time(ask: Ask, asked: Asked) -> None:
    turns = [{"role": "system", "content": "Be brief."}, user_turn("My name is Ada.")]
    first = ask(NONE, turns)
    second = ask(NONE, after(turns, first, "[[history]]"))
    assert told(second) == [("user", "Be brief.\n\n[[history]]")]
    assert not asked().conversation_id
    assert conversation_of(second) != conversation_of(first)
    assert second.content == strip(second.content)


# ── Mode 1: history in the question ──────────────────────────────────────────────────────────────────


def test_mode_1_tells_the_earlier_turns_in_the_question(ask: Ask, asked: Asked) -> None:
    turns = [user_turn("[[reply:Hello, Ada!]] My name is Ada.")]
    first = ask(TOLD, turns)
    second = ask(TOLD, after(turns, first, "What is my name?"))
    assert asked().query == (
        "<history>\nuser: [[reply:Hello, Ada!]] My name is Ada.\n\nassistant: Hello, Ada!\n</history>\n\n"
        "Current question: What is my name?"
    )
    assert not asked().conversation_id
    assert conversation_of(second) != conversation_of(first)


def test_mode_1_asks_in_chinese_where_the_history_is_chinese(ask: Ask, asked: Asked) -> None:
    turns = [user_turn("我叫小明，请记住我的名字。")]
    first = said("好的，小明！")
    ask(TOLD, after(turns, first, "我叫什么名字？"))
    assert asked().query == (
        "<history>\nuser: 我叫小明，请记住我的名字。\n\nassistant: 好的，小明！\n</history>\n\n"
        "用户当前问题: 我叫什么名字？"
    )


def test_mode_1_puts_the_system_prompt_first_in_the_history_once(ask: Ask, asked: Asked) -> None:
    turns = [{"role": "system", "content": "Be brief."}, user_turn("Hi")]
    ask(TOLD, turns)
    assert asked().query == "Be brief.\n\nHi"
    ask(TOLD, after(turns, said("Hello"), "And now?"))
    assert asked().query == (
        "<history>\nsystem: Be brief.\n\nuser: Hi\n\nassistant: Hello\n</history>\n\n"
        "Current question: And now?"
    )


def test_what_was_thought_is_not_told_again(ask: Ask, asked: Asked) -> None:
    turns = after([user_turn("Hi")], said("<think>\nhm\n</think>\n\nHello"), "Now?")
    ask(TOLD, turns)
    assert "assistant: Hello\n" in asked().query
    assert "hm" not in asked().query


# ── Mode 2: an invisible id ──────────────────────────────────────────────────────────────────────────


def test_mode_2_marks_the_first_answer_and_goes_on_by_it(ask: Ask, asked: Asked) -> None:
    turns = [user_turn("[[reply:Hello, Ada!]]")]
    first = ask(MARKED, turns)
    assert first.content != "Hello, Ada!"
    assert strip(first.content) == "Hello, Ada!"
    turns = after(turns, first, "[[history]]")
    second = ask(MARKED, turns)
    assert asked().conversation_id == conversation_of(first) == conversation_of(second)
    assert asked().query == "[[history]]"
    assert told(second)[:2] == [("user", "[[reply:Hello, Ada!]]"), ("assistant", "Hello, Ada!")]
    assert second.content == strip(second.content), "only the first answer carries the mark"
    third = ask(MARKED, after(turns, second, "And now?"))
    assert conversation_of(third) == conversation_of(first)


@pytest.mark.parametrize("model", [MARKED, TOLD, AUTO])
def test_dify_never_sees_an_invisible_id(ask: Ask, asked: Asked, model: str) -> None:
    marked = ask(MARKED, "[[reply:Hello]]")
    ask(model, after([user_turn("Changed")], marked, "And now?"), extra_body={"conversation_id": None})
    assert asked().query == strip(asked().query)


def test_mode_2_survives_a_client_that_trims(ask: Ask) -> None:
    turns = [user_turn("[[reply:Hello]]")]
    first = ask(MARKED, turns)
    first.content = f"\n {first.content.strip()} "
    assert conversation_of(ask(MARKED, after(turns, first, "Now?"))) == conversation_of(first)


def test_mode_2_sends_the_system_prompt_once(ask: Ask, asked: Asked) -> None:
    turns = [{"role": "system", "content": "Be brief."}, user_turn("Hi")]
    first = ask(MARKED, turns)
    assert asked().query == "Be brief.\n\nHi"
    ask(MARKED, after(turns, first, "And now?"))
    assert asked().query == "And now?"


def test_mode_2_without_a_mark_starts_anew_with_the_history(ask: Ask, asked: Asked) -> None:
    turns = after([user_turn("Hi")], said("Hello"), "And now?")
    answer = ask(MARKED, turns)
    assert asked().query.startswith("<history>\nuser: Hi\n\nassistant: Hello\n</history>")
    assert answer.content != strip(answer.content), "a new conversation is marked"


def test_a_mark_of_the_first_opendify_is_tried_and_a_lost_conversation_starts_anew(
    ask: Ask, asked: Asked, dify: Simulator
) -> None:
    """Its users were other users to Dify, so the conversation is not found: the chat goes on in a new one."""
    digits = (
        "150324671403047116031055160304611602646430461465132341451626105515432065154311421503246515263062"
    )
    mark = digits.translate(str.maketrans("01234567", "\u200b\u200c\u200d\ufeff\u2060\u180e\u2061\u2062"))
    before = dify.counts().calls["POST /chat-messages"]
    ask(MARKED, after([user_turn("Hi")], said(f"Hello{mark}"), "And now?"))
    assert dify.counts().calls["POST /chat-messages"] == before + 2
    assert (
        asked().query == "<history>\nuser: Hi\n\nassistant: Hello\n</history>\n\nCurrent question: And now?"
    )


# ── Mode auto: the history itself ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", CHAT_APPS)
def test_auto_goes_on_where_the_history_ends(ask: Ask, asked: Asked, model: str) -> None:
    turns = [user_turn("[[reply:Hello, Ada!]][[notool]] My name is Ada.")]
    first = ask(model, turns)
    assert first.content == "Hello, Ada!"
    for _ in range(3):
        turns = after(turns, first, "[[history]][[notool]]")
        answer = ask(model, turns)
        assert asked().conversation_id == conversation_of(first) == conversation_of(answer)
        assert asked().query == "[[history]][[notool]]"
        seen = told(answer)
        assert seen[:2] == [
            ("user", "[[reply:Hello, Ada!]][[notool]] My name is Ada."),
            ("assistant", "Hello, Ada!"),
        ]
        first = answer


def test_auto_leaves_no_trace_in_the_answer(ask: Ask) -> None:
    assert ask(AUTO, "[[reply:Hello]]").content == "Hello"


def test_auto_goes_on_after_what_clients_change(ask: Ask) -> None:
    """White space around a text, thinking that is shown or not, content as text or as parts."""
    turns = [{"role": "system", "content": "Be brief."}, user_turn("[[think]] Hi")]
    first = ask(AUTO, turns)
    assert first.content == "The answer is 42."
    shown = f"<think>{first.reasoning}</think>\n\n{first.content}\n"
    changed: Turns = [
        {"role": "system", "content": [{"type": "text", "text": "Be brief.\n"}]},
        {"role": "user", "content": [{"type": "text", "text": " [[think]] Hi"}], "name": "Ada"},
        {"role": "assistant", "content": shown, "refusal": None},
        user_turn("And now?"),
    ]
    assert conversation_of(ask(AUTO, changed)) == conversation_of(first)


def test_auto_sends_the_system_prompt_once(ask: Ask, asked: Asked) -> None:
    turns = [{"role": "system", "content": "Be brief."}, user_turn("Hi")]
    first = ask(AUTO, turns)
    assert asked().query == "Be brief.\n\nHi"
    ask(AUTO, after(turns, first, "And now?"))
    assert asked().query == "And now?"


def test_an_edited_turn_starts_a_new_conversation_with_the_history(ask: Ask, asked: Asked) -> None:
    turns = [user_turn("[[reply:one]]")]
    first = ask(AUTO, turns)
    turns = after(turns, first, "[[reply:two]]")
    second = ask(AUTO, turns)
    assert conversation_of(second) == conversation_of(first)
    edited = after([user_turn("[[reply:one]]")], first, "[[reply:three]] edited")
    third = ask(AUTO, edited)
    assert conversation_of(third) != conversation_of(first)
    assert asked().query == (
        "<history>\nuser: [[reply:one]]\n\nassistant: one\n</history>\n\n"
        "Current question: [[reply:three]] edited"
    )
    fourth = ask(AUTO, after(edited, third, "And now?"))
    assert conversation_of(fourth) == conversation_of(third), "the edited conversation goes on"


def test_an_edited_first_turn_starts_a_new_conversation(ask: Ask, asked: Asked) -> None:
    first = ask(AUTO, "Hello")
    second = ask(AUTO, "Hello!")
    assert conversation_of(second) != conversation_of(first)
    assert asked().query == "Hello!"


def test_a_regenerated_answer_starts_a_new_conversation_with_the_history(ask: Ask, asked: Asked) -> None:
    turns = [user_turn("[[reply:one]]")]
    first = ask(AUTO, turns)
    turns = after(turns, first, "[[reply:two]]")
    second = ask(AUTO, turns)
    again = ask(AUTO, turns)
    assert len({conversation_of(answer) for answer in (first, second, again)}) == 2
    assert conversation_of(again) != conversation_of(first)
    assert asked().query.startswith("<history>")


def test_both_branches_of_a_conversation_go_on(ask: Ask) -> None:
    turns = [user_turn("[[reply:one]]")]
    first = ask(AUTO, turns)
    left, right = after(turns, first, "[[reply:left]]"), after(turns, first, "[[reply:right]]")
    on_the_left, on_the_right = ask(AUTO, left), ask(AUTO, right)
    assert conversation_of(on_the_left) == conversation_of(first) != conversation_of(on_the_right)
    for turns, answer in ((left, on_the_left), (right, on_the_right)):
        last = ask(AUTO, after(turns, answer, "[[history]]"))
        assert conversation_of(last) == conversation_of(answer)
        assert told(last)[-2] == ("assistant", answer.content)


def test_an_edited_answer_starts_a_new_conversation(ask: Ask) -> None:
    turns = [user_turn("[[reply:one]]")]
    first = ask(AUTO, turns)
    first.content = "another"
    assert conversation_of(ask(AUTO, after(turns, first, "Now?"))) != conversation_of(first)


def test_another_system_prompt_starts_a_new_conversation(ask: Ask, asked: Asked) -> None:
    turns = [{"role": "system", "content": "Be brief."}, user_turn("[[reply:one]]")]
    first = ask(AUTO, turns)
    turns[0] = {"role": "system", "content": "Be long."}
    second = ask(AUTO, after(turns, first, "Now?"))
    assert conversation_of(second) != conversation_of(first)
    assert "system: Be long." in asked().query


def test_two_models_never_share_a_conversation(ask: Ask, asked: Asked) -> None:
    turns = [user_turn("[[reply:one]]")]
    first = ask(AUTO, turns)
    second = ask("Twin", after(turns, first, "Now?"))
    assert conversation_of(second) != conversation_of(first)
    assert not asked().conversation_id


def test_two_names_of_one_app_share_their_conversations(ask: Ask) -> None:
    turns = [user_turn("[[reply:one]]")]
    first = ask("preset", turns)
    assert conversation_of(ask("with defaults", after(turns, first, "Now?"))) == conversation_of(first)


@pytest.mark.parametrize("refusal", ["413", "unavailable"])
def test_a_conversation_goes_on_after_a_turn_that_dify_refused(ask: Ask, refusal: str) -> None:
    """Nothing was added to the conversation, so the history is still where it ends."""
    turns = [user_turn("[[reply:one]]")]
    first = ask(AUTO, turns)
    with pytest.raises(APIStatusError):
        ask(AUTO, after(turns, first, f"[[http:{refusal}]]"))
    assert conversation_of(ask(AUTO, after(turns, first, "And now?"))) == conversation_of(first)


@pytest.mark.parametrize("fault", ["[[http:500]]", "[[http:502]]", "[[error]]", "[[cut]]", "[[truncate]]"])
def test_after_a_turn_that_dify_may_have_added_the_history_starts_anew(ask: Ask, fault: str) -> None:
    turns = [user_turn("[[reply:one]]")]
    first = ask(AUTO, turns)
    with pytest.raises(APIError):
        ask(AUTO, after(turns, first, fault))
    second = ask(AUTO, after(turns, first, "[[history]]"))
    assert conversation_of(second) != conversation_of(first)
    assert "assistant: one" in told(second)[-1][1]


# ── A conversation that is gone ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("model", "app"), [(AUTO, "chat"), (MARKED, "marked")])
def test_a_conversation_that_was_deleted_in_dify_goes_on_in_a_new_one(
    ask: Ask, asked: Asked, delete: Callable[[str, str, str], None], model: str, app: str
) -> None:
    turns = [{"role": "system", "content": "Be brief."}, user_turn("[[reply:one]]")]
    first = ask(model, turns)
    delete(app, asked().user, conversation_of(first))
    turns = after(turns, first, "[[history]]")
    second = ask(model, turns)
    assert conversation_of(second) != conversation_of(first)
    assert told(second) == [
        (
            "user",
            "<history>\nsystem: Be brief.\n\nuser: [[reply:one]]\n\nassistant: one\n</history>\n\n"
            "Current question: [[history]]",
        )
    ]
    third = ask(model, after(turns, second, "And now?"))
    assert conversation_of(third) == conversation_of(second)


# ── Explicit ids ─────────────────────────────────────────────────────────────────────────────────────

EXPLICIT: dict[str, Callable[[str], dict[str, Any]]] = {
    "body": lambda name: {"extra_body": {"conversation_id": name}},
    "metadata": lambda name: {"metadata": {"conversation_id": name}},
    "header": lambda name: {"extra_headers": {"X-Dify-Conversation-Id": name}},
}


@pytest.mark.parametrize("model", MODES)
@pytest.mark.parametrize("place", EXPLICIT)
def test_an_explicit_id_beats_every_mode(ask: Ask, asked: Asked, model: str, place: str) -> None:
    first = ask(model, "[[reply:one]]")
    second = ask(model, "[[history]]", **EXPLICIT[place](conversation_of(first)))
    assert asked().conversation_id == conversation_of(first)
    assert told(second) == [("user", "[[reply:one]]"), ("assistant", "one"), ("user", "[[history]]")]


@pytest.mark.parametrize("model", MODES)
@pytest.mark.parametrize("place", EXPLICIT)
def test_an_explicit_id_that_dify_does_not_know_is_not_found(ask: Ask, model: str, place: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        ask(model, "Hello", **EXPLICIT[place]("45701982-8118-4bc5-8e9b-64562b4555f2"))
    assert caught.value.code == "conversation_not_found"
    assert "45701982-8118-4bc5-8e9b-64562b4555f2" in caught.value.message


def test_the_body_beats_the_header(ask: Ask, asked: Asked) -> None:
    first, second = ask(AUTO, "one"), ask(AUTO, "two")
    ask(
        AUTO,
        "three",
        extra_body={"conversation_id": conversation_of(first)},
        extra_headers={"X-Dify-Conversation-Id": conversation_of(second)},
    )
    assert asked().conversation_id == conversation_of(first)


@pytest.mark.parametrize("header", ["X-OpenWebUI-Chat-Id", "X-Session-Id", "X-Chat-Id"])
@pytest.mark.parametrize("model", MODES)
def test_one_chat_id_is_one_conversation(ask: Ask, asked: Asked, user: str, model: str, header: str) -> None:
    turns = [user_turn("[[reply:one]]")]
    named = {"extra_headers": {header: f"chat of {user}"}}
    first = ask(model, turns, **named)
    second = ask(model, after(turns, first, "[[history]]"), **named)
    assert asked().conversation_id == conversation_of(first) == conversation_of(second)
    assert told(second)[-2:] == [("assistant", "one"), ("user", "[[history]]")]
    other = ask(model, "Hello", extra_headers={header: f"other chat of {user}"})
    assert conversation_of(other) != conversation_of(first)


def test_a_chat_id_survives_the_deletion_of_its_conversation(
    ask: Ask, asked: Asked, user: str, delete: Callable[[str, str, str], None]
) -> None:
    turns = [user_turn("[[reply:one]]")]
    named = {"extra_headers": {"X-Chat-Id": user}}
    first = ask(AUTO, turns, **named)
    delete("chat", asked().user, conversation_of(first))
    turns = after(turns, first, "[[reply:two]]")
    second = ask(AUTO, turns, **named)
    assert conversation_of(second) != conversation_of(first)
    assert "assistant: one" in asked().query
    third = ask(AUTO, after(turns, second, "And now?"), **named)
    assert conversation_of(third) == conversation_of(second)


def test_a_chat_that_began_elsewhere_is_told_when_its_id_is_new(ask: Ask, asked: Asked, user: str) -> None:
    turns = after([user_turn("Hi")], said("Hello"), "And now?")
    ask(AUTO, turns, extra_headers={"X-Chat-Id": user})
    assert asked().query.startswith("<history>\nuser: Hi\n\nassistant: Hello\n</history>")


def test_a_chat_uis_own_tasks_stay_out_of_the_chat(ask: Ask, asked: Asked, user: str) -> None:
    """Open WebUI asks for titles and tags under the id of the chat that they are for."""
    turns = [user_turn("[[reply:one]]")]
    named = {"extra_headers": {"X-OpenWebUI-Chat-Id": user}}
    first = ask(AUTO, turns, **named)
    ask(AUTO, "### Task:\nGenerate a concise title.\n<chat_history>\nUSER: Hi\n</chat_history>", **named)
    assert not asked().conversation_id
    second = ask(AUTO, after(turns, first, "[[history]]"), **named)
    assert conversation_of(second) == conversation_of(first)
    assert "Task" not in second.content


def test_ids_mean_nothing_to_apps_without_conversations(ask: Ask, user: str) -> None:
    for model in ("Simulated Workflow", "Simulated Completion"):
        answer = ask(
            model,
            "[[reply:Hello]]",
            extra_body={"conversation_id": "45701982-8118-4bc5-8e9b-64562b4555f2"},
            extra_headers={"X-Chat-Id": user},
        )
        assert answer.content == "Hello"
        assert "conversation_id" not in answer.dify


# ── At the same time ─────────────────────────────────────────────────────────────────────────────────


async def asked_at_once(
    client: AsyncOpenAI, model: str, requests: list[Turns], user: str, **more: Any
) -> list[str]:
    """The Dify conversations of requests that were sent together."""

    async def one(turns: Any) -> str:
        answer = await client.chat.completions.create(model=model, messages=turns, user=user, **more)
        return str((answer.model_extra or {})["dify"]["conversation_id"])

    return await asyncio.gather(*(one(turns) for turns in requests))


@pytest.mark.parametrize("model", [AUTO, MARKED])
async def test_two_turns_at_once_never_meet_in_one_conversation(
    openai: OpenAI, openai_async: AsyncOpenAI, user: str, model: str
) -> None:
    turns: Turns = [user_turn("[[reply:one]]")]
    first = plain(openai, model, turns, user=user)
    both = [after(turns, first, f"[[slow:5:0.05]] {number}") for number in range(4)]
    conversations = await asked_at_once(openai_async, model, both, user)
    assert len(set(conversations)) == 4
    assert conversation_of(first) in conversations


@pytest.mark.parametrize("place", [*EXPLICIT, "chat id"])
async def test_two_turns_at_once_under_one_id_never_meet(
    openai: OpenAI, openai_async: AsyncOpenAI, user: str, place: str
) -> None:
    chat = {"extra_headers": {"X-Chat-Id": user}}
    first = plain(openai, AUTO, "[[reply:one]]", user=user, **chat)
    more = chat if place == "chat id" else EXPLICIT[place](conversation_of(first))
    requests = [[user_turn(f"[[slow:5:0.05]] {number}")] for number in range(4)]
    conversations = await asked_at_once(openai_async, AUTO, requests, user, **more)
    assert len(set(conversations)) == 4
    assert conversation_of(first) in conversations
    last = plain(openai, AUTO, "[[history]]", user=user, **more)
    assert conversation_of(last) == conversation_of(first)


async def test_two_ways_to_name_a_conversation_at_once_never_meet_in_it(
    openai: OpenAI, openai_async: AsyncOpenAI, user: str
) -> None:
    chat = {"X-Chat-Id": user}
    first = plain(openai, AUTO, "[[reply:one]]", user=user, extra_headers=chat)
    explicit = {"X-Dify-Conversation-Id": conversation_of(first)}
    slow = [user_turn("[[slow:5:0.05]]")]
    by_chat, by_id = await asyncio.gather(
        asked_at_once(openai_async, AUTO, [slow], user, extra_headers=chat),
        asked_at_once(openai_async, AUTO, [slow], user, extra_headers=explicit),
    )
    assert by_chat != by_id
    assert conversation_of(first) in (*by_chat, *by_id)


async def test_two_first_turns_at_once_are_two_conversations(openai_async: AsyncOpenAI, user: str) -> None:
    same = [[user_turn("[[slow:3:0.05]] Hello")]] * 4
    assert len(set(await asked_at_once(openai_async, AUTO, same, user))) == 4


def test_a_turn_that_the_client_left_frees_its_conversation(
    openai: OpenAI, dify: Simulator, user: str
) -> None:
    first = plain(openai, AUTO, "[[reply:one]]", user=user)
    there = {"conversation_id": conversation_of(first)}
    messages: Any = [user_turn("[[slow:200:0.05]]")]
    stream = openai.chat.completions.create(
        model=AUTO, messages=messages, user=user, stream=True, extra_body=there
    )
    with stream:
        next(iter(stream))
    eventually(lambda: dify.counts().running == 0)
    last = plain(openai, AUTO, "[[history]]", user=user, extra_body=there)
    assert conversation_of(last) == conversation_of(first)


# ── The system prompt as an input ────────────────────────────────────────────────────────────────────


def test_a_system_prompt_goes_into_the_input_that_is_meant_for_it(ask: Ask, asked: Asked) -> None:
    turns = [{"role": "system", "content": "Be brief."}, user_turn("[[system]]")]
    first = ask("Simulated Instructed", turns)
    assert first.content == "SYSTEM:Be brief."
    assert (asked().inputs, asked().query) == ({"instructions": "Be brief."}, "[[system]]")
    second = ask("Simulated Instructed", after(turns, first, "[[system]]"))
    assert second.content == "SYSTEM:Be brief."
    assert conversation_of(second) == conversation_of(first)


def test_a_changed_system_prompt_counts_where_an_id_names_the_conversation(ask: Ask, asked: Asked) -> None:
    first = ask("Simulated Instructed", [{"role": "system", "content": "Be brief."}, user_turn("Hi")])
    there = {"conversation_id": conversation_of(first)}
    turns = [{"role": "system", "content": "Be long."}, user_turn("[[system]]")]
    assert ask("Simulated Instructed", turns, extra_body=there).content == "SYSTEM:Be long."


def test_an_input_of_the_request_beats_the_system_prompt(ask: Ask, asked: Asked) -> None:
    turns = [{"role": "system", "content": "Be brief."}, user_turn("Hi")]
    ask("Simulated Instructed", turns, extra_body={"inputs": {"instructions": "Be kind."}})
    assert asked().inputs == {"instructions": "Be kind."}


# ── Over a restart, and over workers ─────────────────────────────────────────────────────────────────


@pytest.fixture
def restarted(dify: Simulator, tmp_path: Any) -> Callable[[], Iterator[Gateway]]:
    settings = {
        "DIFY_API_BASE": dify.base_url,
        "MODEL_CONFIG": json.dumps({"auto": dify.keys["chat"], "marked": dify.keys["marked"]}),
        "VALID_API_KEYS": ADA,
    }
    return lambda: running_gateway(directory=tmp_path, **settings)


def test_conversations_outlive_the_gateway(restarted: Callable[[], Any], user: str) -> None:
    turns = [user_turn("[[reply:one]]")]
    with restarted() as gateway, OpenAI(base_url=gateway.base_url, api_key=ADA) as client:
        first = plain(client, "auto", turns, user=user)
    with restarted() as gateway, OpenAI(base_url=gateway.base_url, api_key=ADA) as client:
        second = plain(client, "auto", after(turns, first, "And now?"), user=user)
    assert conversation_of(second) == conversation_of(first)
