"""How a document becomes segments: the process rule, as requests give it and as Dify shows it. Pure."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

# The names of these classes are part of the messages that users see.


class PreProcessingRule(BaseModel):
    """A way to clean a text before it is split."""

    id: str
    enabled: bool


class Segmentation(BaseModel):
    """Where to split, and how large a piece may be, in tokens."""

    separator: str = "\n"
    max_tokens: int
    chunk_overlap: int = 0


class Rule(BaseModel):
    """The rules of a custom or hierarchical document."""

    pre_processing_rules: list[PreProcessingRule] | None = None
    segmentation: Segmentation | None = None
    parent_mode: Literal["full-doc", "paragraph"] | None = None
    subchunk_segmentation: Segmentation | None = None


class ProcessRule(BaseModel):
    """`process_rule` of a request."""

    mode: Literal["automatic", "custom", "hierarchical"]
    rules: Rule | None = None

    def shown(self) -> dict[str, object]:
        """The mode and its rules as Dify keeps them: those of `automatic` are its own."""
        if self.mode == "automatic" or self.rules is None:
            return {"mode": self.mode, "rules": AUTOMATIC}
        return {"mode": self.mode, "rules": self.rules.model_dump()}

    def cleans(self, way: str) -> bool:
        """Whether the text is cleaned in this way."""
        if self.rules is None or self.mode == "automatic":
            return way == "remove_extra_spaces"
        return any(rule.id == way and rule.enabled for rule in self.rules.pre_processing_rules or ())


AUTOMATIC: dict[str, object] = {
    "pre_processing_rules": [
        {"id": "remove_extra_spaces", "enabled": True},
        {"id": "remove_urls_emails", "enabled": False},
    ],
    "segmentation": {"delimiter": "\n", "max_tokens": 500, "chunk_overlap": 50},
}
"""Dify's rules for a document that is split automatically."""
