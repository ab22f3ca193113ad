"""Runs that wait for a person: asked as a call of `human_input`, answered by the next request."""

import asyncio
import json
import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from openai import (
    APIError,
    APIStatusError,
    AsyncOpenAI,
    BadRequestError,
    ConflictError,
    NotFoundError,
    OpenAI,
)

from opendify import Dify
from opendify.gateway.zero_width import strip
from opendify.simulator import AppSpec, Field, Simulator, default_apps
from opendify.simulator.nodes import (
    LLM,
    Answer,
    End,
    FormInput,
    HumanInput,
    Start,
    Template,
    Together,
    UserAction,
)
from servers import Gateway, eventually, running_gateway

from .clients import ADA, BOB, PIXEL, Ask, streamed
from .clients import Answer as GatewaysAnswer

REVIEW, APPROVAL = "Simulated Workflow With A Form", "Simulated Chatflow With A Form"
TEXT = (Field("text", "paragraph", required=True),)
OK = (UserAction("ok", "All right"),)
LOOK = {"type": "function", "function": {"name": "look"}}


def chatflow(nickname: str, *nodes: Any) -> AppSpec:
    return AppSpec(nickname, "advanced-chat", graph=(Start(), *nodes))


def workflow(nickname: str, *nodes: Any) -> AppSpec:
    return AppSpec(nickname, "workflow", form=TEXT, graph=(Start(), *nodes))


_APPROVAL = next(app for app in default_apps("1.16") if app.nickname == "approval")
APPS = (
    *default_apps("1.16"),
    *(replace(_APPROVAL, nickname=f"approval-{mode}", name=f"Approval {mode}") for mode in "012"),
    chatflow(
        "steps",
        Answer("One. ", id="one"),
        HumanInput("First?", inputs=(FormInput("name"),), actions=OK, id="first"),
        Answer("Two for {{#first.name#}}. ", id="two"),
        HumanInput("And {{#first.name#}}'s second?", actions=OK, id="second"),
        Answer("Three.", id="three"),
    ),
    workflow(
        "both",
        Together(
            (
                HumanInput("Who?", inputs=(FormInput("name"),), id="who", title="Who"),
                HumanInput("Where?", inputs=(FormInput("place"),), id="where", title="Where"),
            )
        ),
        End({"who": "who.name", "where": "where.place"}),
    ),
    chatflow(
        "hasty", HumanInput("Quick!", timeout=1.2, after_timeout=(Answer("Too late."),)), Answer("In time.")
    ),
    workflow("mailed", HumanInput("By mail?", web_app=False), End({})),
    chatflow("endless", HumanInput("Go?", actions=OK, id="go"), LLM(), Answer()),
    workflow(
        "filed",
        HumanInput(
            "Which?",
            inputs=(
                FormInput("pic", "file", allowed_file_types=("image",)),
                FormInput("docs", "file-list", number_limits=2),
            ),
            actions=OK,
            id="ask",
        ),
        End({"pic": "ask.pic", "docs": "ask.docs"}),
    ),
    workflow(
        "early",
        Template("Told before."),
        HumanInput("Go on?", actions=OK, id="go"),
        End({"result": "tpl.output"}),
    ),
)

SETTINGS = f"""
[apps."Approval 0"]
key = "app-sim-approval-0"
conversation_memory_mode = "0"

[apps."Approval 1"]
key = "app-sim-approval-1"
conversation_memory_mode = "1"

[apps."Approval 2"]
key = "app-sim-approval-2"
conversation_memory_mode = "2"

[clients.ada]
key = "{ADA}"

[clients.bob]
key = "{BOB}"
"""


@pytest.fixture(scope="module")
def dify() -> Iterator[Simulator]:
    with Simulator(APPS, behaviour="1.16", pace=0, naming_delay=0) as dify:
        yield dify


def in_front_of(
    dify: Simulator, directory: Path | None = None, **settings: str
) -> AbstractContextManager[Gateway]:
    keys = ",".join(dify.keys.values())
    return running_gateway(
        directory=directory, toml=SETTINGS, DIFY_API_BASE=dify.base_url, DIFY_API_KEYS=keys, **settings
    )


