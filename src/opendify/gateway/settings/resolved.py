"""What the settings come to: the apps that the gateway offers, and the keys that clients may use."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field

from pydantic import JsonValue

from opendify.gateway.settings.values import MemoryMode, Pacing, ToolPrompt, digest


@dataclass(frozen=True, slots=True)
class AppConfig:
    """One Dify app, every setting resolved: the app's own value, else the general one.

    Attributes:
        key: the app's API key.
        base_url: Dify's address, ending in `/v1`.
        names: what the user calls it: model names, and patterns, in which `*` stands for any characters. With
            no plain name among them the model is named after its app in Dify.
        origin: where it was configured, for messages: `DIFY_API_KEYS entry 2`, `[apps.support]`.
        inputs: default values of the app's input form.
        timeout: seconds of silence from Dify before a call is given up.
        id: a digest of address and key: one for all names of an app, the same at every start, safe to show.
    """

    key: str = field(repr=False)
    base_url: str
    names: tuple[str, ...] = ()
    _: KW_ONLY
    origin: str = ""
    inputs: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    conversation_memory_mode: MemoryMode = "auto"
    agent_steps: bool = True
    workflow_nodes: bool = False
    stream_pacing: Pacing = "auto"
    tool_prompt: ToolPrompt = "tagged"
    auto_generate_name: bool = False
    timeout: float = 120.0
    max_concurrent_per_app: int = 256
    id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", digest(self.base_url, self.key))  # how a frozen dataclass sets a field


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """One key that clients may use.

    Attributes:
        name: what the key is called in Dify's `user`, in the store and in the log; no two keys share one.
        key: what stands after `Bearer`.
        models: names or patterns of the models it may use; None: all.
        app_key: where client key and Dify key are one (pass-through), that key: it opens its own app alone.
    """

    name: str
    key: str = field(repr=False)
    models: tuple[str, ...] | None = None
    app_key: str | None = field(default=None, repr=False)
