"""An OpenAI request as the call that a Dify app of each mode takes."""

import pytest

from opendify.gateway.conversation import read
from opendify.gateway.errors import OpenAIError
from opendify.gateway.settings import ToolPrompt
from opendify.gateway.tools import prompt
from opendify.gateway.tools.definitions import Tool, Toolset
from opendify.gateway.translate import DifyCall, background, corrected, to_dify
from opendify.gateway.wire import FunctionCall, ImageURL, Message, Part, ToolCall
from opendify.types import AppParameters, InputFile

PNG: InputFile = {"type": "image", "transfer_method": "local_file", "upload_file_id": "1"}
PDF: InputFile = {"type": "document", "transfer_method": "local_file", "upload_file_id": "2"}
CHAT = [
    Message("system", "Be brief."),
    Message("user", "Hi"),
    Message("assistant", "Hello"),
    Message("user", "More?"),
]


def parameters(*form: dict[str, object], files: bool = False) -> AppParameters:
    fields = [{str(field.pop("type", "text-input")): field} for field in (dict(field) for field in form)]
    upload = {"enabled": files, "allowed_file_types": ["image", "document"], "number_limits": 3}
    return AppParameters.model_validate({"user_input_form": fields, "file_upload": upload})


def call(
    mode: str = "chat",
    app: AppParameters | None = None,
    *,
    messages: list[Message] | None = None,
    inputs: dict[str, object] | None = None,
    files: tuple[InputFile, ...] = (),
    conversation_id: str | None = None,
    history: bool = True,
    tools: Toolset | None = None,
    style: ToolPrompt = "tagged",
    told: bool = False,
    answer_format: str = "",
) -> DifyCall:
    conversation = read(messages or CHAT)
    past = None if conversation_id else background(conversation, mode, tools, history)
    return to_dify(
        past or conversation,
        model="Support",
        mode=mode,
        parameters=app or parameters(),
        inputs=inputs or {},
        files=files,
        conversation_id=conversation_id,
        history=past is not None,
        toolset=tools,
        style=style,
        told=told,
        answer_format=answer_format,
    )


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("chat", "chat"),
        ("agent-chat", "chat"),
        ("advanced-chat", "chat"),
        ("agent", "chat"),
        ("completion", "completion"),
        ("workflow", "workflow"),
    ],
)
def test_every_mode_has_its_call(mode: str, kind: str) -> None:
    assert call(mode).kind == kind


def test_a_mode_that_nobody_knows_is_said_so() -> None:
    with pytest.raises(OpenAIError) as refused:
        call("hologram")
    assert refused.value.status == 501


def test_a_new_conversation_is_seeded_and_a_known_one_gets_the_question_alone() -> None:
    assert call().query.startswith("<history>\nsystem: Be brief.")
    assert call(conversation_id="c").query == "More?"
    assert call(history=False).query == "Be brief.\n\nMore?"


@pytest.mark.parametrize("name", ["system", "system_prompt", "instructions"])
def test_a_system_prompt_goes_into_the_input_that_is_made_for_it(name: str) -> None:
    made = call(app=parameters({"variable": name}))
    assert made.inputs == {name: "Be brief."}
    assert "Be brief." not in made.query
    assert call(app=parameters({"variable": name}), inputs={name: "Own"}).inputs == {name: "Own"}


@pytest.mark.parametrize(
    ("form", "place"),
    [
        ([{"variable": "a"}, {"variable": "text", "required": True}], "text"),
        ([{"variable": "a"}, {"variable": "query"}], "query"),
        (
            [{"variable": "n", "type": "number"}, {"variable": "a"}, {"variable": "b", "type": "paragraph"}],
            "a",
        ),
        ([{"variable": "query", "required": True}, {"variable": "a"}], "query"),
    ],
)
@pytest.mark.parametrize("mode", ["workflow", "completion"])
def test_the_question_goes_into_the_input_that_it_belongs_in(
    form: list[dict[str, object]], place: str, mode: str
) -> None:
    made = call(mode, parameters(*form))
    assert made.inputs == {place: "More?"}
    assert made.query == ""


