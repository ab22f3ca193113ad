"""What all responses have in common."""

from __future__ import annotations

from pydantic import Field

from ..._model import BaseModel
from .raw_response import RawResponse


class BaseResponse(BaseModel):
    """An answer. `success` tells whether it is one of Dify's successes; if not, `code` and `msg` say why.

    `raw` has the status, the headers and the bytes.
    """

    raw: RawResponse | None = None
    code: str | None = Field(default=None, exclude=True)
    msg_: str | None = Field(default=None, validation_alias="msg", exclude=True)
    message_: str | None = Field(default=None, validation_alias="message", exclude=True)

    @property
    def msg(self) -> str | None:
        """What Dify says about a failure; the text of the answer where it says nothing."""
        told = self.msg_ if self.msg_ is not None else self.message_
        if told is None and self.raw is not None and self.raw.content is not None:
            return self.raw.content.decode("utf-8", "replace")
        return told

    @property
    def success(self) -> bool:
        """Whether Dify did what it was asked."""
        return self.code is None