@pytest.fixture(scope="module")
def gateway(dify: Simulator) -> Iterator[Gateway]:
    with in_front_of(dify) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def openai(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key=ADA, max_retries=0) as client:
        yield client


@dataclass
class Talk:
    """A client that keeps its history, as all do."""

    ask: Ask
    model: str
    user: str
    client: OpenAI
    more: dict[str, Any] = field(default_factory=dict[str, Any])
    messages: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    answer: GatewaysAnswer = field(default_factory=lambda: GatewaysAnswer("", "", None, None, {}, []))

    def say(self, text: str) -> GatewaysAnswer:
        return self._send({"role": "user", "content": text})

    def reply(self, said: Any, call_id: str = "") -> GatewaysAnswer:
        """Answer the first form of the last answer, or the one of a call."""
        return self._send(self.result(said, call_id))

    def result(self, said: Any, call_id: str = "") -> dict[str, Any]:
        content = said if isinstance(said, str) else json.dumps(said)
        return {"role": "tool", "tool_call_id": call_id or self.calls[0]["id"], "content": content}

    def refused(self, said: Any, call_id: str = "") -> APIStatusError:
        with pytest.raises(APIStatusError) as caught:
            self.reply(said, call_id)
        return caught.value

    def _send(self, *messages: dict[str, Any]) -> GatewaysAnswer:
        asked = [*self.messages, *messages]
        self.answer = self.ask(self.client, self.model, asked, user=self.user, **self.more)
        said = {"role": "assistant", "content": self.answer.content or None}
        self.messages = [*asked, said | ({"tool_calls": self.calls} if self.calls else {})]
        return self.answer

    def send(self, *messages: dict[str, Any]) -> GatewaysAnswer:
        return self._send(*messages)

    @property
    def calls(self) -> list[dict[str, Any]]:
        return list(self.answer.tool_calls)

    @property
    def form(self) -> dict[str, Any]:
        (call,) = self.calls
        assert call["function"]["name"] == "human_input"
        told: dict[str, Any] = json.loads(call["function"]["arguments"])
        return told


@pytest.fixture
def talk(way: Ask, openai: OpenAI, user: str) -> Any:
    """Begin to talk to a model: `talk(model)`. Both plainly and streamed."""

    def begin(model: str, **more: Any) -> Talk:
        return Talk(way, model, user, more.pop("client", openai), more)

    return begin


def token_of(dify: Simulator, asked: GatewaysAnswer) -> str:
    """The token of the form that the chatflow with approval has just asked for."""
    with Dify(dify.keys["approval"], base_url=dify.base_url) as client:
        conversation_id, user = asked.dify["conversation_id"], dify.counts().requests[-1].user
        (message,) = client.messages.list(conversation_id=conversation_id, user=user)
        return str(message.extra_contents[0]["form_definition"]["form_token"])


# Asked and answered


def test_a_workflow_that_waits_asks_with_a_call_that_tells_the_form(talk: Any) -> None:
    review = talk(REVIEW)
    asked = review.say("[[reply:A draft]]")
    assert asked.finish_reason == "tool_calls"
    assert asked.content == ""
    assert asked.dify["workflow_run_id"]
    assert asked.usage.total_tokens == asked.usage.prompt_tokens + asked.usage.completion_tokens > 0
    form = review.form
    assert form.pop("expires_at") > "2026"
    assert form == {
        "title": "Review",
        "question": "Draft: A draft\n\nRemark: [remark]",
        "fields": [
            {"name": "remark", "type": "paragraph", "default": "Looks good."},
            {"name": "tone", "type": "select", "options": ["kind", "strict"]},
        ],
        "choices": [{"id": "approve", "title": "Approve"}, {"id": "reject", "title": "Reject"}],
        "answer_with": {"action": "approve", "inputs": {"remark": "Looks good.", "tone": "kind"}},
    }


