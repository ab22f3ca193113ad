"""Makes the package when the wheel is built: no module of its services is kept in the repository."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent))

from generate import generate


class PackageHook(BuildHookInterface[Any]):  # Any: of whatever it builds
    """Puts `dify_oapi` into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before the wheel is made."""
        if version == "editable":
            raise RuntimeError("There is nothing to edit in what is generated: install this without -e.")
        self._folder = TemporaryDirectory()
        made = sum(1 for _ in generate(Path(self._folder.name)))
        self.app.display_info(f"dify_oapi: {made} modules made")
        build_data["force_include"][f"{self._folder.name}/dify_oapi"] = "dify_oapi"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """After it."""
        self._folder.cleanup()
