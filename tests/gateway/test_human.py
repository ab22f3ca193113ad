"""Forms as calls of `human_input`, and what people may answer them with. No server."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendify import APIStatusError
from opendify._errors import refusal
from opendify.gateway.attachments import Inline, Known, Remote
from opendify.gateway.calls import HUMAN
from opendify.gateway.conversation import read
from opendify.gateway.errors import OpenAIError
from opendify.gateway.human import (
    FUNCTION,
    Reply,
    answer,
    arguments,
    for_the_model,
    in_words,
    refused,
    replies,
    submitted,
    unknown,
)
from opendify.gateway.schemas import fault
from opendify.gateway.tools.definitions import Tool, Toolset
from opendify.gateway.wire import FunctionCall, Message, ToolCall
from opendify.types import FormAction, FormInput, FormSource, HumanInputForm

REMARK = FormInput(type="paragraph", output_variable_name="remark")
TONE = FormInput(
    type="select",
    output_variable_name="tone",
    option_source=FormSource(type="constant", value=["kind", "strict"]),
)
PICTURE = FormInput(type="file", output_variable_name="pic", allowed_file_types=["image"])
PAPERS = FormInput(
    type="file-list",
    output_variable_name="papers",
    allowed_file_types=["document", "image"],
    allowed_file_extensions=[".pdf"],
    number_limits=2,
)
APPROVE, REJECT = FormAction(id="approve", title="Looks good"), FormAction(id="reject", title="Send back")


def form(*inputs: FormInput, actions: list[FormAction] | None = None, **more: Any) -> HumanInputForm:
    return HumanInputForm(
        form_token="secret-token",
        node_title="Review",
        form_content="Draft: Hello\n\nRemark: {{#$output.remark#}}",
        inputs=list(inputs),
        actions=[APPROVE, REJECT] if actions is None else actions,
        **more,
    )


def said(text: str | Mapping[str, Any]) -> Reply:
    return Reply("call_human_1", text if isinstance(text, str) else json.dumps(text), "messages[2].content")


def taken(asked: HumanInputForm, text: str | Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    found = answer(asked, said(text))
    return found.action, found.inputs


def misfit(asked: HumanInputForm, text: str | Mapping[str, Any]) -> OpenAIError:
    with pytest.raises(OpenAIError) as caught:
        answer(asked, said(text))
    assert (caught.value.status, caught.value.param) == (400, "messages[2].content")
    assert caught.value.code == "invalid_human_input"
    return caught.value


# Out


def test_the_arguments_of_a_call_tell_the_whole_form_but_its_token() -> None:
    asked = form(
        REMARK,
        TONE,
        PICTURE,
        PAPERS,
        resolved_default_values={"remark": "Fine."},
        expiration_time=1_800_000_000,
    )
    told = arguments(asked)
    assert "secret-token" not in told
    assert json.loads(told) == {
        "title": "Review",
        "question": "Draft: Hello\n\nRemark: [remark]",
        "fields": [
            {"name": "remark", "type": "paragraph", "default": "Fine."},
            {"name": "tone", "type": "select", "options": ["kind", "strict"]},
            {"name": "pic", "type": "file", "allowed_file_types": ["image"]},
            {
                "name": "papers",
                "type": "file-list",
                "allowed_file_types": ["document", "image"],
                "allowed_file_extensions": [".pdf"],
                "number_limits": 2,
            },
        ],
        "choices": [{"id": "approve", "title": "Looks good"}, {"id": "reject", "title": "Send back"}],
        "expires_at": "2027-01-15T08:00:00+00:00",
        "answer_with": {
            "action": "approve",
            "inputs": {"remark": "Fine.", "tone": "kind", "pic": "https://…", "papers": ["https://…"]},
        },
    }


def test_the_function_that_the_documents_let_clients_define_takes_these_arguments() -> None:
    page = (Path(__file__).parents[2] / "docs/people-in-the-loop.md").read_text("utf-8")
    shown = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", page, re.M | re.S)]
    (definition,) = [block["function"] for block in shown if "function" in block]
    asked = form(REMARK, TONE, PICTURE, PAPERS, resolved_default_values={"remark": "Fine."})
    assert definition["name"] == FUNCTION
    for told in (json.loads(arguments(asked)), *(block for block in shown if "question" in block)):
        assert fault(definition["parameters"], told) is None
        assert told.keys() == definition["parameters"]["properties"].keys()


def test_a_default_of_the_form_itself_is_told_and_taken_where_dify_resolved_none() -> None:
    field = REMARK.model_copy(update={"default": FormSource(type="constant", value="As is.")})
    asked = form(field)
    assert json.loads(arguments(asked))["fields"][0]["default"] == "As is."
    assert taken(asked, "approve") == ("approve", {"remark": "As is."})


def test_what_answer_with_shows_is_an_answer() -> None:
    asked = form(REMARK, TONE, PAPERS, resolved_default_values={"remark": "Fine."})
    action, inputs = taken(asked, json.loads(arguments(asked))["answer_with"])
    assert (action, inputs["remark"], inputs["tone"]) == ("approve", "Fine.", "kind")


# In


@pytest.mark.parametrize(
    ("text", "action", "inputs"),
    [
        ({"action": "approve", "inputs": {"remark": "a", "tone": "kind"}}, "approve", ("a", "kind")),
        ({"choice": "approve", "remark": "a", "tone": "kind"}, "approve", ("a", "kind")),
        ({"action": "Send Back", "inputs": {"remark": "a", "tone": "STRICT"}}, "reject", ("a", "strict")),
        ({"choice": " LOOKS GOOD ", "inputs": {"remark": "a"}, "tone": "kind"}, "approve", ("a", "kind")),
        ({"action": "approve", "inputs": {"remark": "", "tone": "kind"}}, "approve", ("", "kind")),
        ({"action": "approve", "inputs": {"remark": 7, "tone": "kind"}}, "approve", ("7", "kind")),
        ({"action": "approve", "inputs": {"remark": True, "tone": "kind"}}, "approve", ("true", "kind")),
    ],
)
def test_an_answer_may_be_written_in_several_ways(
    text: dict[str, Any], action: str, inputs: tuple[str, str]
) -> None:
    assert taken(form(REMARK, TONE), text) == (action, {"remark": inputs[0], "tone": inputs[1]})


def test_what_is_not_given_stays_as_the_form_has_it() -> None:
    asked = form(REMARK, PAPERS, resolved_default_values={"remark": "Fine."})
    for text in ("approve", {"action": "approve"}, {"action": "approve", "inputs": {"remark": None}}):
        assert taken(asked, text) == ("approve", {"remark": "Fine.", "papers": []})


@pytest.mark.parametrize("text", ["approve", "APPROVE", "looks good", ' "Looks good" ', "Looks good\n"])
def test_a_choice_alone_is_an_answer(text: str) -> None:
    assert taken(form(), text) == ("approve", {})


def test_an_id_is_meant_before_a_title_that_reads_the_same() -> None:
    crossed = [FormAction(id="a", title="b"), FormAction(id="b", title="a")]
    assert taken(form(actions=crossed), "b") == ("b", {})


def test_a_form_with_one_choice_needs_no_choice() -> None:
    asked = form(REMARK, actions=[APPROVE])
    assert taken(asked, {"remark": "Yes."}) == ("approve", {"remark": "Yes."})
    assert taken(asked, {"inputs": {"remark": "Yes."}}) == ("approve", {"remark": "Yes."})
    assert taken(asked, "I like it.") == ("approve", {"remark": "I like it."})
    assert taken(asked, "42") == ("approve", {"remark": "42"})


@given(st.text(min_size=1).filter(lambda text: text.strip() == text and text[0] not in '{["'))
def test_any_text_fills_the_one_text_field(text: str) -> None:
    if text.casefold() not in ("approve", "looks good"):
        assert taken(form(REMARK, actions=[APPROVE]), text) == ("approve", {"remark": text})


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("maybe", "none of the form's choices"),
        ("", "none of the form's choices"),
        ({"action": "burn"}, "names none of the form's choices"),
        ({"action": 1}, "names none of the form's choices"),
        ({"remark": "a", "tone": "kind"}, "names none of the form's choices"),
        ({"action": "approve", "inputs": {"tone": "kind"}}, "also needs 'remark'"),
        ({"action": "approve"}, "also needs 'remark', 'tone'"),
        ({"action": "approve", "remark": "a", "tone": "wild"}, "'tone' takes one of 'kind', 'strict'"),
        ({"action": "approve", "remark": {"a": 1}, "tone": "kind"}, "'remark' takes a text"),
        ({"action": "approve", "remark": "a", "tone": "kind", "mood": "x"}, "no field 'mood'"),
        ({"action": "approve", "remark": "a", "tone": "kind", "inputs": "a"}, "no field 'inputs'"),
        ('{"action": "approve"', "begins like JSON"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_with_all_that_would(text: Any, what: str) -> None:
    error = misfit(form(REMARK, TONE), text)
    assert what in error.message
    assert "'approve' (Looks good), 'reject' (Send back)" in error.message
    assert "'remark' (paragraph), 'tone' (select: kind, strict)" in error.message


def test_a_refusal_quotes_nothing_that_the_person_said_and_no_token() -> None:
    for text in (
        {"action": "hush", "remark": "hush"},
        "hush",
        '{"hush',
        {"action": "approve", "tone": "hush"},
    ):
        message = misfit(form(REMARK, TONE), text).message
        assert "hush" not in message
        assert "secret-token" not in message


@pytest.mark.parametrize(
    ("value", "file"),
    [
        ("https://example.com/cat.png", Remote("image", "https://example.com/cat.png", "")),
        ("https://example.com/cat", Remote("image", "https://example.com/cat", "")),
        ({"url": "https://example.com/cat.png"}, Remote("image", "https://example.com/cat.png", "")),
        ("3fa85f64", Known("3fa85f64", "")),
        ({"transfer_method": "local_file", "upload_file_id": "3fa8", "type": "image"}, Known("3fa8", "")),
        (["https://example.com/cat.png"], Remote("image", "https://example.com/cat.png", "")),
    ],
)
def test_a_file_is_an_address_or_an_upload(value: Any, file: Remote | Known) -> None:
    _, inputs = taken(form(PICTURE), {"action": "approve", "pic": value})
    found = inputs["pic"]
    assert found.where == "messages[2].content.pic"
    assert type(found)(*[getattr(found, name) for name in found.__slots__[:-1]], "") == file


def test_a_file_may_come_with_the_answer() -> None:
    data = {"file_data": "data:application/pdf;base64,JVBERi0xLjQ=", "filename": "letter.pdf"}
    _, inputs = taken(form(PAPERS), {"action": "approve", "papers": [data]})
    (file,) = inputs["papers"]
    assert isinstance(file, Inline)
    assert (file.type, file.name, file.data) == ("document", "letter.pdf", b"%PDF-1.4")


def test_too_many_files_are_refused_and_so_is_what_is_none() -> None:
    assert (
        "'papers' takes at most 2 files"
        in misfit(form(PAPERS), {"action": "approve", "papers": ["https://e.com/a"] * 3}).message
    )
    assert "'pic' takes one file" in misfit(form(PICTURE), {"action": "approve", "pic": []}).message
    with pytest.raises(OpenAIError, match="takes a file"):
        taken(form(PICTURE), {"action": "approve", "pic": 5})


# Which messages answer a form


def tool(text: str = "approve", call_id: str = f"{HUMAN}1") -> Message:
    return Message("tool", text, tool_call_id=call_id)


ASKED, LATER = Message("user", "Go"), Message("assistant", "Well?")
CALLED = Message(
    "assistant",
    tool_calls=[ToolCall(name, FunctionCall("f")) for name in (f"{HUMAN}1", f"{HUMAN}2", "call_1")],
)


def found(*messages: Message) -> list[tuple[str, str]]:
    return [(reply.text, reply.where) for reply in replies(read([ASKED, CALLED, *messages]))]


def test_only_results_after_the_last_assistants_turn_answer_forms() -> None:
    assert found(tool(), LATER, ASKED) == []
    assert found(tool(call_id="call_1")) == []
    assert found(tool("one"), tool("two", f"{HUMAN}2")) == [
        ("one", "messages[2].content"),
        ("two", "messages[3].content"),
    ]
    assert found(tool("x", "call_1"), tool("one")) == [("one", "messages[3].content")]
    assert found(tool("one"), ASKED) == [("one", "messages[2].content")]


def test_a_model_is_told_in_words_what_a_person_was_asked_and_said() -> None:
    asked = ToolCall(f"{HUMAN}1", FunctionCall("human_input", '{"question": "Send it?"}'))
    look = ToolCall("call_1", FunctionCall("look"))
    messages = [
        ASKED,
        Message("assistant", None, tool_calls=[asked, look]),
        tool("send"),
        tool("I see.", "call_1"),
        Message("user", "And now?"),
    ]
    chat = in_words(read(messages))
    assert [(message.role, message.text) for message in chat.history] == [
        ("user", "Go"),
        ("assistant", "Send it?"),
        ("person", "send"),
    ]
    assert chat.history[1].tool_calls == [look]
    assert ([result.text for result in chat.results], chat.asks) == (["I see."], "And now?")
    assert list(chat.places) == [3, 4]
    later = in_words(read([*messages[:4], LATER, ASKED]))
    assert [message.role for message in later.history] == ["user", "assistant", "person", "tool", "assistant"]


def test_a_conversation_without_forms_stays_as_it_is() -> None:
    chat = read([ASKED, LATER, ASKED])
    assert in_words(chat) is chat


@pytest.mark.parametrize("told", ["", "[]", '{"question": 1}', "{"])
def test_arguments_that_a_client_has_changed_ask_nothing(told: str) -> None:
    call = ToolCall(f"{HUMAN}1", FunctionCall("human_input", told))
    chat = in_words(read([ASKED, Message("assistant", "Well?", tool_calls=[call]), tool(), ASKED]))
    assert [message.text for message in chat.history] == ["Go", "Well?", "approve"]


# The tool that clients define


def test_the_model_is_not_told_of_a_tool_that_only_the_gateway_calls() -> None:
    both = Toolset([Tool("human_input"), Tool("look")], frozenset({"human_input", "look"}), required=True)
    kept = for_the_model(both, "advanced-chat")
    assert kept is not None
    assert [tool.name for tool in kept.tools] == ["look"]
    assert (kept.allowed, kept.required) == (frozenset({"look"}), True)
    assert for_the_model(both, "chat") is both
    assert for_the_model(None, "workflow") is None
    only = Toolset([Tool("human_input")], frozenset({"human_input"}))
    assert for_the_model(only, "workflow") is None
    none = for_the_model(replace(both, allowed=frozenset(), required=False), "workflow")
    assert none is not None
    assert [tool.name for tool in none.tools] == ["look"]
    forced = Toolset([Tool("human_input"), Tool("look")], frozenset({"human_input"}), required=True)
    assert for_the_model(forced, "workflow") is forced


# Dify's refusals


def told(status: int, code: str, message: str = "…") -> APIStatusError:
    return refusal(status, code, message, headers={})


def test_a_refusal_of_dify_says_what_became_of_the_form() -> None:
    expired = refused(told(412, "human_input_form_expired"), said("yes"), None, "Review")
    taken_before = refused(told(412, "human_input_form_submitted"), said("yes"), None, "Review")
    gone = refused(told(404, "not_found"), said("yes"), None, "Review")
    wrong = refused(told(400, "invalid_form_data", "Invalid pic"), said("yes"), form(PICTURE), "Review")
    assert [error and (error.status, error.code) for error in (expired, taken_before, gone, wrong)] == [
        (409, "human_input_expired"),
        (409, "human_input_submitted"),
        (404, "human_input_not_found"),
        (400, "invalid_human_input"),
    ]
    assert refused(told(500, "unknown"), said("yes"), form(), "Review") is None
    for error in (expired, submitted(said("yes"))):
        assert error is not None
        assert error.headers == {"x-should-retry": "false"}
    assert unknown(said("yes"), "Review").param == "messages[2].tool_call_id"
