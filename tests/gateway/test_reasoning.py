"""What a model thinks is `reasoning_content`, no part of the answer, and no part of what is remembered."""

from typing import Any

import pytest
from openai import OpenAI

from .clients import Answer, Ask, Asked

THOUGHTS = "First I ponder the question.\nThen I decide."

WRITTEN = {
    "tag": "<think>\nhm\n</think>\n\nYes",
    "tag in capitals": "<THINK>hm</THINK>Yes",
    "thinking": "<thinking>hm</thinking>\nYes",
    "thought": "<thought>hm</thought>Yes",
    "reasoning": "<reasoning>hm</reasoning>Yes",
    "Magistral": "[THINK]hm[/THINK]Yes",
    "Kimi-VL": "◁think▷hm◁/think▷Yes",
    "Seed-OSS": "<seed:think>hm</seed:think>Yes",
    "gpt-oss": "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Yes",
    "Dify 0.15": (
        '<details style="color:gray;background-color: #f8f8f8;padding: 8px;border-radius: 4px;" open>'
        " <summary> Thinking... </summary>\nhm</details>Yes"
    ),
    "Chinese": "<details><summary>思考中...</summary>\nhm\n</details>\nYes",
    "twice": "<think>\n\n</think>\n<think>hm</think>Yes",
}


def told(answer: Answer) -> tuple[str, str]:
    return answer.reasoning, answer.content


@pytest.mark.parametrize("kind", ["Chat", "Agent", "Chatflow", "Workflow", "Completion"])
@pytest.mark.parametrize("size", [0, 1, 8])
def test_thinking_at_the_start_of_an_answer_is_reasoning_in_every_kind_of_app(
    ask: Ask, kind: str, size: int
) -> None:
    answer = ask(f"Simulated {kind}", f"[[notool]][[think]][[lump:{size}:0]]")
    assert told(answer) == (THOUGHTS, "The answer is 42.")


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("size", [0, 1, 7])
def test_thinking_is_reasoning_in_whatever_form_a_model_writes_it(ask: Ask, written: str, size: int) -> None:
    assert told(ask("Simulated Chat", f"[[reply:{written}]][[lump:{size}:0]]")) == ("hm", "Yes")


@pytest.mark.parametrize(
    "text",
    [
        "Write <think>this</think> to think.",
        "```xml\n<think>hm</think>\n```",
        "Let me see.</think>\n\nYes",
        '{"tag": "<think>hm</think>"}',
        "<details><summary>Sources</summary>One</details>",
    ],
)
def test_an_answer_may_speak_of_thinking(ask: Ask, text: str) -> None:
    assert told(ask("Simulated Chat", f"[[reply:{text}]][[lump:3:0]]")) == ("", text)


def test_an_answer_that_ends_while_the_model_thinks_is_all_reasoning(ask: Ask) -> None:
    assert told(ask("Simulated Chat", "[[reply:<think>So many words]]")) == ("So many words", "")


def test_each_node_of_a_chatflow_may_think_before_its_text(ask: Ask) -> None:
    answer = ask("two-minds", "[[think:About it.]][[reply:Yes]]")
    assert answer.content == "Yes\n---\nYes"
    assert answer.reasoning == "About it.\n\nAbout it."


def test_a_template_may_show_the_thinking_of_a_node(ask: Ask) -> None:
    assert told(ask("shown-mind", "[[think:About it.]][[reply:Yes]]")) == ("About it.", "Yes")


def test_what_dify_tells_apart_is_told_once(way: Ask, openai_1_16: OpenAI, user: str) -> None:
    answer = way(openai_1_16, "Simulated Reasoning", "[[think]]", user=user)
    assert told(answer) == (THOUGHTS, "The answer is 42.")


def test_an_agents_steps_and_its_thinking_are_reasoning_on_lines_of_their_own(ask: Ask) -> None:
    answer = ask("Simulated Agent", "[[tool:current_time]][[think]]")
    assert answer.content == "The answer is 42."
    assert answer.reasoning.startswith("current_time(")
    assert answer.reasoning.endswith(f"\n\n{THOUGHTS}")
    assert answer.reasoning.count(THOUGHTS) == 1


def test_no_tokens_are_counted_that_dify_does_not_count(ask: Ask) -> None:
    assert ask("Simulated Chat", "[[think]]").usage.completion_tokens_details is None


# ── Before a call, before JSON ───────────────────────────────────────────────────────────────────────

SAY: Any = {
    "type": "function",
    "function": {
        "name": "say",
        "description": "Say something.",
        "parameters": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    },
}
FORMATS: dict[str, Any] = {
    "object": {"type": "json_object"},
    "schema": {
        "type": "json_schema",
        "json_schema": {
            "name": "answer",
            "strict": True,
            "schema": {
                "type": "object",
                "properties": {"answer": {"type": "string"}},
                "required": ["answer"],
                "additionalProperties": False,
            },
        },
    },
}


@pytest.mark.parametrize("kind", ["Chat", "Agent", "Chatflow"])
@pytest.mark.parametrize("size", [0, 1, 7])
@pytest.mark.parametrize("choice", ["auto", "required"])
def test_a_model_may_think_before_it_calls(ask: Ask, kind: str, size: int, choice: str) -> None:
    asked_for = '[[think]][[call:say:{"text": "Hi"}]][[notool]]'
    answer = ask(f"Simulated {kind}", f"{asked_for}[[lump:{size}:0]]", tools=[SAY], tool_choice=choice)
    assert told(answer) == (THOUGHTS, "")
    assert (answer.calls, answer.finish_reason) == ([("say", {"text": "Hi"})], "tool_calls")


