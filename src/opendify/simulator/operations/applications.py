"""What an app tells about itself."""

from __future__ import annotations

from opendify.simulator.apps import GRAPH_MODES
from opendify.simulator.errors import app_unavailable
from opendify.simulator.service import Reply, Request, Route, Service
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


ROUTES = (
    Route("GET", "/info", info),
    Route("GET", "/parameters", parameters),
    Route("GET", "/meta", meta),
    Route("GET", "/site", site),
)
