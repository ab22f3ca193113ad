"""`POST /v1/chat/completions` as clients use it: kinds of apps, shapes of answers, what a request says."""

import asyncio
import json
import time
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError, OpenAI

from opendify.simulator import Simulator
from servers import Gateway, eventually

from .clients import ADA, Answer, Ask, Asked, http, plain

APPS = {
    "Simulated Chat": ("chat", "POST /chat-messages"),
    "Simulated Agent": ("agent-chat", "POST /chat-messages"),
    "Simulated Chatflow": ("advanced-chat", "POST /chat-messages"),
    "Simulated Completion": ("completion", "POST /completion-messages"),
    "Simulated Workflow": ("workflow", "POST /workflows/run"),
}
"""An app of every mode that Dify 1.12 has, and the call that serves it."""

CHAT = "Simulated Chat"


# ── Every kind of app ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", APPS)
def test_every_kind_of_app_answers(ask: Ask, asked: Asked, model: str) -> None:
    answer = ask(model, "[[reply:Hello, Ada! 你好。]]")
    assert answer.content == "Hello, Ada! 你好。"
    assert answer.finish_reason == "stop"
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.completion_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert asked().route == APPS[model][1]


@pytest.mark.parametrize("model", [*APPS, "Simulated New Agent"])
def test_every_kind_of_app_of_a_newer_dify_answers(
    way: Ask, openai_1_16: OpenAI, dify_1_16: Simulator, user: str, model: str
) -> None:
    answer = way(openai_1_16, model, "[[reply:Hello, Ada! 你好。]]", user=user)
    assert answer.content == "Hello, Ada! 你好。"
    assert answer.finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    assert dify_1_16.counts().requests[-1].user.endswith(f":{user}")


@pytest.mark.parametrize("model", APPS)
def test_dify_is_always_asked_for_a_stream_and_never_for_a_title(ask: Ask, asked: Asked, model: str) -> None:
    """Agent apps refuse to answer in one piece, and a title delays the first answer by a second."""
    ask(model, "Hello")
    assert asked().response_mode == "streaming"
    if asked().route == "POST /chat-messages":
        assert asked().auto_generate_name is False


@pytest.mark.parametrize("model", APPS)
def test_an_empty_answer_is_an_answer(ask: Ask, model: str) -> None:
    answer = ask(model, "[[empty]]")
    assert (answer.content, answer.finish_reason) == ("", "stop")


def test_a_workflow_without_streamed_text_answers_with_its_outputs(ask: Ask) -> None:
    answer = ask("Simulated Silent", "Hello")
    assert answer.dify["outputs"] == {"a": "one", "b": 2}
    assert "one" in answer.content


def test_a_workflow_tells_its_outputs_whole_beside_its_text(ask: Ask) -> None:
    answer = ask("Simulated Workflow With Outputs", "[[reply:Bonjour]]")
    assert answer.content.startswith("Bonjour\n")
    assert answer.dify["outputs"]["result"] == "Bonjour"
    assert set(answer.dify["outputs"]) == {"result", "template", "usage"}


def test_the_packages_own_way_to_follow_a_stream_works(openai: OpenAI, user: str) -> None:
    messages: Any = [{"role": "user", "content": "[[reply:Hello, Ada!]]"}]
    with openai.chat.completions.stream(model=CHAT, messages=messages, user=user) as stream:
        kinds = {event.type for event in stream}
        assert stream.get_final_completion().choices[0].message.content == "Hello, Ada!"
    assert {"chunk", "content.delta", "content.done"} <= kinds


async def test_answers_to_many_clients_at_once_never_mix(openai_async: AsyncOpenAI, user: str) -> None:
    async def one(number: int) -> tuple[str, str]:
        model = list(APPS)[number % len(APPS)]
        messages: Any = [{"role": "user", "content": f"[[reply:I am {number}.]][[pace:0.002]]"}]
        mine = f"{user}-{number}"
        if number % 2:
            answer = await openai_async.chat.completions.create(model=model, messages=messages, user=mine)
            return f"I am {number}.", answer.choices[0].message.content or ""
        stream = await openai_async.chat.completions.create(
            model=model, messages=messages, user=mine, stream=True
        )
        async with stream:
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
        return f"I am {number}.", "".join(pieces)

    for wanted, got in await asyncio.gather(*(one(number) for number in range(40))):
        assert got == wanted


# ── The shape of an answer ───────────────────────────────────────────────────────────────────────────


