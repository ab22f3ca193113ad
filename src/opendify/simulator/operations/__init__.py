"""Dify's operations, one file per resource: a new one is a function, and a line in its file's ROUTES."""

from __future__ import annotations

from opendify.simulator.operations import applications, conversations, files, generations
from opendify.simulator.service import Route

ROUTES: tuple[Route, ...] = (
    *applications.ROUTES,
    *generations.ROUTES,
    *conversations.ROUTES,
    *files.ROUTES,
)
"""All that the simulator serves."""
