"""What is wrong with the settings, in the user's own words: which one, what it got, what it takes. Pure."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass

from pydantic_core import ErrorDetails


class SettingsError(Exception):
    """A setting that can't be used, in one sentence.

    Attributes:
        problems: every fault found, a sentence each; `str(error)` is the first. None shows a secret's value.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(problems[0])
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Setting:
    """What people are told about a setting.

    Attributes:
        about: what it is for, as a sentence.
        takes: its values with their unit, to finish the sentence "it takes …".
        group: the heading that it stands under in the documents.
        secret: its value is never shown.
    """

    about: str
    takes: str
    group: str = ""
    _: KW_ONLY
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """The settings of one place, and what the user calls one of them there: `SERVER_PORT in .env`."""

    name: str
    values: Mapping[str, object]
    written: Callable[[str], str]


def sentences(
    fault: ErrorDetails, places: Iterable[Place], known: Mapping[str, Mapping[str, Setting]]
) -> list[str]:
    """A fault that pydantic found, as the user should read it.

    Args:
        fault: its path is `(setting, …)`, or `(kind of table, NAME, setting, …)`.
        places: where the settings came from, the one that wins first.
        known: the settings of each kind of table; those outside of all tables under "".
    """
    context = fault.get("ctx", {})
    if fault["type"] == "together":
        return list(context["problems"])
    top = str(fault["loc"][0])
    path = [str(step) for step in fault["loc"]][: 3 if top in known else 1]
    written = next(place.written for place in places if top in place.values)
    name = written(".".join(path))
    reason = f": {context['error']}" if fault["type"] == "value_error" else ""
    if path[2:] == ["[key]"]:  # pydantic's word for the NAME itself
        return [f"[{path[0]}.{path[1]}] can't be used{reason}."]
    if len(path) == 2:
        return [f"{name} can't be used; it takes a table: [{'.'.join(path)}]."]
    settings = known[top if len(path) == 3 else ""]
    if fault["type"] == "extra_forbidden":
        return [unknown(path[-1], settings, written(".".join(path[:-1])))]
    setting = settings[path[-1]]
    if fault["type"] == "missing":
        return [f"{name} is missing; it takes {setting.takes}."]
    shown = not setting.secret and "@" not in str(fault["input"])
    got = f"is {fault['input']!r}" if shown else "can't be used"
    return [f"{name} {got}{reason}; it takes {setting.takes}."]


def unknown(name: str, known: Iterable[str], where: str) -> str:
    """The sentence about a setting that does not exist."""
    return f"There is no setting {name!r}{hint(name, known)} in {where}."


def hint(name: str, known: Iterable[str]) -> str:
    """The nearest of the names that there are, in brackets, if one is near.

    >>> hint("dify_api_kyes", ["dify_api_base", "dify_api_keys"])
    " (did you mean 'dify_api_keys'?)"
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""
