"""The catalogue: which model is which Dify app, of what kind, with what form. Read at start, then kept fresh.

A name is looked up in what the last good reading left; no request ever waits for Dify to say what an app is.
"""

import asyncio
import itertools
import math
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

import structlog
from pydantic import JsonValue

from opendify import AsyncDify, AsyncTransport, DifyError, Timeout
from opendify.gateway.access import Client, allows, matcher
from opendify.gateway.settings import AppConfig, is_pattern, model_name
from opendify.gateway.store import Store
from opendify.types import AppInfo, AppParameters

_READING_SECONDS = 20.0  # silence after which a reading is given up; no call waits for it
_FIRST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS = 1.0, 60.0

_log = structlog.stdlib.get_logger("opendify.gateway.catalog")


class ModelDetails(TypedDict):
    """What Dify tells of the app behind a model, in Dify's words."""

    mode: str
    description: str
    tags: list[str]
    inputs: list[dict[str, JsonValue]]
    file_upload: dict[str, JsonValue]
    system_parameters: dict[str, JsonValue]


class ModelObject(TypedDict):
    """A model as `GET /v1/models` shows it."""

    id: str
    object: str
    created: int
    owned_by: str
    dify: ModelDetails


@dataclass(frozen=True, slots=True)
class Model:
    """A name that clients may ask for, and the app that answers.

    Attributes:
        id: the name. An app with several names is several models.
        app: its configuration.
        client: speaks to Dify with the app's key, address and timeout.
        info: name, mode, description and tags, as Dify has them.
        parameters: the input form and the file limits.
        created: when the gateway first saw the app, in seconds since 1970.
    """

    id: str
    app: AppConfig
    client: AsyncDify = field(repr=False)
    info: AppInfo
    parameters: AppParameters
    created: int

    @property
    def mode(self) -> str:
        """The kind of app: `chat`, `agent-chat`, `advanced-chat`, `completion`, `workflow` or `agent`."""
        return self.info.mode

    def describe(self) -> ModelObject:
        """The model in OpenAI's shape, with what Dify knows of it under `dify`."""
        return {
            "id": self.id,
            "object": "model",
            "created": self.created,
            "owned_by": "dify",
            "dify": {
                "mode": self.mode,
                "description": self.info.description,
                "tags": list(self.info.tags),
                "inputs": [
                    entry.model_dump(mode="json", exclude_none=True)
                    for entry in self.parameters.user_input_form
                ],
                "file_upload": self.parameters.file_upload.model_dump(mode="json", exclude_none=True),
                "system_parameters": self.parameters.system_parameters.model_dump(
                    mode="json", exclude_none=True
                ),
            },
        }


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is known of an app: Dify's last good answers; before them, what an earlier start remembered."""

    name: str
    created: int
    answers: tuple[AppInfo, AppParameters] | None = None

    @property
    def kept(self) -> str:
        """As it stands in the store."""
        return f"{self.created} {self.name}"


@dataclass(frozen=True, slots=True, eq=False)
class _App:
    """A configured app and who speaks to it: `client` for calls, `reader`, less patient, for readings."""

    config: AppConfig
    client: AsyncDify
    reader: AsyncDify


@dataclass(frozen=True, slots=True)
class _View:
    """The models that a client may use: by name, and by pattern where no name fits."""

    models: dict[str, Model]
    patterns: tuple[tuple[Callable[[str], bool], Model], ...]
    awaited: tuple[Callable[[str], bool], ...]
    """Names and patterns of the apps that Dify has not answered for yet."""
    unread: int
    """How many apps those are."""
    nameless: int
    """Of how many of them only Dify knows the name."""


