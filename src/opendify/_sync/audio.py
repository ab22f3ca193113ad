# Made from _async/audio.py by scripts/unasync.py: edit that file, not this one.
"""Speech to text, and text to speech."""

from __future__ import annotations

from .._call import FileCall, Form, Progress, given, read_as
from ..types.audio import Transcript
from ._download import Download
from ._resource import Resource
from ._upload import FileContent, file_part

__all__ = ["Audio"]

_transcript = read_as(Transcript)

NO_SPEECH = (
    "Dify has nothing to read aloud: it knows no message of this message_id, or its answer is empty. "
    "Check the id, or pass the text itself."
)


class Audio(Resource):
    """Speech, by the models that the app has for it."""

    def to_text(
        self,
        file: FileContent,
        *,
        name: str | None = None,
        user: str | None = None,
        on_progress: Progress | None = None,
    ) -> Transcript:
        """What is said in a recording: mp3, m4a, wav, amr or mpga, up to 30 MB.

        `file`, `name` and `on_progress` are as in `files.upload`. Dify goes by the MIME type, and refuses
        those that others use (audio/mpeg, audio/x-wav); it gets the ones that it takes.

        Raises `BadRequestError` where the app has speech to text switched off, `UnsupportedMediaTypeError`
        and `PayloadTooLargeError`.

        >>> def listen(dify: Dify, speech: Path) -> str:
        ...     return dify.audio.to_text(speech, user="ada").text
        """
        part = file_part(file, name, None, on_progress)
        user = user or self._caller.user
        return self._send(
            "POST", "/audio-to-text", _transcript, form=Form({} if user is None else {"user": user}, part)
        )

    def from_text(
        self,
        *,
        text: str | None = None,
        message_id: str | None = None,
        voice: str | None = None,
        user: str | None = None,
    ) -> Download:
        """A text, or the answer of a message, read aloud. Mostly MP3; `mime_type` of the download tells.

        `voice`: one of the provider's; the app's own if left out. What is read cannot be asked for twice
        without being made, and billed, twice; so nothing is tried again once Dify may have begun.

        Raises, when it is read: `BadRequestError` where the app has text to speech switched off, and
        `ResponseError` for a message that is not there or has no answer, which Dify takes for a success.

        >>> def read_aloud(dify: Dify, folder: Path) -> Path:
        ...     return dify.audio.from_text(text="Good morning!", user="ada").save(folder / "hello.mp3")
        """
        return self._caller.download(
            FileCall(
                "POST",
                "/text-to-audio",
                json=given(text=text, message_id=message_id, voice=voice, user=user or self._caller.user),
                json_means=NO_SPEECH,
            )
        )
