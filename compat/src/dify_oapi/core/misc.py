"""A text that shows another in its place."""

from __future__ import annotations


class HiddenText(str):
    """`secret`, which prints as `redacted`."""

    secret: str
    redacted: str

    def __new__(cls, secret: str, redacted: str) -> HiddenText:
        text = super().__new__(cls, redacted)
        text.secret, text.redacted = secret, redacted
        return text

    def __repr__(self) -> str:
        return f"<HiddenText {str(self)!r}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HiddenText) and self.secret == other.secret

    def __hash__(self) -> int:
        return hash(self.secret)

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """The bytes of the secret."""
        return self.secret.encode(encoding, errors)
