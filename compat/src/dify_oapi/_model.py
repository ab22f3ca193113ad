"""What all models have in common: unknown fields are kept, and a reply is read as well as it can be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pydantic
from pydantic import ConfigDict, ValidationInfo, ValidatorFunctionWrapHandler, field_validator
from pydantic_core import from_json

__all__ = ["REPLY", "BaseModel"]

REPLY = {"reply": True}
"""The validation context of what Dify says."""


class BaseModel(pydantic.BaseModel):
    """A model whose builder sets its fields, or that a reply fills.

    The old types promise less than Dify says: it has more values, more fields and other shapes. So a value
    in a reply that is not as its type says is kept as it came, in place of an error for a valid answer.
    """

    model_config = ConfigDict(extra="allow", defer_build=True, protected_namespaces=())

    @field_validator("*", mode="wrap")
    @classmethod
    def _as_it_came(
        cls, value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> Any:  # Any: the value of any field
        try:
            return read(value)
        except ValueError:
            if info.context is not REPLY:
                raise
        for other in _otherwise(value):
            with suppress(ValueError):
                return read(other)
        return value


def _otherwise(value: Any) -> Iterator[Any]:  # Any: as above
    """What a value may be meant as: JSON within JSON, as a run's outputs are; the one thing of a list."""
    if isinstance(value, str):
        with suppress(ValueError):
            yield from_json(value)
    if isinstance(value, dict):
        yield [value]