def test_a_plain_answer_has_all_that_openai_promises(openai: OpenAI, user: str) -> None:
    before = int(time.time())
    raw = openai.chat.completions.with_raw_response.create(
        model=CHAT, messages=[{"role": "user", "content": "[[reply:Hello]]"}], user=user
    )
    body = json.loads(raw.content)
    assert raw.headers["content-type"] == "application/json"
    assert body["id"].startswith("chatcmpl-")
    assert body["object"] == "chat.completion"
    assert before - 1 <= body["created"] <= time.time() + 1
    assert body["model"] == CHAT
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert set(body["usage"]) == {"prompt_tokens", "completion_tokens", "total_tokens"}
    assert body["dify"]["conversation_id"] == raw.headers["conversation-id"]
    assert body["dify"]["message_id"]
    assert raw.headers["x-request-id"]


def frames(gateway: Gateway, body: dict[str, Any], **headers: str) -> tuple[httpx2.Response, list[str]]:
    """A stream as it comes over the wire: the lines that are not blank."""
    with httpx2.stream(
        "POST",
        f"{gateway.base_url}/chat/completions",
        verify=False,
        json={"stream": True, **body},
        headers={"Authorization": f"Bearer {ADA}", **headers},
    ) as reply:
        text = b"".join(reply.iter_raw()).decode()
    assert text.endswith("\n\n")
    return reply, [line for line in text.split("\n\n") if line]


def chunks(lines: list[str]) -> list[dict[str, Any]]:
    assert lines[-1] == "data: [DONE]"
    assert all(line.startswith("data: {") for line in lines[:-1])
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def question(text: str, user: str, **more: Any) -> dict[str, Any]:
    return {"model": CHAT, "messages": [{"role": "user", "content": text}], "user": user, **more}


@pytest.mark.parametrize("model", APPS)
def test_a_stream_has_the_shape_that_openai_promises(gateway: Gateway, user: str, model: str) -> None:
    _, lines = frames(gateway, question("[[reply:Hello, dear world]]", user, model=model))
    found = chunks(lines)
    assert len({chunk["id"] for chunk in found}) == 1
    assert found[0]["id"].startswith("chatcmpl-")
    assert len({chunk["created"] for chunk in found}) == 1
    assert {chunk["model"] for chunk in found} == {model}
    assert {chunk["object"] for chunk in found} == {"chat.completion.chunk"}
    choices = [choice for chunk in found for choice in chunk["choices"]]
    assert len(choices) == len(found)
    assert choices[0]["delta"] == {"role": "assistant", "content": ""}
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["stop"]
    assert choices[-1]["delta"] == {}
    assert all(choice["index"] == 0 for choice in choices)
    assert "".join(choice["delta"].get("content", "") for choice in choices) == "Hello, dear world"
    assert all("role" not in choice["delta"] for choice in choices[1:])


def test_usage_comes_in_a_stream_only_if_asked_for(gateway: Gateway, user: str) -> None:
    _, without = frames(gateway, question("Hello", user))
    assert all("usage" not in chunk and chunk["choices"] for chunk in chunks(without))
    _, declined = frames(gateway, question("Hello", user, stream_options={"include_usage": False}))
    assert all("usage" not in chunk and chunk["choices"] for chunk in chunks(declined))
    _, lines = frames(gateway, question("Hello", user, stream_options={"include_usage": True}))
    *others, last = chunks(lines)
    assert all("usage" not in chunk for chunk in others)
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] > 0


@pytest.mark.parametrize("usage", [True, False])
def test_the_last_chunk_says_what_dify_calls_the_answer(gateway: Gateway, user: str, usage: bool) -> None:
    reply, lines = frames(gateway, question("Hello", user, stream_options={"include_usage": usage}))
    *others, last = chunks(lines)
    assert all("dify" not in chunk for chunk in others)
    assert last["dify"]["message_id"]
    assert last["dify"]["conversation_id"] == reply.headers["conversation-id"]


def test_a_stream_is_neither_compressed_nor_kept(gateway: Gateway, user: str) -> None:
    reply, _ = frames(gateway, question("[[long:2000]]", user), **{"Accept-Encoding": "gzip, br, zstd"})
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert "content-encoding" not in reply.headers
    assert "no-cache" in reply.headers["cache-control"]
    assert "no-transform" in reply.headers["cache-control"]
    assert reply.headers["x-accel-buffering"] == "no"
    assert reply.headers["x-request-id"]