def test_an_input_that_the_client_gave_is_kept() -> None:
    app = parameters({"variable": "text", "required": True}, {"variable": "tone"})
    assert call("workflow", app, inputs={"text": "own", "tone": "dry"}).inputs == {
        "text": "own",
        "tone": "dry",
    }


def test_a_completion_app_without_a_form_takes_the_question_as_query() -> None:
    assert call("completion").inputs == {"query": "More?"}
    assert call("workflow").inputs == {}


def test_a_missing_required_input_is_named_with_its_type_and_options() -> None:
    app = parameters({"variable": "lang", "type": "select", "required": True, "options": ["English", "中文"]})
    with pytest.raises(OpenAIError) as refused:
        call(app=app)
    error = refused.value
    assert (error.status, error.param) == (400, "inputs.lang")
    assert all(word in error.message for word in ("lang", "select", "English", "中文"))


def test_a_default_of_the_form_fills_a_missing_input() -> None:
    app = parameters(
        {"variable": "lang", "type": "select", "required": True, "options": ["en"], "default": "en"}
    )
    assert call(app=app).inputs == {"lang": "en"}
    assert call(app=app, inputs={"lang": "de"}).inputs == {"lang": "de"}


def test_zero_and_false_are_values() -> None:
    app = parameters(
        {"variable": "n", "type": "number", "required": True},
        {"variable": "c", "type": "checkbox", "required": True},
    )
    assert call(app=app, inputs={"n": 0, "c": False}).inputs == {"n": 0, "c": False}


def test_files_stand_beside_the_query_of_a_chat() -> None:
    assert list(call(app=parameters(files=True), files=(PNG, PDF)).files) == [PNG, PDF]


def test_files_go_into_a_workflows_file_inputs() -> None:
    app = parameters(
        {"variable": "pic", "type": "file", "allowed_file_types": ["image"]},
        {"variable": "docs", "type": "file-list", "max_length": 3, "allowed_file_types": ["document"]},
    )
    made = call("workflow", app, files=(PDF, PNG))
    assert made.inputs == {"pic": PNG, "docs": [PDF]}
    assert list(made.files) == []


def test_a_workflow_gets_the_same_picture_in_as_many_inputs_as_it_was_sent_for() -> None:
    pictures = [{"variable": name, "type": "file", "allowed_file_types": ["image"]} for name in ("a", "b")]
    again: InputFile = {"type": "image", "transfer_method": "local_file", "upload_file_id": "1"}
    assert call("workflow", parameters(*pictures), files=(PNG, again)).inputs == {"a": PNG, "b": again}


def test_a_file_that_no_input_takes_is_refused_not_dropped() -> None:
    app = parameters({"variable": "pic", "type": "file", "allowed_file_types": ["image"]})
    with pytest.raises(OpenAIError) as refused:
        call("workflow", app, files=(PNG, PDF))
    assert "document" in refused.value.message


def test_a_picture_without_words_is_asked_with_a_blank() -> None:
    picture = Message("user", [Part("image_url", image_url=ImageURL("https://x/cat.png"))])
    assert call(app=parameters(files=True), messages=[picture], files=(PNG,)).query == " "


# ── Tools ────────────────────────────────────────────────────────────────────────────────────────────

ROME = ToolCall("call_1", FunctionCall("get_weather", '{"city": "Rome"}'))
WARM = [*CHAT[:3], Message("user", "Warm?"), Message("assistant", None, tool_calls=[ROME])]
RESULT = Message("tool", "22 degrees", tool_call_id="call_1")
HEARD = '<tool_response>\n{"name": "get_weather", "content": "22 degrees"}\n</tool_response>'
TOOLS = Toolset([Tool("get_weather", "The weather now.")], frozenset({"get_weather"}))
MUST = Toolset(TOOLS.tools, TOOLS.allowed, required=True)
DEFINED = prompt.definitions(TOOLS, "tagged", chinese=False)
ASKED = "Your next reply must call the tool get_weather."
WITH_INPUT = parameters({"variable": "tools", "type": "paragraph"}, {"variable": "text"})
HISTORY = "<history>\nuser: Hi\n\nassistant: Hello\n</history>\n\nCurrent question: More?"


