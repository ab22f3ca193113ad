"""What an app gives beside its text: steps, thoughts, files, sources, moderation, speech."""

import json
from typing import Any

import pytest
from openai import OpenAI

from opendify.gateway.answer import Answer as DifyAnswer
from opendify.simulator import Simulator

from .clients import Answer, Ask, http, plain, streamed


def message(answer: Answer) -> dict[str, Any]:
    """The message of a plain answer, with the fields that OpenAI doesn't have."""
    assert answer.completion is not None
    return answer.completion.choices[0].message.model_dump()


# ── Reasoning ────────────────────────────────────────────────────────────────────────────────────────


def test_an_agents_tool_step_is_reasoning_and_no_text(ask: Ask) -> None:
    answer = ask("Simulated Agent", '[[tool:draw:{"prompt": "a cat"}]][[reply:Here it is.]]')
    assert "Here it is." in answer.content
    assert "draw" in answer.reasoning
    assert "a cat" in answer.reasoning
    assert "I drew it." in answer.reasoning
    assert "a cat" not in answer.content
    assert "Here it is." not in answer.reasoning


def test_a_step_that_dify_tells_several_times_is_told_once(ask: Ask) -> None:
    answer = ask("Simulated Agent", "What time is it? [[reply:Late.]]")
    assert answer.content == "Late."
    assert answer.reasoning.count("→") == 1
    assert answer.reasoning.count("timezone") == 1


def test_an_answer_that_took_no_step_has_no_reasoning(ask: Ask) -> None:
    answer = ask("Simulated Agent", "[[notool]][[reply:Late.]]")
    assert (answer.content, answer.reasoning) == ("Late.", "")


def test_steps_are_kept_back_where_a_setting_says_so(ask: Ask) -> None:
    answer = ask("quiet agent", "Look! [[reply:I looked.]]")
    assert (answer.content, answer.reasoning) == ("I looked.", "")


def test_a_new_agents_steps_are_reasoning(way: Ask, openai_1_16: OpenAI, user: str) -> None:
    answer = way(openai_1_16, "Simulated New Agent", "What time is it? [[reply:Late.]]", user=user)
    assert answer.content == "Late."
    assert "current_time" in answer.reasoning


def test_the_nodes_of_a_workflow_are_reasoning_only_where_a_setting_says_so(ask: Ask) -> None:
    quiet = ask("Simulated Workflow", "[[reply:Done.]]")
    assert (quiet.content, quiet.reasoning) == ("Done.", "")
    talkative = ask("talkative workflow", "[[reply:Done.]]")
    assert talkative.content == "Done."
    for title in ("Start", "LLM", "End"):
        assert title in talkative.reasoning


# ── Files that an app makes ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", ["Simulated Chat", "Simulated Agent", "Simulated Painter"])
def test_a_file_that_the_app_makes_is_a_link_that_works(ask: Ask, model: str) -> None:
    answer = ask(model, "[[file]][[reply:There you are.]]")
    (file,) = answer.dify["files"]
    assert (file["type"], file["mime_type"] or "image/png") == ("image", "image/png")
    assert answer.content.count("](http://") == 1
    shown = answer.content.partition("](")[2].partition(")")[0]
    reply = http("GET", shown)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "image/png"
    assert http("GET", file["url"]).content == reply.content
    if answer.completion:
        assert message(answer)["files"] == answer.dify["files"]


def test_a_picture_stands_apart_from_the_text_around_it(ask: Ask) -> None:
    answer = ask("Simulated Chat", "[[file]][[reply:There you are.]]")
    text, _, picture = answer.content.partition("\n\n")
    assert text == "There you are."
    assert picture.startswith("![")


def test_a_file_of_the_users_own_is_not_shown_again(ask: Ask) -> None:
    link = {"type": "image_url", "image_url": {"url": "https://example.org/mine.png"}}
    text = {"type": "text", "text": "[[reply:Seen.]]"}
    answer = ask("Simulated Chat", [{"role": "user", "content": [text, link]}])
    assert answer.content == "Seen."
    assert "files" not in answer.dify


# ── Sources ──────────────────────────────────────────────────────────────────────────────────────────


def test_sources_stand_whole_in_the_answer(ask: Ask) -> None:
    answer = ask("Simulated Knowledge Chat", "Which planet is the closest planet?")
    first = answer.dify["retriever_resources"][0]
    assert first["document_name"] == "planets.txt"
    assert first["content"] == "Mercury is the closest planet to the Sun."
    assert answer.annotations == [], "none of them has an address"


