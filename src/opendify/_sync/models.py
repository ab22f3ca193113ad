# Made from _async/models.py by scripts/unasync.py: edit that file, not this one.
"""Models: which of them a workspace can use."""

from __future__ import annotations

from .._call import path
from .._page import Listing, read_page, whole
from ..types.knowledge import ModelProvider, ModelType
from ._pages import Pages
from ._resource import Resource

__all__ = ["Models"]

_page = read_page(ModelProvider)


class Models(Resource):
    """The models of a workspace, by provider."""

    def list(self, model_type: ModelType) -> Pages[ModelProvider]:
        """The providers that have models of a type which the workspace can use, with these models.

        >>> def embedding_models(knowledge: Knowledge) -> list[tuple[str, str]]:
        ...     providers = knowledge.models.list("text-embedding")
        ...     return [(p.provider, model.model) for p in providers for model in p.models]
        """
        return self._caller.pages(
            Listing(path("/workspaces/current/models/model-types/{}", model_type), {}, _page, whole)
        )
