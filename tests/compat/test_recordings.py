"""What a real Dify 1.12.1 answered is read whole, and as its types say, by the classes of dify-oapi2."""

import importlib
import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import surface
from dify_oapi import _exchange
from dify_oapi.core.model.base_response import BaseResponse
from dify_oapi.core.model.raw_response import RawResponse

from .test_programs import not_as_promised

RECORDINGS = Path(__file__).parents[1] / "recordings"


@cache
def routes() -> list[tuple[str, str, type[BaseResponse]]]:
    """Method, pattern of the path, and class of the response of every call in the table."""
    table = surface.ours()
    requests = {
        (module, header.split()[1]): header.split()[2:]
        for module, entries in table.items()
        for header in entries
        if header.startswith("request ")
    }
    calls = [
        (module, line)
        for module, entries in table.items()
        for header, lines in entries.items()
        if header.startswith("resource ")
        for line in lines
    ]
    found = []
    for module, call in calls:
        request, answer = re.findall(r"request: (\w+).*-> (\w+)", call)[0]
        package = module.partition(".resource")[0]
        (route,) = [
            route for (home, name), route in requests.items() if name == request and home.startswith(package)
        ]
        models = importlib.import_module(f"dify_oapi.{package}.model")
        pattern = re.sub(r":\w+", "[^/]+", route[1])
        found.append((route[0], pattern, getattr(models, answer)))
    return found


def recorded() -> list[str]:
    """The recordings of whole answers, by name."""
    names = [path.stem for path in sorted(RECORDINGS.glob("*.json"))]
    return [name for name in names if classes_for(told(name))]


@cache
def told(name: str) -> dict[str, Any]:
    exchange: dict[str, Any] = json.loads((RECORDINGS / f"{name}.json").read_text("utf-8"))
    return exchange


def classes_for(exchange: dict[str, Any]) -> list[type[BaseResponse]]:
    request, headers = exchange["request"], dict(exchange["headers"])
    path = urlsplit(request["url"]).path
    if "text/event-stream" in str({key.lower(): value for key, value in headers.items()}.get("content-type")):
        return []
    return [
        kind
        for method, pattern, kind in routes()
        if method == request["method"] and re.fullmatch(pattern, path)
    ]


@pytest.mark.parametrize("name", recorded())
def test_a_recorded_answer_is_read_as_its_types_say(name: str) -> None:
    exchange = told(name)
    headers = {key.lower(): value for key, value in exchange["headers"]}
    content = (RECORDINGS / f"{name}.body").read_bytes()
    for kind in classes_for(exchange):
        raw = RawResponse(status_code=exchange["status"], headers=headers, content=content)
        asked = _exchange.Asked("GET", "http://127.0.0.1/v1", {}, None, {}, None, _exchange.Timeout(), 0)
        response = _exchange.answer(asked, raw, kind)
        assert response.raw is raw
        assert response.success == (200 <= exchange["status"] < 300)
        if response.success:
            assert "\n".join(not_as_promised(response)) == ""
        else:
            assert response.code
            assert response.msg