def test_a_source_with_an_address_is_a_citation() -> None:
    """The simulator's documents are files; crawled pages carry their address in their metadata."""
    answer = DifyAnswer("chat", "https://dify.example/v1")
    resources: list[dict[str, Any]] = [
        {"position": 1, "document_name": "A page", "doc_metadata": {"source_url": "https://example.org/a"}},
        {"position": 2, "document_name": "A file", "doc_metadata": None},
        {"position": 3, "document_name": "notes", "title": "Notes", "url": "https://example.org/b"},
    ]
    answer.feed(
        [
            json.dumps({"event": "message", "answer": "Mercury.", "task_id": "t"}).encode(),
            json.dumps({"event": "message_end", "metadata": {"retriever_resources": resources}}).encode(),
        ]
    )
    assert [note["url_citation"] for note in answer.annotations] == [
        {"url": "https://example.org/a", "title": "A page", "start_index": 0, "end_index": 8},
        {"url": "https://example.org/b", "title": "Notes", "start_index": 0, "end_index": 8},
    ]


# ── Moderation ───────────────────────────────────────────────────────────────────────────────────────

MODERATED = "Simulated Moderation"
MODERATED_APPS = (MODERATED, "Simulated Moderated Flow")
SAID = "Well, this is a badword and more"
INSTEAD = "Output was blocked by moderation."


@pytest.fixture(params=["1.12", "1.16"])
def of_each_dify(request: pytest.FixtureRequest, openai: OpenAI, openai_1_16: OpenAI) -> OpenAI:
    return {"1.12": openai, "1.16": openai_1_16}[request.param]


@pytest.mark.parametrize("model", MODERATED_APPS)
def test_a_plain_answer_that_was_moderated_is_the_replacement(
    of_each_dify: OpenAI, user: str, model: str
) -> None:
    answer = plain(of_each_dify, model, f"[[reply:{SAID}]]", user=user)
    assert (answer.content, answer.finish_reason) == (INSTEAD, "content_filter")


@pytest.mark.parametrize("model", MODERATED_APPS)
def test_a_stream_that_is_moderated_ends_with_the_replacement(
    of_each_dify: OpenAI, user: str, model: str
) -> None:
    answer = streamed(of_each_dify, model, f"[[reply:{SAID}]]", user=user)
    assert answer.content.endswith(f"\n\n{INSTEAD}")
    assert SAID.startswith(answer.content.removesuffix(f"\n\n{INSTEAD}"))
    assert answer.finish_reason == "content_filter"


def test_a_moderated_conversation_goes_on(ask: Ask) -> None:
    turns: Any = [{"role": "user", "content": f"[[reply:{SAID}]]"}]
    first = ask(MODERATED, turns)
    turns += [{"role": "assistant", "content": first.content}, {"role": "user", "content": "And now?"}]
    assert ask(MODERATED, turns).dify["conversation_id"] == first.dify["conversation_id"]


def test_a_question_that_is_blocked_gets_the_apps_own_answer(ask: Ask) -> None:
    answer = ask(MODERATED, "Tell me what is forbidden.")
    assert (answer.content, answer.finish_reason) == ("Input was blocked by moderation.", "stop")


@pytest.mark.parametrize("model", ["Simulated Annotated", "Simulated Noted"])
def test_an_answer_from_the_owners_notes_is_an_answer(ask: Ask, model: str) -> None:
    """On agent apps it comes under another name than their own answers."""
    assert ask(model, "What is your name?").content == "My name is Dify, says a note."


# ── Speech ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", ["Simulated Speech", "Simulated Spoken Flow", "Simulated Spoken Agent"])
def test_speech_that_comes_after_the_answer_does_not_disturb_it(
    ask: Ask, dify: Simulator, model: str
) -> None:
    turns: Any = [{"role": "user", "content": "[[notool]][[reply:Hello.]]"}]
    first = ask(model, turns)
    assert (first.content, first.finish_reason) == ("Hello.", "stop")
    assert first.usage.total_tokens > 0
    turns += [{"role": "assistant", "content": first.content}, {"role": "user", "content": "And now?"}]
    assert ask(model, turns).dify["conversation_id"] == first.dify["conversation_id"]


@pytest.mark.parametrize("kind", ["Speech", "Spoken Flow", "Spoken Agent"])
def test_speech_of_a_newer_dify_does_not_disturb_the_answer(
    way: Ask, openai_1_16: OpenAI, user: str, kind: str
) -> None:
    answer = way(openai_1_16, f"Simulated {kind}", "[[notool]][[reply:Hello.]]", user=user)
    assert (answer.content, answer.finish_reason) == ("Hello.", "stop")


def test_no_run_is_told_to_stop_that_has_ended(ask: Ask, dify: Simulator) -> None:
    before = dify.counts().stops
    for model in ("Simulated Speech", "Simulated Chat", "Simulated Workflow", "Simulated Agent"):
        ask(model, "[[reply:Hello.]]")
    assert dify.counts().stops == before
