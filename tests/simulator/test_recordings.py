"""The simulator says what a real Dify said: recorded exchanges are played to it and the replies compared."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from recorded_apps import LAST_QUERY, recorded_apps
from replaying import FASTER, INDEXING, WHILE, Exchange, Player, Recording, names

from opendify.simulator import Simulator
from opendify.simulator.errors import SCRIPTED

# What the simulator does not serve, and why. A recording must be held to, or stand here.

_NGINX = "nginx's own answer, not Dify's"

NOT_SERVED = {
    _NGINX: r"nginx-(404-root|413-upload|502)",
}


def not_served(name: str) -> str | None:
    """Why a recording is not held to."""
    return next((why for why, which in NOT_SERVED.items() if re.fullmatch(which, name)), None)


HELD_TO = [name for name in names() if not_served(name) is None]


@pytest.fixture(scope="module")
def replies() -> dict[str, Exchange]:
    """The simulator's replies to the whole recorded session."""

    async def play() -> dict[str, Exchange]:
        apps = recorded_apps()
        fast = Simulator(apps, pace=0.0002, naming_delay=0.01, ping=10 / FASTER, indexing_seconds=INDEXING)
        async with fast as dify:
            workflow = next(app for app in apps if app.nickname == "workflow")
            published = json.loads(Recording.read("workflow-blocking").exchange.body)["data"]["workflow_id"]
            known = {published: workflow.workflow_id, "6b1d2a5e-0000-4000-8000-000000000001": LAST_QUERY.id}
            tag = str(uuid5(NAMESPACE_URL, "opendify-simulator/tag/tee80d9"))  # 1.12 does not tell it
            known |= {"af288b61-8593-494d-ab0d-53dad1d314bd": tag}
            keys = dify.keys | {"dataset": dify.dataset_key, "empty_dataset_key": dify.empty_dataset_key}
            player = Player(dify.port, keys, known)
            recordings = {name: Recording.read(name) for name in HELD_TO}
            session = sorted(recordings.values(), key=lambda recording: recording.order)
            for _, second in groupby(session, key=lambda recording: recording.order[0]):
                together = list(second)
                for recording in together:
                    if recording.name not in WHILE.values():
                        await player.play(recording, recordings.get(WHILE.get(recording.name, "")))
                if any(recording.makes_document for recording in together):
                    await asyncio.sleep(INDEXING)
            return player.replies

    return asyncio.run(play())


@pytest.mark.parametrize("name", HELD_TO)
def test_the_simulator_replies_as_dify_did(name: str, replies: dict[str, Exchange]) -> None:
    assert list(differences(Recording.read(name), replies[name])) == []


def test_every_recording_is_held_to_or_listed_with_a_reason() -> None:
    for why, which in NOT_SERVED.items():
        assert any(re.fullmatch(which, name) for name in names()), f"nothing to leave out: {why}"
    assert len(HELD_TO) > 300


@pytest.mark.parametrize(("kind", "name"), [("413", "nginx-413-upload"), ("502", "nginx-502")])
def test_the_pages_of_a_proxy_are_those_of_nginx(kind: str, name: str) -> None:
    recorded, ours = Recording.read(name).exchange, SCRIPTED[kind]()
    assert (ours.status, ours.body()) == (recorded.status, recorded.body)
    assert ours.content_type == recorded.header("Content-Type")


# What is compared


def differences(recording: Recording, ours: Exchange) -> Iterator[str]:
    """In what our reply is another than the recorded one, but for what is a model's or a moment's own."""
    theirs = recording.exchange
    if ours.status != theirs.status:
        yield f"status {ours.status}, not {theirs.status}: {ours.body[:300]!r}"
        return
    yield from _headers(theirs, ours)
    kind = theirs.header("Content-Type") or ""
    if kind.startswith("text/event-stream"):
        yield from _stream(recording, ours)
    elif kind.startswith("application/json") and theirs.status != 204:
        yield from _json(recording, ours)
    elif kind == "audio/mpeg" and theirs.body.startswith(_MP3):  # the words are the model's own
        if not ours.body.startswith(_MP3):
            yield f"no MP3, but {ours.body[:40]!r}"
    elif ours.body != theirs.body:
        yield f"body {ours.body!r}, not {theirs.body!r}"


_MP3 = b"ID3\x04\x00\x00"  # the head of a tag, as most MP3 begin

_COMPARED = (
    "Content-Type",
    "Transfer-Encoding",
    "Connection",
    "X-Version",
    "X-Env",
    "WWW-Authenticate",
    "Allow",
    "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers",
    "Access-Control-Allow-Headers",
    "Access-Control-Allow-Methods",
    "Cache-Control",
)


