"""Images, audio and files that clients send: what gets to Dify, how often, and what is refused."""

import base64
import hashlib
import json
import socket
from contextlib import ExitStack
from typing import Any

import pytest
from openai import APIStatusError, BadRequestError, OpenAI

from opendify.simulator import AppSpec, Simulator
from servers import running_gateway

from .clients import ADA, PIXEL, Answer, Ask, Asked, plain

CHAT, EARS = "Simulated Chat", "Simulated Ears"

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(60)
GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00" + bytes(30)
WEBP = b"RIFF\x1a\x00\x00\x00WEBPVP8L" + bytes(20)
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00" + bytes(40)
MP3 = b"ID3\x03\x00\x00\x00\x00\x00\x00" + bytes(60)
PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + bytes(40)


def unique(data: bytes, user: str) -> bytes:
    """The same kind of file, but one that was never sent before."""
    return data + user.encode()


def data_url(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def image(data: bytes, kind: str = "image/png") -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": data_url(data, kind)}}


def link(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def audio(data: bytes, kind: str) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": base64.b64encode(data).decode(), "format": kind}}


def file(**fields: str) -> dict[str, Any]:
    return {"type": "file", "file": fields}


def asking(*parts: dict[str, Any], text: str = "[[files]]") -> list[dict[str, Any]]:
    said = [{"type": "text", "text": text}] if text else []
    return [{"role": "user", "content": [*said, *parts]}]


def seen(answer: Answer) -> list[dict[str, Any]]:
    """The files that Dify's model saw."""
    files: list[dict[str, Any]] = json.loads(answer.content.removeprefix("IMAGES:"))
    return files


def uploads(dify: Simulator) -> int:
    return dify.counts().calls.get("POST /files/upload", 0)


# ── What gets to Dify ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("data", "declared", "extension", "mime_type"),
    [
        (PIXEL, "image/png", "png", "image/png"),
        (PIXEL, "image/jpeg", "png", "image/png"),
        (JPEG, "image/png", "jpg", "image/jpeg"),
        (GIF, "application/octet-stream", "gif", "image/gif"),
        (WEBP, "text/html", "webp", "image/webp"),
    ],
    ids=["PNG", "PNG called JPEG", "JPEG called PNG", "GIF called bytes", "WebP called HTML"],
)
def test_an_image_by_data_url_is_uploaded_as_what_its_bytes_are(
    ask: Ask, asked: Asked, user: str, data: bytes, declared: str, extension: str, mime_type: str
) -> None:
    data = unique(data, user)
    (found,) = seen(ask(CHAT, asking(image(data, declared))))
    assert (found["type"], found["format"], found["mime"]) == ("image", extension, mime_type)
    assert found["bytes"] == len(data)
    assert found["sha1"] == hashlib.sha1(data, usedforsecurity=False).hexdigest()[:10]
    (sent,) = asked().files
    assert (sent["type"], sent["transfer_method"]) == ("image", "local_file")


def test_the_text_of_an_answer_to_an_image_comes_through(ask: Ask) -> None:
    """Dify 1.11.2 to 1.12 send it under the name of the event for files."""
    answer = ask(CHAT, asking(image(PIXEL), text="[[reply:I see one pixel.]]"))
    assert answer.content == "I see one pixel."


def test_a_newer_dify_sees_the_same_image(way: Ask, openai_1_16: OpenAI, user: str) -> None:
    answer = way(openai_1_16, CHAT, asking(image(PIXEL)), user=user)
    assert [file["mime"] for file in seen(answer)] == ["image/png"]


def test_an_image_without_words_is_a_question_too(ask: Ask, asked: Asked) -> None:
    ask(CHAT, asking(image(PIXEL), text=""))
    assert len(asked().files) == 1
    assert asked().query.strip() == ""


def test_the_old_form_of_an_image_part_is_understood(ask: Ask) -> None:
    part = {"type": "image_url", "image_url": data_url(PIXEL, "image/png")}
    assert len(seen(ask(CHAT, asking(part)))) == 1


def test_a_large_image_comes_whole(ask: Ask, user: str) -> None:
    data = unique(PIXEL + bytes(2_000_000), user)
    (found,) = seen(ask(CHAT, asking(image(data))))
    assert found["sha1"] == hashlib.sha1(data, usedforsecurity=False).hexdigest()[:10]


def test_base64_may_have_line_breaks(ask: Ask) -> None:
    lines = base64.encodebytes(PIXEL).decode()
    assert seen(ask(CHAT, asking(link(f"data:image/png;base64,{lines}"))))[0]["bytes"] == len(PIXEL)


def test_the_same_bytes_are_uploaded_once(ask: Ask, dify: Simulator, user: str) -> None:
    data, before = unique(PIXEL, user), uploads(dify)
    turns = asking(image(data), image(data))
    first = ask(CHAT, turns)
    assert len(seen(first)) == 2
    turns += [{"role": "assistant", "content": first.content}, *asking(image(data))]
    assert len(seen(ask(CHAT, turns))) == 1
    assert uploads(dify) == before + 1


def test_another_user_uploads_for_itself(openai: OpenAI, bob: OpenAI, dify: Simulator, user: str) -> None:
    data, before = unique(PIXEL, user), uploads(dify)
    plain(openai, CHAT, asking(image(data)), user=user)
    plain(openai, CHAT, asking(image(data)), user=f"{user}-2")
    plain(bob, CHAT, asking(image(data)), user=user)
    assert uploads(dify) == before + 3


def test_an_image_by_url_goes_to_dify_as_it_is(ask: Ask, asked: Asked, dify: Simulator) -> None:
    before = uploads(dify)
    url = "https://example.org/a%20picture.png?size=large&sign=%2F"
    (found,) = seen(ask(CHAT, asking(link(url))))
    assert found["url"] == url
    assert asked().files == [{"type": "image", "transfer_method": "remote_url", "url": url}]
    assert uploads(dify) == before


def test_the_gateway_never_fetches_a_url_that_a_client_gave(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.3)
        port = listener.getsockname()[1]
        ask(CHAT, asking(link(f"http://127.0.0.1:{port}/secret.png"), link(f"HTTP://LOCALHOST:{port}/")))
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize(
    ("part", "kind", "extension", "mime_type"),
    [
        (audio(WAV, "wav"), "audio", "wav", "audio/wav"),
        (audio(WAV, "mp3"), "audio", "wav", "audio/wav"),
        (audio(MP3, "mp3"), "audio", "mp3", "audio/mp3"),
        (
            file(file_data=data_url(PDF, "application/pdf"), filename="a b.pdf"),
            "document",
            "pdf",
            "application/pdf",
        ),
        (file(file_data=data_url(PDF, "application/pdf")), "document", "pdf", "application/pdf"),
        (
            file(file_data=base64.b64encode(PDF).decode(), filename="x.txt"),
            "document",
            "pdf",
            "application/pdf",
        ),
        (file(file_data="data:,Hello%20there", filename="note.md"), "document", "md", "text/markdown"),
        (file(file_data=data_url(PIXEL, "image/png"), filename="p.png"), "image", "png", "image/png"),
        (file(file_data=data_url(MP4, "video/mp4"), filename="clip.mp4"), "video", "mp4", "video/mp4"),
    ],
)
def test_audio_and_files_are_uploaded_as_what_they_are(
    ask: Ask, asked: Asked, part: dict[str, Any], kind: str, extension: str, mime_type: str
) -> None:
    (found,) = seen(ask(EARS, asking(part)))
    assert (found["type"], found["format"], found["mime"]) == (kind, extension, mime_type)
    assert found["filename"].endswith(f".{extension}")


def test_a_file_by_url_goes_to_dify_as_it_is(ask: Ask, asked: Asked) -> None:
    url = "https://example.org/report.pdf"
    ask(CHAT, asking(file(file_data=url)))
    assert asked().files == [{"type": "document", "transfer_method": "remote_url", "url": url}]


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a\\b\\c.png", "/abs/x.png", "名 字.png", "x" * 300 + ".png"]
)
def test_no_file_name_troubles_dify(ask: Ask, user: str, name: str) -> None:
    part = file(file_data=data_url(unique(PIXEL, user), "image/png"), filename=name)
    (found,) = seen(ask(CHAT, asking(part)))
    assert "/" not in found["filename"]
    assert "\\" not in found["filename"]
    assert found["format"] == "png"


