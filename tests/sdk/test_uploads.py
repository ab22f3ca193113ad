"""Files on their way to Dify."""

from __future__ import annotations

import io
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import UploadFile

from opendify import APITimeoutError, PayloadTooLargeError, RateLimitError, Timeout
from opendify.types import UploadedFile

from .conftest import Connect
from .wire_server import Linger, Pause, WireServer, answer, recording

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20
TAKEN = answer(recording("files-upload-png"), status=201)


def yielding(pieces: list[bytes], connect: Connect) -> Any:
    """An iterator of the kind that this way to call takes."""

    def sync() -> Iterator[bytes]:
        yield from pieces

    async def asynchronous() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return sync() if connect.__name__ == "sync" else asynchronous()


async def test_bytes_are_sent_with_the_user_and_come_back_as_an_attachment(connect: Connect) -> None:
    with WireServer(TAKEN) as server:
        uploaded = await connect(server).files.upload(PNG)
    assert isinstance(uploaded, UploadedFile)
    assert uploaded.attachment == {
        "type": "image",
        "transfer_method": "local_file",
        "upload_file_id": "9c4e90a0-b345-45f4-a9e5-d4e61e0c16ff",
    }
    [request] = server.requests
    assert request.path == "/v1/files/upload"
    assert request.headers["content-length"] == str(len(request.body))
    parts = request.parts
    assert parts["user"].get_content() == "ada"
    assert parts["file"].get_payload(decode=True) == PNG
    assert parts["file"].get_content_type() == "image/png"
    assert parts["file"].get_filename() == "file.png"


async def test_a_path_is_streamed_from_disk_under_its_name(connect: Connect, tmp_path: Path) -> None:
    content = PNG + os.urandom(3_000_000)
    (tmp_path / "Bild ä.png").write_bytes(content)
    with WireServer(TAKEN) as server:
        await connect(server).files.upload(tmp_path / "Bild ä.png", user="bob")
    [request] = server.requests
    assert request.headers["content-length"] == str(len(request.body))
    assert request.parts["user"].get_content() == "bob"
    assert request.parts["file"].get_payload(decode=True) == content
    assert 'filename="Bild ä.png"'.encode() in request.body


async def test_an_open_file_is_sent_from_where_it_stands_and_stays_open(
    connect: Connect, tmp_path: Path
) -> None:
    (tmp_path / "a.pdf").write_bytes(b"skip%PDF-1.7 rest")
    with (tmp_path / "a.pdf").open("rb") as file, WireServer(TAKEN) as server:
        file.seek(4)
        await connect(server).files.upload(file)
        assert not file.closed
        await connect(server).files.upload(io.BytesIO(b"#!AMR\n"), name="voice")
    first, second = (request.parts["file"] for request in server.requests)
    assert first.get_payload(decode=True) == b"%PDF-1.7 rest"
    assert (first.get_filename(), first.get_content_type()) == ("a.pdf", "application/pdf")
    assert (second.get_filename(), second.get_content_type()) == ("voice.amr", "audio/amr")


async def test_what_cannot_be_measured_is_sent_in_chunks(connect: Connect) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, PNG)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe, WireServer(TAKEN) as server:
        await connect(server).files.upload(yielding([PNG[:10], b"", PNG[10:]], connect), name="a.png")
        await connect(server).files.upload(pipe)
    for request in server.requests:
        assert request.headers["transfer-encoding"] == "chunked"
        assert "content-length" not in request.headers
        assert request.parts["file"].get_payload(decode=True) == PNG
        assert request.parts["file"].get_content_type() == "image/png"


