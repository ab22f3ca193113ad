"""Files on their way from Dify."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from opendify import APIConnectionError, NotFoundError, RateLimitError, ResponseError
from opendify._call import FileCall, Reply

from .conftest import Connect
from .wire_server import Close, WaitForClient, WireServer, answer

SPEECH = bytes(range(256)) * 4000
PREVIEW = FileCall(method="GET", path="/files/f/preview")
SPEAK = FileCall(method="POST", path="/text-to-audio", json={}, json_means="There is nothing to say.")
FILE = answer(SPEECH, content_type="audio/mpeg")
HALF = [b"HTTP/1.1 200 OK\r\nContent-Length: 1024000\r\n\r\n" + SPEECH[:5000], Close()]


def download(client: Any, call: FileCall = PREVIEW) -> Any:
    return client._caller.download(call)


def in_folder(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def pieces(file: Any) -> bytes:
    async with file:
        return b"".join([piece async for piece in file])


async def test_a_file_is_read_whole_saved_or_taken_in_pieces(connect: Connect, tmp_path: Path) -> None:
    with WireServer(FILE) as server:
        dify = connect(server)
        assert await download(dify).read() == SPEECH
        assert await download(dify).save(tmp_path / "a.mp3") == tmp_path / "a.mp3"
        assert (tmp_path / "a.mp3").read_bytes() == SPEECH
        assert await pieces(download(dify)) == SPEECH
        async with download(dify) as file:
            assert (file.mime_type, file.size) == ("audio/mpeg", len(SPEECH))
            assert file.headers["Content-Type"] == "audio/mpeg"
        async with download(dify) as file:
            first = await file.__anext__()
            assert first + await file.read() == SPEECH
    assert all(request.headers["accept-encoding"] == "identity" for request in server.requests)
    assert in_folder(tmp_path).keys() == {"a.mp3"}


async def test_a_file_without_a_length_comes_whole_too(connect: Connect, tmp_path: Path) -> None:
    chunked = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"]
    told: list[tuple[int, int | None]] = []
    with WireServer(chunked) as server:
        await download(connect(server)).save(
            tmp_path / "a", on_progress=lambda so_far, size: told.append((so_far, size))
        )
    assert (tmp_path / "a").read_bytes() == b"abcde"
    assert told[-1] == (5, None)


async def test_progress_is_told_in_bytes_of_all(connect: Connect, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    with WireServer(FILE) as server:
        await download(connect(server)).save(
            tmp_path / "a", on_progress=lambda so_far, size: told.append((so_far, size))
        )
    assert told == sorted(told)
    assert told[-1] == (len(SPEECH), len(SPEECH))


async def test_a_name_may_be_as_long_as_names_can_be(connect: Connect, tmp_path: Path) -> None:
    with WireServer(FILE) as server:
        saved = await download(connect(server)).save(tmp_path / ("a" * 255))
    assert saved.read_bytes() == SPEECH


async def test_a_file_that_breaks_off_leaves_what_stood_there(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with WireServer(HALF) as server:
        dify = connect(server, max_retries=0)
        with pytest.raises(APIConnectionError):
            await download(dify).save(tmp_path / "a")
        with pytest.raises(APIConnectionError):
            await download(dify).read()
        with pytest.raises(APIConnectionError):
            await pieces(download(dify))
    assert in_folder(tmp_path) == {"a": b"old"}


async def test_a_file_that_breaks_off_is_asked_for_again_and_speech_is_not(
    connect: Connect, tmp_path: Path
) -> None:
    with WireServer(HALF, FILE) as server:
        await download(connect(server)).save(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == SPEECH
    assert len(server.requests) == 2
    with WireServer(HALF, FILE) as server, pytest.raises(APIConnectionError):
        await download(connect(server), SPEAK).read()
    assert len(server.requests) == 1


async def test_a_refusal_comes_before_any_file(connect: Connect, tmp_path: Path) -> None:
    with WireServer(answer(b'{"code":"file_not_found","message":"no"}', status=404)) as server:
        dify = connect(server)
        with pytest.raises(NotFoundError):
            await download(dify).save(tmp_path / "a")
        with pytest.raises(NotFoundError):
            async with download(dify):
                pytest.fail("entered")
    refused = answer(b'{"code":"too_many_requests","message":""}', status=429)
    with WireServer(refused, FILE) as server:
        assert await download(connect(server), SPEAK).read() == SPEECH
    with WireServer(refused) as server, pytest.raises(RateLimitError):
        await download(connect(server, max_retries=0)).read()
    assert in_folder(tmp_path) == {}


async def test_json_in_place_of_speech_is_an_error_that_says_what_it_means(connect: Connect) -> None:
    with WireServer(answer(b"null\n")) as server:
        with pytest.raises(ResponseError, match="nothing to say"):
            await download(connect(server), SPEAK).read()
        assert await download(connect(server), PREVIEW).read() == b"null\n"


async def test_a_file_that_is_elsewhere_is_fetched_from_there_without_the_key(
    connect: Connect, tmp_path: Path
) -> None:
    def link(reply: Reply) -> str:
        return reply.body.decode()

    call = FileCall(method="GET", path="/documents/d/download", link=link)
    with WireServer(HALF, FILE) as storage, WireServer() as server:
        server.answers.append(answer(f"{storage.url}/a%20b?sign=s".encode()))
        await download(connect(server, headers={"X-Secret": "7"}), call).save(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == SPEECH
    assert [request.path for request in storage.requests] == ["/a%20b?sign=s"] * 2
    assert not {"authorization", "x-secret"} & storage.requests[0].headers.keys()
    assert len(server.requests) == 2
    with WireServer(answer(b"/files/x"), FILE) as server:
        assert await download(connect(server), call).read() == SPEECH
    assert server.requests[1].path == "/files/x"


async def test_where_a_file_cannot_go_nothing_is_asked(connect: Connect, tmp_path: Path) -> None:
    with WireServer(FILE) as server:
        dify = connect(server)
        with pytest.raises(FileNotFoundError):
            await download(dify).save(tmp_path / "missing" / "a")
        with pytest.raises(IsADirectoryError, match="name the file"):
            await download(dify).save(tmp_path)
        with pytest.raises(TypeError, match="pathlib"):
            await download(dify).save("a.mp3")
    assert server.requests == []


async def test_leaving_a_file_early_closes_its_connection(connect: Connect) -> None:
    with WireServer(
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", WaitForClient()],
    ) as server:
        async with download(connect(server)) as file:
            assert await file.__anext__() == b"abc"
        assert await server.client_closed()


async def test_a_file_that_was_not_opened_says_so(connect: Connect) -> None:
    with WireServer(FILE) as server:
        file = download(connect(server))
        with pytest.raises(RuntimeError, match="enter"):
            await file.__anext__()
