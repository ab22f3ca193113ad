"""Models: which of them a workspace can use."""

from __future__ import annotations

from .._call import path
from .._page import Listing, read_page, whole
from ..types.knowledge import ModelProvider, ModelType
from ._pages import AsyncPages
from ._resource import AsyncResource

__all__ = ["AsyncModels"]

_page = read_page(ModelProvider)


class AsyncModels(AsyncResource):
    """The models of a workspace, by provider."""

    def list(self, model_type: ModelType) -> AsyncPages[ModelProvider]:
        """The providers that have models of a type which the workspace can use, with these models.

        >>> async def embedding_models(knowledge: AsyncKnowledge) -> list[tuple[str, str]]:
        ...     providers = knowledge.models.list("text-embedding")
        ...     return [(p.provider, model.model) async for p in providers for model in p.models]
        """
        return self._caller.pages(
            Listing(path("/workspaces/current/models/model-types/{}", model_type), {}, _page, whole)
        )
