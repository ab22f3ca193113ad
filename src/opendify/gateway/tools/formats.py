"""The marks that models write calls with, whichever form they were trained on. Tables. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Role = Literal["open", "named", "member", "separator", "close", "result"]

_ROLES: dict[Role, tuple[str, ...]] = {
    # what stands before calls: Hermes, Qwen, Claude, Llama, DeepSeek, Kimi, Phi, and what others make of them
    "open": (
        "tool_call", "tool_calls", "toolcall", "toolcalls", "function_call", "function_calls", "functioncall",
        "tool_call_begin", "tool_calls_begin", "tool_calls_section_begin", "python_tag", "tool_use",
    ),
    # a call that has its name in the mark
    "named": ("invoke", "function"),
    # one argument
    "member": ("parameter", "arg_key", "arg_value"),
    # between a name and its arguments
    "separator": ("tool_sep", "tool_call_argument_begin"),
    "close": (
        "tool_call_end", "tool_calls_end", "tool_calls_section_end", "eom_id", "eot_id", "im_end",
        "end_of_text", "end_of_sentence",
    ),
    # what only the client may write; a model that writes it makes it up
    "result": (
        "tool_response", "tool_responses", "tool_result", "tool_results", "tool_output", "tool_outputs",
        "function_result", "function_results", "function_response", "function_output", "observation",
        "tool_outputs_begin", "tool_output_begin",
    ),
}  # fmt: skip
_ROLE_OF: dict[str, Role] = {word: role for role, words in _ROLES.items() for word in words}
_WRAPPERS = ("tool_calls", "tool_call", "function_calls", "function_call")
CALL_FENCES = frozenset({"tool_call", "tool_calls", "tool_code", "function_call", "function_calls"})
JSON_FENCES = frozenset({"", "json", "jsonc", "json5"})
OTHER_FENCES = frozenset({"xml", "html", "text", "plaintext", "python", "py", "javascript", "js", "yaml"})
FENCES = CALL_FENCES | JSON_FENCES | OTHER_FENCES
"""The languages of fences that a call may stand in: hardly anything else stands in the first ones; in the
last ones it must be the end of the answer."""

_ANY_WORD = "|".join(word.replace("_", "[_▁-]") for word in sorted(_ROLE_OF, key=len, reverse=True))
_INITIALS = "".join(sorted({word[0] + word[0].upper() for word in _ROLE_OF}))
_WORDS = f"(?=[{_INITIALS}])(?i:{_ANY_WORD})"
_LEAD = r"(?:\s?[|｜]\s?/?(?:DSML\s?[|｜]\s?)?)?(?:[^\W\d][\w.-]{0,19}:)?"
_START = rf"<(/?){_LEAD}({_WORDS}"
_END_TOKEN = "s"
"""``</s>``: only behind a call is it what ends the text of a model; elsewhere it strikes through."""
_HEAD = rf"{_START})(?=[\s=>|｜/])"
_BEGUN = r"</?(?:\s?[|｜]\s?/?(?:D(?:S(?:M(?:L\s?(?:[|｜]\s?)?)?)?)?)?|\s(?=\Z))?(?:[^\W\d][\w.▁:-]{0,47})?"
TAG = re.compile(rf"{_START}|(?<=/){_END_TOKEN})(\s?[|｜]?>|[\s=/][^<>]{{0,300}}>)")
TAG_BEGUN = re.compile(rf"(?:{_HEAD}[^<>]{{0,300}}|{_BEGUN}[|｜\s]?)\Z")
"""What may still become a tag."""
_NAME = re.compile(r"\b(?:name|tool_name|function)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>|｜]+))")
_CALLABLE = re.compile(r"[^\s\"'`<>()\[\]{}|\\]{1,140}")
_VALUE = re.compile(r"^\s*=\s*[\"']?([^\"'>|｜]+?)[\"']?\s*[|｜]?>")
_STRING = re.compile(r"\bstring\s*=\s*[\"']?true", re.IGNORECASE)

LIST = r"\[TOOL_CALLS\]"
_RESULTS = r"\[/?TOOL_RESULTS\]|<\|start_header_id\|>"
BRACKET = re.compile(r"\[/?(TOOL_CALLS|ARGS|CALL_ID|TOOL_RESULTS)\]")

MARKS = re.compile(rf"{_HEAD}|{LIST}|{_RESULTS}")
"""What ends a call that was not closed. Inside a string it may be a part of it."""


def _member_end(closers: str) -> re.Pattern[str]:
    return re.compile(
        rf"</?{_LEAD}(?i:parameter|arg_key|arg_value)(?=[\s=>|｜/])"
        rf"|</{_LEAD}(?i:{closers})\s?[|｜]?>[ \t]{{0,8}}(?=[\r\n<]|\Z)",
    )


MEMBER_ENDS = {
    "invoke": _member_end("invoke|function_calls?|tool_calls"),
    "function": _member_end("function|tool_calls?"),
}
MEMBER_END = _member_end("tool_calls?|function_calls?")
"""What an argument ends at that is written as an element: its own end, or that of the whole call, if no text
follows. By the word of the mark that has the tool's name."""
MEMBER_TAIL = re.compile(rf"(?:\r?\n|\r)?(?:{_BEGUN}(?:\s?[|｜]?>[ \t]{{0,8}})?)?\Z")
FENCE_END = re.compile(r"\n[ \t]{0,8}(?:```|~~~)")
"""The same for a call in a fence."""
MARK_BEGUN = re.compile(r"(?:<[^<>\s]{0,60}|\[[A-Z_/]{0,20}|\n[ \t`~]{0,10})\Z")
LONGEST_MARK = 80