@pytest.mark.parametrize(
    ("said", "result"),
    [
        ({"action": "approve", "inputs": {"remark": "Nice.", "tone": "kind"}}, "Approved: A draft (Nice.)"),
        ({"choice": "Reject", "remark": "No.", "tone": "STRICT"}, "Rejected: No."),
        ({"action": "approve", "inputs": {"tone": "kind"}}, "Approved: A draft (Looks good.)"),
    ],
)
def test_the_run_goes_on_from_the_answer(talk: Any, said: dict[str, Any], result: str) -> None:
    review = talk(REVIEW)
    run = review.say("[[reply:A draft]]").dify["workflow_run_id"]
    done = review.reply(said)
    assert (done.content, done.finish_reason) == (result, "stop")
    assert done.dify["outputs"] == {"result": result}
    assert done.dify["workflow_run_id"] == run


@pytest.mark.parametrize(
    ("said", "rest"),
    [("send", "\nSent. Fine."), ("Discard", "\nDiscarded. Fine.")],
    ids=["sent", "discarded"],
)
def test_a_chatflow_says_only_what_comes_after_the_pause(talk: Any, said: str, rest: str) -> None:
    approval = talk(APPROVAL)
    asked = approval.say("[[reply:Dear Bob]]")
    assert (asked.content, asked.finish_reason) == ("Dear Bob", "tool_calls")
    assert approval.form["question"] == "Shall I send this? Dear Bob"
    done = approval.reply({"action": said, "remark": "Fine."})
    assert (done.content, done.finish_reason) == (rest, "stop")
    assert done.dify["conversation_id"] == asked.dify["conversation_id"]
    assert done.dify["message_id"] == asked.dify["message_id"]


async def test_the_asynchronous_client_does_all_that_too(gateway: Gateway, user: str) -> None:
    async with AsyncOpenAI(base_url=gateway.base_url, api_key=ADA, max_retries=0) as client:
        messages: list[Any] = [{"role": "user", "content": "[[reply:Dear Bob]]"}]
        asked = await client.chat.completions.create(model=APPROVAL, messages=messages, user=user)
        message = asked.choices[0].message
        assert message.tool_calls
        (call,) = message.tool_calls
        said = json.dumps({"action": "send", "remark": "Go."})
        messages += [message, {"role": "tool", "tool_call_id": call.id, "content": said}]
        stream = await client.chat.completions.create(
            model=APPROVAL, messages=messages, user=user, stream=True
        )
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "\nSent. Go."


def test_the_stream_of_openais_helpers_ends_in_the_call(openai: OpenAI, user: str) -> None:
    messages: Any = [{"role": "user", "content": "[[reply:Dear Bob]]"}]
    with openai.chat.completions.stream(model=APPROVAL, messages=messages, user=user) as stream:
        final = stream.get_final_completion().choices[0]
    assert final.finish_reason == "tool_calls"
    assert final.message.content == "Dear Bob"
    assert final.message.tool_calls
    assert json.loads(final.message.tool_calls[0].function.arguments)["title"] == "Approval"


def test_pauses_may_follow_each_other(talk: Any) -> None:
    steps = talk("Simulated Steps")
    assert steps.say("Go").content == "One. "
    first = steps.calls[0]["id"]
    second = steps.reply("Ada")
    assert (second.content, second.finish_reason) == ("Two for Ada. ", "tool_calls")
    assert steps.form["question"] == "And Ada's second?"
    assert steps.calls[0]["id"] != first
    third = steps.reply("all right")
    assert (third.content, third.finish_reason) == ("Three.", "stop")


def test_several_forms_at_once_are_several_calls_that_may_be_answered_together(talk: Any) -> None:
    both = talk("Simulated Both")
    both.say("Go")
    who, where = both.calls
    assert [json.loads(call["function"]["arguments"])["title"] for call in both.calls] == ["Who", "Where"]
    done = both.send(
        both.result({"action": "approve", "place": "Rome"}, where["id"]),
        both.result({"action": "approve", "name": "Ada"}, who["id"]),
    )
    assert done.dify["outputs"] == {"who": "Ada", "where": "Rome"}
    assert done.content == "Ada\nRome"