def _headers(theirs: Exchange, ours: Exchange) -> Iterator[str]:
    for name in _COMPARED:
        if theirs.header(name) != ours.header(name):
            yield f"{name}: {ours.header(name)}, not {theirs.header(name)}"
    if (theirs.header("Content-Length") is None) != (ours.header("Content-Length") is None):
        yield f"Content-Length: {ours.header('Content-Length')}, not {theirs.header('Content-Length')}"


def _stream(recording: Recording, ours: Exchange) -> Iterator[str]:
    for chunk in ours.chunks:
        if not (chunk == b"event: ping\n\n" or re.fullmatch(rb"data: \{[^\n]*\}\n\n", chunk)):
            yield f"an HTTP chunk that is not one event: {chunk[:200]!r}"
            return
    theirs_runs, ours_runs = _runs(recording.exchange), _runs(ours)
    if [run[0]["event"] for run in theirs_runs] != [run[0]["event"] for run in ours_runs]:
        yield f"events {_order(ours_runs)}, not {_order(theirs_runs)}"
        return
    if (b"event: ping\n\n" in recording.exchange.chunks) != (b"event: ping\n\n" in ours.chunks):
        yield "pings where there were none, or none where there were"
    for their_run, our_run in zip(theirs_runs, ours_runs, strict=True):
        fixed = their_run[0]["event"] not in _TEXT_EVENTS
        if fixed and len(their_run) != len(our_run):
            yield f"{len(our_run)} times {our_run[0]['event']}, not {len(their_run)} times"
        for at, event in enumerate(our_run):
            model = their_run[min(at, len(their_run) - 1)]
            yield from _shape(model, event, model["event"])
    told = _KNOWN_TEXT.search(json.dumps(recording.request["body"])) and recording.name not in _OTHER_TEXT
    if told and _text(theirs_runs) != _text(ours_runs):
        yield f"text {_text(ours_runs)!r}, not {_text(theirs_runs)!r}"
    yield from _written(ours.chunks, _event)


_TEXT_EVENTS = {"message", "agent_message", "message_file", "text_chunk", "tts_message"}
_KNOWN_TEXT = re.compile(
    r"\[\[(reply:|slow:|long:|think|empty|unicode|system)|this is forbidden|What is your name|fixture"
)
_OTHER_TEXT = {"chat-client-disconnect", "chat-moderation-output-streaming", *WHILE} - {
    "chat-stop-wrong-user-stream",
    "err-429-holder",
}
"""Here it matters when the client left, the run was stopped, or moderation looked at the text."""


def _runs(exchange: Exchange) -> list[list[dict[str, Any]]]:
    """The events, those of one kind that follow each other together; pings left out."""
    events = [json.loads(chunk[6:]) for chunk in exchange.chunks if chunk.startswith(b"data: ")]

    def kind(event: dict[str, Any]) -> tuple[object, ...]:
        selector = {**event, **event.get("data", {})}.get("from_variable_selector")
        return event["event"], "answer" in event, selector

    return [list(run) for _, run in groupby(events, kind)]


def _order(runs: list[list[dict[str, Any]]]) -> str:
    return " > ".join(f"{run[0]['event']}*{len(run)}" for run in runs)


def _text(runs: list[list[dict[str, Any]]]) -> str:
    events = [event for run in runs for event in run]
    return "".join(str(event.get("answer") or event.get("data", {}).get("text") or "") for event in events)


def _json(recording: Recording, ours: Exchange) -> Iterator[str]:
    theirs = json.loads(recording.exchange.body)
    mine = json.loads(ours.body)
    route = recording.request["url"].partition("?")[0].rpartition("/")[2]
    if route in ("info", "parameters", "meta", "site") and ours.status == 200:
        if _without_host(mine) != _without_host(theirs):
            yield f"{mine}, not {theirs}"
        if _key_order(mine) != _key_order(theirs):
            yield f"keys {_key_order(mine)}, not {_key_order(theirs)}"
    if recording.name in _NAMED_BY_MODEL:
        mine["name"] = theirs["name"]
    found = ours.status == 200 and route in ("retrieve", "hit-testing")
    of_knowledge = re.search(r"/v1/(datasets|workspaces)\b", recording.request["url"]) is not None
    exact = _EXACT | _EXACT_OF_KNOWLEDGE if of_knowledge else _EXACT
    yield from _shape(theirs, mine, "body", _EXACT if found else exact)
    if found:  # the best is the best; what comes after is as good as unlike, in an order of the model's own
        yield from _shape(theirs["records"][:1], mine["records"][:1], "best", exact)
    if ours.status >= 400 and (said := _plain(_said(mine))) != (recorded := _plain(_said(theirs))):
        yield f"message {said!r}, not {recorded!r}"
    body = recording.exchange.body
    style: Callable[[Any], bytes] = _spaced if body.startswith((b'{"event": ', b'{"task_id": ')) else _escaped
    assert style(theirs) == body, "the recording is written in neither of Dify's two styles"
    yield from _written([ours.body], style)


