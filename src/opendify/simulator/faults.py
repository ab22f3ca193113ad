"""What goes wrong on the wire when a prompt asks for it: cut, truncated and malformed replies. Pure."""

from __future__ import annotations

from collections.abc import Generator

from opendify.simulator.errors import SCRIPTED, Refusal, invalid
from opendify.simulator.model import Directives
from opendify.simulator.turns import Stopped
from opendify.simulator.wire import Signal, Step

Steps = Generator[Step, None, None]

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


def refusal(asked: Directives) -> Refusal | None:
    """The reply that `[[http:KIND]]` asks for instead of a run."""
    if "http" not in asked:
        return None
    kind = asked.text("http", "500")
    if kind not in SCRIPTED:
        return invalid(f"The simulator knows no reply {kind!r}; it knows {', '.join(SCRIPTED)}.")
    return SCRIPTED[kind]()


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
        place, _, how = asked.text("cut", "midway").partition(":")
        return place, Signal.FIN if how == "fin" else Signal.RST
    return None


def _break(steps: Steps, asked: Directives) -> Steps:
    cut = place_and_signal(asked)
    size, pause = asked.numbers("split", 0, 0.0)
    if cut is not None and cut[0] in ("headers", "start"):
        if cut[0] == "start":
            yield 0.0, Signal.OPEN
        yield ARRIVAL, cut[1]
        return
    deltas = 0
    step = next(steps, None)
    while step is not None:
        wait, data = step
        try:
            if isinstance(data, Signal) or not data:
                yield step
            else:
                if "unknown" in asked:
                    data = data.replace(b"}\n\n", b',"future_field":{"x":[1]}}\n\n')
                for at in range(0, len(data), int(size) or len(data)):
                    yield (pause if at else wait), data[at : at + (int(size) or len(data))]
                deltas += data.startswith(_DELTAS)
                if deltas == MIDWAY and data.startswith(_DELTAS):
                    if cut is not None:
                        yield ARRIVAL, cut[1]
                        return
                    if "malformed" in asked:
                        yield 0.0, MALFORMED.get(asked.text("malformed"), MALFORMED["json"])
                    if "unknown" in asked:
                        yield 0.0, _UNKNOWN
        except Stopped as stop:
            try:
                step = steps.throw(stop)
            except StopIteration:
                return
        else:
            step = next(steps, None)


def broken_body(body: bytes, asked: Directives) -> bytes:
    """A blocking answer with the fault that the prompt asks for, if it is one of the body."""
    if "malformed" not in asked:
        return body
    middle = len(body) // 2
    match asked.text("malformed", "json"):
        case "utf8":
            return body[:middle] + b"\xff\xfe" + body[middle:]
        case "html":
            return MALFORMED["html"]
        case _:
            return body[:middle]