async def test_an_empty_file_is_a_file(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    with WireServer(TAKEN) as server:
        for empty in (b"", tmp_path / "empty.txt", io.BytesIO(), yielding([], connect)):
            await connect(server).files.upload(empty)
    assert [request.parts["file"].get_payload(decode=True) for request in server.requests] == [b""] * 4


async def test_a_name_and_a_type_that_are_given_hold(connect: Connect) -> None:
    with WireServer(TAKEN) as server:
        await connect(server).files.upload(PNG, name="data.bin", mime_type="application/x-thing")
    part = server.requests[0].parts["file"]
    assert (part.get_filename(), part.get_content_type()) == ("data.bin", "application/x-thing")


async def test_audio_goes_under_the_names_that_dify_takes(connect: Connect) -> None:
    with WireServer(TAKEN) as server:
        await connect(server).files.upload(b"ID3\x04", name="speech.mp3")
        await connect(server).files.upload(b"RIFF\0\0\0\0WAVEfmt ")
    types = [request.parts["file"].get_content_type() for request in server.requests]
    assert types == ["audio/mp3", "audio/wav"]


async def test_an_upload_is_tried_again_whole_and_only_where_it_can_be_read_again(
    connect: Connect, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    refused = answer(b'{"code":"too_many_requests"}', status=429)
    for again in (PNG, tmp_path / "a.png", io.BytesIO(PNG)):
        with WireServer(refused, TAKEN) as server:
            await connect(server).files.upload(again)
        assert [r.parts["file"].get_payload(decode=True) for r in server.requests] == [PNG, PNG]
    with WireServer(refused, TAKEN) as server:
        with pytest.raises(RateLimitError):
            await connect(server).files.upload(yielding([PNG], connect))
        assert len(server.requests) == 1


async def test_too_large_a_file_is_told_as_such(connect: Connect) -> None:
    for name in ("files-upload-too-big-image", "nginx-413-upload"):
        with (
            WireServer(answer(recording(name), status=413)) as server,
            pytest.raises(PayloadTooLargeError, match=r"parameters\(\)"),
        ):
            await connect(server).files.upload(PNG)


async def test_a_refusal_that_comes_before_the_file_is_sent_is_told(connect: Connect) -> None:
    """As nginx does: it answers after the head, while the client is still sending."""
    early = [*answer(recording("nginx-413-upload"), status=413, content_type="text/html"), Linger()]
    with WireServer(early, reads_body=False) as server, pytest.raises(PayloadTooLargeError):
        await connect(server, max_retries=0).files.upload(PNG + bytes(30_000_000))


async def test_a_server_that_takes_nothing_any_more_times_out(connect: Connect) -> None:
    content = bytes(60_000_000)  # more than the buffers in between take
    with WireServer([Pause(20)], reads_body=False) as server:
        dify = connect(server, timeout=Timeout(silence=1), max_retries=0)
        for ask in (lambda: dify.files.upload(content), lambda: dify.chat.send(query="x" * len(content))):
            with pytest.raises(APITimeoutError) as caught:
                await ask()
            assert caught.value.phase == "silence"


async def test_a_slow_file_does_not_time_out_while_it_moves(connect: Connect) -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            time.sleep(0.4)
            return super().read(300_000)

    with WireServer(TAKEN) as server:
        await connect(server, timeout=Timeout(silence=1.5)).files.upload(Slow(bytes(1_800_000)), name="a.bin")
    assert len(server.requests[0].parts["file"].get_payload(decode=True) or b"") == 1_800_000


async def test_what_is_no_file_is_refused_with_what_would_be(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    with WireServer(TAKEN) as server, (tmp_path / "a.txt").open() as text_mode:
        dify = connect(server)
        for wrong in ("photo.png", 5, None, UploadFile(io.BytesIO(PNG))):
            with pytest.raises(TypeError, match="pathlib"):
                await dify.files.upload(wrong)
        with pytest.raises(TypeError, match="binary mode"):
            await dify.files.upload(text_mode)
        with pytest.raises(FileNotFoundError):
            await dify.files.upload(tmp_path / "missing.txt")
    assert server.requests == []


async def test_progress_is_told_in_bytes_of_the_file(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG + bytes(600_000))
    size = len(PNG) + 600_000
    told: list[tuple[int, int | None]] = []
    with WireServer(TAKEN) as server:
        dify = connect(server)
        await dify.files.upload(tmp_path / "a.png", on_progress=lambda *bytes_: told.append(bytes_))
        assert len(told) > 2
        assert told == sorted(told)
        assert told[-1] == (size, size)
        told.clear()
        await dify.files.upload(
            yielding([PNG, PNG], connect), name="a.png", on_progress=lambda *bytes_: told.append(bytes_)
        )
    assert told == [(len(PNG), None), (2 * len(PNG), None)]


async def test_progress_begins_anew_with_each_try(connect: Connect) -> None:
    told: list[int] = []
    with WireServer(answer(b'{"code":"too_many_requests"}', status=429), TAKEN) as server:
        await connect(server).files.upload(PNG, on_progress=lambda sent, _: told.append(sent))
    assert told == [len(PNG)] * 2


async def test_what_breaks_on_our_side_is_raised_as_it_is(connect: Connect) -> None:
    class Unreadable(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 4096:
                raise OSError(5, "Input/output error")
            return super().read(size)

    def refuse(sent: int, size: int | None) -> None:
        raise LookupError("no more of it")

    with WireServer(TAKEN) as server:
        with pytest.raises(OSError, match="Input/output error"):
            await connect(server).files.upload(Unreadable(PNG + bytes(900_000)), name="a.png")
        with pytest.raises(LookupError, match="no more"):
            await connect(server).files.upload(PNG, on_progress=refuse)
    assert server.requests == []


@pytest.mark.parametrize("size", [100_000, 5_000_000], ids=["shrinks", "grows"])
async def test_a_file_that_changes_while_it_is_sent_is_told(
    connect: Connect, tmp_path: Path, size: int
) -> None:
    file = tmp_path / "log.txt"
    file.write_bytes(b"a" * 1_000_000)

    def change(sent: int, total: int | None) -> None:
        os.truncate(file, size)

    with WireServer(TAKEN) as server, pytest.raises(OSError, match=r"log\.txt changed while it was sent"):
        await connect(server).files.upload(file, on_progress=change)
