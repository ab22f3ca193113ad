"""The directives in a prompt: words in double brackets that say what the scripted model does. Pure.

`docs/simulator.md` lists them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from opendify.simulator.calls import DEFECTS, FORMATS, results
from opendify.simulator.errors import FAILURES, SCRIPTED

_OPENING = re.compile(r"\[\[(\w+)(?::|(?=\]\]))")
_CLOSING = re.compile(r"\]\](?!\])")
_HISTORY = re.compile(r"<history>.*</history>", re.DOTALL)
_JSON = {
    "call": re.compile(r"[^\s\[\]{}]+?:(?=\{)"),
    "tool": re.compile(r"[\w.-]+:"),
    "json": re.compile(""),
    "text": re.compile(""),
}
"""Directives that take JSON, and what stands before it."""


class Directives:
    """The `[[word]]` and `[[word:value]]` of a prompt that count in one turn. The last of a kind counts.

    What stands between `<history>` and `</history>` is a history that the client wrote into its question: it
    directs nothing, unless results of tools are all that stands behind it. Then its newest `user:` does, and
    each `assistant:` behind that has had a turn. So has each `<reply>` that the client shows the model.

    Args:
        prompt: the question that has them.
        turn: how many turns ago it was asked. Those behind the first `[[then]]` are for the next turn.

    >>> asked = Directives("[[reply:one]] now [[slow:3:0.1]]")
    >>> asked.text("reply"), "slow" in asked, asked.numbers("slow", 10, 1.0), asked.text("lump", "all")
    ('one', True, [3.0, 0.1], 'all')
    >>> Directives("[[call:look]] [[then]] [[reply:I see [it].]]", turn=1).text("reply")
    'I see [it].'
    """

    def __init__(self, prompt: str, turn: int = 0) -> None:
        self._script, past = _script(prompt) if "[[" in prompt else ((), 0)
        at = past + turn
        self._said: Sequence[tuple[str, str]] = self._script[at] if at < len(self._script) else ()
        self._values: dict[str, str] = {}
        for word, value in self._said:
            self._values.pop(word, None)  # the order is that of the last mention
            self._values[word] = value

    @property
    def turns(self) -> int:
        """How many turns the prompt directs; 0 if nothing directs the model."""
        return len(self._script)

    def __contains__(self, word: str) -> bool:
        return word in self._values

    def __bool__(self) -> bool:
        return bool(self._values)

    def text(self, word: str, default: str = "") -> str:
        """The value of a directive, or the default if it is absent or bare."""
        return self._values.get(word) or default

    def all(self, word: str) -> list[str]:
        """The values of a directive that may be repeated.

        >>> Directives('[[call:a]] [[call:b:{"at": [[1, 2]]}]]').all("call")
        ['a', 'b:{"at": [[1, 2]]}']
        """
        return [value for said, value in self._said if said == word]

    def numbers(self, word: str, *defaults: float) -> list[float]:
        """The values of a directive that takes numbers, separated by colons."""
        given = [float(part) for part in self.text(word).split(":") if part]
        return [*given[: len(defaults)], *defaults[len(given) :]]

    def mistake(self) -> str | None:
        """What cannot be read of the directives of any turn, in one sentence. Unknown words are let be.

        >>> Directives("[[slow:many]]").mistake()
        'The simulator cannot read [[slow:many]]; it takes [[slow:N:SECONDS]].'
        """
        for word, value in chain.from_iterable(self._script):
            usage, pattern = _FORMS.get(word, ("", ""))
            if usage and not (re.fullmatch(pattern, value, re.DOTALL) and _is_json(word, value)):
                return f"The simulator cannot read [[{word}:{value}]]; it takes {usage}."
        return None

    def last_of(self, words: Sequence[str]) -> str | None:
        """Which of these words was said last."""
        return next((word for word in reversed(self._values) if word in words), None)


def without_history(prompt: str) -> str:
    """What a client asks, without the earlier turns that it wrote into its question."""
    return _HISTORY.sub("", prompt)


def _script(prompt: str) -> tuple[Sequence[Sequence[tuple[str, str]]], int]:
    """What a prompt directs, turn by turn, and how many of these turns are past."""
    new = without_history(prompt)
    turns, past = _turns(new), new.count("<reply>\n")
    history = _HISTORY.search(prompt)
    if turns or history is None or not results(new):
        return turns, past
    user, *answers = history[0].rpartition("\nuser: ")[2].split("\n\nassistant: ")
    return _turns(user), past + len(answers)


def _turns(prompt: str) -> list[list[tuple[str, str]]]:
    """The words and values of a prompt, by the turn in which they count."""
    turns: list[list[tuple[str, str]]] = []
    for word, value in _found(prompt):
        if not turns:
            turns.append([])
        if word == "then":
            turns.append([])
        else:
            turns[-1].append((word, value))
    return turns


def _found(prompt: str) -> Iterator[tuple[str, str]]:
    """The words and values of a prompt. A value ends at the first `]]`, or where its JSON ends."""
    at = 0
    while opening := _OPENING.search(prompt, at):
        start = opening.end()
        closing = _CLOSING.search(prompt, _end_of_json(prompt, opening[1], start))
        if closing is None:
            return
        bare = prompt[start - 1] != ":"
        if bare and closing.start() > start:  # [[word]]] is none
            at = start
            continue
        yield opening[1], prompt[start : closing.start()]
        at = closing.end()


def _end_of_json(prompt: str, word: str, start: int) -> int:
    """Where the JSON of a value ends if the directive ends there, too; else where the value starts."""
    before = _JSON[word].match(prompt, start) if word in _JSON else None
    if before is None:
        return start
    try:
        _, end = json.JSONDecoder().raw_decode(prompt, before.end())
    except (ValueError, RecursionError):
        return start
    return end if prompt.startswith("]]", end) else start


def _is_json(word: str, value: str) -> bool:
    if word not in ("call", "json", "text") or (word == "call" and "{" not in value):
        return True
    try:
        json.loads(value[value.index("{") :] if word == "call" else value)
    except (ValueError, RecursionError):
        return False
    return True


def _one_of(kinds: Iterable[str]) -> str:
    return f"(?:{'|'.join(kinds)})?"


def _some_of(words: Iterable[str]) -> str:
    return f"(?:{'|'.join(words)})(?::(?:{'|'.join(words)}))*"


_NUMBER = r"\d+(?:\.\d+)?"
_CUT = r"(?:headers|start|midway)?(?::(?:rst|fin))?"
_WAYS = (*FORMATS, "fenced", *DEFECTS)
_FORMS = {
    "slow": ("[[slow:N:SECONDS]]", rf"\d+(?::{_NUMBER})?"),
    "stall": ("[[stall:SECONDS]]", _NUMBER),
    "midstall": ("[[midstall:SECONDS]]", _NUMBER),
    "pace": ("[[pace:SECONDS]]", _NUMBER),
    "lump": ("[[lump]], [[lump:CHARACTERS]] or [[lump:CHARACTERS:SECONDS]]", rf"(?:\d+(?::{_NUMBER})?)?"),
    "long": ("[[long:WORDS]]", r"\d*"),
    "big": ("[[big]] or [[big:BYTES]]", r"\d*"),
    "split": ("[[split:BYTES]] or [[split:BYTES:SECONDS]]", rf"[1-9]\d*(?::{_NUMBER})?"),
    "cut": ("[[cut]] or [[cut:PLACE:HOW]], headers, start or midway, rst or fin", _CUT),
    "drop": (
        "[[drop]] or [[drop:EVENTS:EVENTS:HOW]], rst or fin",
        r"(?:[1-9]\d*(?::[1-9]\d*)*(?::(?:rst|fin))?)?",
    ),
    "truncate": ("[[truncate]] or [[truncate:start]]", r"(?:start|midway)?"),
    "malformed": (
        "[[malformed:KIND]] or [[malformed:KIND:start]], json, utf8 or html",
        r"(?:(?:json|utf8|html)(?::start)?)?",
    ),
    "error": (f"[[error:KIND]], one of {', '.join(FAILURES)}", _one_of(FAILURES)),
    "error0": (f"[[error0:KIND]], one of {', '.join(FAILURES)}", _one_of(FAILURES)),
    "call": ("[[call:NAME]] or [[call:NAME:{JSON}]]", r"[^\s\[\]{}]+?(?::\{.*\})?"),
    "as": (f"[[as:WORDS]], of {', '.join(_WAYS)}, separated by colons", _some_of(_WAYS)),
    "json": ("[[json:JSON]]", ".+"),
    "text": ("[[text:STRING]], the string as JSON", r'".*"'),
    "http": (f"[[http:KIND]], one of {', '.join(SCRIPTED)}", _one_of(SCRIPTED)),
}
"""Directives whose value has a form: what they take, for people and as a pattern."""