def test_a_file_that_was_sent_before_can_be_named_by_its_id(ask: Ask, dify: Simulator, user: str) -> None:
    first = ask(CHAT, asking(image(unique(PIXEL, user))))
    (upload,) = first.dify["uploads"]
    assert upload["type"] == "image"
    before = uploads(dify)
    (found,) = seen(ask(CHAT, asking(file(file_id=upload["id"]))))
    assert found["bytes"] == len(unique(PIXEL, user))
    assert uploads(dify) == before


def test_nobody_elses_file_can_be_named(openai: OpenAI, bob: OpenAI, dify: Simulator, user: str) -> None:
    """Dify 1.12 itself would hand it out to whoever knows its id."""
    answer = plain(openai, CHAT, asking(image(unique(PIXEL, user))), user=user)
    part = file(file_id=answer.dify["uploads"][0]["id"])
    for client, name, model in ((openai, f"{user}-2", CHAT), (bob, user, CHAT), (openai, user, EARS)):
        with pytest.raises(BadRequestError) as caught:
            plain(client, model, asking(part), user=name)
        assert caught.value.code == "file_not_found"
        assert caught.value.param == "messages[0].content[1].file.file_id"
    assert len(seen(plain(openai, CHAT, asking(part), user=user))) == 1


# ── Files and memory ─────────────────────────────────────────────────────────────────────────────────


