"""Dify's events as an OpenAI answer, mode by mode."""

import json

import pytest

from opendify import APIStatusError, MalformedStreamError, TruncatedStreamError
from opendify.gateway.answer import Answer
from opendify.gateway.errors import OpenAIError

IDS = {"conversation_id": "c", "message_id": "m", "task_id": "t", "created_at": 1_700_000_000}
END = {
    "event": "message_end",
    "metadata": {"usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
}


def event(name: str, **fields: object) -> dict[str, object]:
    return {"event": name, **IDS, **fields}


def say(*texts: str, name: str = "message") -> list[dict[str, object]]:
    return [event(name, answer=text) for text in texts]


def finished(status: str = "succeeded", **data: object) -> dict[str, object]:
    return event("workflow_finished", data={"status": status, "outputs": {}, "total_tokens": 5, **data})


STARTED = event("workflow_started", workflow_run_id="r", data={"id": "r", "created_at": 1_700_000_000})


def answer(*events: dict[str, object], mode: str = "chat", **settings: bool) -> tuple[Answer, str, str]:
    """An answer fed one event at a time; its content and reasoning."""
    made = Answer(mode, "https://dify.example/v1", **settings)
    deltas = [delta for item in events for delta in made.feed([json.dumps(item).encode()])]
    deltas += made.end()
    return made, *(
        "".join(text for kind, text in deltas if kind == wanted) for wanted in ("content", "reasoning")
    )


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("chat", "message"),
        ("chat", "message_file"),
        ("advanced-chat", "message"),
        ("advanced-chat", "message_file"),
        ("completion", "message"),
        ("completion", "message_file"),
        ("agent-chat", "agent_message"),
        ("agent-chat", "message"),
        ("agent", "agent_message"),
    ],
)
def test_text_is_found_where_each_mode_puts_it(mode: str, name: str) -> None:
    made, content, _ = answer(*say("", "Hel", "lo", name=name), END, mode=mode)
    assert (content, made.failure, made.complete) == ("Hello", None, True)


def test_what_dify_calls_the_answer_and_what_it_cost_is_known() -> None:
    made, _, _ = answer(*say("Hi"), END)
    assert made.note() == {"conversation_id": "c", "message_id": "m", "task_id": "t"}
    assert made.created == 1_700_000_000
    assert made.usage == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


@pytest.mark.parametrize(
    ("fields", "usage"),
    [
        ({}, None),
        ({"metadata": None, "files": None}, None),
        ({"metadata": {"usage": None, "retriever_resources": None}, "files": []}, None),
        ({"metadata": {"usage": {"prompt_tokens": 1.0, "total_tokens": 3}}}, (1, 0, 3)),
        ({"metadata": {"usage": {"total_tokens": 3}, "annotation_reply": None}}, (0, 0, 3)),
    ],
)
def test_an_answer_may_end_without_saying_much(
    fields: dict[str, object], usage: tuple[int, int, int] | None
) -> None:
    made, content, _ = answer(*say("Hi"), event("message_end", **fields))
    assert (content, made.failure, made.complete) == ("Hi", None, True)
    assert (None if made.usage is None else tuple(made.usage.values())) == usage


def test_a_new_agents_closing_message_is_not_said_twice() -> None:
    _, content, _ = answer(*say("Hel", "lo", name="agent_message"), *say("Hello"), END, mode="agent")
    assert content == "Hello"
    _, content, _ = answer(*say("Hello"), END, mode="agent")
    assert content == "Hello"


def test_an_agents_steps_are_reasoning_each_told_once() -> None:
    steps = [
        event("agent_thought", id="1", position=1, thought="", tool="clock", tool_input="{}", observation=""),
        event(
            "agent_thought", id="1", position=1, thought="", tool="clock", tool_input="{}", observation="noon"
        ),
        event(
            "agent_thought", id="1", position=1, thought="", tool="clock", tool_input="{}", observation="noon"
        ),
        event("agent_thought", id="2", position=2, thought="It is noon.", tool="", observation=""),
    ]
    _, content, reasoning = answer(*steps, *say("It is noon.", name="agent_message"), END, mode="agent-chat")
    assert (content, reasoning) == ("It is noon.", "clock({})\n→ noon\n\n")
    _, _, reasoning = answer(*steps, END, mode="agent-chat", agent_steps=False)
    assert reasoning == ""


