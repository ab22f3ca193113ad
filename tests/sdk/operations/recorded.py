"""What a real Dify 1.12.1 was asked and answered, by operation, and whether the SDK says the same."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import AliasChoices

from opendify import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    MethodNotAllowedError,
    NotFoundError,
    PayloadTooLargeError,
    PermissionDeniedError,
    ProviderUnavailableError,
    ServerError,
    UnsupportedMediaTypeError,
)
from opendify._operations import OPERATIONS, Row
from opendify.types._model import Model

from ..wire_server import RECORDINGS, Answer, Request, answer

ERRORS: dict[int | str, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    409: ConflictError,
    413: PayloadTooLargeError,
    415: UnsupportedMediaTypeError,
    500: ServerError,
    "provider_not_initialize": ProviderUnavailableError,
}

UNTYPED = {"Feature": {"type", "configs"}, "FileUpload": {"fileUploadConfig"}}
"""What Dify 1.12.1 repeats or leaves empty, and no specification has: to be found in `model_extra`."""


@dataclass(frozen=True)
class Exchange:
    """A recorded request and its answer. `ids` stand in its path, `asked` in its query, JSON body or form."""

    name: str
    row: Row
    path: str
    ids: tuple[str, ...]
    asked: Mapping[str, Any]
    status: int
    headers: Mapping[str, str]
    body: bytes

    def take(self, *names: str) -> dict[str, Any]:
        """Those of the fields that were asked with, as keywords; numbers are text in a query."""
        given = {name: self.asked[name] for name in names if name in self.asked}
        return {name: int(value) if name == "limit" else value for name, value in given.items()}

    @property
    def answer(self) -> Answer:
        """The answer, as a server says it."""
        of_http = ("content-type", "content-length", "transfer-encoding", "connection")
        more = {name: value for name, value in self.headers.items() if name not in of_http}
        return answer(self.body, status=self.status, content_type=self.headers.get("content-type"), **more)


@cache
def exchanges(*nouns: str) -> dict[str, Exchange]:
    """All recorded requests that methods of these resources make, by the recordings' names."""
    found = (_exchange(path.stem) for path in sorted(RECORDINGS.glob("*.json")))
    return {one.name: one for one in found if one and one.row.methods[0].split(".")[0] in nouns}


def _exchange(name: str) -> Exchange | None:
    told = json.loads((RECORDINGS / f"{name}.json").read_text())
    request = told["request"]
    url = urlsplit(request["url"])
    path = url.path.removeprefix("/v1")
    matches = [
        (row.path.count("{"), row, found.groups())
        for row in OPERATIONS
        if row.method == request["method"]
        and (found := re.fullmatch(re.sub(r"\{\w+\}", "([^/]+)", row.path), path))
    ]
    if not matches:
        return None
    _, row, ids = min(matches, key=lambda match: match[0])
    body = request["body"] if isinstance(request["body"], dict) else {}
    form = dict(part.split("=", 1) for part in request["form"] or [])
    return Exchange(
        name=name,
        row=row,
        path=path,
        ids=tuple(unquote(part) for part in ids),
        asked={key: values[0] for key, values in parse_qs(url.query).items()} | body | form,
        status=told["status"],
        headers={key.lower(): value for key, value in told["headers"]},
        body=(RECORDINGS / f"{name}.body").read_bytes(),
    )


def asked(request: Request) -> dict[str, Any]:
    """What stands in the query and in the JSON body of a request that a server got."""
    query = {key: values[0] for key, values in parse_qs(urlsplit(request.path).query).items()}
    return query | (json.loads(request.body) if request.body.startswith(b"{") else {})


def check_error(error: APIStatusError, exchange: Exchange) -> None:
    """The exception is the one for the code or the status, and says what the body says."""
    assert type(error) is ERRORS.get(error.code, ERRORS[exchange.status])
    assert error.status == exchange.status
    if exchange.headers["content-type"].startswith("application/json"):
        told = json.loads(exchange.body)
        assert error.code == told["code"]
        assert error.message in without_values(told["message"])
        assert bool(error.message) == bool(told["message"])


def without_values(message: str) -> str:
    """What pydantic says of a wrong parameter, without its value, which may be a prompt."""
    return re.sub(r" \[type=[^\n]*\]\n    For further information visit [^\n]*", "", message)


def check_says(value: Any, told: Any) -> None:
    """A typed value says all that stands in the JSON, and knows all its fields."""
    match value:
        case Model():
            unknown = (value.model_extra or {}).keys()
            assert unknown <= UNTYPED.get(type(value).__name__, set()), type(value)
            for key, part in told.items():
                check_says(getattr(value, _field(type(value), key)), part)
        case list():
            assert len(value) == len(told or [])
            for one, part in zip(value, told or [], strict=True):
                check_says(one, part)
        case datetime():
            assert value == datetime.fromisoformat(told).replace(tzinfo=UTC)
        case Decimal():
            assert value == Decimal(told)
        case _:
            assert value == told or (told is None and value in ("", 0, {}))


def _field(kind: type[Model], key: str) -> str:
    for name, field in kind.model_fields.items():
        alias = field.validation_alias
        if key in (field.alias, alias) or (isinstance(alias, AliasChoices) and key in alias.choices):
            return name
    return key