def test_without_pacing_each_event_of_dify_is_one_chunk(gateway: Gateway, user: str) -> None:
    _, lines = frames(gateway, question("[[reply:one two three four]]", user, model="unpaced"))
    contents = [chunk["choices"][0]["delta"].get("content") for chunk in chunks(lines)]
    assert [text for text in contents if text] == ["one", " two", " three", " four"]


def test_text_comes_while_the_app_still_writes(openai: OpenAI, user: str) -> None:
    messages: Any = [{"role": "user", "content": "[[slow:4:0.3]]"}]
    with openai.chat.completions.create(model=CHAT, messages=messages, user=user, stream=True) as stream:
        arrived = [time.monotonic() for chunk in stream if chunk.choices[0].delta.content]
    assert len(arrived) == 4
    assert arrived[-1] - arrived[0] > 0.6


def test_a_lump_is_spread_and_comes_whole(gateway: Gateway, user: str) -> None:
    text = "A whole paragraph that was already there, 👨‍👩‍👧‍👦 included. " * 4
    _, lines = frames(gateway, question(f"[[reply:{text}]][[lump:150:0.5]]", user))
    contents = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks(lines)]
    assert "".join(contents) == text
    assert len([piece for piece in contents if piece]) > 2  # of two lumps, the first of which is spread


# ── n and stop ───────────────────────────────────────────────────────────────────────────────────────


def test_n_choices_are_n_runs_each_with_its_index(openai: OpenAI, dify: Simulator, user: str) -> None:
    answer = openai.chat.completions.create(
        model=CHAT, messages=[{"role": "user", "content": "[[reply:Hello]]"}], n=3, user=user
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert {choice.message.content for choice in answer.choices} == {"Hello"}
    runs = dify.counts().requests[-3:]
    assert {run.user.partition(":")[2] for run in runs} == {user}
    assert not any(run.conversation_id for run in runs)
    single = plain(openai, CHAT, "[[reply:Hello]]", user=user)
    assert answer.usage
    assert answer.usage.total_tokens == 3 * single.usage.total_tokens


@pytest.mark.parametrize("model", APPS)
def test_n_choices_are_streamed_side_by_side(gateway: Gateway, user: str, model: str) -> None:
    asking = question("[[reply:Hello, dear world]]", user, model=model, n=2)
    _, lines = frames(gateway, {**asking, "stream_options": {"include_usage": True}})
    found = chunks(lines)
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in found}) == 1
    for index in (0, 1):
        choices = [choice for chunk in found for choice in chunk["choices"] if choice["index"] == index]
        assert choices[0]["delta"] == {"role": "assistant", "content": ""}
        assert "".join(choice["delta"].get("content", "") for choice in choices) == "Hello, dear world"
        assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["stop"]
    assert found[-1]["choices"] == []
    assert found[-1]["usage"]["total_tokens"] > 0


def test_with_n_choices_no_conversation_goes_on(ask: Ask, openai: OpenAI, dify: Simulator, user: str) -> None:
    turns: Any = [{"role": "user", "content": "[[reply:Hi]]"}]
    first = ask(CHAT, turns)
    turns += [{"role": "assistant", "content": first.content}, {"role": "user", "content": "And now?"}]
    openai.chat.completions.create(model=CHAT, messages=turns, n=2, user=user)
    runs = dify.counts().requests[-2:]
    assert not any(run.conversation_id for run in runs)
    assert all("user: [[reply:Hi]]" in run.query for run in runs)


@pytest.mark.parametrize("model", APPS)
@pytest.mark.parametrize(
    ("stop", "left"),
    [
        ("END", "one two "),
        (["nowhere", "three"], "one two END "),
        ("e two E", "on"),
        (["wo", "one"], ""),
        ("nowhere", "one two END three"),
    ],
)
def test_text_ends_before_a_stop_string_also_across_chunks(
    ask: Ask, model: str, stop: str | list[str], left: str
) -> None:
    answer = ask(model, "[[notool]][[reply:one two END three]]", stop=stop)
    assert answer.content == left
    assert answer.finish_reason == "stop"


@pytest.mark.parametrize("model", APPS)
def test_dify_is_told_to_stop_after_a_stop_string(ask: Ask, dify: Simulator, model: str) -> None:
    answer = ask(model, "[[notool]][[slow:500:0.01]]", stop=["tick3"])
    assert answer.content == "tick0 tick1 tick2 "
    eventually(lambda: answer.dify["task_id"] in dify.counts().stopped_tasks)
    eventually(lambda: dify.counts().running == 0)


