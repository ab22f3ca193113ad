"""What the simulator was asked: the counts that a test looks at."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One call of chat-messages, completion-messages or workflows/run, as the simulator got it."""

    route: str
    """The route, for instance `POST /chat-messages`."""
    app: str
    """The app's nickname."""
    user: str
    query: str
    inputs: dict[str, object]
    files: list[dict[str, object]]
    conversation_id: str | None
    """As sent, so None or empty for a new conversation."""
    response_mode: str
    auto_generate_name: bool
    headers: dict[str, str]
    """Headers of the request, names in lower case; never Authorization."""
    task_id: str
    """The run that it became; empty if it was refused."""


@dataclass(frozen=True, slots=True)
class Counts:
    """A snapshot of what the simulator was asked, since it started or was reset.

    The `open_*` and `running` figures are of this very moment.
    """

    calls: dict[str, int]
    """Calls by route, for instance `{"POST /chat-messages": 2, "POST /chat-messages/{task_id}/stop": 1}`."""
    stops: int
    """Stop calls, of any kind of app, of known and unknown tasks."""
    stopped: int
    """Runs that such a call really stopped."""
    stopped_tasks: tuple[str, ...]
    """Their task ids, in order."""
    disconnects: int
    """Replies of a generation whose client went away before their end."""
    open_streams: int
    """Streamed replies that a client is reading."""
    running: int
    """Runs that are under way: a run goes on when its client has gone, until it is stopped or through."""
    open_connections: int
    requests: tuple[GenerationRequest, ...]
    """The last generation requests, oldest first (100 at most)."""


@dataclass(slots=True)
class Tally:
    """The running counts behind `Counts`."""

    calls: Counter[str] = field(default_factory=lambda: Counter[str]())
    stops: int = 0
    stopped_tasks: list[str] = field(default_factory=lambda: list[str]())
    disconnects: int = 0
    open_streams: int = 0
    requests: deque[GenerationRequest] = field(default_factory=lambda: deque[GenerationRequest](maxlen=100))

    def reset(self) -> None:
        """Start from zero; what is open stays open."""
        self.calls.clear()
        self.stops = 0
        self.stopped_tasks.clear()
        self.disconnects = 0
        self.requests.clear()

    def snapshot(self, *, running: int, open_connections: int) -> Counts:
        """The counts of this moment."""
        return Counts(
            calls=dict(self.calls),
            stops=self.stops,
            stopped=len(self.stopped_tasks),
            stopped_tasks=tuple(self.stopped_tasks),
            disconnects=self.disconnects,
            open_streams=self.open_streams,
            running=running,
            open_connections=open_connections,
            requests=tuple(self.requests),
        )
