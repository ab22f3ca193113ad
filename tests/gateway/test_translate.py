"""An OpenAI request as the call that a Dify app of each mode takes."""

import pytest

from opendify.gateway.conversation import read
from opendify.gateway.errors import OpenAIError
from opendify.gateway.translate import DifyCall, to_dify
from opendify.gateway.wire import ImageURL, Message, Part
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
) -> DifyCall:
    return to_dify(
        read(messages or CHAT),
        model="Support",
        mode=mode,
        parameters=app or parameters(),
        inputs=inputs or {},
        files=files,
        conversation_id=conversation_id,
        history=history,
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