def test_files_of_earlier_turns_stay_behind_where_the_conversation_goes_on(ask: Ask, asked: Asked) -> None:
    turns = asking(image(PIXEL), text="[[reply:A pixel.]]")
    first = ask(CHAT, turns)
    ask(CHAT, [*turns, {"role": "assistant", "content": first.content}, {"role": "user", "content": "Sure?"}])
    assert asked().conversation_id == first.dify["conversation_id"]
    assert asked().files == []


def test_files_of_earlier_turns_go_along_where_a_new_conversation_is_seeded(ask: Ask, asked: Asked) -> None:
    url = "https://example.org/"
    turns = [
        *asking(link(f"{url}1.png"), text="First"),
        {"role": "assistant", "content": "One."},
        *asking(link(f"{url}2.png"), link(f"{url}3.png"), text="Second"),
        {"role": "assistant", "content": "Two, three."},
        *asking(link(f"{url}4.png"), text="Third"),
    ]
    ask(CHAT, turns)
    assert [file["url"] for file in asked().files] == [f"{url}2.png", f"{url}3.png", f"{url}4.png"]
    assert "user: First\n[image]" in asked().query
    assert "base64" not in asked().query


def test_an_edited_picture_is_another_conversation(ask: Ask, user: str) -> None:
    turns = asking(image(PIXEL), text="[[reply:A pixel.]]")
    first = ask(CHAT, turns)
    more = [{"role": "assistant", "content": first.content}, {"role": "user", "content": "Sure?"}]
    other = asking(image(unique(PIXEL, user)), text="[[reply:A pixel.]]")
    assert ask(CHAT, [*other, *more]).dify["conversation_id"] != first.dify["conversation_id"]
    assert ask(CHAT, [*turns, *more]).dify["conversation_id"] == first.dify["conversation_id"]


def test_pictures_fill_the_file_inputs_of_a_workflow(ask: Ask, asked: Asked) -> None:
    parts = (link("https://example.org/1.png"), link("https://example.org/2.png"))
    answer = ask("Simulated Workflow With Files", asking(*parts, text="[[reply:Seen]]"))
    assert answer.content.startswith("Seen")
    assert asked().inputs["pic"]["url"] == "https://example.org/1.png"  # type: ignore[index]
    assert [file["url"] for file in asked().inputs["docs"]] == ["https://example.org/2.png"]  # type: ignore[attr-defined]


