"""What all builders have in common."""

from __future__ import annotations

from typing import IO, Generic, Protocol, Self, TypeVar

from .core.enum import HttpMethod
from .core.model.base_request import BaseRequest

__all__ = ["Builder", "RequestBuilder"]

T = TypeVar("T")
R = TypeVar("R", bound=BaseRequest)


class Builder(Generic[T]):
    """Sets the fields of what it builds, one after the other. Nothing is validated: Dify does that."""

    def __init__(self, built: T) -> None:
        self._built = built

    def build(self) -> T:
        """What was built."""
        return self._built

    def _set(self, field: str, value: object) -> Self:
        setattr(self._built, field, value)
        return self


class RequestBuilder(Builder[R]):
    """Puts what a request is given where it belongs: path, query, body or file."""

    def __init__(self, built: R, method: str, uri: str) -> None:
        super().__init__(built)
        built.http_method = HttpMethod[method]
        built.uri = uri

    def _path(self, name: str, value: object) -> Self:
        self._built.paths[name] = "" if value is None else str(value)  # the call tells which is missing
        return self._set(name, value)

    def _query(self, name: str, value: object) -> Self:
        self._built.add_query(name, value)
        return self._set(name, value)

    def _body(self, name: str, value: _Dumped) -> Self:
        self._built.body = value.model_dump(exclude_none=True, mode="json", warnings=False)
        return self._set(name, value)

    def _file(self, name: str, value: IO[bytes], file_name: str | None) -> Self:
        self._built.files = {name: (file_name or "upload", value)}
        return self._set(name, value)


class _Dumped(Protocol):
    def model_dump(self, *, exclude_none: bool, mode: str, warnings: bool) -> dict[str, object]: ...
