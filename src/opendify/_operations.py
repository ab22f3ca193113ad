"""Every operation of Dify's Service API, and which method serves it: the one list that coverage is judged by.

The rows are those of Dify's own specification (1.16), in its groups and their order, and `GET /`. Sources:
the specification, and for what 1.12 serves its code and recorded traffic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .types.app import AppMode

__all__ = ["GROUPS", "OPERATIONS", "Row", "too_old"]

CHAT = ("chat", "agent-chat", "advanced-chat", "agent")
CLASSIC = ("chat", "agent-chat", "advanced-chat")
MESSAGE = (*CLASSIC, "completion")
COMPLETION = ("completion",)
WORKFLOW = ("workflow",)
GRAPH = ("advanced-chat", "workflow")
ANY_APP = (*CHAT, "completion", "workflow")

OLDEST = "1.12"

_DATASET = "/datasets/{dataset_id}"
_DOCUMENT = _DATASET + "/documents/{document_id}"
_SEGMENT = _DOCUMENT + "/segments/{segment_id}"


@dataclass(frozen=True, slots=True)
class Row:
    """One operation: where Dify has it, and the methods here that ask for it.

    `serves` names the methods, of `Dify`, or of `Knowledge` where `modes` is empty (`server` is on both).
    `modes`: the kinds of app that it is documented for. `since`: the oldest of the Dify versions looked at
    (1.12 to 1.16) that serves it.
    """

    method: str
    path: str
    serves: str
    modes: tuple[AppMode, ...] = ()
    since: str = OLDEST

    @property
    def methods(self) -> list[str]:
        """The methods that ask for it: "chat.send", "chat.stream"."""
        return self.serves.split()


GROUPS: Mapping[str, tuple[Row, ...]] = {
    "Chat Messages": (
        Row("POST", "/chat-messages", "chat.send chat.stream", CHAT),
        Row("POST", "/chat-messages/{task_id}/stop", "chat.stop", CHAT),
        Row("GET", "/messages/{message_id}/suggested", "messages.suggested", CHAT),
    ),
    "Files": (
        Row("POST", "/files/upload", "files.upload", ANY_APP),
        Row("GET", "/files/{file_id}/preview", "files.preview", MESSAGE),
    ),
    "End Users": (Row("GET", "/end-users/{end_user_id}", "end_users.get", ANY_APP, since="1.13"),),
    "Feedback": (
        Row("POST", "/messages/{message_id}/feedbacks", "feedback.send", MESSAGE),
        Row("GET", "/app/feedbacks", "feedback.list", MESSAGE),
    ),
    "Conversations": (
        Row("GET", "/conversations", "conversations.list", CHAT),
        Row("GET", "/messages", "messages.list", CHAT),
        Row("GET", "/conversations/{conversation_id}/variables", "conversations.variables", CLASSIC),
        Row("POST", "/conversations/{conversation_id}/name", "conversations.rename", CHAT),
        Row(
            "PUT",
            "/conversations/{conversation_id}/variables/{variable_id}",
            "conversations.update_variable",
            CLASSIC,
        ),
        Row("DELETE", "/conversations/{conversation_id}", "conversations.delete", CHAT),
    ),
    "Audio": (
        Row("POST", "/audio-to-text", "audio.to_text", ANY_APP),
        Row("POST", "/text-to-audio", "audio.from_text", ANY_APP),
    ),
    "Applications": (
        Row("GET", "/info", "app.info", ANY_APP),
        Row("GET", "/parameters", "app.parameters", ANY_APP),
        Row("GET", "/meta", "app.meta", ANY_APP),
        Row("GET", "/site", "app.site", ANY_APP),
    ),
    "Annotations": (
        Row("POST", "/apps/annotations", "annotations.create", CLASSIC),
        Row("GET", "/apps/annotations", "annotations.list", CLASSIC),
        Row("PUT", "/apps/annotations/{annotation_id}", "annotations.update", CLASSIC),
        Row("DELETE", "/apps/annotations/{annotation_id}", "annotations.delete", CLASSIC),
        Row(
            "POST",
            "/apps/annotation-reply/{action}",
            "annotations.enable_reply annotations.disable_reply",
            CLASSIC,
        ),
        Row("GET", "/apps/annotation-reply/{action}/status/{job_id}", "annotations.reply_status", CLASSIC),
    ),
    "Human Input": (
        Row("GET", "/form/human_input/{form_token}", "human_input.form", GRAPH, since="1.14"),
        Row("POST", "/form/human_input/{form_token}", "human_input.submit", GRAPH, since="1.14"),
    ),
    "Workflow Runs": (
        Row("GET", "/workflows/run/{workflow_run_id}", "workflows.get", GRAPH),
        Row("GET", "/workflows/logs", "workflows.logs", GRAPH),
        Row("GET", "/workflow/{workflow_run_id}/events", "workflows.events chat.events", GRAPH, since="1.14"),
        Row("POST", "/workflows/run", "workflows.run workflows.stream", WORKFLOW),
        Row("POST", "/workflows/{workflow_id}/run", "workflows.run workflows.stream", WORKFLOW),
        Row("POST", "/workflows/tasks/{task_id}/stop", "workflows.stop", WORKFLOW),
    ),
    "Completion Messages": (
        Row("POST", "/completion-messages", "completion.send completion.stream", COMPLETION),
        Row("POST", "/completion-messages/{task_id}/stop", "completion.stop", COMPLETION),
    ),
    "Knowledge Bases": (
        Row("POST", "/datasets", "datasets.create"),
        Row("GET", "/datasets", "datasets.list"),
        Row("GET", _DATASET, "datasets.get"),
        Row("PATCH", _DATASET, "datasets.update"),
        Row("DELETE", _DATASET, "datasets.delete"),
        Row("POST", _DATASET + "/retrieve", "datasets.retrieve"),
    ),
    "Documents": (
        Row("POST", _DATASET + "/document/create-by-text", "documents.create_by_text"),
        Row("POST", _DATASET + "/document/create-by-file", "documents.create_by_file"),
        Row("GET", _DATASET + "/documents", "documents.list"),
        Row("GET", _DOCUMENT, "documents.get"),
        Row("DELETE", _DOCUMENT, "documents.delete"),
        Row("PATCH", _DOCUMENT, "documents.update", since="1.16"),
        Row(
            "GET",
            _DOCUMENT + "/download",
            "documents.download documents.download_url",
            since="1.16",
        ),
        Row("GET", _DATASET + "/documents/{batch}/indexing-status", "documents.indexing_status"),
        Row("POST", _DOCUMENT + "/update-by-text", "documents.update_by_text"),
        Row("POST", _DOCUMENT + "/update-by-file", "documents.update_by_file"),
        Row("POST", _DATASET + "/documents/download-zip", "documents.download_zip", since="1.16"),
        Row("PATCH", _DATASET + "/documents/status/{action}", "documents.set_status"),
    ),
    "Chunks": (
        Row("POST", _DOCUMENT + "/segments", "segments.create"),
        Row("GET", _DOCUMENT + "/segments", "segments.list"),
        Row("GET", _SEGMENT, "segments.get"),
        Row("POST", _SEGMENT, "segments.update"),
        Row("DELETE", _SEGMENT, "segments.delete"),
        Row("POST", _SEGMENT + "/child_chunks", "child_chunks.create"),
        Row("GET", _SEGMENT + "/child_chunks", "child_chunks.list"),
        Row("PATCH", _SEGMENT + "/child_chunks/{child_chunk_id}", "child_chunks.update"),
        Row("DELETE", _SEGMENT + "/child_chunks/{child_chunk_id}", "child_chunks.delete"),
    ),
    "Metadata": (
        Row("POST", _DATASET + "/metadata", "metadata.create"),
        Row("GET", _DATASET + "/metadata", "metadata.list"),
        Row("PATCH", _DATASET + "/metadata/{metadata_id}", "metadata.update"),
        Row("DELETE", _DATASET + "/metadata/{metadata_id}", "metadata.delete"),
        Row("GET", _DATASET + "/metadata/built-in", "metadata.built_in"),
        Row(
            "POST",
            _DATASET + "/metadata/built-in/{action}",
            "metadata.enable_built_in metadata.disable_built_in",
        ),
        Row("POST", _DATASET + "/documents/metadata", "metadata.update_documents"),
    ),
    "Tags": (
        Row("POST", "/datasets/tags", "tags.create"),
        Row("GET", "/datasets/tags", "tags.list"),
        Row("PATCH", "/datasets/tags", "tags.update"),
        Row("DELETE", "/datasets/tags", "tags.delete"),
        Row("POST", "/datasets/tags/binding", "tags.bind"),
        Row("POST", "/datasets/tags/unbinding", "tags.unbind"),
        Row("GET", _DATASET + "/tags", "tags.of_dataset"),
    ),
    "Models": (Row("GET", "/workspaces/current/models/model-types/{model_type}", "models.list"),),
    "Knowledge Pipeline": (
        Row("POST", "/datasets/pipeline/file-upload", "pipeline.upload_file", since="1.16"),
        Row(
            "GET",
            _DATASET + "/pipeline/datasource-plugins",
            "pipeline.datasource_plugins",
            since="1.16",
        ),
        Row(
            "POST",
            _DATASET + "/pipeline/datasource/nodes/{node_id}/run",
            "pipeline.run_datasource_node",
            since="1.16",
        ),
        Row("POST", _DATASET + "/pipeline/run", "pipeline.run pipeline.stream", since="1.16"),
    ),
    "Server": (Row("GET", "/", "server.info", since="1.16"),),
}

OPERATIONS: tuple[Row, ...] = tuple(row for rows in GROUPS.values() for row in rows)


def too_old(method: str, path: str, version: str) -> str:
    """A sentence that says so, if a Dify of this version is older than the operation; else nothing.

    `path` is relative to the API's root; `version` is as in the header X-Version, empty where there is none.

    >>> too_old("GET", "/end-users/0b3e", "1.12.1")
    'This Dify is 1.12.1; GET /end-users/{end_user_id} needs 1.13 or later.'
    >>> too_old("GET", "/end-users/0b3e", "1.13.0"), too_old("GET", "/info", "1.12.1")
    ('', '')
    """
    for row in OPERATIONS:
        if row.since != OLDEST and row.method == method and _fits(row.path, path):
            if version and _numbers(version) >= _numbers(row.since):
                return ""
            this = f"This Dify is {version}" if version else "This server does not tell its version"
            return f"{this}; {method} {row.path} needs {row.since} or later."
    return ""


def _fits(template: str, path: str) -> bool:
    names, parts = template.split("/"), path.split("/")
    return len(names) == len(parts) and all(
        part == name or name.startswith("{") for name, part in zip(names, parts, strict=True)
    )


def _numbers(version: str) -> tuple[int, ...]:
    """1.12.1 as (1, 12, 1); what is no number, as in 1.14.0-rc1, ends it."""
    numbers = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(number) for number in numbers[0].split(".")) if numbers else ()