def _said(body: dict[str, Any]) -> str:
    """The sentence of a refusal: one of them has no `message`, but an `error`."""
    return body["message"] if "message" in body else body["error"]


def _written(chunks: list[bytes], style: Callable[[Any], bytes]) -> Iterator[str]:
    """Spacing, escaping and framing are those of this kind of reply."""
    for chunk in chunks:
        if chunk.startswith(b"event:"):
            continue
        if style(json.loads(chunk.removeprefix(b"data: "))) != chunk:
            yield f"written otherwise than Dify writes it: {chunk[:300]!r}"
            return


def _event(value: Any) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def _spaced(value: Any) -> bytes:
    return json.dumps(value).encode()


def _escaped(value: Any) -> bytes:
    written = json.dumps(value, separators=(",", ":")).replace("/", "\\/").encode() + b"\n"
    return re.sub(rb"(:\d[\d.]*)e-0(\d[,}])", rb"\1e-\2", written)  # Dify's encoder writes exponents so


_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_ID_CUT = re.compile(r"(?<=\.\.\.)[0-9a-f-]*-[0-9a-f]{12}'")
"""The end of an id: pydantic shows the end of a long value only."""
_NAMES = {
    "[stub]": "[simulated]",
    "stub: ": "",
    "Model stub-chat credentials": "Model simulated credentials",
    "http://127.0.0.1:9/none.png": "http://refused.invalid/none.png",
    "stub overloaded": "overloaded",
}


def _plain(message: str) -> str:
    """A message without ids and without the names of the stand-in model."""
    for theirs, ours in _NAMES.items():
        message = message.replace(theirs, ours)
    return _ID_CUT.sub("<id>'", _ID.sub("<id>", message))


def _without_host(value: Any) -> Any:
    return json.loads(re.sub(r"http://127.0.0.1:\d+", "http://dify", json.dumps(value)))


def _key_order(value: Any) -> Any:
    if isinstance(value, dict):
        return [(key, _key_order(inner)) for key, inner in value.items()]
    return [_key_order(inner) for inner in value] if isinstance(value, list) else None


_EXACT = {
    "event",
    "status",
    "code",
    "mode",
    "limit",
    "has_more",
    "index",
    "position",
    "from_variable_selector",
    "node_id",
    "node_type",
    "title",
    "iteration_id",
    "loop_id",
    "predecessor_node_id",
    "inputs_truncated",
    "outputs_truncated",
    "process_data_truncated",
    "exceptions_count",
    "total_steps",
    "currency",
    "reason",
    "belongs_to",
    "transfer_method",
    "type",
    "agent_strategy",
    "retriever_from",
    "data_source_type",
    "extension",
    "mime_type",
    "dify_model_identity",
    "steps",
    "preview_url",
    "finish_reason",
    "tool",
    "feedback",
    "rating",
    "from_source",
    "value_type",
    "triggered_from",
    "created_from",
    "created_by_role",
    "is_anonymous",
    "session_id",
    "page",
    "parent_message_id",
}
"""Fields whose values are Dify's, wherever they stand."""
_EXACT_OF_KNOWLEDGE = {
    *(
        "content",
        "sign_content",
        "answer",
        "keywords",
        "word_count",
        "index_node_hash",
        "doc_form",
        "doc_language",
    ),
    *("permission", "indexing_technique", "runtime_mode", "embedding_available", "is_published"),
    *("search_method", "top_k", "reranking_enable", "score_threshold_enabled", "separator", "delimiter"),
    *("max_tokens", "chunk_overlap", "enabled", "archived", "created_from", "built_in_field_enabled"),
    *("document_count", "total_documents", "total_available_documents", "segment_count", "count", "total"),
    *("total_pages", "page", "average_segment_length", "completed_segments", "total_segments", "fetch_from"),
}
"""Fields whose values are Dify's in replies to a dataset key."""
_EXACT_HERE = {"body.result", "body.name", "body.job_status", "body.error_msg", "body.value"}
_NAMED_BY_MODEL = {"conversation-rename-auto"}
_FREE = {"tool_labels"}
"""Whose fields are a tool's own."""
_OF_MODEL = {"body.records.segment.position"}
"""Exact elsewhere, but here a matter of what the model found second and third."""
_COUNTS_OF_MODEL = (".retriever_resources", ".prompts", ".prompts.files")
"""Lists whose length is a matter of what was asked."""