def test_an_upload_that_dify_no_longer_has_is_sent_again(user: str) -> None:
    """The gateway remembers an upload for a day; Dify may have been emptied meanwhile."""
    apps = [AppSpec("chat", "chat")]
    with ExitStack() as first:
        dify = first.enter_context(Simulator(apps, pace=0))
        settings = {"DIFY_API_BASE": dify.url, "DIFY_API_KEYS": dify.keys["chat"], "VALID_API_KEYS": ADA}
        with (
            running_gateway(**settings) as gateway,
            OpenAI(base_url=gateway.base_url, api_key=ADA, max_retries=0) as client,
        ):
            plain(client, CHAT, asking(image(PIXEL)), user=user)
            assert uploads(dify) == 1
            port = int(dify.url.rpartition(":")[2])
            first.close()
            with Simulator(apps, pace=0, port=port) as dify:
                (found,) = seen(plain(client, CHAT, asking(image(PIXEL)), user=user))
                assert found["bytes"] == len(PIXEL)
                assert uploads(dify) == 1


# ── What is refused ──────────────────────────────────────────────────────────────────────────────────

BIG = PIXEL + bytes(1_100_000)

REFUSED: dict[str, tuple[str, dict[str, Any], str, tuple[str, ...]]] = {
    "no files at all": ("Simulated Plain", image(PIXEL), "image_url.url", ("no files",)),
    "a kind that the app lacks": (CHAT, audio(WAV, "wav"), "input_audio", ("audio", "image", "document")),
    "a document as image": (CHAT, image(PDF), "image_url.url", ("application/pdf", "not an image")),
    "text as image": (CHAT, image(b"hello"), "image_url.url", ("text/plain", "not an image")),
    "too large": ("Simulated Modest", image(BIG), "image_url.url", ("image/png", "of 1.1 MB", "up to 1 MB")),
    "broken base64": (CHAT, link("data:image/png;base64,@@@"), "image_url.url", ("base64",)),
    "an empty image": (CHAT, link("data:image/png;base64,"), "image_url.url", ("empty",)),
    "no comma": (CHAT, link("data:image/png;base64"), "image_url.url", ("comma",)),
    "no URL": (CHAT, link("picture.png"), "image_url.url", ("http", "data URL")),
    "an empty URL": (CHAT, link(""), "image_url.url", ("http", "data URL")),
    "a local file": (CHAT, link("file:///etc/passwd"), "image_url.url", ("http", "data URL")),
    "ftp": (CHAT, link("ftp://example.org/a.png"), "image_url.url", ("http", "data URL")),
    "file by ftp": (CHAT, file(file_data="ftp://example.org/a.pdf"), "file.file_data", ("http",)),
    "no image": (CHAT, {"type": "image_url"}, "image_url", ("'image_url'",)),
    "no audio": (EARS, {"type": "input_audio"}, "input_audio", ("'input_audio'",)),
    "no file": (CHAT, {"type": "file", "file": {}}, "file", ("'file'",)),
    "an unknown id": (CHAT, file(file_id="file-123"), "file.file_id", ("file-123",)),
    "an unknown part": (
        CHAT,
        {"type": "video_url", "video_url": {"url": "x"}},
        "type",
        ("video_url", "image_url"),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_app_does_not_take_is_refused_with_the_part_and_the_reason(
    ask: Ask, dify: Simulator, name: str
) -> None:
    model, part, place, words = REFUSED[name]
    before = dify.counts().requests, uploads(dify)
    with pytest.raises(BadRequestError) as caught:
        ask(model, asking(part))
    assert caught.value.param == f"messages[0].content[1].{place}"
    assert "messages[0].content[1]" in caught.value.message
    for word in words:
        assert word in caught.value.message
    assert (dify.counts().requests, uploads(dify)) == before


def test_more_files_than_the_app_takes_are_refused(ask: Ask) -> None:
    with pytest.raises(BadRequestError) as caught:
        ask(CHAT, asking(*[link(f"https://example.org/{number}.png") for number in range(4)]))
    assert "4 files" in caught.value.message
    assert "at most 3" in caught.value.message


def test_an_upload_that_dify_refuses_is_refused_and_not_left_out(ask: Ask, asked: Asked, user: str) -> None:
    before = asked().query
    with pytest.raises(APIStatusError) as caught:
        ask("Simulated Boastful", asking(image(unique(PIXEL + bytes(10 * 1024 * 1024), user))))
    assert caught.value.status_code == 413
    assert asked().query == before
