"""Dify's operations, one file per resource: a new one is a function, and a line in its file's ROUTES."""

from opendify.simulator.operations import (
    annotations,
    applications,
    audio,
    child_chunks,
    conversations,
    datasets,
    documents,
    files,
    generations,
    human_input,
    messages,
    metadata,
    models,
    pipeline,
    segments,
    tags,
    workflows,
)
from opendify.simulator.operations.workspace import opened
from opendify.simulator.service import Route

KNOWLEDGE: tuple[Route, ...] = opened(
    (
        *tags.ROUTES,
        *metadata.ROUTES,
        *datasets.ROUTES,
        *documents.ROUTES,
        *segments.ROUTES,
        *models.ROUTES,
        *pipeline.ROUTES,
        *child_chunks.ROUTES,
    )
)
"""All that a dataset key opens."""

ROUTES: tuple[Route, ...] = (
    *applications.ROUTES,
    *generations.ROUTES,
    *conversations.ROUTES,
    *messages.ROUTES,
    *files.ROUTES,
    *audio.ROUTES,
    *annotations.ROUTES,
    *workflows.ROUTES,
    *human_input.ROUTES,
    *KNOWLEDGE,
)
"""All that the simulator serves."""