def _shape(theirs: Any, mine: Any, where: str, exact: set[str] = _EXACT) -> Iterator[str]:
    """Fields by name and order, values by JSON type, and by value where it is no model's and no moment's."""
    key = where.rpartition(".")[2]
    if type(theirs) is not type(mine):
        yield f"{where}: {mine!r}, not {theirs!r}"
    elif key in _FREE:
        return
    elif isinstance(theirs, dict):
        if list(theirs) != list(mine):
            yield f"{where}: fields {list(mine)}, not {list(theirs)}"
        for name in theirs.keys() & mine.keys():
            yield from _shape(theirs[name], mine[name], f"{where}.{name}", exact)
    elif isinstance(theirs, list):
        if bool(theirs) != bool(mine) or (not where.endswith(_COUNTS_OF_MODEL) and len(theirs) != len(mine)):
            yield f"{where}: {len(mine)} items, not {len(theirs)}"
        for at, item in enumerate(mine if theirs else []):
            yield from _shape(
                theirs[min(at, len(theirs) - 1)],
                item,
                f"{where}[{at}]".replace(f".{key}[{at}]", f".{key}"),
                exact,
            )
    elif (key in exact or where in _EXACT_HERE) and where not in _OF_MODEL and theirs != mine:
        yield f"{where}: {mine!r}, not {theirs!r}"


# It can fail


def _with(exchange: Exchange, change: Callable[[bytes], bytes]) -> Exchange:
    altered = copy.deepcopy(exchange)
    altered.chunks = [change(chunk) for chunk in altered.chunks]
    return altered


ALTERED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "a field is missing": (
        "chat-streaming",
        lambda chunk: chunk.replace(b',"from_variable_selector":null', b""),
    ),
    "a field has another type": (
        "chat-streaming",
        lambda chunk: chunk.replace(b'"files":null', b'"files":[]'),
    ),
    "a field has another name": (
        "workflow-streaming",
        lambda chunk: chunk.replace(b'"finished_at"', b'"ended_at"'),
    ),
    "fields are in another order": (
        "chat-blocking",
        lambda chunk: json.dumps(dict(sorted(json.loads(chunk).items()))).encode(),
    ),
    "an event has another name": (
        "agent-streaming",
        lambda chunk: chunk.replace(b"agent_message", b"message"),
    ),
    "a node has another type": ("chatflow-streaming", lambda chunk: chunk.replace(b'"llm"', b'"code"')),
    "slashes are not escaped": ("files-upload-png", lambda chunk: chunk.replace(b"\\/", b"/")),
    "the error is another": ("err-400-empty-query", lambda chunk: chunk.replace(b"query is", b"question is")),
    "an event is spaced": ("chat-streaming", lambda chunk: chunk.replace(b'"answer":', b'"answer": ')),
    "two events share a chunk": ("chat-streaming", lambda chunk: chunk + chunk),
}


@pytest.mark.parametrize("what", ALTERED)
def test_a_reply_that_differs_is_caught_when(what: str, replies: dict[str, Exchange]) -> None:
    name, change = ALTERED[what]
    altered = _with(replies[name], change)
    assert altered.chunks != replies[name].chunks, "nothing was altered"
    assert list(differences(Recording.read(name), altered)) != []


def test_a_reply_with_another_status_or_header_is_caught(replies: dict[str, Exchange]) -> None:
    recording = Recording.read("err-401-bad-key")
    for altered in (copy.deepcopy(replies["err-401-bad-key"]), copy.deepcopy(replies["err-401-bad-key"])):
        altered.status = 403
        assert list(differences(recording, altered)) != []
        altered.status = 401
        altered.headers = [header for header in altered.headers if header[0] != "WWW-Authenticate"]
        assert list(differences(recording, altered)) != []


def test_a_missing_last_event_is_caught(replies: dict[str, Exchange]) -> None:
    altered = copy.deepcopy(replies["chatflow-streaming"])
    altered.chunks = altered.chunks[:-1]
    assert list(differences(Recording.read("chatflow-streaming"), altered)) != []