def test_of_several_forms_one_may_be_answered_and_the_other_is_asked_again(talk: Any) -> None:
    both = talk("Simulated Both")
    both.say("Go")
    _, where = both.calls
    rest = both.reply({"action": "approve", "place": "Rome"}, where["id"])
    assert rest.finish_reason == "tool_calls"
    assert both.form["title"] == "Who"
    assert both.reply({"action": "approve", "name": "Ada"}).content == "Ada\nRome"


def test_the_forms_of_several_choices_are_each_their_own(openai: OpenAI, user: str) -> None:
    messages: list[Any] = [{"role": "user", "content": "[[reply:Dear Bob]]"}]
    asked = openai.chat.completions.create(model=APPROVAL, messages=messages, user=user, n=2)
    for choice, action, rest in zip(
        asked.choices, ("send", "discard"), ("\nSent. A.", "\nDiscarded. A."), strict=True
    ):
        assert choice.finish_reason == "tool_calls"
        assert choice.message.tool_calls
        said = json.dumps({"action": action, "remark": "A."})
        result = {"role": "tool", "tool_call_id": choice.message.tool_calls[0].id, "content": said}
        history: list[Any] = [*messages, choice.message, result]
        done = openai.chat.completions.create(model=APPROVAL, messages=history, user=user)
        assert done.choices[0].message.content == rest


def test_files_are_answered_as_addresses_uploads_and_data(dify: Simulator, talk: Any) -> None:
    filed = talk("Simulated Filed")
    filed.say("Go")
    picture = f"data:image/png;base64,{b64encode(PIXEL).decode()}"
    letter = {"file_data": "data:application/pdf;base64,JVBERi0xLjQ=", "filename": "b.pdf"}
    done = filed.reply({"pic": picture, "docs": ["https://example.com/a.pdf", letter]})
    outputs = done.dify["outputs"]
    assert outputs["pic"]["mime_type"] == "image/png"
    assert [doc["filename"] for doc in outputs["docs"]] == ["a.pdf", "b.pdf"]


def test_a_file_that_the_form_does_not_take_is_refused_and_the_form_stays_open(talk: Any) -> None:
    filed = talk("Simulated Filed")
    filed.say("Go")
    error = filed.refused({"pic": "https://example.com/a.mp3"})
    assert (error.status_code, error.code) == (400, "invalid_human_input")
    assert filed.reply({"pic": "https://example.com/a.png"}).finish_reason == "stop"


def test_the_client_may_declare_the_function_and_other_tools(talk: Any) -> None:
    declared = {"type": "function", "function": {"name": "human_input"}}
    for given in ([declared, LOOK], [declared]):
        approval = talk(APPROVAL, tools=given)
        assert approval.say("[[reply:Dear Bob]]").content == "Dear Bob"
        assert approval.reply({"action": "send", "remark": "Go."}).content == "\nSent. Go."


def test_the_model_of_a_waiting_app_never_hears_of_the_function(dify: Simulator, talk: Any) -> None:
    tool = {"type": "function", "function": {"name": "human_input", "description": "Ask a person."}}
    talk(REVIEW, tools=[tool]).say("Hi")
    assert dify.counts().requests[-1].inputs == {"text": "Hi"}


def test_a_client_of_functions_is_asked_with_a_tool_call_that_has_an_id(talk: Any) -> None:
    approval = talk(APPROVAL, functions=[{"name": "look"}])
    asked = approval.say("[[reply:Dear Bob]]")
    assert (asked.finish_reason, asked.function_call) == ("tool_calls", None)
    assert approval.reply({"action": "send", "remark": "Go."}).content == "\nSent. Go."


def test_a_client_that_wants_one_call_at_a_time_gets_one_form_at_a_time(talk: Any) -> None:
    both = talk("Simulated Both", tools=[LOOK], parallel_tool_calls=False)
    both.say("Go")
    assert both.form["title"] == "Who"
    both.reply({"action": "approve", "name": "Ada"})
    assert both.form["title"] == "Where"
    assert both.reply({"action": "approve", "place": "Rome"}).content == "Ada\nRome"


