"""Forms for which a run waits: read, and submitted, by whoever has their token."""

from __future__ import annotations

import json
from collections.abc import Mapping

from opendify.simulator.errors import Refusal, not_found
from opendify.simulator.files import File
from opendify.simulator.forms import Form
from opendify.simulator.payloads import HumanInputFormSubmitPayload, parsed, user_of, validated
from opendify.simulator.service import App, Reply, Request, Route, Service
from opendify.simulator.wire import array, escaped, mapping


def read_form(service: Service, request: Request) -> Reply:
    """GET /form/human_input/{form_token}."""
    form = _open(service, service.app(request), request)
    return Reply(json.dumps(form.definition(), ensure_ascii=False).encode())


def submit_form(service: Service, request: Request) -> Reply:
    """POST /form/human_input/{form_token}: the run goes on."""
    app, body = service.app(request), parsed(request.content_type, request.body)
    user_id = app.user_id(user_of(body))
    payload = validated(HumanInputFormSubmitPayload, body)
    form = _open(service, app, request)
    mistake = form.mistake(payload.action, payload.inputs)
    if mistake is not None:
        raise Refusal(400, "invalid_form_data", mistake)
    form.submit(payload.action, _entered(service, form, payload.inputs, user_id))
    service.runs[form.task_id].resume()
    return Reply(escaped({}))


ROUTES = (
    Route("GET", "/form/human_input/{form_token}", read_form, since="1.16"),
    Route("POST", "/form/human_input/{form_token}", submit_form, since="1.16"),
)


def _open(service: Service, app: App, request: Request) -> Form:
    """The form of a token, if it is this app's and still open."""
    form = service.forms.get(request.parameters["form_token"])
    if form is None or form.app_id != app.spec.id or not form.node.web_app:
        raise not_found("Form not found")
    if form.status == "submitted":
        message = f"This form has already been submitted by another user, form_id={form.id}"
        raise Refusal(412, "human_input_form_submitted", message)
    if not form.open:
        raise Refusal(412, "human_input_form_expired", f"This form has expired, form_id={form.id}")
    return form


def _entered(service: Service, form: Form, inputs: Mapping[str, object], user_id: str) -> dict[str, object]:
    """What was entered, files found; what the form does not ask for is let be."""

    def found(value: object) -> File:
        return service.files.one(mapping(value) or {}, user_id)

    taken: dict[str, object] = {}
    for wanted in form.node.inputs:
        value = inputs[wanted.output_variable_name]
        if wanted.type == "file":
            value = found(value)
        elif wanted.type == "file-list":
            value = [found(one) for one in array(value) or []]
        taken[wanted.output_variable_name] = value
    return taken