def test_a_new_conversation_hears_system_prompt_tools_form_of_the_answer_history_and_question() -> None:
    made = call(tools=MUST, answer_format="Answer in JSON.")
    assert made.query == f"Be brief.\n\n{DEFINED}\n\n{ASKED}\n\nAnswer in JSON.\n\n{HISTORY}"
    assert call(tools=TOOLS, messages=CHAT[:2]).query == f"Be brief.\n\n{DEFINED}\n\nHi"
    assert call(answer_format="Answer in JSON.").query == f"Be brief.\n\nAnswer in JSON.\n\n{HISTORY}"


@pytest.mark.parametrize(
    ("tools", "told", "query"),
    [
        (None, False, "More?"),
        (TOOLS, False, f"{DEFINED}\n\nMore?"),
        (MUST, False, f"{DEFINED}\n\n{ASKED}\n\nMore?"),
        (TOOLS, True, "More?"),
        (MUST, True, f"{ASKED}\n\nMore?"),
    ],
)
def test_a_conversation_that_goes_on_hears_of_tools_once(
    tools: Toolset | None, told: bool, query: str
) -> None:
    assert call(conversation_id="c", tools=tools, told=told).query == query


def test_what_was_told_in_another_conversation_counts_for_nothing_in_a_new_one() -> None:
    assert DEFINED in call(tools=TOOLS, told=True).query


def test_results_go_back_in_the_conversation_and_a_question_behind_them() -> None:
    results = [*WARM, RESULT]
    assert call(conversation_id="c", messages=results, tools=TOOLS, told=True).query == HEARD
    more = [*results, Message("user", "In Fahrenheit?")]
    assert (
        call(conversation_id="c", messages=more, tools=TOOLS, told=True).query == f"{HEARD}\n\nIn Fahrenheit?"
    )
    assert call(conversation_id="c", messages=results).query == HEARD, "with or without the tools"


def test_results_in_a_new_conversation_come_with_all_that_was_said() -> None:
    made = call(messages=[*WARM, RESULT], tools=TOOLS)
    assert made.query == (
        f"Be brief.\n\n{DEFINED}\n\n<history>\nuser: Hi\n\nassistant: Hello\n\nuser: Warm?\n\nassistant: "
        f"{prompt.calls([ROME], 'tagged')}\n</history>\n\n{HEARD}"
    )


def test_without_memory_results_come_with_what_they_are_results_of() -> None:
    made = call(messages=[*WARM, RESULT], tools=TOOLS, history=False)
    assert made.query == (
        f"Be brief.\n\n{DEFINED}\n\n<history>\nuser: Warm?\n\nassistant: "
        f"{prompt.calls([ROME], 'tagged')}\n</history>\n\n{HEARD}"
    )
    assert call(history=False, tools=TOOLS).query == f"Be brief.\n\n{DEFINED}\n\nMore?"


def test_calls_and_results_are_written_in_the_style_of_the_app() -> None:
    made = call(messages=[*WARM, RESULT], tools=TOOLS, style="invoke")
    assert made.query.count('<invoke name="get_weather">') == 1
    assert "<function_results>" in made.query
    assert "<tool" not in made.query


def test_who_asks_in_chinese_has_the_model_told_in_chinese() -> None:
    made = call(messages=[Message("user", "罗马天气怎么样？")], tools=MUST)
    assert made.query.startswith(prompt.instructions(MUST, "tagged", chinese=True))


