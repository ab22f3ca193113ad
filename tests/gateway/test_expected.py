"""What a request wants beyond text, found in an answer that comes in pieces, and judged at its end."""

from collections.abc import Iterable

import pytest

from opendify.gateway.answer import Answer
from opendify.gateway.expected import Expected, Out
from opendify.gateway.faults import Fault, refusal
from opendify.gateway.structured import ResponseFormat
from opendify.gateway.tools.definitions import Tool, Toolset

WEATHER = Tool("weather", parameters={"type": "object", "properties": {"city": {"type": "string"}}})
STRICT = Tool(
    "book",
    parameters={"type": "object", "properties": {"seats": {"type": "integer"}}, "required": ["seats"]},
    strict=True,
)
AGE = ResponseFormat(
    "json_schema", "age", schema={"type": "object", "properties": {"age": {"type": "integer"}}}
)
CALL = '<tool_call>{"name": "weather", "arguments": {"city": "Rome"}}</tool_call>'
CALLED: list[Out] = [("call", "weather"), ("arguments", '{"city":"Rome"}')]


def tools(**choice: object) -> Toolset:
    known = (WEATHER, STRICT)
    return Toolset(known, **{"allowed": frozenset(tool.name for tool in known), **choice})  # type: ignore[arg-type]  # a test's keywords


def expected(
    toolset: Toolset | None = None,
    response_format: ResponseFormat | None = None,
    *,
    streaming: bool = False,
    mode: str = "chat",
) -> Expected:
    return Expected(toolset, response_format, streaming=streaming, mode=mode)


def answer(mode: str = "chat", **known: object) -> Answer:
    made = Answer(mode, "https://dify.example/v1")
    for name, value in known.items():
        setattr(made, name, value)
    return made


def read(reader: Expected, *pieces: str) -> list[Out]:
    """What leaves, with neighbours of one kind joined."""
    out: list[Out] = []
    for piece in (*_flat(reader.feed(text) for text in pieces), *reader.end()):
        if out and piece[0] == out[-1][0] != "call":
            out[-1] = (piece[0], out[-1][1] + piece[1])
        else:
            out.append(piece)
    return out


def _flat(read: Iterable[Iterable[Out]]) -> Iterable[Out]:
    return (piece for pieces in read for piece in pieces)


def test_text_and_calls_leave_in_their_order() -> None:
    reader = expected(tools())
    assert read(reader, "Let me see.\n\n", CALL) == [("text", "Let me see."), *CALLED]
    assert reader.judge(answer()) is None


def test_an_answer_without_a_call_is_its_text() -> None:
    reader = expected(tools())
    assert read(reader, "It is ", "warm.") == [("text", "It is warm.")]
    assert reader.judge(answer()) is None


def test_where_a_call_is_required_text_waits_for_it() -> None:
    reader = expected(tools(required=True))
    assert reader.holds
    assert list(reader.feed("Let me see.\n")) == []
    assert read(reader, CALL) == [("text", "Let me see."), *CALLED]
    assert not reader.holds


def test_a_required_call_that_did_not_come_is_a_fault_and_nothing_of_the_answer_leaves() -> None:
    reader = expected(tools(required=True))
    assert read(reader, "It is warm.") == []
    assert reader.judge(answer()) == Fault("no_call")
    reader.again()
    assert read(reader, CALL) == CALLED
    assert reader.judge(answer()) is None


@pytest.mark.parametrize("name", ["nope", "book"])
def test_a_call_of_what_may_not_be_called_is_a_fault(name: str) -> None:
    reader = expected(tools(allowed=frozenset({"weather"})))
    assert read(reader, f'<tool_call>{{"name": "{name}", "arguments": {{}}}}</tool_call>') == []
    assert reader.judge(answer()) == Fault("unknown_tool", name)


def test_who_wants_one_call_gets_one_even_if_a_wrong_one_stands_beside_it() -> None:
    reader = expected(tools(parallel=False))
    assert read(reader, '<tool_call>{"name": "nope"}</tool_call>\n' + CALL) == CALLED
    assert reader.judge(answer()) is None


