"""What chat and completion apps send: the steps of one turn."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator

from opendify.simulator.errors import Failure, Refusal, invalid
from opendify.simulator.files import SILENCE
from opendify.simulator.model import Usage, no_usage
from opendify.simulator.turns import Steps, Stopped, Turn
from opendify.simulator.wire import Step, error_event


def steps(turn: Turn) -> Steps:
    """The events of one turn of a chat or completion app."""
    preset = preset_answer(turn)
    if preset is not None:
        yield from say_preset(turn, preset)
        return
    envelope, script = turn.envelope, turn.script()
    # Dify 1.11.2 to 1.12: with a file in the message, text arrives under the name of the file event.
    name = "message_file" if turn.attached and turn.behaviour == "1.12" else "message"
    say = _writer(turn, name)
    said, first = "", None
    try:
        for wait, text in script.pieces:
            yield wait, say(text)
            said += text
            first = turn.seconds if first is None else first
            if turn.streaming and blocked_output(turn, said) is not None:
                replacement = turn.spec.moderation.output_reply
                yield 0.0, envelope.event("message_replace", answer=replacement, reason="")
                yield from end(turn, replacement, Usage().json(turn.seconds))
                return
        if "file" in turn.asked:
            yield 0.0, turn.file_event(turn.draw())
    except Stopped:
        yield from end(turn, said, Usage().json(turn.seconds))
        return
    if script.failure is not None:
        yield 0.0, failed(turn, script.failure)
        return
    if blocked_output(turn, said) is not None:
        said = turn.spec.moderation.output_reply
    times = (first, turn.seconds) if turn.streaming else (None, None)
    yield from end(turn, said, script.usage.json(turn.seconds, *times))


def end(turn: Turn, answer: str, usage: dict[str, object]) -> Iterator[Step]:
    """The end of an answer, and the speech that may come after it."""
    data = metadata(turn, usage)
    if not answer and not turn.streaming and turn.behaviour == "1.12":
        turn.remember("")
        turn.refusal = invalid(_EMPTY)
        return
    turn.give(answer, data, usage)
    yield 0.0, turn.envelope.event("message_end", id=turn.message_id, metadata=data, files=None)
    yield from speech(turn)


def metadata(turn: Turn, usage: dict[str, object], retriever_from: str = "api") -> dict[str, object]:
    """The `metadata` of an answer."""
    reply = _annotation_reply(turn)
    resources = turn.spec.cited(turn.question, retriever_from) if turn.message else []
    if "cite" in turn.asked and not resources:
        resources = turn.spec.citations(turn.asked.text("cite"), retriever_from)
    if turn.message is not None:
        turn.message.retriever_resources = resources
    if turn.spec.mode == "agent":  # a New Agent's has fewer fields (reference of Dify 1.16)
        return {"annotation_reply": reply, "usage": usage} if reply else {"usage": usage}
    return {
        "annotation_reply": reply,
        "retriever_resources": resources,
        "usage": usage,
    }


def say_preset(turn: Turn, text: str) -> Iterator[Step]:
    """An answer that no model gave, character by character: a blocked question, an annotation."""
    say = _writer(turn, "message")
    for character in text:
        yield 0.0, say(character)
    yield from end(turn, text, no_usage(turn.seconds))


def speech(turn: Turn) -> Iterator[Step]:
    """The spoken answer of an app that plays it automatically."""
    if not turn.spec.speech:
        return
    audio = base64.b64encode(SILENCE).decode()
    for _ in range(3):
        yield 0.0, turn.envelope.event("tts_message", audio=audio)
    yield 0.0, turn.envelope.event("tts_message_end", audio="")


def failed(turn: Turn, failure: Failure) -> bytes:
    """The event of a model's failure; the turn keeps the blocking form of it."""
    turn.fail(Refusal(failure.status, failure.code, failure.blocking or failure.message))
    return error_event(turn.envelope, failure.code, failure.status, failure.message)


def preset_answer(turn: Turn) -> str | None:
    """What is said instead of asking the model: the question holds a blocked word, or has an annotation."""
    moderation = turn.spec.moderation
    if any(word in turn.question for word in moderation.inputs):
        return moderation.input_reply
    return turn.annotation.answer if turn.annotation else None


def blocked_output(turn: Turn, said: str) -> str | None:
    """The blocked word that was said."""
    return next((word for word in turn.spec.moderation.outputs if word in said), None)


def _writer(turn: Turn, name: str) -> Callable[[str], bytes]:
    return turn.envelope.delta(
        name, lambda text: {"id": turn.message_id, "answer": text, "from_variable_selector": None}
    )


def _annotation_reply(turn: Turn) -> dict[str, object] | None:
    if turn.annotation is None:
        return None
    return {"id": turn.annotation.id, "account": {"id": turn.spec.id, "name": turn.spec.author}}


_EMPTY = (
    "1 validation error for Data\nanswer\n  Input should be a valid string [type=string_type, "
    "input_value=[], input_type=list]\n    For further information visit https://errors.pydantic.dev/2.11/v/string_type"
)