@pytest.mark.parametrize("mode", ["completion", "workflow"])
def test_apps_without_conversations_are_told_all_of_it_in_their_text(mode: str) -> None:
    app = parameters({"variable": "text", "required": True})
    asked = call(mode, app, tools=TOOLS, history=False)
    assert asked.inputs == {"text": f"Be brief.\n\n{DEFINED}\n\n{HISTORY}"}
    answered = call(mode, app, messages=[*WARM, RESULT], history=False)
    assert str(answered.inputs["text"]).endswith(f"</history>\n\n{HEARD}"), "with or without the tools"
    formed = call(mode, app, answer_format="Answer in JSON.", history=False)
    assert formed.inputs == {"text": "Be brief.\n\nAnswer in JSON.\n\nMore?"}
    assert asked.text_input == "text"


def test_an_app_that_takes_no_text_cannot_be_told_of_tools_and_says_so() -> None:
    with pytest.raises(OpenAIError) as refused:
        call("workflow", parameters({"variable": "n", "type": "number"}), tools=TOOLS)
    assert (refused.value.status, refused.value.param) == (400, "tools")
    assert call("workflow", answer_format="Answer in JSON.").inputs == {}


# ── The input for tools ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("conversation_id", [None, "c"])
@pytest.mark.parametrize("mode", ["chat", "advanced-chat"])
def test_an_input_for_tools_has_the_definitions_on_every_turn(
    mode: str, conversation_id: str | None, told: bool
) -> None:
    made = call(mode, WITH_INPUT, tools=MUST, conversation_id=conversation_id, told=told)
    assert made.inputs == {"tools": DEFINED}
    assert "get_weather" not in made.query.replace(ASKED, "")
    assert ASKED in made.query
    assert made.lasting == {}


def test_a_workflows_input_for_tools_leaves_its_text_to_what_was_said() -> None:
    assert call("workflow", WITH_INPUT, tools=TOOLS).inputs == {
        "tools": DEFINED,
        "text": HISTORY.replace("user: Hi", "system: Be brief.\n\nuser: Hi"),
    }
    assert call("workflow", WITH_INPUT, history=False).inputs == {"text": "More?"}


def test_an_input_for_tools_that_the_client_fills_itself_is_left_alone() -> None:
    made = call(app=WITH_INPUT, tools=TOOLS, inputs={"tools": "own"})
    assert made.inputs == {"tools": "own"}
    assert DEFINED in made.query
    assert made.lasting == {"tools": "own"}


def test_an_input_named_tools_that_takes_no_text_is_another_thing() -> None:
    app = parameters({"variable": "tools", "type": "select", "options": ["a"]})
    assert DEFINED in call(app=app, tools=TOOLS).query


# ── Another chance ───────────────────────────────────────────────────────────────────────────────────


def test_a_chat_is_corrected_in_its_conversation_with_the_same_inputs_and_no_files() -> None:
    first = call(app=parameters({"variable": "a"}, files=True), inputs={"a": "b"}, files=(PNG,))
    again = corrected(first, "c", "Bad.", "Call a tool.")
    assert again == DifyCall("chat", "Call a tool.", {"a": "b"}, (), "c")


@pytest.mark.parametrize("mode", ["completion", "workflow"])
def test_other_apps_are_corrected_by_all_they_were_told_and_answered(mode: str) -> None:
    app = parameters({"variable": "text", "required": True}, {"variable": "pic", "type": "file"})
    first = call(mode, app, tools=TOOLS, files=(PNG,))
    again = corrected(first, None, "Bad.", "Call a tool.")
    assert again
    assert again.inputs == {
        "text": f"{first.inputs['text']}\n\n<reply>\nBad.\n</reply>\n\nCall a tool.",
        "pic": PNG,
    }
    assert again.query == ""


def test_a_chat_that_was_given_no_conversation_is_told_all_again() -> None:
    again = corrected(call(messages=CHAT[-1:]), None, "Bad.", "Call a tool.")
    assert again
    assert again.query == "More?\n\n<reply>\nBad.\n</reply>\n\nCall a tool."


def test_an_app_that_takes_no_text_gets_no_second_chance() -> None:
    assert corrected(call("workflow"), None, "Bad.", "Write JSON.") is None
