"""What all models have in common: unknown fields are kept, and a reply is read as well as it can be."""

from __future__ import annotations

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
        try:
            return read(from_json(value))  # a run's inputs and outputs are JSON within JSON
        except (TypeError, ValueError):
            return value
