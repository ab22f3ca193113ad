"""Speech: to text, and from text."""

from __future__ import annotations

from uuid import UUID

from opendify.simulator import faults
from opendify.simulator.errors import Refusal, WorkerPage, invalid
from opendify.simulator.files import heard, spoken
from opendify.simulator.payloads import TextToAudioPayload, parsed, validated
from opendify.simulator.service import App, Reply, Request, Route, Service
from opendify.simulator.wire import escaped

_LIMIT = 30  # megabytes
_TYPES = frozenset(f"audio/{kind}" for kind in ("mp3", "m4a", "wav", "amr", "mpga"))
"""What Dify takes: not audio/mpeg, which is what most programs call an MP3."""


def audio_to_text(service: Service, request: Request) -> Reply:
    """POST /audio-to-text."""
    app = service.app(request)
    part = next((part for part in request.parts if part.name == "file" and part.filename is not None), None)
    if part is None:
        raise Refusal(
            400,
            "bad_request_key_error",
            "The browser (or proxy) sent a request that this server could not understand.",
        )
    if not app.spec.features:
        if service.behaviour == "1.12":
            raise invalid("Speech to text is not enabled")
        raise Refusal(400, "speech_to_text_disabled", "Speech to text is disabled.")
    if part.mime_type not in _TYPES:
        raise Refusal(415, "unsupported_audio_type", "Audio type not allowed.")
    if len(part.content) > _LIMIT * 1024 * 1024:
        raise Refusal(413, "audio_too_large", f"Audio size larger than {_LIMIT} mb")
    _expect_model(app, "speech2text")
    return Reply(escaped({"text": heard(part.content)}))


def text_to_audio(service: Service, request: Request) -> Reply:
    """POST /text-to-audio: of a text, or of any message's answer."""
    app, body = service.app(request), parsed(request.content_type, request.body)
    payload = validated(TextToAudioPayload, body)
    text = payload.text
    if payload.message_id:
        text = _answer(service, payload.message_id)
        if text is None:
            return Reply(escaped(None))
    if text is None:
        raise invalid("Text is required")
    if not app.spec.features:
        raise invalid("TTS is not enabled")
    _expect_model(app, "tts")
    asked = faults.directives(text)
    if "error" in asked or "error0" in asked:
        raise WorkerPage
    return Reply(spoken(text), content_type="audio/mpeg", chunked=True)


ROUTES = (
    Route("POST", "/audio-to-text", audio_to_text),
    Route("POST", "/text-to-audio", text_to_audio),
)


def _expect_model(app: App, kind: str) -> None:
    if not app.spec.speech_models:
        raise Refusal(400, "provider_not_initialize", f"Default model not found for {kind}")


def _answer(service: Service, message_id: str) -> str | None:
    """What a message says, of whatever app and user; None if there is none, or it says nothing."""
    try:
        UUID(message_id)
    except ValueError:
        return None
    found = next((app.messages[message_id] for app in service.apps if message_id in app.messages), None)
    return found.answer or None if found else None
