"""What every type read from Dify has in common: unknown fields are kept, nothing can be changed."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeGuard, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, JsonValue

__all__ = ["Count", "Many", "Model", "Moment", "Price", "Text", "Values", "is_array", "is_object"]


class Model(BaseModel):
    """Something that Dify told us. Fields that this version does not know are in `model_extra`."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True, protected_namespaces=())


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:  # Any: JSON that is not yet validated
    """Whether this is a JSON object."""
    return isinstance(value, dict)


def is_array(value: Any) -> TypeGuard[list[Any]]:  # Any: as above
    """Whether this is a JSON array."""
    return isinstance(value, list)


def _none_is(instead: Any) -> BeforeValidator:  # Any: whatever fits the field
    return BeforeValidator(lambda value: instead if value is None else value)


Text = Annotated[str, _none_is("")]
"""A text that is empty where Dify says null."""

Count = Annotated[int, _none_is(0)]
"""A number of something that is 0 where Dify says null."""

Time = Annotated[int, BeforeValidator(lambda value: int(value) if isinstance(value, float) else value)]
"""Seconds since 1970. Where Dify's specification says "number", a fraction is left off."""

Price = Annotated[Decimal, _none_is(Decimal(0))]
"""An amount of money. Dify writes it as text ("0.0000140", "0E-7"), some versions as a number."""

T = TypeVar("T")
Many = Annotated[list[T], _none_is([])]
"""A list that is empty where Dify says null."""

Values = Annotated[dict[str, JsonValue], _none_is({})]
"""Values by their names, empty where Dify says null."""

Moment = Annotated[datetime, AfterValidator(lambda told: told if told.tzinfo else told.replace(tzinfo=UTC))]
"""A time, where Dify writes it as text. It leaves the zone out and means UTC."""