def test_after_a_made_up_result_the_corrected_answer_is_read_to_its_end() -> None:
    reader = expected(tools())
    assert read(reader, '<tool_call>{"name": "nope"}</tool_call>\n<tool_response>', "sunny") == []
    assert reader.over
    assert reader.judge(answer()) == Fault("unknown_tool", "nope")
    reader.again()
    assert not reader.over
    assert read(reader, CALL) == CALLED


def test_arguments_of_a_strict_tool_leave_when_they_fit() -> None:
    reader = expected(tools())
    assert read(reader, '<tool_call>{"name": "book", "arguments": {"seats": "two"}}</tool_call>') == []
    fault = reader.judge(answer())
    assert fault is not None
    assert (fault.kind, fault.name) == ("arguments", "book")
    assert "two" not in fault.what
    reader.again()
    assert read(reader, '<tool_call>{"name": "book", "arguments": {"seats": 2}}</tool_call>') == [
        ("call", "book"),
        ("arguments", '{"seats":2}'),
    ]
    assert reader.judge(answer()) is None


def test_a_strict_tool_is_called_with_the_defaults_of_what_a_model_left_out() -> None:
    days: dict[str, object] = {"type": "integer", "default": 1}
    parameters = {"properties": {"city": {"type": "string"}, "days": days}, "required": ["city", "days"]}
    reader = expected(Toolset([Tool("plan", "", parameters, strict=True)], frozenset({"plan"})))
    called = read(reader, '<tool_call>{"name": "plan", "arguments": {"city": "Rome"}}</tool_call>')
    assert called == [("call", "plan"), ("arguments", '{"city":"Rome","days":1}')]
    assert reader.judge(answer()) is None


def test_json_of_a_plain_answer_waits_until_it_is_known_to_fit() -> None:
    reader = expected(response_format=AGE)
    assert read(reader, 'Sure:\n```json\n{"age": "old"}\n```') == []
    fault = reader.judge(answer())
    assert fault is not None
    assert fault.kind == "json"
    assert reader.correctable
    reader.again()
    assert read(reader, '```json\n{"age": 3}\n```') == []
    assert reader.judge(answer()) is None
    assert reader.rest() == '{"age": 3}'


def test_json_that_is_not_strict_streams_as_it_comes_and_can_no_more_be_corrected() -> None:
    reader = expected(response_format=AGE, streaming=True)
    assert not reader.holds
    assert read(reader, '{"age"', ': "old"}') == [("text", '{"age": "old"}')]
    fault = reader.judge(answer())
    assert fault is not None
    assert (fault.kind, reader.correctable) == ("json", False)


def test_json_that_left_as_it_came_does_not_leave_once_more() -> None:
    reader = expected(response_format=ResponseFormat("json_object"), streaming=True)
    assert read(reader, '{"age": ', "3}") == [("text", '{"age": 3}')]
    assert reader.judge(answer()) is None
    assert reader.rest() == ""


def test_an_answer_that_calls_need_be_no_json() -> None:
    reader = expected(tools(), AGE)
    assert read(reader, "Let me see.\n", CALL) == CALLED
    assert reader.judge(answer()) is None
    assert reader.rest() == ""


def test_a_workflow_answers_with_its_outputs() -> None:
    reader = expected(response_format=AGE, streaming=True, mode="workflow")
    assert read(reader, "some text") == []
    assert reader.judge(answer("workflow", outputs={"age": 3, "name": "Ada"})) is None
    assert reader.rest() == '{"age":3,"name":"Ada"}'


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault("no_call"), "tool_call_missing"),
        (Fault("unknown_tool", "nope"), "unknown_tool_called"),
        (Fault("arguments", "book", "$.seats: it is missing"), "invalid_tool_arguments"),
        (Fault("json", what="$.age: it is missing"), "invalid_structured_output"),
    ],
)
def test_a_fault_that_remains_is_dify_s_and_says_what_and_where(fault: Fault, code: str) -> None:
    error = refusal(fault, "Support")
    assert (error.status, error.code) == (502, code)
    assert fault.name in error.message
    assert fault.what in error.message
