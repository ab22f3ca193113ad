"""Metadata of documents: the fields of a dataset, their values, and conditions on them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import uuid4

from pydantic import BaseModel

from opendify.simulator.errors import invalid
from opendify.simulator.wire import array

BUILT_IN = {
    "document_name": "string",
    "uploader": "string",
    "upload_date": "time",
    "last_update_date": "time",
    "source": "string",
}
"""Dify's own fields and their types."""


@dataclass(slots=True)
class MetadataField:
    """A field that documents may have a value of."""

    name: str
    type: str
    id: str = field(default_factory=lambda: str(uuid4()))


@dataclass(slots=True)
class Metadata:
    """The fields of a dataset.

    Args:
        built_in: Dify's own fields are shown as well.
    """

    fields: list[MetadataField] = field(default_factory=lambda: list[MetadataField]())
    built_in: bool = False

    def create(self, name: str, kind: str) -> MetadataField:
        """Add a field.

        Raises:
            Refusal: 400 if its name is taken.
        """
        self._free(name)
        self.fields.append(MetadataField(name, kind))
        return self.fields[-1]

    def find(self, metadata_id: str) -> MetadataField | None:
        """The field with this id."""
        return next((field for field in self.fields if field.id == metadata_id), None)

    def rename(self, metadata_id: str, name: str) -> tuple[str, MetadataField] | None:
        """Rename a field; gives its old name and it, or None if there is none.

        Raises:
            Refusal: 400 if the name is taken.
        """
        self._free(name)
        field = self.find(metadata_id)
        if field is None:
            return None
        old, field.name = field.name, name
        return old, field

    def values(self, values: Mapping[str, object]) -> list[dict[str, object]] | None:
        """The values of a document as Dify shows them; None if it has none."""
        shown: list[dict[str, object]] = [
            {"id": field.id, "name": field.name, "type": field.type, "value": values[field.name]}
            for field in self.fields
            if field.name in values
        ]
        if self.built_in:
            shown += [
                {"id": "built-in", "name": name, "type": kind, "value": _plain(kind, values[name])}
                for name, kind in BUILT_IN.items()
                if name in values
            ]
        return shown or None

    def json(self) -> list[dict[str, object]]:
        """The fields, as a dataset shows them."""
        fields = [(field.id, field.name, field.type) for field in self.fields]
        if self.built_in:
            fields += [("built-in", name, kind) for name, kind in BUILT_IN.items()]
        return [{"id": field_id, "name": name, "type": kind} for field_id, name, kind in fields]

    def _free(self, name: str) -> None:
        if any(field.name == name for field in self.fields):
            raise invalid("Metadata name already exists.")
        if name in BUILT_IN:
            raise invalid("Metadata name already exists in Built-in fields.")


def _plain(kind: str, value: object) -> object:
    return str(value) if kind == "time" else value


class Condition(BaseModel):
    """One condition of a search."""

    name: str
    comparison_operator: Literal[
        "contains",
        "not contains",
        "start with",
        "end with",
        "is",
        "is not",
        "empty",
        "not empty",
        "in",
        "not in",
        "=",
        "≠",
        ">",
        "<",
        "≥",
        "≤",
        "before",
        "after",
    ]
    value: str | list[str] | float | None = None

    def holds(self, values: Mapping[str, object]) -> bool:
        """Whether a document with these values is meant. A value that is missing is `empty` and nothing else.

        >>> at_least = Condition(name="year", comparison_operator="≥", value=2000)
        >>> at_least.holds({"year": 2101}), at_least.holds({"year": "1999"}), at_least.holds({})
        (True, False, False)
        """
        has = values.get(self.name)
        if self.comparison_operator in ("empty", "not empty"):
            return (has in (None, "")) is (self.comparison_operator == "empty")
        return has is not None and _OPERATORS[self.comparison_operator](has, self.value)


class MetadataFilteringCondition(BaseModel):
    """`metadata_filtering_conditions` of a search."""

    logical_operator: Literal["and", "or"] | None = "and"
    conditions: list[Condition] | None = None

    def holds(self, values: Mapping[str, object]) -> bool:
        """Whether a document with these values is to be searched."""
        found = [condition.holds(values) for condition in self.conditions or ()]
        return not found or (any(found) if self.logical_operator == "or" else all(found))


def _same(has: object, wanted: object) -> bool:
    one, other = _number(has), _number(wanted)
    return has == wanted if one is None or other is None else one == other


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _among(has: object, wanted: object) -> bool:
    options: Sequence[object] = array(wanted) or str(wanted).split(",")
    return any(str(has) == str(option).strip() for option in options)


def _ordered(compare: Callable[[float, float], bool]) -> Callable[[object, object], bool]:
    def holds(has: object, wanted: object) -> bool:
        one, other = _number(has), _number(wanted)
        return one is not None and other is not None and compare(one, other)

    return holds


_OPERATORS: dict[str, Callable[[object, object], bool]] = {
    "contains": lambda has, wanted: str(wanted) in str(has),
    "not contains": lambda has, wanted: str(wanted) not in str(has),
    "start with": lambda has, wanted: str(has).startswith(str(wanted)),
    "end with": lambda has, wanted: str(has).endswith(str(wanted)),
    "is": _same,
    "is not": lambda has, wanted: not _same(has, wanted),
    "=": _same,
    "≠": lambda has, wanted: not _same(has, wanted),
    "in": _among,
    "not in": lambda has, wanted: not _among(has, wanted),
    ">": _ordered(lambda one, other: one > other),
    "<": _ordered(lambda one, other: one < other),
    "≥": _ordered(lambda one, other: one >= other),
    "≤": _ordered(lambda one, other: one <= other),
    "before": _ordered(lambda one, other: one < other),
    "after": _ordered(lambda one, other: one > other),
}
