"""The type of a response."""

from typing import TypeVar

from .model.base_response import BaseResponse

T = TypeVar("T", bound=BaseResponse)
