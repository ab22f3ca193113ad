"""What goes wrong on the wire when a prompt asks for it: cut, truncated and malformed replies. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from opendify.simulator.directives import Directives
from opendify.simulator.errors import SCRIPTED, invalid
from opendify.simulator.model import Said, directed
from opendify.simulator.turns import Steps, Stopped
from opendify.simulator.wire import Signal, Step

WORDS = ("cut", "truncate", "malformed", "unknown", "split")
ARRIVAL = 0.02  # seconds before a connection is cut: a reset can overtake what was sent just before it
MIDWAY = 3  # deltas, of which the first is empty

_DELTAS = tuple(
    b'data: {"event":"%b",' % name for name in (b"message", b"agent_message", b"message_file", b"text_chunk")
)
MALFORMED = {
    "json": b'data: {"event":"message","answer":"half an ev\n\n',
    "utf8": b'data: {"event":"message","answer":"\xe4\xbd \xff\xfe"}\n\n',
    "html": b"<html><body><h1>504 Gateway Time-out</h1></body></html>\n\n",
}
"""`[[malformed:KIND]]`: what stands in the stream instead of an event."""
_UNKNOWN = b'data: {"event":"parallel_branch_started","data":{"parallel_id":"p","branches":[1,2]}}\n\n'


def directives(text: str, history: Sequence[Said] = ()) -> Directives:
    """The directives that count for a question after a history, or for a text to be spoken.

    Raises:
        Refusal: one that cannot be read, or the one that `[[http:KIND]]` asks for.
    """
    asked = directed(text, history)
    mistake = asked.mistake()
    if mistake is not None:
        raise invalid(mistake)
    if "http" in asked:
        raise SCRIPTED[asked.text("http", "500")]()
    return asked


def dropped(asked: Directives, connection: int) -> tuple[int, Signal] | None:
    """After how many events the n-th connection to a run is lost, while the run goes on, and how.

    >>> [dropped(Directives("[[drop:3:5:fin]]"), connection) for connection in (1, 2, 3)]
    [(3, <Signal.FIN: 'fin'>), (5, <Signal.FIN: 'fin'>), None]
    """
    if "drop" not in asked:
        return None
    *counts, how = asked.text("drop", "3").split(":")
    if how.isdigit():
        counts, how = [*counts, how], "rst"
    if connection > len(counts):
        return None
    return int(counts[connection - 1]), Signal.FIN if how == "fin" else Signal.RST


def broken(steps: Steps, asked: Directives) -> Steps:
    """The same steps, with the faults that the prompt asks for."""
    if not any(word in asked for word in WORDS):
        return steps
    return _break(steps, asked)


def place_and_signal(asked: Directives) -> tuple[str, Signal] | None:
    """Where the reply is cut off, and how.

    >>> place_and_signal(Directives("[[cut:start:fin]]")), place_and_signal(Directives("[[truncate]]"))
    (('start', <Signal.FIN: 'fin'>), ('midway', <Signal.END: 'end'>))
    """
    if "truncate" in asked:
        return asked.text("truncate", "midway"), Signal.END
    if "cut" in asked:
        place, _, how = asked.text("cut").partition(":")
        return place or "midway", Signal.FIN if how == "fin" else Signal.RST
    return None


def _break(steps: Steps, asked: Directives) -> Steps:
    cut = place_and_signal(asked)
    if cut is not None and cut[0] != "midway":
        if cut[0] == "start":
            yield 0.0, Signal.OPEN
        yield ARRIVAL, cut[1]
        return
    if "malformed" in asked and asked.text("malformed").endswith(":start"):
        yield 0.0, _malformed(asked)
    deltas = 0
    step = next(steps, None)
    while step is not None:
        try:
            yield from _altered(step, asked)
            if _is_delta(step):
                deltas += 1
                if deltas == MIDWAY:
                    yield from _midway(asked, cut)
        except Stopped as stop:
            step = _stopped(steps, stop)
        else:
            step = next(steps, None)


def _altered(step: Step, asked: Directives) -> Iterator[Step]:
    """An event with fields that nobody knows, or in small pieces."""
    wait, data = step
    if isinstance(data, Signal) or not data:
        yield step
        return
    if "unknown" in asked:
        data = data.replace(b"}\n\n", b',"future_field":{"x":[1]}}\n\n')
    if "split" not in asked:
        yield wait, data
        return
    size, pause = asked.numbers("split", 1, 0.0)
    for at in range(0, len(data), int(size)):
        yield pause if at else wait, data[at : at + int(size)]


def _midway(asked: Directives, cut: tuple[str, Signal] | None) -> Iterator[Step]:
    """What comes in the middle of the answer."""
    if "malformed" in asked and not asked.text("malformed").endswith(":start"):
        yield 0.0, _malformed(asked)
    if "unknown" in asked:
        yield 0.0, _UNKNOWN
    if cut is not None:
        yield ARRIVAL, cut[1]


def _malformed(asked: Directives) -> bytes:
    return MALFORMED[asked.text("malformed").partition(":")[0] or "json"]


def _is_delta(step: Step) -> bool:
    return isinstance(step[1], bytes) and step[1].startswith(_DELTAS)


def _stopped(steps: Steps, stop: Stopped) -> Step | None:
    """The next step of a run that is stopped."""
    try:
        return steps.throw(stop)
    except StopIteration:
        return None


def broken_body(body: bytes, asked: Directives) -> bytes:
    """A blocking answer with the fault that the prompt asks for, if it is one of the body."""
    if "malformed" not in asked:
        return body
    middle = len(body) // 2
    match asked.text("malformed").partition(":")[0]:
        case "utf8":
            return body[:middle] + b"\xff\xfe" + body[middle:]
        case "html":
            return MALFORMED["html"]
        case _:
            return body[:middle]