def test_the_tools_of_a_chatflow_are_reasoning_too() -> None:
    def log(status: str, data: object) -> dict[str, object]:
        return event("agent_log", data={"id": "log", "label": "…", "status": status, "data": data})

    agent = [
        log("success", {"output": "", "tool_input": [{"name": "clock", "args": {"zone": "UTC"}}]}),
        log("start", {}),
        log("success", {"output": {"tool_call_name": "clock", "tool_response": "noon"}}),
        log("success", {"output": {"llm_response": "", "tool_responses": []}}),
    ]
    searched = node("Search", node_type="tool", inputs={"q": "noon"}, outputs={"text": "12 o'clock"})
    stream = [STARTED, *agent, searched, *say("It is noon."), finished(), END]
    _, content, reasoning = answer(*stream, mode="advanced-chat")
    assert content == "It is noon."
    assert reasoning == 'clock({"zone":"UTC"})\n→ noon\n\nSearch({"q":"noon"})\n→ 12 o\'clock\n\n'
    _, _, reasoning = answer(*stream, mode="advanced-chat", agent_steps=False)
    assert reasoning == ""


def test_thinking_becomes_reasoning() -> None:
    _, content, reasoning = answer(*say("<th", "ink>hm", "</thi", "nk>\n\nYes"), END)
    assert (content, reasoning) == ("Yes", "hm")
    chunk = event("reasoning_chunk", data={"reasoning": "hm", "is_final": False})
    _, content, reasoning = answer(STARTED, chunk, *say("Yes"), finished(), END, mode="advanced-chat")
    assert (content, reasoning) == ("Yes", "hm")


def words(text: str, *selector: str) -> list[dict[str, object]]:
    """A node's text as a chatflow sends it, character by character."""
    return [event("message", answer=piece, from_variable_selector=[*selector]) for piece in text]


def test_each_nodes_text_in_a_chatflow_may_begin_with_thinking() -> None:
    first = words("<think>\na\n</think>\n\nOne", "llm1", "text")
    between = words("\n---\n", "answer", "answer")
    second = words("<think>b</think>Two <think>c</think>", "llm2", "text")
    _, content, reasoning = answer(STARTED, *first, *between, *second, END, finished(), mode="advanced-chat")
    assert content == "One\n---\nTwo <think>c</think>"
    assert reasoning == "a\n\nb"


def test_thinking_that_a_node_leaves_open_ends_with_its_text() -> None:
    first, second = words("<think>a", "llm1", "text"), words("Two", "llm2", "text")
    _, content, reasoning = answer(STARTED, *first, *second, END, finished(), mode="advanced-chat")
    assert (content, reasoning) == ("Two", "a")


def test_thinking_that_a_template_opens_goes_on_to_where_it_closes_it() -> None:
    texts = [
        *words("<details><summary>Thinking</summary>\n", "answer", "answer"),
        *words("a\nb", "llm", "reasoning_content"),
        *words("\n</details>\n\n", "answer", "answer"),
        *words("Yes", "llm", "text"),
    ]
    _, content, reasoning = answer(STARTED, *texts, END, finished(), mode="advanced-chat")
    assert (content, reasoning) == ("Yes", "a\nb")


def test_a_template_may_open_the_thinking_that_a_node_only_ends() -> None:
    """The template of DeepSeek-R1 writes the beginning itself, so a server may send the end alone."""
    texts = [
        *words("<think>", "answer", "answer"),
        *words("a</think>\n\nYes. ", "llm", "text"),
        *words("<think>b</think>\nNo.", "llm2", "text"),
    ]
    _, content, reasoning = answer(STARTED, *texts, END, finished(), mode="advanced-chat")
    assert (content, reasoning) == ("Yes. No.", "a\n\nb")


