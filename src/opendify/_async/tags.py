"""Tags: words by which datasets are sorted."""

from __future__ import annotations

from collections.abc import Sequence

from .._call import nothing, path, read_as
from .._errors import APIStatusError, BadRequestError, retold
from .._limits import TAG_NAME, at_most
from .._page import Listing, Page, Query, read_page, whole
from ..types.knowledge import Tag
from ._pages import AsyncPages
from ._resource import AsyncResource

__all__ = ["AsyncTags"]

_tag = read_as(Tag)
_page = read_page(Tag)


class AsyncTags(AsyncResource):
    """The tags of a workspace's datasets."""

    def list(self) -> AsyncPages[Tag]:
        """All tags, and how many datasets have each.

        Raises `BadRequestError` on Dify 1.12, as soon as there is a tag: it cannot list them.

        >>> async def names(knowledge: AsyncKnowledge) -> list[str]:
        ...     return [tag.name async for tag in knowledge.tags.list()]
        """

        async def ask(query: Query) -> Page[Tag]:
            try:
                return await self._send("GET", "/datasets/tags", _page)
            except BadRequestError as error:
                raise _explained(error, "There are tags, and it cannot list them.") from None

        return AsyncPages(Listing("/datasets/tags", {}, _page, whole), ask)

    async def create(self, *, name: str) -> Tag:
        """Make a tag. `name`: up to 50 characters.

        Raises `BadRequestError` on Dify 1.12, although the tag is made.
        """
        done = "The tag is made: do not make it again. Its id is told where a dataset has it."
        return await self._write("POST", {"name": at_most(TAG_NAME, "name", name)}, done)

    async def update(self, tag_id: str, *, name: str) -> Tag:
        """Give a tag another name, of up to 50 characters.

        Raises `NotFoundError`; on Dify 1.12 `BadRequestError`, although the tag has its new name.
        """
        body = {"tag_id": tag_id, "name": at_most(TAG_NAME, "name", name)}
        return await self._write("PATCH", body, "The tag has its new name.")

    async def delete(self, tag_id: str) -> None:
        """Delete a tag, and take it off all datasets. Raises `NotFoundError`."""
        await self._send("DELETE", "/datasets/tags", nothing, json={"tag_id": tag_id})

    async def bind(self, dataset_id: str, *, tag_ids: Sequence[str]) -> None:
        """Put tags on a dataset. Raises `NotFoundError`, and `BadRequestError` for no tags at all.

        >>> async def sort(knowledge: AsyncKnowledge, dataset_id: str, tag_id: str) -> list[str]:
        ...     await knowledge.tags.bind(dataset_id, tag_ids=[tag_id])
        ...     return [tag.name async for tag in knowledge.tags.of_dataset(dataset_id)]
        """
        body = {"tag_ids": tag_ids, "target_id": dataset_id}
        await self._send("POST", "/datasets/tags/binding", nothing, json=body)

    async def unbind(self, dataset_id: str, *, tag_ids: Sequence[str]) -> None:
        """Take tags off a dataset, one after the other. Raises `NotFoundError`."""
        for tag_id in tag_ids:
            # Dify 1.12 takes `tag_id` alone, later ones rather `tag_ids`.
            body = {"tag_id": tag_id, "tag_ids": [tag_id], "target_id": dataset_id}
            await self._send("POST", "/datasets/tags/unbinding", nothing, json=body)

    def of_dataset(self, dataset_id: str) -> AsyncPages[Tag]:
        """The tags of one dataset; `binding_count` is not told. Raises `NotFoundError`."""
        return self._caller.pages(Listing(path("/datasets/{}/tags", dataset_id), {}, _page, whole))

    async def _write(self, method: str, body: dict[str, str | None], done: str) -> Tag:
        try:
            return await self._send(method, "/datasets/tags", _tag, json=body)
        except BadRequestError as error:
            raise _explained(error, done) from None


def _explained(error: BadRequestError, done: str) -> APIStatusError:
    """Dify 1.12 does what it is asked, and then refuses its own answer: it wants a count to be text."""
    if "binding_count" not in error.message:
        return error
    return retold(error, f"This Dify does not accept its own answer, as all of 1.12 do. {done}")
