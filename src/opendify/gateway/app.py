"""The gateway as an ASGI application: its routes, what it opens at start and closes at the end."""

from __future__ import annotations

import asyncio
import gc
import secrets
from collections.abc import AsyncGenerator, Awaitable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from importlib.metadata import version

import structlog
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opendify.gateway import answer
from opendify.gateway.access import ANONYMOUS, Access, Client, stranger
from opendify.gateway.admission import Admission
from opendify.gateway.catalog import Catalog
from opendify.gateway.completions import Completions, authenticate, unknown_model
from opendify.gateway.errors import OpenAIError
from opendify.gateway.forms import Forms
from opendify.gateway.memory import Memory
from opendify.gateway.reply import request_id
from opendify.gateway.settings import Settings
from opendify.gateway.store import Store, open_store
from opendify.gateway.uploads import Uploads
from opendify.httptools import HttptoolsTransport

COMPLETIONS = "/v1/chat/completions"

CLEAN_UP_SECONDS = 10.0
"""How long calls that were cut off at the end may take to tell Dify so."""

YOUNG_OBJECTS = 20_000
"""New objects from which on Python looks for circles among them. A request makes hundreds and leaves no
circle. With Python's own 700, a twelfth of all CPU went into looking; with 5,000, and 200 calls at once, ten
looks a second held everybody up for 5 ms and more, with this one in three seconds."""

LONGEST_PATH = 200
"""Bytes of a path, as a client sent it, that the log repeats."""

EXPOSED_HEADERS = ("conversation-id", "retry-after", "x-opendify-ignored", "x-request-id", "x-should-retry")
_KEY_SECONDS = 10 * 365 * 86_400.0

log = structlog.stdlib.get_logger("opendify")


class Gateway:
    """The ASGI application.

    Everything that needs an event loop is opened when the server starts it and closed when it stops. It
    belongs to `opendify.gateway.server`, which tells it what ASGI has no cheap way for: that a client has
    gone.

    Attributes:
        draining: The server is about to stop: readiness says so at once, running answers go on.
    """

    def __init__(self, settings: Settings) -> None:
        self.draining = False
        self._hurried = False
        self._settings = settings
        self._access = Access(settings.clients)
        self._catalog: Catalog | None = None
        self._completions: Completions | None = None
        routes: ASGIApp = Starlette(
            routes=[
                Route("/", self._index),
                Route(COMPLETIONS, _post_only, methods=["POST"]),
                Route("/v1/models", self._models),
                Route("/v1/models/{name:path}", self._model),
                Route("/health/live", self._live),
                Route("/health/ready", self._ready),
            ],
            exception_handlers={OpenAIError: _refusal, HTTPException: _http_refusal, Exception: _failure},
            lifespan=self._lifespan,
        )
        self._routes = routes
        self._app: ASGIApp = self._dispatch
        if settings.cors_origins:
            self._app = CORSMiddleware(
                self._dispatch,
                allow_origins=settings.cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["*"],
                expose_headers=EXPOSED_HEADERS,
            )

        if self._access.open:
            self._app = _for_this_machine(self._app, settings.cors_origins)

    @property
    def answers(self) -> int:
        """How many calls are being answered now."""
        return len(self._completions.calls) if self._completions else 0

    def hurry(self) -> None:
        """End the running answers, once: their clients hear why, and Dify that they are not wanted."""
        if self._completions and not self._hurried:
            self._hurried = True
            for call in self._completions.calls:
                call.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        await self._app(scope, receive, send)

    def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """The hot path goes straight to its callable; everything else is routed."""
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == COMPLETIONS:
            assert self._completions is not None, "the server runs the lifespan before the first request"
            return self._completions(scope, receive, send)
        return self._routes(scope, receive, _with_request_id(scope, send))

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncGenerator[None]:
        settings = self._settings
        async with AsyncExitStack() as stack:
            store = open_store(settings.store_url)
            stack.push_async_callback(store.aclose)
            transport = await stack.enter_async_context(
                HttptoolsTransport(idle_seconds=settings.dify_idle_seconds)
            )
            catalog = Catalog(
                settings.apps, transport, store, refresh_seconds=settings.catalog_refresh_seconds
            )
            stack.push_async_callback(catalog.aclose)
            memory = Memory(
                store, ttl=settings.memory_ttl_days * 86_400, secret=await _secret(settings, store)
            )
            self._catalog = catalog
            uploads = Uploads(store, ttl=settings.upload_ttl_hours * 3600)
            self._completions = completions = Completions(
                access=self._access,
                catalog=catalog,
                memory=memory,
                uploads=uploads,
                forms=Forms(store, uploads),
                admission=Admission(settings.queue_seconds),
                max_body=round(settings.max_body_mb * 1024 * 1024),
            )
            await catalog.start()
            answer.prepare({model.mode for model in catalog.models(ANONYMOUS)})
            log.info(
                "ready" if catalog.ready else "waiting for Dify",
                models=[model.id for model in catalog.models(ANONYMOUS)],
                faults=catalog.faults or None,
            )
            gc.freeze()  # what stands now stays: no collection looks through it again
            gc.set_threshold(YOUNG_OBJECTS)
            yield
            if completions.calls:
                await asyncio.wait(completions.calls, timeout=CLEAN_UP_SECONDS)

    # ── routes ───────────────────────────────────────────────────────────────────────────────────────

    async def _index(self, _: Request) -> Response:
        return JSONResponse(
            {
                "name": "opendify",
                "version": version("opendify"),
                "endpoints": ["/v1/models", COMPLETIONS],
            }
        )

    async def _live(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _ready(self, _: Request) -> Response:
        if self.draining:
            return JSONResponse({"status": "draining"}, 503)
        if not self._known().ready:
            return JSONResponse({"status": "waiting for Dify"}, 503)  # why, says the log: this needs no key
        return JSONResponse({"status": "ok"})

    async def _models(self, request: Request) -> Response:
        client = self._client(request)
        models = [model.describe() for model in self._known().models(client)]
        return JSONResponse({"object": "list", "data": models})

    async def _model(self, request: Request) -> Response:
        client = self._client(request)
        name = request.path_params["name"]
        model = self._known().find(name, client)
        if model is None:
            raise unknown_model(self._known(), name, client)
        return JSONResponse(model.describe())

    def _known(self) -> Catalog:
        assert self._catalog is not None, "the server runs the lifespan before the first request"
        return self._catalog

    def _client(self, request: Request) -> Client:
        return authenticate(self._access, dict(request.scope["headers"]).get(b"authorization"))


def _with_request_id(scope: Scope, send: Send) -> Send:
    if scope["type"] != "http":
        return send
    identifier = request_id(dict(scope["headers"]))
    header = (b"x-request-id", identifier.encode())

    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], header]
            status = message["status"]
            if status >= 400 and not scope["path"].startswith("/health/"):  # asked every few seconds
                path = scope["raw_path"][:LONGEST_PATH].decode("ascii", "replace")
                log.info("refused", request_id=identifier, path=path, status=status)
        await send(message)

    return answer