def test_the_text_of_each_variable_of_a_workflow_may_begin_with_thinking() -> None:
    texts = [
        event("text_chunk", data={"text": text, "from_variable_selector": [node, "text"]})
        for node, text in (
            ("a", "<think>1</think>"),
            ("a", "One. "),
            ("b", "<thi"),
            ("b", "nk>2</think>Two."),
        )
    ]
    _, content, reasoning = answer(STARTED, *texts, finished(), mode="workflow")
    assert (content, reasoning) == ("One. Two.", "1\n\n2")


def test_a_workflow_that_only_thought_does_not_tell_that_twice() -> None:
    outputs = {"text": "<think>hm"}
    chunk = event("text_chunk", data={"text": "<think>hm"})
    _, content, reasoning = answer(STARTED, chunk, finished(outputs=outputs), mode="workflow")
    assert (content, reasoning) == ("", "hm")


def test_each_step_of_an_agent_may_begin_with_thinking() -> None:
    def thought(step: str, tool: str = "", observation: str = "") -> dict[str, object]:
        return event("agent_thought", id=step, tool=tool, tool_input="{}", observation=observation)

    said = [
        thought("1"),
        *say("<think>\na\n</think>", "\n\nI look.\n", name="agent_message"),
        *(thought("1", "clock"), thought("1", "clock", "noon"), thought("1", "clock", "noon")),
        thought("2"),
        *say("<think>b", name="agent_message"),  # a call cuts a model's thinking off
        *(thought("2", "bell"), thought("2", "bell", "ding")),
        thought("3"),
        *say("<thi", "nk>c</think>", "It is noon.", name="agent_message"),
        thought("3"),
    ]
    _, content, reasoning = answer(*said, END, mode="agent-chat")
    assert content == "I look.\nIt is noon."
    assert reasoning == "a\n\nclock({})\n→ noon\n\nb\n\nbell({})\n→ ding\n\nc"
    _, content, reasoning = answer(*said, END, mode="agent-chat", agent_steps=False)
    assert (content, reasoning) == ("I look.\nIt is noon.", "a\n\nb\n\nc")


def test_the_rounds_of_an_agent_node_may_begin_with_thinking() -> None:
    log = event("agent_log", data={"id": "l", "label": "ROUND 2", "status": "start"})
    texts = [
        *words("<think>a</think>I look. ", "agent", "text"),
        log,
        *words("<think>b</think>Noon.", "agent", "text"),
    ]
    _, content, reasoning = answer(STARTED, *texts, END, finished(), mode="advanced-chat")
    assert (content, reasoning) == ("I look. Noon.", "a\n\nb")


def test_thinking_that_comes_in_events_and_in_the_text_is_told_once() -> None:
    chunks = [event("reasoning_chunk", data={"reasoning": text, "node_id": "llm1"}) for text in ("h", "m")]
    texts = [*words("<think>hm</think>One ", "llm1", "text"), *words("<think>so</think>Two", "llm2", "text")]
    _, content, reasoning = answer(STARTED, *chunks, *texts, END, finished(), mode="advanced-chat")
    assert (content, reasoning) == ("One Two", "hm\n\nso")


def test_thinking_and_steps_stand_on_lines_of_their_own() -> None:
    begun = event("node_started", data={"id": "1", "node_id": "n", "title": "LLM"})
    chunks = [event("reasoning_chunk", data={"reasoning": text, "node_id": "n"}) for text in ("h", "m")]
    done = event("node_finished", data={"id": "1", "node_id": "n", "title": "LLM", "status": "succeeded"})
    run = [STARTED, begun, *chunks, done, finished()]
    _, _, reasoning = answer(*run, mode="workflow", workflow_nodes=True)
    assert reasoning == "LLM …\nhm\n\nLLM: succeeded\n"


FILE = {"id": "f", "type": "image", "belongs_to": "assistant", "url": "/files/tools/cat.png?sign=1"}


