"""What several commands take: where the settings stand. And what a user can get wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from opendify.gateway.settings import Settings

__all__ = ["ConfigFile", "EnvFile", "UsageError", "load_settings"]

EnvFile = Annotated[
    Path | None,
    typer.Option(help="Where settings stand as NAME=value; by default .env.", exists=True, dir_okay=False),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="By default opendify.toml.", exists=True, dir_okay=False),
]


class UsageError(Exception):
    """Something that the user of a command can put right; the text says how."""


def load_settings(env_file: Path | None, config: Path | None, **overrides: object) -> Settings:
    """The settings, with what the command's own options say in place of theirs. Raises `SettingsError`."""
    given = {name: value for name, value in overrides.items() if value is not None}
    return Settings.load(env_file or ".env", config or "opendify.toml", **given)