def test_a_pause_is_no_missing_call_and_loses_no_text(talk: Any) -> None:
    approval = talk(APPROVAL, tools=[LOOK], tool_choice="required")
    assert approval.say("[[reply:Dear Bob]]").content == "Dear Bob"
    assert approval.form["title"] == "Approval"
    approval.more["tool_choice"] = "auto"
    assert approval.reply({"action": "send", "remark": "Go."}).content == "\nSent. Go."


def test_a_pause_is_no_answer_without_json_and_what_comes_after_it_is_not_asked_for_anew(
    dify: Simulator, talk: Any
) -> None:
    review = talk(REVIEW, response_format={"type": "json_object"})
    review.say("[[reply:A draft]]")
    done = review.reply({"action": "approve", "remark": "Nice.", "tone": "kind"})
    assert done.json == {"result": "Approved: A draft (Nice.)"}
    steps = talk("Simulated Steps", response_format={"type": "json_object"})
    steps.say("Go")
    steps.reply("Ada")
    calls = dify.counts().calls["POST /chat-messages"]
    with pytest.raises(APIError) as caught:
        steps.reply("ok")
    assert caught.value.code == "invalid_structured_output"
    assert dify.counts().calls["POST /chat-messages"] == calls


def test_nothing_is_said_twice_by_a_dify_that_keeps_its_events(way: Ask, user: str) -> None:
    with (
        Simulator(APPS, behaviour="1.16", pace=0, naming_delay=0, event_log=True) as dify,
        in_front_of(dify) as gateway,
        OpenAI(base_url=gateway.base_url, api_key=ADA, max_retries=0) as client,
    ):
        steps = Talk(way, "Simulated Steps", user, client)
        said = [steps.say("Go").content, steps.reply("Ada").content, steps.reply("ok").content]
        assert said == ["One. ", "Two for Ada. ", "Three."]
        both = Talk(way, "Simulated Both", user, client)
        both.say("Go")
        results = [
            both.result({"action": "approve", **more}, call["id"])
            for call, more in zip(both.calls, ({"name": "Ada"}, {"place": "Rome"}), strict=True)
        ]
        assert both.send(*results).content == "Ada\nRome"


async def test_of_two_answers_at_once_one_is_taken(gateway: Gateway, user: str) -> None:
    async with AsyncOpenAI(base_url=gateway.base_url, api_key=ADA, max_retries=0) as client:
        create = client.chat.completions.create
        messages: list[Any] = [{"role": "user", "content": "[[reply:Dear Bob]]"}]
        asked = (await create(model=APPROVAL, messages=messages, user=user)).choices[0].message
        call = (asked.tool_calls or [])[0]

        async def reply(action: str) -> str:
            said = json.dumps({"action": action, "remark": "Go."})
            result: Any = {"role": "tool", "tool_call_id": call.id, "content": said}
            try:
                done = await create(model=APPROVAL, messages=[*messages, asked, result], user=user)
            except ConflictError as error:
                return str(error.code)
            return done.choices[0].message.content or ""

        said = await asyncio.gather(*(reply(action) for action in ("send", "send", "send")))
    assert sorted(said) == ["\nSent. Go.", "human_input_submitted", "human_input_submitted"]


# What is refused, and what then


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({"action": "burn", "tone": "kind"}, "'approve' (Approve), 'reject' (Reject)"),
        ({"action": "approve"}, "also needs 'tone'"),
        ({"action": "approve", "tone": "wild"}, "'tone' takes one of 'kind', 'strict'"),
        ("hmm", "none of the form's choices"),
        ('{"action":', "begins like JSON"),
        ("", "none of the form's choices"),
    ],
)
def test_after_a_wrong_answer_the_form_still_takes_a_right_one(talk: Any, said: Any, names: str) -> None:
    review = talk(REVIEW)
    review.say("[[reply:A draft]]")
    error = review.refused(said)
    assert isinstance(error, BadRequestError)
    assert (error.code, error.param) == ("invalid_human_input", "messages[2].content")
    assert names in error.message
    right = {"action": "approve", "remark": "Nice.", "tone": "kind"}
    assert review.reply(right).content == "Approved: A draft (Nice.)"