def test_a_file_that_the_app_makes_is_a_link_with_a_whole_address() -> None:
    made, content, _ = answer(
        event("message_file", **FILE), *say("See.", name="agent_message"), END, mode="agent-chat"
    )
    assert content == "![cat.png](https://dify.example/files/tools/cat.png?sign=1)\n\nSee."
    assert [file["url"] for file in made.files] == ["https://dify.example/files/tools/cat.png?sign=1"]


def test_a_file_that_the_text_links_already_is_not_linked_twice() -> None:
    end = END | {"files": [{"type": "image", "url": "https://dify.example/files/tools/cat.png?sign=2"}]}
    made, content, _ = answer(*say("![cat](", "/files/tools/cat.png?sign=1)"), end)
    assert content == "![cat](https://dify.example/files/tools/cat.png?sign=1)"
    assert len(made.files) == 1


def test_a_file_that_the_user_sent_is_none_of_the_apps() -> None:
    made, content, _ = answer(event("message_file", **FILE | {"belongs_to": "user"}), *say("Hi"), END)
    assert (content, made.files) == ("Hi", [])


def test_sources_with_an_address_are_citations_and_all_are_told() -> None:
    resources = [
        {"document_name": "planets.txt", "content": "Mars"},
        {"document_name": "Web", "doc_metadata": {"url": "https://x/y"}},
    ]
    end = END | {"metadata": {"retriever_resources": resources}}
    made, _, _ = answer(*say("Mars."), end)
    assert [note["url_citation"] for note in made.annotations] == [
        {"url": "https://x/y", "title": "Web", "start_index": 0, "end_index": 5}
    ]
    assert [resource["document_name"] for resource in made.note()["retriever_resources"]] == [
        "planets.txt",
        "Web",
    ]


def test_moderation_replaces_the_answer() -> None:
    made, content, _ = answer(
        *say("bad"), event("message_replace", answer="No.", reason=""), *say("more"), END
    )
    assert (content, made.replacement, made.finish_reason) == ("bad", "No.", "content_filter")


@pytest.mark.parametrize("order", [(finished(), END), (END, finished())])
def test_a_chatflow_ends_in_either_order(order: tuple[dict[str, object], ...]) -> None:
    made, content, _ = answer(STARTED, *say("Hi"), *order, mode="advanced-chat")
    assert (content, made.complete, made.failure) == ("Hi", True, None)


def test_a_chatflow_that_input_moderation_answered_has_no_run() -> None:
    made, content, _ = answer(*say("Blocked."), END, mode="advanced-chat")
    assert (content, made.complete) == ("Blocked.", True)


def test_speech_after_the_end_does_not_disturb() -> None:
    speech = [event("tts_message", audio="AAAA"), event("tts_message_end", audio="")]
    made, content, _ = answer(*say("Hi"), END, *speech)
    assert (content, made.failure) == ("Hi", None)


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ({"result": "Done"}, "Done"),
        ({"a": "x", "b": [1, {"c": "é"}]}, '{"a":"x","b":[1,{"c":"é"}]}'),
        ({"n": 5}, '{"n":5}'),
        ({}, ""),
    ],
)
def test_a_workflow_without_text_chunks_answers_with_its_outputs(
    outputs: dict[str, object], text: str
) -> None:
    made, content, _ = answer(STARTED, finished(outputs=outputs), mode="workflow")
    assert content == text
    assert made.note().get("outputs") == outputs


def test_a_workflows_text_is_difys_own() -> None:
    chunks = [event("text_chunk", data={"text": text}) for text in ("Do", "ne")]
    _, content, _ = answer(STARTED, *chunks, finished(outputs={"a": "Done", "b": "x"}), mode="workflow")
    assert content == "Done"


def node(title: str, status: str = "succeeded", **data: object) -> dict[str, object]:
    return event(
        "node_finished", data={"id": title, "node_id": title, "title": title, "status": status, **data}
    )