def _for_this_machine(app: ASGIApp, origins: Collection[str]) -> ASGIApp:
    """The application, for programs on this machine only: not for the pages that its browsers show."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            head = Headers(scope=scope)
            host, origin = head.get("host", ""), head.get("origin", "")
            if found := stranger(host, origin, head.get("content-type", ""), origins):
                message = (
                    f"This gateway has no client key: it serves programs on its own machine, not {found}. "
                    "Set VALID_API_KEYS, or name the page's origin in CORS_ORIGINS."
                )
                body = OpenAIError(403, message, code="foreign_origin").body()
                await Response(body, 403, media_type="application/json")(scope, receive, send)
                return
        await app(scope, receive, send)

    return guarded


async def _secret(settings: Settings, store: Store) -> bytes:
    """What signs the invisible ids: the configured text, or one made once and kept."""
    text = settings.secret_key
    if not text:
        made = secrets.token_hex(32)
        text = (
            made if await store.add("secret", made, ttl=_KEY_SECONDS) else await store.get("secret") or made
        )
    return sha256(text.encode()).digest()


async def _post_only(_: Request) -> Response:
    """Stands in the table of routes so that other methods are a 405; calls themselves never come this way."""
    raise HTTPException(405)


async def _refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, OpenAIError), "registered for no other"
    return Response(error.body(), error.status, dict(error.headers), "application/json")


async def _http_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for no other"
    what = {404: "There is no such endpoint", 405: "This endpoint does not take this method"}
    message = f"{what.get(error.status_code, error.detail)}: {request.method} {request.url.path}."
    if error.status_code == 404:
        message += (
            " This gateway serves POST /v1/chat/completions and GET /v1/models: let the client use those."
        )
    refusal = OpenAIError(
        error.status_code, message, code=_CODES.get(error.status_code), headers=error.headers or {}
    )
    return await _refusal(request, refusal)


async def _failure(request: Request, _: Exception) -> Response:
    return await _refusal(
        request,
        OpenAIError(500, "The gateway failed; its log says why.", type="api_error", code="internal_error"),
    )


_CODES = {404: "not_found", 405: "method_not_allowed"}