def test_a_form_takes_one_answer(talk: Any) -> None:
    review = talk(REVIEW)
    review.say("[[reply:A draft]]")
    call = review.calls[0]["id"]
    asked = list(review.messages)
    review.reply({"action": "approve", "tone": "kind"})
    review.messages = asked
    error = review.refused({"action": "reject", "tone": "kind"}, call)
    assert isinstance(error, ConflictError)
    assert error.code == "human_input_submitted"
    assert error.response.headers["x-should-retry"] == "false"


def test_a_form_that_was_submitted_elsewhere_says_so(dify: Simulator, talk: Any) -> None:
    approval = talk(APPROVAL)
    asked = approval.say("[[reply:Dear Bob]]")
    with Dify(dify.keys["approval"], base_url=dify.base_url, user="somebody") as client:
        client.human_input.submit(token_of(dify, asked), action="discard", inputs={"remark": "No."})
    error = approval.refused({"action": "send", "remark": "Go."})
    assert (error.status_code, error.code) == (409, "human_input_submitted")


def test_a_form_that_has_expired_says_so(talk: Any) -> None:
    hasty = talk("Simulated Hasty")
    hasty.say("Go")
    expires = datetime.fromisoformat(hasty.form["expires_at"])
    eventually(lambda: datetime.now(UTC) > expires + timedelta(seconds=1))
    error = hasty.refused("approve")
    assert (error.status_code, error.code) == (409, "human_input_expired")
    hasty.messages.pop()
    assert hasty.say("And now?").finish_reason == "tool_calls"


def test_a_form_that_goes_by_mail_cannot_be_asked_here(talk: Any) -> None:
    mailed = talk("Simulated Mailed")
    with pytest.raises(APIError) as caught:
        mailed.say("Go")
    assert caught.value.code == "human_input_elsewhere"


def test_nobody_answers_the_form_of_another_user_or_client(gateway: Gateway, talk: Any) -> None:
    review = talk(REVIEW)
    review.say("[[reply:A draft]]")
    right = {"action": "approve", "tone": "kind"}
    with OpenAI(base_url=gateway.base_url, api_key=BOB, max_retries=0) as bob:
        others = (replace(review, client=bob), replace(review, user=f"user-{uuid4().hex[:12]}"))
        for other in (*others, replace(review, model=APPROVAL)):
            error = other.refused(right)
            assert isinstance(error, NotFoundError)
            assert (error.code, error.param) == ("human_input_not_found", "messages[2].tool_call_id")
    assert review.reply(right).finish_reason == "stop"


def test_results_of_other_tools_cannot_go_to_a_run_that_waits(talk: Any) -> None:
    review = talk(REVIEW)
    review.say("[[reply:A draft]]")
    call, asked = review.calls[0], list(review.messages)
    other = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    review.messages[-1]["tool_calls"].append(other)
    with pytest.raises(BadRequestError) as caught:
        review.send(
            review.result({"action": "approve", "tone": "kind"}, call["id"]),
            {"role": "tool", "tool_call_id": "call_1", "content": "I see."},
        )
    assert caught.value.code == "invalid_human_input"
    review.messages = asked
    assert review.reply({"action": "approve", "tone": "kind"}, call["id"]).finish_reason == "stop"


def test_what_the_user_says_beside_the_answer_is_not_lost_unseen(talk: Any) -> None:
    approval = talk(APPROVAL)
    approval.say("[[reply:Dear Bob]]")
    call, asked = approval.calls[0]["id"], list(approval.messages)
    result = approval.result({"action": "send", "remark": "Go."}, call)
    with pytest.raises(BadRequestError) as caught:
        approval.send(result, {"role": "user", "content": "And be quick."})
    assert caught.value.code == "invalid_human_input"
    approval.messages = asked
    assert approval.reply({"action": "send", "remark": "Go."}, call).content == "\nSent. Go."
    approval.messages = [*asked, result]
    assert approval.say("[[reply:And now?]]").content == "And now?"


