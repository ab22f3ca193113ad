"""The Dify of the benchmark: what a peer may ask it for, over TCP."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from benchmarks.upstream import Upstream
from benchmarks.work import APPS, KEY, MODEL, VISION


@pytest.fixture
async def dify() -> AsyncIterator[aiohttp.ClientSession]:
    loop = asyncio.get_running_loop()
    async with await loop.create_server(Upstream, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        headers = {"Authorization": f"Bearer {KEY}"}
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}/v1/", headers=headers) as session:
            yield session


async def test_fifty_apps_are_told_by_their_keys(dify: aiohttp.ClientSession) -> None:
    names = set[str]()
    for key in APPS:
        async with dify.get("info", headers={"Authorization": f"Bearer {key}"}) as answer:
            names.add((await answer.json())["name"])
    assert len(names) == 50
    assert {MODEL, VISION} <= names


async def test_one_app_takes_pictures(dify: aiohttp.ClientSession) -> None:
    takes = {}
    for key, name in APPS.items():
        async with dify.get("parameters", headers={"Authorization": f"Bearer {key}"}) as answer:
            takes[name] = (await answer.json())["file_upload"]["image"]["enabled"]
    assert [name for name, taken in takes.items() if taken] == [VISION]


async def test_each_upload_has_an_id_of_its_own(dify: aiohttp.ClientSession) -> None:
    ids = set[str]()
    for _ in range(2):
        form = aiohttp.FormData({"user": "somebody"})
        form.add_field("file", b"x" * 200_000, filename="picture.png", content_type="image/png")
        async with dify.post("files/upload", data=form) as answer:
            assert answer.status == 201
            ids.add((await answer.json())["id"])
    assert len(ids) == 2


@pytest.mark.parametrize("kind", ["burst", "paced"])
async def test_a_stream_ends_with_the_tokens_it_was_asked_for(dify: aiohttp.ClientSession, kind: str) -> None:
    async with dify.post("chat-messages", json={"query": f"Tell me. [[{kind}:5]]"}) as answer:
        events = [json.loads(line[6:]) for line in (await answer.text()).split("\n\n") if line]
    assert "".join(event.get("answer", "") for event in events) == "Once upon a time end."
    assert events[-1]["event"] == "message_end"


async def test_openai_s_form_has_the_same_tokens(dify: aiohttp.ClientSession) -> None:
    asked = {"messages": [{"role": "user", "content": "Tell me. [[burst:5]]"}]}
    async with dify.post("chat/completions", json=asked) as answer:
        whole = await answer.json()
    async with dify.post("chat/completions", json={**asked, "stream": True}) as answer:
        *lines, done = (await answer.text()).strip().split("\n\n")
    deltas = [json.loads(line[6:])["choices"][0]["delta"] for line in lines]
    assert whole["choices"][0]["message"]["content"] == "Once upon a time end."
    assert "".join(delta.get("content", "") for delta in deltas) == "Once upon a time end."
    assert done == "data: [DONE]"
