"""The models that a workspace may use."""

from __future__ import annotations

from opendify.simulator.knowledge.models import listed
from opendify.simulator.operations.workspace import said
from opendify.simulator.service import TENANT_ID, Reply, Request, Route, Service


def list_models(service: Service, request: Request) -> Reply:
    """GET /workspaces/current/models/model-types/{model_type}."""
    workspace = service.workspace(request)
    model_type = request.parameters["model_type"]
    return said({"data": listed(workspace.models, model_type, tenant_id=TENANT_ID, url=service.files.url)})


ROUTES = (Route("GET", "/workspaces/current/models/model-types/{model_type}", list_models),)
