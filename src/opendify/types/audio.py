"""Speech as text."""

from __future__ import annotations

from ._model import Model, Text

__all__ = ["Transcript"]


class Transcript(Model):
    """What was said in a recording."""

    text: Text = ""
