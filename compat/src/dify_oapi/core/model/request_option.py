"""What goes with one request: the key of an app, and headers."""

from __future__ import annotations


class RequestOption:
    """A key, and headers."""

    def __init__(self) -> None:
        self.api_key: str | None = None
        self.headers: dict[str, str] = {}

    @staticmethod
    def builder() -> RequestOptionBuilder:
        """Begin."""
        return RequestOptionBuilder()

    def __repr__(self) -> str:
        return f"RequestOption(headers={sorted(self.headers)})"


class RequestOptionBuilder:
    """Sets what goes with a request."""

    def __init__(self) -> None:
        self._request_option = RequestOption()

    def api_key(self, api_key: str) -> RequestOptionBuilder:
        """The key: `app-…` of an app, `dataset-…` for knowledge."""
        self._request_option.api_key = api_key
        return self

    def headers(self, headers: dict[str, str]) -> RequestOptionBuilder:
        """Headers that are sent as well."""
        self._request_option.headers = headers
        return self

    def build(self) -> RequestOption:
        """What was set."""
        return self._request_option
