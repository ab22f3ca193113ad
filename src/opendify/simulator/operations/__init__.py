"""Dify's operations, one file per resource: a new one is a function, and a line in its file's ROUTES."""

from opendify.simulator.operations import (
    annotations,
    applications,
    audio,
    conversations,
    files,
    generations,
    messages,
    workflows,
)
from opendify.simulator.service import Route

ROUTES: tuple[Route, ...] = (
    *applications.ROUTES,
    *generations.ROUTES,
    *conversations.ROUTES,
    *messages.ROUTES,
    *files.ROUTES,
    *audio.ROUTES,
    *annotations.ROUTES,
    *workflows.ROUTES,
)
"""All that the simulator serves."""
