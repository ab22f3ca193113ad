"""Settings: from the environment, `.env` and `opendify.toml` to checked values, apps and client keys.

Everything about a setting stands in one place, its line in `model.py`: the messages about it, `.env.example`,
`opendify.example.toml` and the table in the documents are made from these lines.
"""

from opendify.gateway.settings.faults import Setting, SettingsError
from opendify.gateway.settings.model import AppTable, ClientTable, ServerTable, Settings, places, settings_of
from opendify.gateway.settings.resolved import AppConfig, ClientConfig
from opendify.gateway.settings.values import (
    MemoryMode,
    Pacing,
    ToolPrompt,
    is_loopback,
    is_pattern,
    key_name,
    model_name,
)

__all__ = [
    "AppConfig",
    "AppTable",
    "ClientConfig",
    "ClientTable",
    "MemoryMode",
    "Pacing",
    "ServerTable",
    "Setting",
    "Settings",
    "SettingsError",
    "ToolPrompt",
    "is_loopback",
    "is_pattern",
    "key_name",
    "model_name",
    "places",
    "settings_of",
]
