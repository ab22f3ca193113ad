"""A paused run that is come back to: which of its events are new. Pure.

What Dify tells to who comes back (1.14 and later, from its code): first how far the run is, which ends with
`workflow_paused` and the forms that are open; then what happens from now on. Set up with Redis streams, it
keeps all events: then the whole run comes once more in between, from its first event.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from opendify import MalformedStreamError


class _Reason(msgspec.Struct, gc=False):
    form_id: str | None = None


class _Data(msgspec.Struct):
    reason: str | None = None
    reasons: list[_Reason] | None = None


class _Event(msgspec.Struct):
    event: str = ""
    data: msgspec.Raw = msgspec.Raw()


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_data = msgspec.json.Decoder(_Data).decode


class Resumption:
    """Takes the events of a run that is come back to, and gives those that are new.

    Attributes:
        forms: Ids of the forms that are open; None until the run is known to be paused.
        over: The run had ended before.

    >>> back = Resumption()
    >>> back.take([b'{"event":"workflow_started","data":{"reason":"initial"}}',
    ...            b'{"event":"workflow_paused","data":{"reasons":[{"form_id":"f"}]}}'])
    []
    >>> sorted(back.forms)
    ['f']
    >>> back.take([b'{"event":"workflow_started","data":{"reason":"resumption"}}'])
    [b'{"event":"workflow_started","data":{"reason":"resumption"}}']
    """

    def __init__(self) -> None:
        self.forms: frozenset[str] | None = None
        self.over = False
        self._told: Literal["state", "pause", "log", "news"] = "state"

    def take(self, payloads: Sequence[bytes]) -> Sequence[bytes]:
        """Events in; of them those that nobody has had.

        Raises:
            MalformedStreamError: For what is no event.
        """
        if self._told == "news":
            return payloads
        try:
            return self._take(payloads)
        except msgspec.MsgspecError as error:  # it may quote what it read
            raise MalformedStreamError(
                f"Dify sent an event that can't be read ({type(error).__name__})."
            ) from None

    def _take(self, payloads: Sequence[bytes]) -> Sequence[bytes]:
        for index, payload in enumerate(payloads):
            event = _decode_event(payload)
            if self._told == "state":
                self._state(event)
            elif self._told == "log":
                if event.event == "workflow_paused" and _forms(event) == self.forms:
                    self._told = "news"
                    return payloads[index + 1 :]
                if event.event == "workflow_finished":
                    return self.go(payloads[index:])
            elif event.event == "workflow_started" and _decode_data(event.data).reason != "resumption":
                self._told = "log"
            else:
                return self.go(payloads[index:])
        return []

    def go(self, payloads: Sequence[bytes] = ()) -> Sequence[bytes]:
        """Whatever comes now is new."""
        self._told = "news"
        return payloads

    def _state(self, event: _Event) -> None:
        if event.event == "workflow_paused":
            self.forms = _forms(event)
            self._told = "pause"
        elif event.event == "workflow_finished":
            self.over = True


def _forms(paused: _Event) -> frozenset[str]:
    reasons = _decode_data(paused.data).reasons or ()
    return frozenset(reason.form_id for reason in reasons if reason.form_id)