class Catalog:
    """The models that the gateway offers.

    Args:
        apps: in the order of configuration; of two apps with one name, the later is `name (2)`.
        transport: carries all calls. Whoever opened it closes it, after `aclose`.
        store: remembers when an app was first seen, and what it was called.
        refresh_seconds: from one reading of an app to the next.
    """

    def __init__(
        self,
        apps: Sequence[AppConfig],
        transport: AsyncTransport,
        store: Store,
        *,
        refresh_seconds: float = 300.0,
    ) -> None:
        self._apps = tuple(_with_clients(config, transport) for config in apps)
        self._each = {app.config.id: app for app in self._apps}  # two configurations of one app are read once
        self._store = store
        self._refresh_seconds = refresh_seconds
        self._readings: dict[str, _Reading] = {}
        self._faults: dict[str, str] = {}
        self._names = _named(self._apps, {})
        self._numbered: set[str] = set()
        self._views: dict[tuple[tuple[str, ...] | None, str | None], _View] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def ready(self) -> bool:
        """Whether any app is known."""
        return any(reading.answers for reading in self._readings.values())

    @property
    def faults(self) -> dict[str, str]:
        """Why apps could not be read of late: where the app was configured -> a sentence."""
        configs = (app.config for app in self._apps)
        return {config.origin: self._faults[config.id] for config in configs if config.id in self._faults}

    async def start(self, wait: float = 5.0) -> None:
        """Begin to follow the apps; come back when each was tried once, or after `wait` seconds.

        An app that Dify does not answer for is tried again and again, and appears when Dify does.
        """
        each = self._each.values()
        first = [asyncio.create_task(self._try(app)) for app in each]
        self._tasks = [
            asyncio.create_task(self._follow(app, task)) for app, task in zip(each, first, strict=True)
        ]
        if first:
            await asyncio.wait(first, timeout=wait)

    async def aclose(self) -> None:
        """Follow the apps no longer."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def refresh(self) -> None:
        """Read all apps now."""
        await asyncio.gather(*(self._try(app) for app in self._each.values()))

    def models(self, client: Client) -> list[Model]:
        """The models that a client may use, in the order of configuration."""
        return list(self._view(client).models.values())

    def find(self, name: str, client: Client) -> Model | None:
        """The model that a client means by a name; None where there is none that it may use.

        A real name comes before a pattern, and of the patterns the first that fits counts.
        """
        view = self._view(client)
        model = view.models.get(name)
        if model is not None:
            return model
        name = unicodedata.normalize("NFC", name)
        found = (model for fits, model in view.patterns if fits(name))
        return view.models.get(name) or next(found, None)

    def awaits(self, name: str, client: Client) -> bool:
        """Whether a name that `find` did not find is that of an app that Dify has not answered for yet.

        The model exists then, and will come: the answer to the client is "not now", and not "never".
        """
        view = self._view(client)
        name = unicodedata.normalize("NFC", name)
        return any(fits(name) for fits in view.awaited) or bool(view.nameless and not view.models)

    def unread(self, client: Client) -> int:
        """How many apps Dify has not answered for yet, of those that a client may use."""
        return self._view(client).unread

    def _view(self, client: Client) -> _View:
        rights = (client.models, client.app_key)
        view = self._views.get(rights)
        if view is None:
            view = self._views[rights] = _view_of(self._names, self._readings, *rights)
        return view

    async def _follow(self, app: _App, first: asyncio.Task[bool]) -> None:
        known = await first
        retry_seconds = _FIRST_RETRY_SECONDS
        while True:
            await asyncio.sleep(self._refresh_seconds if known else min(retry_seconds, self._refresh_seconds))
            retry_seconds = min(2 * retry_seconds, _LONGEST_RETRY_SECONDS)
            known = await self._try(app)

    async def _try(self, app: _App) -> bool:
        """Read an app. Whether it is known: from now, or from before."""
        config = app.config
        try:
            await self._read(app)
        except DifyError as error:
            if self._faults.get(config.id) != str(error):
                _log.warning("an app can't be read", app=config.origin, error=str(error))
            self._faults[config.id] = str(error)
        except Exception as error:  # noqa: BLE001 - one bad read must not end all reading
            _log.exception("an app can't be read", app=config.origin)
            self._faults[config.id] = f"{type(error).__name__} in the gateway; its log says more"
        else:
            if self._faults.pop(config.id, None):
                _log.info("an app can be read again", app=config.origin)
        reading = self._readings.get(config.id)
        return reading is not None and reading.answers is not None

    async def _read(self, app: _App) -> None:
        config = app.config
        known = self._readings.get(config.id) or await self._remembered(config)
        if known is not None:
            self._set(config, known)  # its name is taken, even as long as Dify does not answer
        info, parameters = await app.reader.app.info(), await app.reader.app.parameters()
        name = _own_name(info, config)
        known = known or await self._first_seen(config, name)
        if known.name != name:
            renamed = _Reading(name, known.created)
            await self._store.put({_store_key(config): renamed.kept}, ttl=math.inf)
        self._set(config, _Reading(name, known.created, (info, parameters)))

    async def _remembered(self, config: AppConfig) -> _Reading | None:
        """What an earlier start, or another worker, knew of an app."""
        kept = await self._store.get(_store_key(config))
        if kept is None:
            return None
        created, _, name = kept.partition(" ")
        return _Reading(name, int(created))

    async def _first_seen(self, config: AppConfig, name: str) -> _Reading:
        seen = _Reading(name, int(time.time()))
        if await self._store.add(_store_key(config), seen.kept, ttl=math.inf):
            return seen
        return await self._remembered(config) or seen  # another worker was first

    def _set(self, config: AppConfig, reading: _Reading) -> None:
        self._readings[config.id] = reading
        self._names = _named(self._apps, self._readings)
        self._views = {}
        for app, (name, *_) in ((app, names) for app, names in self._names.items() if names):
            own = self._readings[app.config.id].name if not _given(app.config) else name
            if name not in (own, *self._numbered):
                self._numbered.add(name)
                _log.warning("two models have one name", name=own, app=app.config.origin, offered_as=name)


def _with_clients(config: AppConfig, transport: AsyncTransport) -> _App:
    timeout = Timeout(silence=config.timeout)
    client = AsyncDify(config.key, base_url=config.base_url, transport=transport, timeout=timeout)
    return _App(config, client, client.with_options(timeout=Timeout(silence=_READING_SECONDS)))


def _store_key(config: AppConfig) -> str:
    return f"model:{config.id}"


def _own_name(info: AppInfo, config: AppConfig) -> str:
    """The name that an app has in Dify, as a model name."""
    try:
        return model_name(info.name)
    except ValueError:
        return f"app-{config.id[:8]}"


def _given(config: AppConfig) -> tuple[str, ...]:
    """The names, not the patterns, that the user gave an app."""
    return tuple(name for name in config.names if not is_pattern(name))


def _named(apps: Sequence[_App], readings: Mapping[str, _Reading]) -> dict[_App, tuple[str, ...]]:
    """What each app is called: as the user says, or else as Dify says; nothing as long as neither is known.

    A name of Dify's that is taken gets a number. It is taken by an app before, or by any that the user named.
    """
    taken = {name for app in apps for name in _given(app.config)}
    named: dict[_App, tuple[str, ...]] = {}
    for app in apps:
        named[app] = _given(app.config)
        if not named[app] and app.config.id in readings:
            own = readings[app.config.id].name
            numbered = (f"{own} ({number})" for number in itertools.count(2))
            name = next(name for name in itertools.chain([own], numbered) if name not in taken)
            taken.add(name)
            named[app] = (name,)
    return named


def _view_of(
    named: Mapping[_App, tuple[str, ...]],
    readings: Mapping[str, _Reading],
    allowed: tuple[str, ...] | None,
    app_key: str | None,
) -> _View:
    """What a client sees that may use the models `allowed`, and, with an `app_key`, only that app.

    Who may use an app by one of its names may use it by all of them.
    """
    models: dict[str, Model] = {}
    patterns: list[tuple[Callable[[str], bool], Model]] = []
    awaited: list[Callable[[str], bool]] = []
    unread = nameless = 0
    for app, names in named.items():
        config = app.config
        own_patterns = [name for name in config.names if is_pattern(name)]
        if app_key not in (None, config.key) or not allows(allowed, [*names, *own_patterns]):
            continue
        reading = readings.get(config.id)
        if reading is None or reading.answers is None:
            awaited += [matcher(name) for name in (*names, *own_patterns)]
            unread += 1
            nameless += not names
            continue
        for name in names:
            models[name] = Model(name, config, app.client, *reading.answers, reading.created)
        patterns += [(matcher(pattern), models[names[0]]) for pattern in own_patterns]
    return _View(models, tuple(patterns), tuple(awaited), unread, nameless)
