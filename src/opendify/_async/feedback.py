"""What people think of answers: send it, and read it all."""

from __future__ import annotations

from .._call import given, nothing, path
from .._page import Listing, numbered, read_page
from ..types.feedback import Feedback, Rating
from ._pages import AsyncPages
from ._resource import AsyncResource

__all__ = ["AsyncFeedbacks"]

_feedbacks = read_page(Feedback)


class AsyncFeedbacks(AsyncResource):
    """Ratings of answers."""

    async def send(
        self,
        message_id: str,
        *,
        rating: Rating | None,
        content: str | None = None,
        user: str | None = None,
    ) -> None:
        """Rate an answer in the name of the end user; `None` takes the rating back.

        Raises `NotFoundError` for a message that is not there, `BadRequestError` where there is no rating
        to take back.

        >>> async def praise(dify: AsyncDify, message_id: str) -> None:
        ...     await dify.feedback.send(message_id, rating="like", content="Just so.", user="ada")
        """
        await self._send(
            "POST",
            path("/messages/{}/feedbacks", message_id),
            nothing,
            json={"rating": rating, "user": self._caller.named(user), **given(content=content)},
        )

    def list(self, *, limit: int | None = None) -> AsyncPages[Feedback]:
        """All ratings of the app's answers, by all end users and admins, the latest first.

        `limit`: how many a page, 1 to 101; 20 if left out.

        >>> async def disliked(dify: AsyncDify) -> list[str]:
        ...     return [one.message_id async for one in dify.feedback.list() if one.rating == "dislike"]
        """
        return self._caller.pages(Listing("/app/feedbacks", {"limit": limit}, _feedbacks, numbered))