def test_a_conversation_that_was_cut_by_a_stop_string_goes_on(ask: Ask, dify: Simulator) -> None:
    turns: Any = [{"role": "user", "content": "[[slow:500:0.01]]"}]
    first = ask(CHAT, turns, stop="tick3")
    turns += [{"role": "assistant", "content": first.content}, {"role": "user", "content": "[[history]]"}]
    second = ask(CHAT, turns)
    assert second.dify["conversation_id"] == first.dify["conversation_id"]
    _, question, answer, *_ = second.json
    assert question == {"role": "user", "content": "[[slow:500:0.01]]"}
    assert answer["content"].startswith("tick0 tick1 tick2 ")


# ── Settings that Dify has no place for ──────────────────────────────────────────────────────────────


def test_settings_that_dify_cannot_take_are_ignored_and_named(openai: OpenAI, user: str) -> None:
    raw = openai.chat.completions.with_raw_response.create(
        model=CHAT,
        messages=[{"role": "user", "content": "[[reply:Hello]]"}],
        user=user,
        temperature=0.2,
        top_p=0.9,
        seed=7,
        max_tokens=20,
        max_completion_tokens=20,
        presence_penalty=1,
        frequency_penalty=1,
        logit_bias={"50256": -100},
        logprobs=True,
        top_logprobs=2,
        extra_body={"cache_prompt": True, "options": {"num_ctx": 8192}},
    )
    assert raw.parse().choices[0].message.content == "Hello"
    assert set(raw.headers["x-opendify-ignored"].split(", ")) == {
        *("temperature", "top_p", "seed", "max_tokens", "max_completion_tokens", "presence_penalty"),
        *("frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "cache_prompt", "options"),
    }


def test_nothing_is_named_where_nothing_is_ignored(openai: OpenAI, user: str) -> None:
    raw = openai.chat.completions.with_raw_response.create(
        model=CHAT,
        messages=[{"role": "user", "content": "Hello"}],
        user=user,
        n=1,
        stop=None,
        metadata={"inputs": "{}"},
        extra_body={"inputs": {}, "conversation_id": None},
    )
    assert "x-opendify-ignored" not in raw.headers


def test_names_of_ignored_fields_can_neither_forge_nor_flood_the_headers(gateway: Gateway, user: str) -> None:
    odd: dict[str, Any] = {"a\r\nx-evil: 1": 1, "b" * 5000: 1, "名": 1}
    many = {f"field_{number}": number for number in range(3000)}
    reply, _ = frames(gateway, question("Hello", user, **odd, **many))
    assert "x-evil" not in reply.headers
    assert len(reply.headers["x-opendify-ignored"]) < 4096


# ── Inputs ───────────────────────────────────────────────────────────────────────────────────────────

FORM = "Simulated Form"
GIVEN = {"name": "Ada", "lang": "English"}


def test_inputs_come_by_the_body(ask: Ask, asked: Asked) -> None:
    answer = ask(FORM, "[[system]]", extra_body={"inputs": GIVEN})
    assert answer.content == "SYSTEM:Address the user as Ada, in English."
    assert asked().inputs == GIVEN


def test_inputs_come_as_json_in_the_metadata(ask: Ask, asked: Asked) -> None:
    ask(FORM, "Hello", metadata={"inputs": json.dumps(GIVEN)})
    assert asked().inputs == GIVEN


def test_inputs_come_as_an_object_in_the_metadata(ask: Ask, asked: Asked) -> None:
    ask(FORM, "Hello", extra_body={"metadata": {"inputs": GIVEN}})
    assert asked().inputs == GIVEN


def test_inputs_of_the_body_beat_those_of_the_metadata(ask: Ask, asked: Asked) -> None:
    other = {"name": "Grace", "lang": "中文"}
    ask(FORM, "Hello", metadata={"inputs": json.dumps(other)}, extra_body={"inputs": GIVEN})
    assert asked().inputs == GIVEN


@pytest.mark.parametrize("text", ["name=Ada", "[1]", '"x"', "{"])
def test_metadata_that_is_no_object_of_inputs_is_told(ask: Ask, text: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        ask(FORM, "Hello", metadata={"inputs": text})
    assert caught.value.param == "metadata.inputs"


def test_an_apps_default_inputs_are_sent_and_those_of_the_request_win(ask: Ask, asked: Asked) -> None:
    ask("preset", "Hello")
    assert asked().inputs == {"name": "Grace", "lang": "English"}
    ask("preset", "Hello", extra_body={"inputs": {"name": "Ada"}})
    assert asked().inputs == {"name": "Ada", "lang": "English"}


def test_a_required_input_that_nobody_gave_is_named_with_type_and_options(ask: Ask, dify: Simulator) -> None:
    before = dify.counts().requests
    with pytest.raises(BadRequestError) as caught:
        ask(FORM, "Hello", extra_body={"inputs": {"name": "Ada"}})
    for word in ("'lang'", "select", "English", "中文", "inputs"):
        assert word in caught.value.message
    assert (caught.value.param, caught.value.type) == ("inputs.lang", "invalid_request_error")
    assert dify.counts().requests == before


def test_inputs_that_dify_does_not_take_are_told_in_its_words(ask: Ask) -> None:
    with pytest.raises(BadRequestError) as caught:
        ask(FORM, "Hello", extra_body={"inputs": {"name": "Ada", "lang": "Klingon"}})
    assert "lang" in caught.value.message


def test_the_inputs_of_a_conversation_are_sent_again_on_each_turn(ask: Ask, asked: Asked) -> None:
    turns: Any = [{"role": "user", "content": "Hello"}]
    first = ask(FORM, turns, extra_body={"inputs": GIVEN})
    turns += [{"role": "assistant", "content": first.content}, {"role": "user", "content": "[[system]]"}]
    second = ask(FORM, turns)
    assert asked().conversation_id == first.dify["conversation_id"]
    assert asked().inputs == GIVEN
    assert second.content == "SYSTEM:Address the user as Ada, in English."


def test_new_inputs_of_a_conversation_take_the_place_of_the_old(ask: Ask, asked: Asked) -> None:
    turns: Any = [{"role": "user", "content": "Hello"}]
    for given, wanted in (
        (GIVEN, GIVEN),
        ({"name": "Grace"}, {"name": "Grace", "lang": "English"}),
        (None, {"name": "Grace", "lang": "English"}),
    ):
        answer = ask(FORM, turns, extra_body={"inputs": given})
        assert asked().inputs == wanted
        turns += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": "Go on"}]


def test_the_inputs_of_a_conversation_outlive_its_deletion_in_dify(
    ask: Ask, asked: Asked, dify: Simulator
) -> None:
    turns: Any = [{"role": "user", "content": "Hello"}]
    first = ask(FORM, turns, extra_body={"inputs": GIVEN})
    delete(dify, "form", asked().user, first.dify["conversation_id"])
    turns += [{"role": "assistant", "content": first.content}, {"role": "user", "content": "And now?"}]
    second = ask(FORM, turns)
    assert second.dify["conversation_id"] != first.dify["conversation_id"]
    assert asked().inputs == GIVEN


def delete(dify: Simulator, app: str, user: str, conversation_id: str) -> None:
    """Delete a conversation as a user of Dify's own pages would."""
    reply = http(
        "DELETE",
        f"{dify.base_url}/conversations/{conversation_id}",
        json={"user": user},
        headers={"Authorization": f"Bearer {dify.keys[app]}"},
    )
    assert reply.status_code == 204


# ── Which input of a workflow or completion app gets the question ────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "place"),
    [
        ("Simulated Required", "second"),
        ("Simulated Queried", "query"),
        ("Simulated Unnamed", "first"),
        ("Simulated Workflow", "text"),
        ("Simulated Completion", "query"),
    ],
)
def test_the_question_goes_into_the_input_that_is_meant_for_it(
    ask: Ask, asked: Asked, model: str, place: str
) -> None:
    ask(model, "What is Dify?")
    assert asked().inputs == {place: "What is Dify?"}


def test_a_question_stays_out_of_an_input_that_the_request_gives(ask: Ask, asked: Asked) -> None:
    ask("Simulated Required", "What is Dify?", extra_body={"inputs": {"second": "given"}})
    assert asked().inputs == {"second": "given", "query": "What is Dify?"}


def test_a_workflow_is_asked_the_last_turn_alone(ask: Ask, asked: Asked) -> None:
    turns = [
        {"role": "user", "content": "First"},
        {"role": "assistant", "content": "Answer"},
        {"role": "user", "content": "Second"},
    ]
    ask("Simulated Workflow", turns)
    assert asked().inputs == {"text": "Second"}


# ── What stands in messages ──────────────────────────────────────────────────────────────────────────


def test_text_parts_are_joined_by_newlines(ask: Ask, asked: Asked) -> None:
    ask(CHAT, [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}])
    assert asked().query == "a\nb"


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_lone_system_prompt_stands_before_the_question(ask: Ask, asked: Asked, role: str) -> None:
    ask(CHAT, [{"role": role, "content": "Be brief."}, {"role": "user", "content": "Hello"}])
    assert asked().query == "Be brief.\n\nHello"


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "Translate: hello"}],
        [{"role": "system", "content": ""}, {"role": "user", "content": "Translate: hello"}],
    ],
)
def test_some_question_is_found_where_there_is_one(ask: Ask, asked: Asked, messages: Any) -> None:
    ask(CHAT, messages)
    assert asked().query == "Translate: hello"


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([], "messages"),
        ([{"role": "assistant", "content": "Hello"}], "messages"),
        ([{"role": "user", "content": ""}], "messages[0].content"),
        ([{"role": "user", "content": " \n"}], "messages[0].content"),
        ([{"role": "user", "content": []}], "messages[0].content"),
        ([{"role": "user", "content": None}], "messages[0].content"),
        ([{"role": "user"}], "messages[0].content"),
    ],
)
def test_messages_that_ask_nothing_are_refused(ask: Ask, messages: Any, param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        ask(CHAT, messages)
    assert caught.value.param == param


def test_every_script_and_emoji_comes_through_as_it_is(ask: Ask, asked: Asked) -> None:
    text = "naïve — ½ ∑ \u2028 👨‍👩‍👧‍👦 مرحبا \t „quoted“ \\n </history> {{x}}"
    ask(CHAT, text)
    assert asked().query == text
    assert ask(CHAT, "[[unicode]]").content == "你好，世界！🌍👨‍👩‍👧‍👦 naïve café — ½ ∑ \u2028 end"


def test_a_long_answer_comes_whole(ask: Ask) -> None:
    answer = ask(CHAT, "[[long:5000]]")
    assert answer.content == " ".join(f"word{number}" for number in range(5000))


# ── Refusals ─────────────────────────────────────────────────────────────────────────────────────────


def test_an_unknown_model_is_refused_with_the_names_that_there_are(ask: Ask) -> None:
    with pytest.raises(NotFoundError) as caught:
        ask("gpt_4o", "Hello")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert "gpt_4o" in caught.value.message
    assert CHAT in caught.value.message


def post(gateway: Gateway, content: bytes, **headers: str) -> httpx2.Response:
    return http(
        "POST",
        f"{gateway.base_url}/chat/completions",
        content=content,
        headers={"Authorization": f"Bearer {ADA}", "Content-Type": "application/json", **headers},
    )


BAD_BODIES: dict[str, tuple[bytes, str | None]] = {
    "nothing": (b"", None),
    "no JSON": (b"model=x", None),
    "half of it": (b'{"model": "Simulated Chat", "messages": [', None),
    "too much": (b'{"model": "Simulated Chat", "messages": []} x', None),
    "no UTF-8": (b'{"model": "\xff"}', None),
    "UTF-16": ('{"model": "x"}'.encode("utf-16"), None),
    "NaN": (b'{"temperature": NaN}', None),
    "Infinity": (b'{"model": "x", "messages": [], "n": Infinity}', None),
    "a list": (b"[]", None),
    "a number": (b"7", None),
    "null": (b"null", None),
    "a key twice": (b'{"model": "x", "model": 3, "messages": []}', "model"),
    "deep nesting": (b'{"x":' * 5000 + b"1" + b"}" * 5000, None),
    "deep lists": (b"[" * 100_000, None),
    "no model": (b'{"messages": [{"role": "user", "content": "a"}]}', "model"),
    "model empty": (b'{"model": "", "messages": [{"role": "user", "content": "a"}]}', "model"),
    "model null": (b'{"model": null, "messages": [{"role": "user", "content": "a"}]}', "model"),
    "model a number": (b'{"model": 3, "messages": []}', "model"),
    "no messages": (b'{"model": "Simulated Chat"}', "messages"),
    "messages null": (b'{"model": "Simulated Chat", "messages": null}', "messages"),
    "messages text": (b'{"model": "Simulated Chat", "messages": "Hello"}', "messages"),
    "a message text": (b'{"model": "Simulated Chat", "messages": ["Hello"]}', "messages"),
    "no role": (b'{"model": "Simulated Chat", "messages": [{"content": "a"}]}', "messages"),
    "role a number": (b'{"model": "x", "messages": [{"role": 1, "content": "a"}]}', "messages"),
    "content a number": (b'{"model": "x", "messages": [{"role": "user", "content": 1}]}', "messages"),
    "part without type": (b'{"model": "x", "messages": [{"role": "user", "content": [{}]}]}', "messages"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_body_that_is_no_request_is_refused_in_openais_shape(gateway: Gateway, name: str) -> None:
    body, param = BAD_BODIES[name]
    reply = post(gateway, body)
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    if param is None:
        assert error["param"] is None
    else:
        assert error["param"].startswith(param)


BAD_FIELDS: dict[str, tuple[Any, str]] = {
    "n": (0, "n"),
    "n negative": (-1, "n"),
    "n of many": (129, "n"),
    "n huge": (10**30, "n"),
    "n a fraction": (1.5, "n"),
    "n text": ("2", "n"),
    "stream text": ("yes", "stream"),
    "stop a number": (3, "stop"),
    "stop of numbers": ([1], "stop"),
    "user a number": (7, "user"),
    "inputs a list": ([], "inputs"),
    "inputs text": ("{}", "inputs"),
    "metadata a list": ([1], "metadata"),
    "conversation_id a number": (3, "conversation_id"),
    "stream_options text": ("usage", "stream_options"),
}


@pytest.mark.parametrize("name", BAD_FIELDS)
def test_a_field_of_the_wrong_type_is_named(gateway: Gateway, user: str, name: str) -> None:
    value, param = BAD_FIELDS[name]
    reply = post(gateway, json.dumps(question("Hello", user) | {param: value}).encode())
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error["param"].startswith(param)
    assert param in error["message"]


@pytest.mark.parametrize(
    "text", ["\\ud800", "\\udfff", "\\ud83d", "a\\u0000b", "\\u0000", "\\ufffe\\uffff", "\\ud800\\ud800"]
)
@pytest.mark.parametrize("stream", [True, False])
def test_odd_characters_never_break_the_gateway(gateway: Gateway, user: str, text: str, stream: bool) -> None:
    body = (
        f'{{"model": "{CHAT}", "stream": {str(stream).lower()}, "user": "{user}{text}", "metadata": '
        f'{{"conversation": "{text}"}}, "messages": [{{"role": "user", "content": "x{text}"}}]}}'
    )
    reply = post(gateway, body.encode())
    assert reply.status_code in (200, 400)
    if reply.status_code == 400:
        assert reply.json()["error"]["message"]


@pytest.mark.parametrize("name", ["x" * 100_000, "\\ud800", "\\u0000", "../../etc", "*", "Simulated *"])
def test_no_odd_model_name_finds_a_model(gateway: Gateway, name: str) -> None:
    reply = post(gateway, f'{{"model": "{name}", "messages": [{{"role": "user", "content": "a"}}]}}'.encode())
    assert reply.status_code in (400, 404)
    assert len(reply.content) < 5000


def test_the_content_type_of_a_request_does_not_matter(gateway: Gateway, user: str) -> None:
    body = json.dumps(question("[[reply:Hello]]", user)).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"):
        reply = post(gateway, body, **{"Content-Type": kind})
        assert reply.json()["choices"][0]["message"]["content"] == "Hello"


def test_an_answer_of_a_model_by_pattern_is_told_under_the_name_that_was_asked_for(ask: Ask) -> None:
    answer: Answer = ask("gpt-4o", "[[reply:Hello]]")
    if answer.completion:
        assert answer.completion.model == "gpt-4o"
    assert {chunk.model for chunk in answer.chunks} <= {"gpt-4o"}


async def test_several_choices_run_at_once(openai_async: AsyncOpenAI, dify: Simulator, user: str) -> None:
    running = openai_async.chat.completions.create(
        model=CHAT, messages=[{"role": "user", "content": "[[stall:1]][[reply:Hello]]"}], n=3, user=user
    )
    call = asyncio.create_task(running)
    await asyncio.to_thread(eventually, lambda: dify.counts().running == 3)
    assert not call.done()
    assert [choice.message.content for choice in (await call).choices] == ["Hello"] * 3
