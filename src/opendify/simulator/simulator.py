"""The simulator as users meet it: a context manager, and a coroutine for the command line."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Self, TypeVar

from opendify.simulator.apps import AppSpec, Behaviour
from opendify.simulator.counts import Counts
from opendify.simulator.defaults import default_apps
from opendify.simulator.knowledge.models import MODELS, Model
from opendify.simulator.knowledge.workspace import Workspace
from opendify.simulator.nodes import HumanInput, Together
from opendify.simulator.server import Server
from opendify.simulator.service import Service

_T = TypeVar("_T")


class Simulator:
    """A Dify in this process: apps of every mode, a scripted model, faults on request, and counts.

    As a context manager it listens in a thread of its own; as an async one, in the running loop.

    Args:
        apps: what it serves; `default_apps` if not given.
        behaviour: which Dify: `1.12` (as recorded) or `1.16` (as documented).
        pace: seconds per token of the scripted model; 0 is as fast as possible.
        host: the address to listen on.
        port: the port; 0 takes a free one.
        naming_delay: seconds that the first turn of a conversation waits, unless `auto_generate_name` is
            false (Dify 1.12.1 takes one).
        ping: seconds between two pings of a stream.
        dataset_key: the key of the knowledge base.
        indexing_seconds: what indexing a document takes.
        event_log: in behaviour 1.16: who takes a run's events up late gets all of them again, as from a Dify
            that keeps them in Redis streams; else only those that are still to come.

    Raises:
        OSError: on entering, if the port is taken.
        ValueError: two apps have one nickname, or one key; an app has a node that the behaviour has not.

    >>> with Simulator(pace=0) as dify:
    ...     dify.keys["workflow"], dify.counts().calls
    ('app-sim-workflow', {})
    """

    def __init__(
        self,
        apps: Sequence[AppSpec] | None = None,
        *,
        behaviour: Behaviour = "1.12",
        pace: float = 0.02,
        host: str = "127.0.0.1",
        port: int = 0,
        naming_delay: float = 1.0,
        ping: float = 10.0,
        dataset_key: str = "dataset-sim",
        indexing_seconds: float = 0.2,
        event_log: bool = False,
    ) -> None:
        self.apps = tuple(default_apps(behaviour) if apps is None else apps)
        for what in ("nickname", "app_key"):
            if len({getattr(app, what) for app in self.apps}) < len(self.apps):
                raise ValueError(f"Two apps of a simulator have the same {what}; each needs its own.")
        for app in self.apps:
            if behaviour == "1.12" and any(isinstance(node, HumanInput | Together) for node in app.nodes):
                raise ValueError(
                    f"App {app.nickname!r} has a HumanInput node, which Dify 1.12 does not know; "
                    "take it out, or take behaviour='1.16'."
                )
        if any(app.app_key == dataset_key for app in self.apps):
            raise ValueError(f"{dataset_key!r} is the key of an app; the knowledge base needs its own.")
        self._behaviour: Behaviour = behaviour
        self._pace = pace
        self._host = host
        self._port = port
        self._naming_delay = naming_delay
        self._ping = ping
        self._dataset_key = dataset_key
        self._indexing_seconds = indexing_seconds
        self._event_log = event_log
        self._server: Server | None = None
        self._thread: _Thread | None = None

    @property
    def base_url(self) -> str:
        """Where it listens, with `/v1`: what a client of Dify is configured with."""
        return f"{self.url}/v1"

    @property
    def url(self) -> str:
        """Where it listens, without `/v1`: under it are the simulator's own operations, and files."""
        return f"http://{self._host}:{self.port}"

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return self._running().port

    @property
    def keys(self) -> dict[str, str]:
        """The API key of each app, by nickname."""
        return {spec.nickname: spec.app_key for spec in self.apps}

    @property
    def dataset_key(self) -> str:
        """The key of the knowledge base."""
        return self._dataset_key

    @property
    def empty_dataset_key(self) -> str:
        """The key of another workspace, which has no models."""
        return f"{self._dataset_key}-empty"

    def counts(self) -> Counts:
        """What it was asked so far."""
        return self._ask(self._running().counts)

    def reset(self) -> None:
        """Count from zero. Conversations, files and datasets stay."""
        self._ask(self._running().service.tally.reset)

    async def __aenter__(self) -> Self:
        service = Service(
            self.apps,
            self._behaviour,
            pace=self._pace,
            naming_delay=self._naming_delay,
            workspaces={
                self.dataset_key: self._workspace(MODELS),
                self.empty_dataset_key: self._workspace(()),
            },
        )
        server = Server(service, ping=self._ping, event_log=self._event_log)
        await server.start(self._host, self._port)
        self._server = server
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        server = self._running()
        self._server = None
        await server.close()

    def __enter__(self) -> Self:
        self._thread = _Thread()
        try:
            return self._thread.run(self.__aenter__())
        except BaseException:
            self._thread.end()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            try:
                thread.run(self.__aexit__(kind, error, trace))
            finally:
                thread.end()

    def _workspace(self, models: Sequence[Model]) -> Workspace:
        return Workspace(self._behaviour, indexing_seconds=self._indexing_seconds, models=models)

    def _running(self) -> Server:
        if self._server is None:
            raise RuntimeError(
                "The simulator is not running; use it as a context manager: `with Simulator() as dify:`."
            )
        return self._server

    def _ask(self, question: Callable[[], _T]) -> _T:
        """Ask where nothing changes meanwhile: in the simulator's own thread."""
        return question() if self._thread is None else self._thread.call(question)


async def serve(
    host: str = "127.0.0.1",
    port: int = 5001,
    *,
    apps: Sequence[AppSpec] | None = None,
    behaviour: Behaviour = "1.12",
    pace: float = 0.02,
    started: Callable[[Simulator], None] | None = None,
) -> None:
    """Run a simulator until the task is cancelled: what `opendify simulate` does.

    Args:
        host: the address to listen on.
        port: the port; 0 takes a free one.
        apps: what it serves; `default_apps` if not given.
        behaviour: which Dify.
        pace: the model's seconds per token.
        started: called once it listens, for instance to print its URL and keys.

    Raises:
        OSError: the port is taken.
    """
    async with Simulator(apps, behaviour=behaviour, pace=pace, host=host, port=port) as dify:
        if started is not None:
            started(dify)
        await asyncio.Event().wait()


class _Thread:
    """A thread that runs an event loop of its own."""

    def __init__(self) -> None:
        self._loop = _new_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="dify-simulator", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[object, object, _T]) -> _T:
        """Run a coroutine there, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def call(self, question: Callable[[], _T]) -> _T:
        """Call a function there, and wait for its result."""
        answer: Future[_T] = Future()

        def ask() -> None:
            try:
                answer.set_result(question())
            except Exception as error:  # noqa: BLE001 - raised again in the thread that asks
                answer.set_exception(error)

        self._loop.call_soon_threadsafe(ask)
        return answer.result()

    def end(self) -> None:
        """End the loop and the thread, with all tasks that are left."""
        self.run(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
