"""The simulator has every operation of Dify's Service API, from the version on that has it."""

from __future__ import annotations

from opendify._operations import OPERATIONS
from opendify.simulator.operations import ROUTES


def test_every_operation_is_served_since_the_dify_that_has_it() -> None:
    served = {(route.method, route.path): route.since for route in ROUTES if route.prefix == "/v1"}
    documented = {(row.method, row.path): "1.12" if row.since == "1.12" else "1.16" for row in OPERATIONS}
    differing = {
        row: (since, served.get(row)) for row, since in documented.items() if served.get(row) != since
    }
    assert differing == {}