def test_a_form_is_answered_for_one_choice_alone(talk: Any) -> None:
    review = talk(REVIEW)
    review.say("Hi")
    review.more["n"] = 2
    assert review.refused({"action": "approve", "tone": "kind"}).param == "n"


def test_neither_answer_nor_log_nor_error_tells_the_token_or_what_the_person_said(
    dify: Simulator, talk: Any, tmp_path: Path
) -> None:
    approval = talk(APPROVAL)
    with in_front_of(dify, tmp_path, LOG_LEVEL="debug") as gateway:
        approval.client = OpenAI(base_url=gateway.base_url, api_key=ADA, max_retries=0)
        asked = approval.say("[[reply:Dear Bob]]")
        token = token_of(dify, asked)
        error = approval.refused({"action": "hush-hush", "remark": "hush-hush"})
        done = approval.reply({"action": "send", "remark": "hush-hush"})
    told = f"{asked} {error.response.text} {done}"
    assert token not in told
    assert "hush-hush" not in error.response.text
    logged = json.dumps(gateway.lines)
    assert "Simulated Chatflow With A Form" in logged
    assert token not in logged
    assert "hush-hush" not in logged


# When the client goes


def test_a_run_that_goes_on_is_stopped_when_its_client_leaves(
    dify: Simulator, gateway: Gateway, way: Ask, talk: Any
) -> None:
    endless = talk("Simulated Endless")
    asked = endless.say("[[slow:2000:0.01]]")
    task = asked.dify["task_id"]
    body = json.dumps(
        {
            "model": endless.model,
            "messages": [*endless.messages, endless.result("ok")],
            "user": endless.user,
            "stream": way is streamed,
        }
    ).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {ADA}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(gateway.address) as client:
        client.sendall(head.encode() + body)
        eventually(lambda: dify.counts().running == 1)
        if way is streamed:
            assert client.recv(1)
    eventually(lambda: task in dify.counts().stopped_tasks)
    eventually(lambda: dify.counts().running == 0)


# Memory


@pytest.mark.parametrize("model", [APPROVAL, "Approval 0", "Approval 1", "Approval 2"])
def test_the_conversation_goes_on_afterwards_as_its_memory_has_it(talk: Any, model: str) -> None:
    approval = talk(model)
    asked = approval.say("[[reply:Dear Bob]]")
    assert asked.content == "Dear Bob"
    done = approval.reply({"action": "send", "remark": "Go."})
    assert strip(done.content) == "\nSent. Go."
    assert done.dify["conversation_id"] == asked.dify["conversation_id"]
    later = approval.say("[[history]]")
    same = later.dify["conversation_id"] == asked.dify["conversation_id"]
    seen = strip(later.content)
    match model:
        case "Approval 0":
            assert not same
            assert "Dear Bob" not in seen
        case "Approval 1":
            assert not same
            assert "Shall I send this? Dear Bob" in seen
            assert "human_input" not in seen
        case _:
            assert same
            assert json.loads(seen)[-2] == {"role": "assistant", "content": "Dear Bob\nSent. Go."}


@pytest.mark.parametrize("store", ["sqlite:///state.db", "memory:"])
def test_a_form_outlives_the_gateway_if_its_store_does(
    dify: Simulator, tmp_path: Path, talk: Any, store: str
) -> None:
    review = talk(REVIEW)
    with in_front_of(dify, tmp_path, STORE_URL=store) as gateway:
        review.client = OpenAI(base_url=gateway.base_url, api_key=ADA, max_retries=0)
        review.say("[[reply:A draft]]")
    with in_front_of(dify, tmp_path, STORE_URL=store) as gateway:
        review.client = OpenAI(base_url=gateway.base_url, api_key=ADA, max_retries=0)
        if store == "memory:":
            assert review.refused("approve").code == "human_input_not_found"
        else:
            done = review.reply({"action": "approve", "tone": "kind"})
            assert done.content == "Approved: A draft (Looks good.)"