def test_a_workflows_tokens_are_summed_over_its_nodes() -> None:
    usage = {"usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}
    nodes = [
        node("A", process_data=usage, outputs=usage, execution_metadata={"total_tokens": 7}),
        node("B", process_data=usage, execution_metadata={"total_tokens": 7}),
        node("End", outputs=usage),
    ]
    made, _, _ = answer(STARTED, *nodes, finished(total_tokens=14), mode="workflow")
    assert made.usage == {"prompt_tokens": 6, "completion_tokens": 8, "total_tokens": 14}


@pytest.mark.parametrize("mode", ["workflow", "advanced-chat"])
def test_a_failed_workflow_names_the_node_and_its_error(mode: str) -> None:
    error = event("error", status=400, code="invalid_param", message="Run failed: boom")
    made, _, _ = answer(
        STARTED, node("Code", "failed", error="boom"), finished("failed", error="boom"), error, mode=mode
    )
    assert isinstance(made.failure, OpenAIError)
    assert (made.failure.status, made.failure.message) == (502, "The workflow failed in node 'Code': boom")


@pytest.mark.parametrize("status", ["stopped", "partial-succeeded", "succeeded"])
def test_other_ends_of_a_workflow_are_no_failures(status: str) -> None:
    made, _, _ = answer(STARTED, finished(status, outputs={"a": "x"}), mode="workflow")
    assert (made.failure, made.complete) == (None, True)


def test_the_progress_of_nodes_is_told_if_wanted() -> None:
    begun = event("node_started", data={"id": "1", "node_id": "llm", "title": "LLM"})
    _, _, reasoning = answer(STARTED, begun, node("LLM"), finished(), mode="workflow", workflow_nodes=True)
    assert reasoning == "LLM …\nLLM: succeeded\n"
    _, _, reasoning = answer(STARTED, begun, node("LLM"), finished(), mode="workflow")
    assert reasoning == ""


def test_what_came_before_an_error_is_kept() -> None:
    error = event("error", status=400, code="completion_request_error", message="model down")
    made = Answer("chat", "https://dify.example/v1")
    events = [json.dumps(item).encode() for item in (*say("Hi"), error, *say("more"))]
    assert made.feed(events) == [("content", "Hi")]
    assert isinstance(made.failure, APIStatusError)
    assert made.over


@pytest.mark.parametrize("mode", ["chat", "advanced-chat", "workflow", "completion", "agent-chat"])
def test_a_stream_that_ends_too_soon_is_a_failure(mode: str) -> None:
    name = {"workflow": "text_chunk", "agent-chat": "agent_message"}.get(mode, "message")
    made, content, _ = answer(event(name, answer="Hi", data={"text": "Hi"}), mode=mode)
    assert content == "Hi"
    assert isinstance(made.failure, TruncatedStreamError)


@pytest.mark.parametrize(
    "payload",
    [
        b"{",
        b"[]",
        b"3",
        b'{"event": 3}',
        b'{"event": "message", "answer": {}}',
        b"\xff",
        b'{"event":"message","answer":"\xff"}',
    ],
)
def test_an_event_that_cannot_be_read_is_a_failure_that_quotes_nothing(payload: bytes) -> None:
    made = Answer("chat", "https://dify.example/v1")
    made.feed([payload])
    assert isinstance(made.failure, MalformedStreamError)
    assert not made.over


@pytest.mark.parametrize(
    "metadata", [None, {"usage": None}, {"usage": {"prompt_tokens": None}, "retriever_resources": None}]
)
def test_an_end_that_leaves_things_out_loses_no_answer(metadata: object) -> None:
    made, content, _ = answer(*say("Hi"), END | {"metadata": metadata})
    assert (content, made.failure, made.complete) == ("Hi", None, True)


def test_events_and_fields_that_nobody_knows_do_no_harm() -> None:
    made, content, _ = answer(
        event("hologram", shape="cube"), event("message", answer="Hi", mood="good"), END | {"x": 1}
    )
    assert (content, made.failure) == ("Hi", None)


def paused(*forms: dict[str, object]) -> dict[str, object]:
    reasons = [{"TYPE": "human_input_required", **form} for form in forms]
    return event("workflow_paused", workflow_run_id="r", data={"workflow_run_id": "r", "reasons": reasons})


def worked(prompt: int, completion: int) -> dict[str, object]:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion}
    cost = {"total_tokens": prompt + completion}
    data = {"status": "succeeded", "outputs": {"usage": usage}, "execution_metadata": cost}
    return event("node_finished", data=data)


