"""JSON as this package's models are written and read."""

from __future__ import annotations

import datetime
import json
from json import JSONEncoder
from typing import Any, cast

from .type import T


class Encoder(JSONEncoder):
    """Writes models, dates, bytes and sets, too. Fields that are `None` are left out."""

    def default(self, o: Any) -> Any:  # Any: whatever stands in an object
        """The JSON for what JSON has no word for."""
        if isinstance(o, datetime.datetime):
            return o.strftime("%Y-%m-%d %H:%M:%S")
        if isinstance(o, bytes):
            return o.decode()
        if isinstance(o, set | frozenset):
            return list(cast(set[Any], o))
        if hasattr(o, "__dict__"):
            fields = cast(dict[str, Any], vars(o))
            return {name: value for name, value in fields.items() if value is not None}
        return super().default(o)


class JSON:
    """To JSON and back."""

    @staticmethod
    def marshal(obj: object, indent: int | None = None) -> str | None:
        """The JSON of an object; `None` for `None`."""
        return None if obj is None else json.dumps(obj, cls=Encoder, indent=indent, ensure_ascii=False)

    @staticmethod
    def unmarshal(json_str: str, clazz: type[T]) -> T:
        """The response of a class that a text holds."""
        return clazz(**json.loads(json_str))
