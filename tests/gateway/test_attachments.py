"""Image, audio and file parts, checked against what an app takes."""

from base64 import b64encode

import pytest

from opendify.gateway.attachments import Inline, Known, Limits, Remote, collect, limits
from opendify.gateway.conversation import read
from opendify.gateway.errors import OpenAIError
from opendify.gateway.wire import FilePart, ImageURL, InputAudio, Message, Part
from opendify.types import AppParameters

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
WAV = b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 20
PDF = b"%PDF-1.4\n" + b"\0" * 20
EVERYTHING = Limits(frozenset({"image", "audio", "document"}), frozenset(), 3, {"image": 1, "document": 1})


def data_url(data: bytes, mime: str = "image/png") -> str:
    return f"data:{mime};base64,{b64encode(data).decode()}"


def image(url: str) -> Part:
    return Part("image_url", image_url=ImageURL(url))


def file(data: str, name: str | None = None) -> Part:
    return Part("file", file=FilePart(file_data=data, filename=name))


def asked(*parts: Part, allowed: Limits = EVERYTHING) -> list[Remote | Inline | Known]:
    return collect(read([Message("user", list(parts))]), allowed, "Support", history=False)


@pytest.mark.parametrize(
    ("part", "kind", "mime", "extension"),
    [
        (image(data_url(PNG)), "image", "image/png", "png"),
        (image(data_url(PNG, "image/jpeg")), "image", "image/png", "png"),
        (image(data_url(PNG).replace(",", ",\n")), "image", "image/png", "png"),
        (
            Part("input_audio", input_audio=InputAudio(b64encode(WAV).decode(), "wav")),
            "audio",
            "audio/wav",
            "wav",
        ),
        (file(data_url(PDF, "application/octet-stream")), "document", "application/pdf", "pdf"),
        (file(b64encode(PDF).decode(), "../a/report.PDF"), "document", "application/pdf", "pdf"),
        (file("data:text/plain,a%20b", "notes.md"), "document", "text/markdown", "md"),
    ],
)
def test_a_files_type_is_read_from_its_bytes(part: Part, kind: str, mime: str, extension: str) -> None:
    [found] = asked(part)
    assert isinstance(found, Inline)
    assert (found.type, found.mime_type) == (kind, mime)
    assert found.name.endswith(f".{extension}")
    assert "/" not in found.name


def test_an_address_goes_to_dify_as_it_is() -> None:
    url = "https://example.com/a%20b.png?x=1"
    assert asked(image(url)) == [Remote("image", url, "messages[0].content[0].image_url.url")]
    assert asked(file("https://example.com/r.pdf"))[0].type == "document"  # type: ignore[union-attr]


def test_the_id_of_a_file_that_was_sent_before_is_kept() -> None:
    part = Part("file", file=FilePart(file_id="abc"))
    assert asked(part) == [Known("abc", "messages[0].content[0].file.file_id")]


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (image("file:///etc/passwd"), "http, https or data"),
        (image("gopher://x"), "http, https or data"),
        (image("http://[x"), "can't be read"),
        (file("https://[::1/letter.pdf"), "can't be read"),
        (image("data:image/png;base64"), "comma"),
        (image("data:image/png;base64,!!!"), "base64"),
        (image("data:image/png;base64,"), "empty"),
        (image(data_url(PDF)), "application/pdf, not an image"),
        (Part("image_url"), "image_url"),
        (Part("input_audio"), "input_audio"),
        (Part("file", file=FilePart()), "file"),
        (Part("hologram"), "hologram"),
        (image(data_url(PNG + b"\0" * 1_100_000)), "1.1 MB"),
        (file(data_url(b"MZ\x90\0\xff\xfe", "x")), "custom"),
    ],
)
def test_a_part_that_cannot_go_is_refused_with_its_place(part: Part, says: str) -> None:
    with pytest.raises(OpenAIError) as refused:
        asked(Part("text", text="Look"), part)
    assert refused.value.status == 400
    assert says in refused.value.message
    assert (refused.value.param or "").startswith("messages[0].content[1]")


def test_an_app_without_files_says_so() -> None:
    with pytest.raises(OpenAIError, match="no files"):
        asked(image(data_url(PNG)), allowed=Limits(frozenset(), frozenset(), 0, {}))


def test_more_files_than_the_app_takes_are_refused_not_dropped() -> None:
    with pytest.raises(OpenAIError, match="4 files"):
        asked(*[image("https://x/a.png")] * 4)


def test_an_extension_that_a_custom_type_names_is_taken() -> None:
    allowed = Limits(frozenset({"custom"}), frozenset({"blend"}), 1, {})
    assert asked(file(data_url(b"BLENDER\xff\xfe"), "scene.blend"), allowed=allowed)[0].type == "custom"  # type: ignore[union-attr]


def test_files_of_earlier_turns_go_along_only_where_a_conversation_is_seeded() -> None:
    turns = [Message("user", [image(f"https://x/{number}.png")]) for number in range(4)]
    between = Message("assistant", "Nice.")
    unfit = Message("user", [image("file:///x")])
    chat = read([unfit, turns[0], between, turns[1], between, turns[2], between, turns[3]])
    assert [
        found.url for found in collect(chat, EVERYTHING, "m", history=False) if isinstance(found, Remote)
    ] == ["https://x/3.png"]
    seeded = collect(chat, EVERYTHING, "m", history=True)
    assert [found.url for found in seeded if isinstance(found, Remote)] == [
        f"https://x/{number}.png" for number in (1, 2, 3)
    ]


def test_what_an_app_takes_is_read_from_its_parameters() -> None:
    parameters = AppParameters.model_validate(
        {
            "file_upload": {
                "enabled": True,
                "allowed_file_types": ["image", "custom"],
                "allowed_file_extensions": [".BLEND"],
                "number_limits": 2,
            },
            "user_input_form": [
                {"file-list": {"variable": "docs", "allowed_file_types": ["document"], "max_length": 3}}
            ],
            "system_parameters": {"image_file_size_limit": 10, "file_size_limit": 15},
        }
    )
    found = limits(parameters)
    assert found.types == {"image", "custom", "document"}
    assert (found.extensions, found.count) == ({"blend"}, 5)
    assert str(found) == "at most 5 files: custom up to 15 MB, document up to 15 MB, image up to 10 MB"


def test_an_app_with_uploads_off_takes_none() -> None:
    assert (
        limits(
            AppParameters.model_validate({"file_upload": {"enabled": False, "allowed_file_types": ["image"]}})
        ).types
        == frozenset()
    )
