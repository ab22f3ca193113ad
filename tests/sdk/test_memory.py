"""Files of any size in the memory of a piece: sent from the disk, and saved to it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from socket import create_server, socket

import pytest

MEGABYTE = 1024 * 1024
SIZE = 200 * MEGABYTE

# A program of its own, as memory is that of a process. It prints by how many megabytes the most that it ever
# had grew while the file moved.
PROGRAM = """
import asyncio, resource, sys
from pathlib import Path
from opendify import AsyncDify, AsyncHttpxTransport, Dify, HttpxTransport
from opendify.httptools import HttptoolsTransport

way, action, url, path = sys.argv[1:]
options = {"base_url": url, "user": "ada", "max_retries": 0}
move = {
    "send": lambda dify, path: dify.files.upload(path),
    "save": lambda dify, path: dify.files.preview("f").save(path),
}[action]

def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

async def asynchronous(transport):
    async with transport:
        dify = AsyncDify("app-x", transport=transport, **options)
        await move(dify, Path(path).with_suffix(".small"))
        before = most()
        await move(dify, Path(path))
        print(most() - before)

if way == "sync":
    with Dify("app-x", **options) as dify:
        move(dify, Path(path).with_suffix(".small"))
        before = most()
        move(dify, Path(path))
        print(most() - before)
else:
    kind = {"httpx2": AsyncHttpxTransport, "httptools": HttptoolsTransport}[way]
    asyncio.run(asynchronous(kind()))
"""

UPLOADED = (
    b'{"id":"f","name":"a.bin","size":1,"extension":"bin","mime_type":"a/b","created_by":"u","created_at":1}'
)


class Hauler:
    """A server that keeps nothing: it takes uploads of any size, and gives zeros, first few and then many."""

    def __init__(self, connection: socket) -> None:
        self._connection = connection
        self._bytes_given = 0
        self.bytes_taken = 0

    def serve(self) -> None:
        """Answer one request after the other until the client closes."""
        with self._connection:
            received = b""
            while data := self._connection.recv(65536):
                received += data
                if b"\r\n\r\n" in received:
                    head, _, rest = received.partition(b"\r\n\r\n")
                    self._answer(head, len(rest))
                    received = b""

    def _answer(self, head: bytes, taken: int) -> None:
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if lengths:
            while taken < int(lengths[0][15:]):
                taken += len(self._connection.recv(65536))
            self.bytes_taken = max(self.bytes_taken, taken)
            self._connection.sendall(_head(len(UPLOADED)) + UPLOADED)
            return
        size = SIZE if self._bytes_given else MEGABYTE
        self._connection.sendall(_head(size))
        for _ in range(size // 65536):
            self._connection.sendall(bytes(65536))
        self._bytes_given += size


def _head(size: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % size


@pytest.fixture
def hauler() -> Iterator[tuple[str, list[Hauler]]]:
    """The address of a server, and its one connection as soon as it has one."""
    haulers: list[Hauler] = []

    def accept() -> None:
        try:
            while True:
                haulers.append(Hauler(listening.accept()[0]))
                haulers[-1].serve()
        except OSError:
            return

    with create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", haulers
        listening.shutdown(2)
    thread.join(10)


@pytest.mark.parametrize("action", ["send", "save"])
@pytest.mark.parametrize("way", ["sync", "httpx2", "httptools"])
def test_a_large_file_moves_in_constant_memory(
    way: str, action: str, hauler: tuple[str, list[Hauler]], tmp_path: Path
) -> None:
    url, haulers = hauler
    path = tmp_path / "a.bin"
    if action == "send":
        path.with_suffix(".small").write_bytes(bytes(MEGABYTE))
        path.touch()
        os.truncate(path, SIZE)  # which takes no room on the disk
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, way, action, url, path], capture_output=True, text=True, check=False
    )
    try:
        assert ran.returncode == 0, ran.stderr
        assert path.stat().st_size == SIZE
        assert action == "save" or max(one.bytes_taken for one in haulers) >= SIZE
        assert float(ran.stdout) < 24, f"{ran.stdout} megabytes more for {SIZE / MEGABYTE}"
    finally:
        path.unlink(missing_ok=True)
