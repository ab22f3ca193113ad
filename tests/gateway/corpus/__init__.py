"""What models write when they call tools, and what merely looks like it, with the calls that are in it.

`tools.json` has the tools that all texts are written for. A file of `calls/` holds one format, a file of
`no_calls/` one kind of text without a call. What stands before its first case says what is in it. A case is

    === its-name clean
    The text, as the model wrote it, up to the next line that begins with "==".
    ==> get_weather {"city": "Paris"}
    ==| What a client may read of the text.

- `clean` is what the format asks for; `damaged` has a fault that leaves no doubt of what is meant; `text` has
  no call, and reaches the client as it is. `crlf` after that: its lines end as Windows' do.
- `==>` is a call: the tool's name, and its arguments after coercion to the tool's schema.
- `==|` is what remains of the text without its calls, white space aside. Without such a line, nothing does.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from opendify.gateway.tools.definitions import Tool, Toolset

CORPUS = Path(__file__).parent


@dataclass(frozen=True)
class Call:
    """A call of a tool.

    Attributes:
        arguments: Compact JSON, keys sorted: equal where the values and their types are.
    """

    name: str
    arguments: str

    @classmethod
    def of(cls, name: str, arguments: object) -> "Call":
        return cls(name, json.dumps(arguments, ensure_ascii=False, separators=(",", ":"), sort_keys=True))


@dataclass(frozen=True)
class Case:
    """A text, and what is in it.

    Attributes:
        id: Its file and its name: `tagged/two`.
        kind: `clean`, `damaged` or `text`.
        words: What is no call, white space made single.
    """

    id: str
    kind: str
    text: str
    calls: tuple[Call, ...]
    words: str


@cache
def toolset() -> Toolset:
    """The tools that may be called in all texts."""
    tools = [Tool(**definition) for definition in definitions()]
    return Toolset(tools, frozenset(tool.name for tool in tools))


def definitions() -> list[dict[str, Any]]:
    """The tools as `tools.json` has them: name, description and parameters."""
    return json.loads((CORPUS / "tools.json").read_text("utf-8"))


@cache
def with_calls() -> tuple[Case, ...]:
    """All texts that call a tool."""
    return tuple(case for path in sorted(CORPUS.glob("calls/*.txt")) for case in _cases(path))


@cache
def without_calls() -> tuple[Case, ...]:
    """All texts that call none."""
    return tuple(case for path in sorted(CORPUS.glob("no_calls/*.txt")) for case in _cases(path))


def _cases(path: Path) -> Iterator[Case]:
    for part in path.read_text("utf-8").split("\n=== ")[1:]:
        header, *lines = part.removesuffix("\n").split("\n")
        name, kind, *newline = header.split(" ")
        size = next((index for index, line in enumerate(lines) if line.startswith("==")), len(lines))
        text = ("\r\n" if newline == ["crlf"] else "\n").join(lines[:size])
        called = [line.removeprefix("==> ") for line in lines[size:] if line.startswith("==> ")]
        words = [line.removeprefix("==| ") for line in lines[size:] if line.startswith("==| ")]
        yield Case(f"{path.stem}/{name}", kind, text, tuple(map(_call, called)), " ".join(words))


def _call(line: str) -> Call:
    name, arguments = line.split(" ", 1)
    return Call.of(name, json.loads(arguments))
