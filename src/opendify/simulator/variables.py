"""The variables of a graph run, and the texts that name them. Pure but for the values that it keeps."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from opendify.simulator.files import File, Files
from opendify.simulator.wire import array

Selector = tuple[str, str]
"""Node and name: `("llm", "text")`."""

_NAMED = re.compile(r"\{\{#([^#]+)#\}\}")


def selector(variable: str) -> Selector:
    """Where a variable is.

    >>> selector("llm.text")
    ('llm', 'text')
    """
    node, _, name = variable.partition(".")
    return node, name


def parts(text: str) -> Iterator[str | Selector]:
    """A text, taken apart into plain parts and variables.

    >>> list(parts("Hi {{#start.name#}}!"))
    ['Hi ', ('start', 'name'), '!']
    """
    at = 0
    for match in _NAMED.finditer(text):
        if match.start() > at:
            yield text[at : match.start()]
        yield selector(match.group(1))
        at = match.end()
    if at < len(text):
        yield text[at:]


class Variables:
    """What the nodes of one run have given so far.

    Args:
        files: describes files as Dify does, and signs their URLs.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._values: dict[Selector, object] = {}

    def keep(self, node: str, values: Mapping[str, object]) -> None:
        """Keep a node's outputs."""
        for name, value in values.items():
            self._values[node, name] = value

    def knows(self, where: Selector) -> bool:
        """Is there a value yet?"""
        return where in self._values

    def get(self, variable: str) -> object:
        """The value of `node.name`; None if there is none."""
        return self._values.get(selector(variable))

    def pick(self, variables: Mapping[str, str]) -> dict[str, object]:
        """Several values, under other names."""
        return {name: self.get(variable) for name, variable in variables.items()}

    def fill(self, text: str) -> str:
        """A text with its variables filled in."""
        return "".join(part if isinstance(part, str) else self.text(part) for part in parts(text))

    def text(self, where: Selector) -> str:
        """A variable as text, as Dify writes it: files as markdown, lists as lists, objects as JSON."""
        return self._text(self._values.get(where))

    def _text(self, value: object) -> str:
        items = array(value)
        if items is not None:
            mark = "" if any(isinstance(item, File) for item in items) else "- "
            return "\n".join(mark + self._text(item) for item in items)
        match value:
            case None:
                return ""
            case str():
                return value
            case File():
                link = f"[{value.name}]({self._files.url_of(value)})"
                return f"!{link}" if value.type == "image" else link
            case dict():
                return json.dumps(value, indent=2, ensure_ascii=False)
            case _:
                return str(value)
