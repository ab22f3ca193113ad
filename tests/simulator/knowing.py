"""Asking the knowledge base of a simulator over HTTP, as its users' clients do."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from opendify.simulator import Simulator

AUTOMATIC = {"mode": "automatic"}
SEMANTIC = {
    "search_method": "semantic_search",
    "reranking_enable": False,
    "top_k": 10,
    "score_threshold_enabled": False,
}


def by_blank_lines(max_tokens: int = 100, **more: object) -> dict[str, object]:
    """A process rule: one segment per paragraph."""
    return {
        "mode": "custom",
        "rules": {"segmentation": {"separator": "\n\n", "max_tokens": max_tokens, **more}},
    }


@dataclass(frozen=True)
class Said:
    """A reply."""

    status: int
    kind: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return self.json["code"]

    @property
    def message(self) -> str:
        return self.json["message"]


class Knowledge:
    """A client with a dataset key."""

    def __init__(self, dify: Simulator, session: aiohttp.ClientSession, key: str) -> None:
        self._url = dify.base_url
        self._session = session
        self._headers = {"Authorization": f"Bearer {key}"}

    async def call(self, method: str, path: str, body: object = None, **more: Any) -> Said:
        """Any call, read."""
        if body is not None:
            more["json"] = body
        url = path if path.startswith("http") else self._url + path
        async with self._session.request(method, url, headers=self._headers, **more) as reply:
            return Said(reply.status, reply.headers.get("Content-Type", ""), await reply.read())

    async def made(self, path: str, body: object) -> Any:
        """What a POST makes."""
        said = await self.call("POST", path, body)
        assert said.status in (200, 201), said.body
        return said.json

    async def dataset(self, name: str = "Planets", **more: object) -> str:
        """A new dataset's id."""
        technique = {"indexing_technique": "high_quality"}
        return (await self.made("/datasets", {"name": name, **technique, **more}))["id"]

    async def give(self, dataset: str, text: str, name: str = "facts.txt", **more: object) -> Any:
        """Give in a text, by blank lines unless told otherwise; the reply."""
        body = {"name": name, "text": text, "indexing_technique": "high_quality"}
        return await self.made(
            f"/datasets/{dataset}/document/create-by-text", {**body, "process_rule": by_blank_lines(), **more}
        )

    async def upload(self, path: str, content: bytes, name: str, data: object = None) -> Said:
        """Send a file in a form."""
        form = aiohttp.FormData()
        if data is not None:
            form.add_field("data", json.dumps(data))
        form.add_field("file", io.BytesIO(content), filename=name, content_type="text/plain")
        method = "PATCH" if path.rpartition("/")[0].endswith("/documents") else "POST"
        return await self.call(method, path, data=form)

    async def document(self, dataset: str, text: str, name: str = "facts.txt", **more: object) -> str:
        """The id of a document that is indexed."""
        given = await self.give(dataset, text, name, **more)
        await self.indexed(dataset, given["batch"])
        return given["document"]["id"]

    async def indexed(self, dataset: str, batch: str) -> list[str]:
        """Wait until a batch is done; the states it was seen in."""
        seen: list[str] = []
        for _ in range(1000):
            said = await self.call("GET", f"/datasets/{dataset}/documents/{batch}/indexing-status")
            states = {document["indexing_status"] for document in said.json["data"]}
            seen += sorted(states - set(seen))
            if states <= {"completed", "error"}:
                return seen
            await asyncio.sleep(0.005)
        raise AssertionError(f"never indexed: {seen}")

    async def segments(self, dataset: str, document: str, query: str = "") -> Any:
        """The segments of a document."""
        said = await self.call("GET", f"/datasets/{dataset}/documents/{document}/segments{query}")
        assert said.status == 200, said.body
        return said.json["data"]

    async def found(self, dataset: str, query: str, **model: object) -> list[str]:
        """The contents that a search finds."""
        body = {"query": query, "retrieval_model": {**SEMANTIC, **model}}
        said = await self.call("POST", f"/datasets/{dataset}/retrieve", body)
        assert said.status == 200, said.body
        return [record["segment"]["content"] for record in said.json["records"]]


@asynccontextmanager
async def knowledge(
    behaviour: str = "1.12", *, indexing_seconds: float = 0.0, key: str = ""
) -> AsyncIterator[Knowledge]:
    """A simulator and a client of its knowledge base."""
    dify = Simulator(behaviour=behaviour, pace=0, indexing_seconds=indexing_seconds)  # type: ignore[arg-type] # text
    async with dify, aiohttp.ClientSession() as session:
        yield Knowledge(dify, session, key.format(dify=dify) or dify.dataset_key)