FORM: dict[str, object] = {"form_id": "f", "form_token": "secret", "node_title": "Review"}
RESUMED = event("workflow_started", workflow_run_id="r", data={"id": "r", "reason": "resumption"})


@pytest.mark.parametrize("mode", ["workflow", "advanced-chat"])
def test_a_run_that_waits_for_a_person_is_an_answer_with_its_forms(mode: str) -> None:
    name = "text_chunk" if mode == "workflow" else "message"
    said = event(name, answer="A draft", data={"text": "A draft"})
    made, content, _ = answer(STARTED, said, worked(3, 2), paused(FORM), mode=mode)
    assert (made.complete, made.failure, content) == (True, None, "A draft")
    assert [form.form_token for form in made.paused] == ["secret"]
    assert made.usage == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert made.note()["workflow_run_id"] == "r"
    assert "secret" not in repr(made.paused)


def test_text_that_was_held_back_comes_before_the_pause() -> None:
    _, content, _ = answer(STARTED, *say("Look: ![a](/files/"), paused(FORM), mode="advanced-chat")
    assert content == "Look: ![a](https://dify.example/files/"


@pytest.mark.parametrize(
    ("forms", "says"),
    [((), "something else"), (({**FORM, "form_token": None},), "'Review', which nobody can answer here")],
)
def test_a_run_that_waits_for_what_nobody_can_give_here_is_said_so(
    forms: tuple[dict[str, object], ...], says: str
) -> None:
    made, _, _ = answer(STARTED, paused(*forms), mode="workflow")
    assert isinstance(made.failure, OpenAIError)
    assert (made.failure.status, made.failure.code) == (501, "human_input_elsewhere")
    assert made.failure.headers == {"x-should-retry": "false"}
    assert says in made.failure.message
    assert made.over


def resumed(mode: str, told: bool, *events: dict[str, object]) -> tuple[Answer, str]:
    made = Answer(mode, "https://dify.example/v1")
    made.go_on(told=told)
    deltas = made.feed([json.dumps(item).encode() for item in events])
    return made, "".join(text for kind, text in deltas if kind == "content")


def test_a_run_that_goes_on_tells_what_is_new_and_what_that_cost() -> None:
    end = END | {"metadata": {"usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}}}
    made, content = resumed("advanced-chat", True, RESUMED, *say("Sent."), worked(1, 2), end, finished())
    assert (content, made.complete) == ("Sent.", True)
    assert made.usage == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


@pytest.mark.parametrize(("told", "content"), [(False, "all of it"), (True, "")])
def test_a_workflow_whose_text_was_told_before_the_pause_does_not_tell_it_as_its_output(
    told: bool, content: str
) -> None:
    made, said = resumed("workflow", told, RESUMED, finished(outputs={"result": "all of it"}))
    assert (said, made.complete) == (content, True)
    assert made.note()["outputs"] == {"result": "all of it"}


def test_an_answer_goes_on_over_several_pauses() -> None:
    made = Answer("workflow", "https://dify.example/v1")
    said: list[str] = []
    for events in ((STARTED, paused(FORM)), (RESUMED, paused(FORM)), (RESUMED, finished(outputs={"a": "b"}))):
        said += [text for _, text in made.feed([json.dumps(item).encode() for item in events])]
        assert made.complete
        if made.paused:
            made.go_on(told=made.told)
            assert (made.complete, made.paused) == (False, ())
    assert said == ["b"]


@pytest.mark.parametrize("url", ["http://[x/a.png", "//[x"])
def test_a_file_whose_address_is_none_fails_the_answer_and_no_more(url: str) -> None:
    made, _, _ = answer(event("message_file", id="f", type="image", belongs_to="assistant", url=url))
    assert isinstance(made.failure, MalformedStreamError)