@dataclass(frozen=True, slots=True)
class Tag:
    """A mark that was read.

    Attributes:
        name: Of the tool or argument that the mark names; empty if it names none.
        word: Its own word.
        exact: An argument that says itself that it is a string.
    """

    role: Role
    word: str
    closing: bool
    name: str
    exact: bool


def tag(found: re.Match[str]) -> Tag:
    """What a match of `TAG` means.

    >>> mark = TAG.match("<｜DSML｜invoke name=\\"get_weather\\">")
    >>> tag(mark).role, tag(mark).name
    ('named', 'get_weather')
    """
    _, text, rest = found.groups()
    return _tag(found.string[found.start() : found.start(2)], text, rest)


@lru_cache(256)
def _tag(lead: str, text: str, rest: str) -> Tag:
    """By what stands before its word, the word, and what stands behind it. A model writes the same few."""
    word = re.sub("[▁-]", "_", text.lower())
    role = _ROLE_OF.get(word, "close")
    named = _VALUE.search(rest) or _NAME.search(rest)
    name = next(filter(None, named.groups()), "").strip() if named else ""
    if not _CALLABLE.fullmatch(name):
        name = ""
    closing = "/" in lead or role == "close"
    if name and role == "open" and not closing:
        role = "named"
    return Tag(role, word, closing, name, bool(_STRING.search(rest)))


def _beginning(*atoms: str | tuple[str, ...]) -> str:
    """A pattern of all beginnings, at the end of a text, of what atoms make in a row; of one atom at least.

    An atom is a pattern of one character, one with a repetition that may be empty, or a choice of words.
    """
    first, *others = atoms
    return f"{first}{_rest(others)}"


def _rest(atoms: Sequence[str | tuple[str, ...]]) -> str:
    rest = r"\Z"
    for atom in reversed(atoms):
        if isinstance(atom, tuple):
            begun = "|".join(_rest([*map(re.escape, word)]) for word in atom)
            rest = f"(?:(?:{'|'.join(atom)}){rest}|{begun})"
        elif atom.endswith(("}", "?")):
            rest = rf"{atom}{rest}"
        else:
            rest = rf"(?:\Z|{atom}{rest})"
    return rest


_WRAPPED = (r"\{", r"\s{0,30}", "[\"']", _WRAPPERS, "[\"']", r"\s{0,10}", ":", r"\s{0,10}")
WRAPPED = rf"\{{\s{{0,30}}[\"'](?:{'|'.join(_WRAPPERS)})[\"']\s{{0,10}}:\s{{0,10}}[\[{{]"
FENCE = re.compile("`{1,20}|~{1,20}")
"""A fence, if it is three long at least."""
_BEGINNINGS = {word[:size] for word in FENCES for size in range(len(word) + 1)}
LANGUAGE = re.compile(
    rf"[ \t]{{0,4}}(?:{'|'.join(sorted(_BEGINNINGS, key=len, reverse=True))})", re.IGNORECASE
)
"""As much of a fence's language as may be one of those."""
PYTHONIC = r"\[\s{0,10}[^\W\d][\w.]{0,64}\s?\("

EVENT = re.compile(
    rf"(?P<tag>{_HEAD})|(?P<list>{LIST})|(?P<results>{_RESULTS})|(?P<json>{WRAPPED})|(?P<fence>`{{3,20}}|~{{3,20}})"
    rf"|(?P<python>{PYTHONIC})|(?P<observed>Observation:)",
)
"""All that a call may begin with, or that may end one, in text outside of code."""

HELD = re.compile(
    "|".join(
        (
            rf"{_BEGUN}\Z",
            _beginning(*map(re.escape, "[TOOL_CALLS]")),
            _beginning(*map(re.escape, "[/TOOL_RESULTS]")),
            _beginning(r"\[", r"\s{0,10}", r"[\w.]{0,64}", r"\s?", r"\("),
            _beginning(*_WRAPPED, r"[\[{]"),
            r"(?:`{1,20}|~{1,20})\Z",
            _beginning(*"Observation:"),
        )
    )
)
"""What the text ends with that may still become an event."""
TRIGGERS = re.compile("[<{\\[`~]")
LONGEST_HELD = 160
