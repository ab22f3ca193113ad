"""An answer as it came."""

from __future__ import annotations

from pydantic import BaseModel, Field

from ..const import CONTENT_TYPE


class RawResponse(BaseModel):
    """Status, headers (their names in lower case) and body of an answer."""

    status_code: int | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    content: bytes | None = None

    def set_content_type(self, content_type: str) -> None:
        """Say what the body is."""
        self.headers[CONTENT_TYPE] = content_type

    @property
    def content_type(self) -> str | None:
        """What the body is."""
        return self.headers.get(CONTENT_TYPE) or self.headers.get(CONTENT_TYPE.lower())