def test_a_model_may_think_and_speak_before_it_calls(ask: Ask) -> None:
    text = '[[think]][[reply:I say it.]][[call:say:{"text": "Hi"}]]'
    answer = ask("Simulated Chat", text, tools=[SAY])
    assert told(answer) == (THOUGHTS, "I say it.")
    assert answer.calls == [("say", {"text": "Hi"})]


def test_a_call_that_a_model_only_thinks_of_is_none(ask: Ask) -> None:
    call = '<tool_call>{"name": "say", "arguments": {"text": "Hi"}}</tool_call>'
    answer = ask("Simulated Chat", f"[[reply:<think>Shall I {call}?</think>No.]]", tools=[SAY])
    assert told(answer) == (f"Shall I {call}?", "No.")
    assert (answer.calls, answer.finish_reason) == ([], "stop")


def test_tags_in_arguments_are_no_thinking(ask: Ask) -> None:
    text = "<think>hm</think> [THINK]"
    answer = ask("Simulated Chat", f'[[call:say:{{"text": "{text}"}}]][[lump:3:0]]', tools=[SAY])
    assert told(answer) == ("", "")
    assert answer.calls == [("say", {"text": text})]


@pytest.mark.parametrize("format_", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_model_may_think_before_its_json(ask: Ask, format_: Any, size: int) -> None:
    text = f'[[think]][[reply:{{"answer": "<think>hm</think>"}}]][[lump:{size}:0]]'
    answer = ask("Simulated Chat", text, response_format=format_)
    assert answer.reasoning == THOUGHTS
    assert answer.json == {"answer": "<think>hm</think>"}


@pytest.mark.parametrize("field", ["", "reasoning_content", "reasoning"])
def test_a_conversation_goes_on_after_thinking_and_a_call(ask: Ask, asked: Asked, field: str) -> None:
    """Whether the client sends the thinking back with its call, as DeepSeek wants it, or not."""
    question = '[[think]][[call:say:{"text": "Hi"}]][[then]][[reply:Said.]]'
    turns: list[dict[str, Any]] = [{"role": "user", "content": question}]
    first = ask("Simulated Chat", turns, tools=[SAY])
    (call,) = first.tool_calls
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    if field:
        message[field] = first.reasoning
    result = {"role": "tool", "tool_call_id": call["id"], "content": "done"}
    second = ask("Simulated Chat", [*turns, message, result], tools=[SAY])
    assert second.content == "Said."
    assert second.dify["conversation_id"] == first.dify["conversation_id"]
    assert "ponder" not in asked().query


# ── What a client sends back ─────────────────────────────────────────────────────────────────────────

SENT_BACK: dict[str, dict[str, Any]] = {
    "the answer alone": {"content": "The answer is 42."},
    "with a tag": {"content": f"<think>\n{THOUGHTS}\n</think>\n\nThe answer is 42."},
    "with another tag": {"content": f"<thinking>{THOUGHTS}</thinking>The answer is 42."},
    "folded, as Open WebUI keeps it": {
        "content": (
            '<details type="reasoning" done="true" duration="1">\n<summary>Thought for 1 seconds</summary>\n'
            "> First I ponder the question.\n> Then I decide.\n</details>\nThe answer is 42."
        )
    },
    "in DeepSeek's field": {"content": "The answer is 42.", "reasoning_content": THOUGHTS},
    "in OpenRouter's fields": {
        "content": "The answer is 42.",
        "reasoning": THOUGHTS,
        "reasoning_details": [{"type": "reasoning.text", "text": THOUGHTS}],
    },
    "in Ollama's field": {"content": "The answer is 42.", "thinking": THOUGHTS},
    "in a part as Claude's": {
        "content": [
            {"type": "thinking", "thinking": THOUGHTS, "signature": "x"},
            {"type": "text", "text": "The answer is 42."},
        ]
    },
    "in a part as Mistral's": {
        "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHTS}]},
            {"type": "text", "text": "The answer is 42."},
        ]
    },
    "in a part with text": {
        "content": [{"type": "reasoning", "text": THOUGHTS}, {"type": "text", "text": "The answer is 42."}]
    },
}


@pytest.mark.parametrize("message", SENT_BACK.values(), ids=SENT_BACK)
def test_a_conversation_goes_on_whatever_the_client_does_with_the_thinking(
    ask: Ask, asked: Asked, message: dict[str, Any]
) -> None:
    first = ask("Simulated Chat", "[[think]]")
    assert told(first) == (THOUGHTS, "The answer is 42.")
    turns = [{"role": "user", "content": "[[think]]"}, {"role": "assistant", **message}]
    second = ask("Simulated Chat", [*turns, {"role": "user", "content": "[[reply:And now?]]"}])
    assert second.content == "And now?"
    assert second.dify["conversation_id"] == first.dify["conversation_id"]
    assert asked().query == "[[reply:And now?]]"


@pytest.mark.parametrize("message", SENT_BACK.values(), ids=SENT_BACK)
def test_what_was_thought_is_not_sent_on(ask: Ask, asked: Asked, message: dict[str, Any]) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", **message}]
    ask("memory 1", [*turns, {"role": "user", "content": "And now?"}])
    assert "assistant: The answer is 42.\n</history>" in asked().query
    assert "ponder" not in asked().query
