"""From what a user wrote to what the code wants. Pure.

A ValueError raised here is a reason that becomes part of a sentence for the user: it never quotes a secret.
"""

import hashlib
import ipaddress
import json
import unicodedata
from collections.abc import Iterable
from typing import Annotated, Literal, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

MemoryMode = Literal["0", "1", "2", "auto"]
Pacing = Literal["auto", "off"]
ToolPrompt = Literal["tagged", "fenced", "invoke", "llama", "mistral"]


def digest(*parts: str) -> str:
    """32 hexadecimal digits for these strings, in this order; no other strings give the same.

    >>> digest("ab", "c") == digest("ab", "c") != digest("a", "bc")
    True
    """
    state = hashlib.blake2b(digest_size=16, person=b"opendify")
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        state.update(len(raw).to_bytes(4, "big") + raw)
    return state.hexdigest()


def key_name(key: str) -> str:
    """What a client key is called that was given no name: a short digest, the same on every machine.

    >>> key_name("sk-abc123") == key_name("sk-abc123") != key_name("sk-abc124")
    True
    """
    return f"key-{digest(key)[:12]}"


def is_pattern(name: str) -> bool:
    """Whether a model name stands for many.

    >>> is_pattern("gpt-*"), is_pattern("gpt-4o")
    (True, False)
    """
    return "*" in name


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def model_name(value: str) -> str:
    """A model name in the form in which names are compared: NFC, so that `é` is `é` however it was typed.

    >>> model_name(" cafe\\u0301 ") == "caf\\u00e9"
    True

    Raises:
        ValueError: it is blank, or has a control character.
    """
    name = unicodedata.normalize("NFC", value.strip())
    if not name or not name.isprintable():
        raise ValueError("a model name in it is blank or has a control character")
    return name


def unquoted(value: object) -> object:
    """A string without the white space and the quotes around it, which `docker --env-file` for one leaves."""
    if not isinstance(value, str):
        return value
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1].strip()
    return value


def _comma_list(value: object) -> object:
    """`a, "b",,` -> ["a", "b"], and a list of opendify.toml likewise: without blanks."""
    if isinstance(value, str):
        if value.startswith("["):
            raise ValueError("it has brackets")
        value = value.split(",")
    if not isinstance(value, list | tuple):
        return value
    entries = [unquoted(entry) for entry in cast("Iterable[object]", value)]  # isinstance can't tell of what
    return [entry for entry in entries if entry != ""]


def _once(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _key(value: str) -> str:
    if not value:
        raise ValueError("it is empty")
    if not all("!" <= char <= "~" for char in value):
        raise ValueError("it has a space or a character that no HTTP header can carry")
    return value


def _keys(values: tuple[str, ...]) -> tuple[str, ...]:
    for number, value in enumerate(values, 1):
        try:
            _key(value)
        except ValueError as error:
            raise ValueError(f"at entry {number}, {error}") from None
    return values


def _keys_by_name(value: dict[str, str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for name, key in value.items():
        try:
            named[model_name(name)] = _key(key.strip())
        except ValueError as error:
            raise ValueError(f"at the model name {name!r}, {error}") from None
    return named


def _model_names(values: tuple[str, ...]) -> tuple[str, ...]:
    return _once(tuple(model_name(value) for value in values))


def _from_json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        parsed: object = json.loads(value, object_pairs_hook=_no_name_twice)
    except json.JSONDecodeError as error:
        quotes = ", where JSON has double quotes" if value.startswith("{'") else ""
        raise ValueError(f"it is not JSON from character {error.pos + 1} on{quotes}") from None
    return parsed


def _no_name_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    parsed: dict[str, object] = {}
    for name, value in pairs:
        if name in parsed:
            raise ValueError(f"it has the model name {name!r} twice")
        parsed[name] = value
    return parsed


def _base_url(value: str) -> str:
    """Dify's address, ending in `/v1` whether or not the user wrote that, and a slash after it."""
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("its host or port is not one") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it does not start with http:// or https:// and a host")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("it has more than a host, a port and a path")
    path = parts.path.rstrip("/")
    if not path.endswith("/v1"):
        if "/v1/" in path:
            raise ValueError("it goes on after /v1")
        path += "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def _origins(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        parts = urlsplit(value)
        if value != "*" and (not parts.scheme or not parts.netloc or parts.path.strip("/")):
            raise ValueError(f"{value!r} is not an origin")
    return tuple(value.rstrip("/") for value in values)


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _memory_mode(value: object) -> object:
    words = {"none": "0", "history_message": "1", "zero_width": "2", "zero-width": "2"}
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return words.get(value.lower(), value.lower()) if isinstance(value, str) else value


BaseUrl = Annotated[str, AfterValidator(_base_url)]
Key = Annotated[str, AfterValidator(_key)]
_List = Annotated[tuple[str, ...], BeforeValidator(_comma_list), AfterValidator(_once)]
Keys = Annotated[_List, AfterValidator(_keys)]
KeysByName = Annotated[dict[str, str], BeforeValidator(_from_json), AfterValidator(_keys_by_name)]
Name = Annotated[str, AfterValidator(model_name)]
Names = Annotated[_List, AfterValidator(_model_names)]
Origins = Annotated[_List, AfterValidator(_origins)]
Memory = Annotated[MemoryMode, BeforeValidator(_memory_mode)]
Prompt = Annotated[ToolPrompt, BeforeValidator(_lower)]
Pace = Annotated[Pacing, BeforeValidator(_lower)]
LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)]
LogFormat = Annotated[Literal["auto", "json", "console"], BeforeValidator(_lower)]
Limit = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]  # finite, and at most a day
SomeSeconds = Annotated[float, Field(gt=0, le=86_400)]
