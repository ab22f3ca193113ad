"""The models of a workspace, as Dify lists them by type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opendify.simulator.errors import invalid

PROVIDER = "opendify/simulator/simulated"
TYPES = ("text-embedding", "rerank", "llm", "tts", "speech2text", "moderation")


@dataclass(frozen=True, slots=True)
class Model:
    """A model that the simulator says it has."""

    name: str
    type: str
    properties: Mapping[str, object]
    features: tuple[str, ...] | None = None

    def json(self) -> dict[str, object]:
        """As Dify shows it."""
        return {
            "model": self.name,
            "label": {"zh_Hans": self.name, "en_US": self.name},
            "model_type": self.type,
            "features": None if self.features is None else list(self.features),
            "fetch_from": "predefined-model",
            "model_properties": dict(self.properties),
            "deprecated": False,
            "status": "active",
            "load_balancing_enabled": False,
            "has_invalid_load_balancing_configs": False,
        }


_CHAT = {"mode": "chat", "context_size": 128000}
_CALLS_TOOLS = ("tool-call", "multi-tool-call", "agent-thought", "stream-tool-call")

MODELS = (
    Model("simulated-embedding", "text-embedding", {"context_size": 8191, "max_chunks": 32}),
    Model("simulated-rerank", "rerank", {"context_size": 8191}),
    Model("simulated", "llm", _CHAT, (*_CALLS_TOOLS, "vision", "document", "audio")),
    Model("simulated-react", "llm", _CHAT, ("agent-thought",)),
    Model("simulated-voice", "tts", {"voices": list[object](), "word_limit": 3500}),
    Model("simulated-ear", "speech2text", {"file_upload_limit": 25, "supported_file_extensions": "mp3,wav"}),
    Model("simulated-moderation", "moderation", {"max_chunks": 32}),
)


def listed(models: Sequence[Model], model_type: str, *, tenant_id: str, url: str) -> list[dict[str, object]]:
    """The providers of models of a type.

    Args:
        url: where the simulator listens, for the addresses of icons.

    Raises:
        Refusal: 400 for a type that there is not.
    """
    if model_type not in TYPES:
        raise invalid(f"invalid origin model type {model_type}")
    found = [model.json() for model in models if model.type == model_type]
    if not found:
        return []
    icon = f"{url}/console/api/workspaces/{tenant_id}/model-providers/{PROVIDER}/icon_small"
    provider: dict[str, object] = {
        "tenant_id": tenant_id,
        "provider": PROVIDER,
        "label": {"zh_Hans": "Simulated", "en_US": "Simulated"},
        "icon_small": {"zh_Hans": f"{icon}/zh_Hans", "en_US": f"{icon}/en_US"},
        "icon_small_dark": None,
        "status": "active",
        "models": found,
    }
    return [provider]
