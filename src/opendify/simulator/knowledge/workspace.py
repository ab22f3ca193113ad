"""A workspace: what one dataset key opens."""

from __future__ import annotations

import time
from collections.abc import Sequence
from uuid import NAMESPACE_URL, uuid4, uuid5

from opendify.simulator.apps import Behaviour
from opendify.simulator.directives import Directives
from opendify.simulator.errors import Refusal, invalid, not_found
from opendify.simulator.knowledge.datasets import Dataset, Tag
from opendify.simulator.knowledge.models import PROVIDER, Model

OWNER_ID = str(uuid5(NAMESPACE_URL, "opendify-simulator/owner"))
"""The account that a dataset key acts for."""


class Workspace:
    """The datasets, tags and models of one workspace.

    Args:
        behaviour: which Dify.
        indexing_seconds: what indexing a document takes.
        models: what it may use; none in an empty workspace.
    """

    def __init__(self, behaviour: Behaviour, *, indexing_seconds: float, models: Sequence[Model]) -> None:
        self.behaviour: Behaviour = behaviour
        self.indexing_seconds = indexing_seconds
        self.models = tuple(models)
        self.datasets: list[Dataset] = []
        self.tags: list[Tag] = []

    @property
    def now(self) -> float:
        """This moment, in seconds since 1970."""
        return time.time()

    def takes(self, text: str) -> float:
        """Seconds that indexing a text takes: `[[index:SECONDS]]` in it says otherwise than for others."""
        return Directives(text).numbers("index", self.indexing_seconds)[0]

    def dataset(self, dataset_id: str, message: str = "Dataset not found.") -> Dataset:
        """A dataset by its id.

        Raises:
            Refusal: 404.
        """
        for dataset in self.datasets:
            if dataset.id == dataset_id:
                return dataset
        raise not_found(message)

    def add(self, dataset: Dataset) -> None:
        """Add a dataset.

        Raises:
            Refusal: 409 if its name is taken.
        """
        if any(other.name == dataset.name for other in self.datasets):
            message = "The dataset name already exists. Please modify your dataset name."
            raise Refusal(409, "dataset_name_duplicate", message)
        self.datasets.append(dataset)

    def settle(self, dataset: Dataset) -> None:
        """Give a dataset that needs an embedding model one, if it names none.

        Raises:
            Refusal: 400 if the workspace has none.
        """
        if dataset.indexing_technique != "high_quality" or dataset.embedding_model:
            return
        model = next((model for model in self.models if model.type == "text-embedding"), None)
        if model is None:
            raise invalid("Default model not found for text-embedding")
        dataset.embedding_model, dataset.embedding_model_provider = model.name, PROVIDER

    def has_embedding(self, dataset: Dataset) -> bool:
        """Whether the dataset's embedding model is there."""
        return dataset.indexing_technique != "high_quality" or any(
            model.name == dataset.embedding_model and model.type == "text-embedding" for model in self.models
        )

    def tag(self, tag_id: str) -> Tag | None:
        """A tag by its id."""
        return next((tag for tag in self.tags if tag.id == tag_id), None)

    def new_tag(self, name: str) -> Tag:
        """Add a tag. Its id follows from its name, as Dify 1.12.1 tells none when it makes one."""
        tag_id = str(uuid5(NAMESPACE_URL, f"opendify-simulator/tag/{name}"))
        tag = Tag(tag_id if self.tag(tag_id) is None else str(uuid4()), name)
        self.tags.append(tag)
        return tag

    def put_tag(self, tag: Tag, other: Tag | None) -> None:
        """Put another tag in place of one, here and on all datasets; or nothing."""
        for tags in (self.tags, *(dataset.tags for dataset in self.datasets)):
            tags[:] = [kept for one in tags if (kept := other if one == tag else one) is not None]

    def bindings(self, tag: Tag) -> int:
        """How many datasets have a tag."""
        return sum(tag in dataset.tags for dataset in self.datasets)
