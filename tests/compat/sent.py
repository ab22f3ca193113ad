"""What the `dify_oapi` of this Python sends for every call, each setter used: a line of JSON for each.

Run with the Python of an environment that has dify-oapi2, this made dify_oapi2_sent.txt.
"""

import inspect
import io
import json
import threading
import typing
from collections.abc import Iterator
from email import policy
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin
from urllib.parse import parse_qs, urlsplit

from dify_oapi.client import Client
from dify_oapi.core.model.request_option import RequestOption

SERVICES = ("chat", "chatflow", "completion", "dify", "knowledge", "workflow")
ADDRESS = "https://example.com/file"
PLAIN = {str: "text", int: 3, float: 0.5, bool: True, Any: "anything", bytes: b"bytes"}


class Recorder(BaseHTTPRequestHandler):
    """Says {} to everything, and keeps what it was asked."""

    asked: typing.ClassVar[list[dict[str, Any]]] = []
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self._body()
        url = urlsplit(self.path)
        told = {"method": self.command, "path": url.path, "query": parse_qs(url.query), "body": body}
        self.asked.append(told | {"authorization": self.headers["Authorization"]})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def _body(self) -> Any:
        if self.headers.get("Transfer-Encoding") == "chunked":
            content = b""
            while size := int(self.rfile.readline(), 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind = self.headers.get("Content-Type", "")
        if not kind.startswith("multipart/"):
            return json.loads(content) if content else {}
        message = BytesParser(policy=policy.HTTP).parsebytes(
            f"Content-Type: {kind}\r\n\r\n".encode() + content
        )
        return {
            part.get_param("name", header="content-disposition"): [
                part.get_filename(),
                part.get_payload(decode=True).decode(),
            ]
            for part in message.iter_parts()
        }

    def log_message(self, *_: object) -> None:
        pass


def calls(client: Client) -> Iterator[tuple[str, Any]]:
    """Every sync call, by its name in a program."""
    for service in SERVICES:
        for name, resource in sorted(vars(getattr(client, service).v1).items()):
            for method in dir(resource):
                if not method.startswith("_") and hasattr(resource, f"a{method}"):
                    yield f"{service}.{name}.{method}", getattr(resource, method)


def sample(kind: Any) -> Any:
    """Something of a type."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return sample(next(each for each in inner if each is not type(None)))
    if origin is Literal:
        return inner[0]
    if origin is list:
        return [sample(inner[0])]
    if kind is dict or origin is dict:
        return {"key": "value"}
    if kind is io.BytesIO:
        return io.BytesIO(b"%PDF-1.7")
    if kind in PLAIN:
        return PLAIN[kind]
    if hasattr(kind, "builder"):
        return built(kind)
    if hasattr(kind, "model_fields"):
        hints = typing.get_type_hints(kind)
        return kind(**{name: sample(hints[name]) for name in kind.model_fields})
    return ADDRESS


def built(kind: Any) -> Any:
    """An object of a class, with every setter of its builder used once, the others after `query`."""
    builder = kind.builder()
    setters = [name for name in dir(builder) if not name.startswith("_") and name != "build"]
    for name in sorted(setters, key=lambda name: (name not in ("inputs", "query"), name)):
        setter = getattr(builder, name)
        hints = typing.get_type_hints(setter)
        takes = inspect.signature(setter).parameters.values()
        if name == "file":
            setter(sample(hints["file"]), "report.pdf")
        elif all(parameter.kind is not parameter.VAR_KEYWORD for parameter in takes):
            setter(*(ADDRESS if name == "url" else sample(hints[parameter.name]) for parameter in takes))
    return builder.build()


def sent() -> Iterator[str]:
    """The lines."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    client = Client.builder().domain(f"http://127.0.0.1:{server.server_port}").build()
    option = RequestOption.builder().api_key("key").build()
    try:
        for name, call in calls(client):
            hints = typing.get_type_hints(call)
            Recorder.asked.clear()
            call(built(hints["request"]), option)
            yield f"{name} {json.dumps(Recorder.asked[0], sort_keys=True)}"
    finally:
        client.close()
        server.shutdown()
        server.server_close()
        thread.join()


if __name__ == "__main__":
    print("\n".join(sent()))
