"""What an app tells about itself, and the server about its version."""

from __future__ import annotations

from datetime import UTC, datetime

from opendify.simulator.apps import GRAPH_MODES, VERSIONS
from opendify.simulator.errors import Refusal, app_unavailable
from opendify.simulator.service import TENANT_ID, Reply, Request, Route, Service
from opendify.simulator.wire import escaped


def info(service: Service, request: Request) -> Reply:
    """GET /info."""
    return Reply(escaped(service.app(request).spec.info()))


def parameters(service: Service, request: Request) -> Reply:
    """GET /parameters."""
    app = service.app(request)
    if app.spec.mode in GRAPH_MODES and not app.spec.published:
        raise app_unavailable()
    return Reply(escaped(app.spec.parameters(annotated=app.annotations.on)))


def meta(service: Service, request: Request) -> Reply:
    """GET /meta."""
    return Reply(escaped(service.app(request).spec.meta(service.files.url)))


def site(service: Service, request: Request) -> Reply:
    """GET /site."""
    return Reply(escaped(service.app(request).spec.site()))


def end_user(service: Service, request: Request) -> Reply:
    """GET /end-users/{end_user_id}."""
    app = service.app(request)
    found = app.end_users.get(request.parameters["end_user_id"])
    if found is None:
        raise Refusal(404, "end_user_not_found", "End user not found.")
    date = datetime.fromtimestamp(int(found.created_at), UTC).isoformat().replace("+00:00", "Z")
    shown = {
        "id": found.id,
        "tenant_id": TENANT_ID,
        "app_id": app.spec.id,
        "type": "service-api",
        "external_user_id": found.session_id,
        "name": None,
        "is_anonymous": False,
        "session_id": found.session_id,
        "created_at": date,
        "updated_at": date,
    }
    return Reply(escaped(shown))


def index(service: Service, request: Request) -> Reply:
    """GET /: without a key."""
    version = VERSIONS[service.behaviour]
    return Reply(escaped({"welcome": "Dify OpenAPI", "api_version": "v1", "server_version": version}))


ROUTES = (
    Route("GET", "/info", info),
    Route("GET", "/parameters", parameters),
    Route("GET", "/meta", meta),
    Route("GET", "/site", site),
    Route("GET", "/end-users/{end_user_id}", end_user, since="1.16"),
    Route("GET", "/", index, since="1.16"),
)
