"""The doctor behind `opendify check`: tries what the gateway needs, and says how to mend what is wrong.

It asks every app what it is, and sends none a message.
"""

import asyncio
import difflib
import errno
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit

from dotenv import dotenv_values

from opendify import (
    APIConnectionError,
    AsyncDify,
    AsyncKnowledge,
    AuthenticationError,
    DifyError,
    NotFoundError,
    PermissionDeniedError,
    ResponseError,
    Timeout,
)
from opendify.gateway.access import ANONYMOUS, allows
from opendify.gateway.catalog import Catalog, Model
from opendify.gateway.settings import AppConfig, ClientConfig, Settings, SettingsError, places, settings_of
from opendify.gateway.store import MemoryStore, StoreError, open_store
from opendify.httptools import HttptoolsTransport
from opendify.types import AppInfo, AppParameters

_SECONDS = 10.0  # of silence, for what is asked here
_DIFY_KEEPS_SECONDS = 2.0  # an idle connection, by gunicorn's default (measured on Dify 1.12.1)
_SHORT_KEY = 16


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        kind: `good`, `note` (it works, but you may want to know), or `fault` (it will not work).
        text: what was found.
        more: lines about it: what to do, or what an app takes.
    """

    kind: Literal["good", "note", "fault"]
    text: str
    more: tuple[str, ...] = ()


async def examine(env_file: Path, toml_file: Path, *, show: Callable[[Finding], None]) -> int:
    """Look at everything, show each finding as soon as it is there, and return the number of faults."""
    faults = 0

    def tell(findings: Iterable[Finding]) -> None:
        nonlocal faults
        for finding in findings:
            faults += finding.kind == "fault"
            show(finding)

    try:
        settings = Settings.load(env_file, toml_file)
    except SettingsError as error:
        tell(Finding("fault", problem) for problem in error.problems)
        return faults
    tell(about_settings(settings, env_file, toml_file))
    tell(about_listening(settings))
    tell([await about_store(settings.store_url)])
    tell(await about_apps(settings))
    if settings.dify_dataset_key:
        tell([await about_knowledge(settings.dify_dataset_key, settings.dify_api_base)])
    return faults


def about_settings(settings: Settings, env_file: Path, toml_file: Path) -> Iterator[Finding]:
    """Every setting with its value and where that comes from, and what is odd about them."""
    found = places(env_file, toml_file)
    lines: list[str] = []
    for key, setting in settings_of(Settings).items():
        if not setting.group:
            continue  # a table: its apps, clients and servers are looked at below
        value: object = getattr(settings, "model_map" if key == "model_config" else key)
        origin = next((place.name for place in found if key in place.values), "default")
        lines.append(f"{key.upper():26}{_shown(value, secret=setting.secret):38}{origin}")
    yield Finding("good", "The settings can be read.", tuple(lines))
    yield from misspelt(env_file)
    if not settings.apps:
        yield Finding(
            "fault",
            "No Dify app is configured.",
            ("Set DIFY_API_KEYS to the keys of your apps; Dify shows them on an app's page 'API Access'.",),
        )
    if not settings.clients:
        yield Finding(
            "note",
            "No client key is set: everybody on this machine can use the gateway.",
            ("VALID_API_KEYS sets some.",),
        )
    for client in settings.clients:
        if len(client.key) < _SHORT_KEY and client.app_key is None:
            yield Finding(
                "note",
                f"The client key {client.name} has only {len(client.key)} characters, and can be guessed.",
                ("python3 -c 'import secrets; print(secrets.token_urlsafe(24))' makes a better one.",),
            )


def _shown(value: object, *, secret: bool) -> str:
    if isinstance(value, tuple | dict):
        entries = [str(entry) for entry in cast("Iterable[object]", value)]  # isinstance can't tell of what
        if not entries:
            return "none"
        return f"{len(entries)}, not shown" if secret else ",".join(entries)
    text = f"{value:g}" if isinstance(value, float) else str(value)
    text = text.lower() if isinstance(value, bool) else text
    if secret or "@" in text:
        return "set, not shown" if text else "not set"
    return text


def misspelt(env_file: Path) -> Iterator[Finding]:
    """What stands in `.env`, is no setting, and looks like one."""
    known = [key.upper() for key in settings_of(Settings)]
    for name in dotenv_values(env_file) if env_file.is_file() else ():
        near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.8)
        if near and near[0] != name.upper():
            yield Finding("note", f"{name} in {env_file} is not a setting. Did you mean {near[0]}?")


def about_listening(settings: Settings) -> Iterator[Finding]:
    """Whether the gateway could listen where it should."""
    host, port = settings.server_host, settings.server_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                told = f"Port {port} is in use: all is well if that is this gateway, running already."
                yield Finding("note", told, ("If not, set SERVER_PORT to another.",))
            else:
                told = f"The gateway can't listen on {host}, port {port}: {error.strerror or error}."
                yield Finding("fault", told, ("Set SERVER_HOST to an address of this machine.",))
        else:
            yield Finding("good", f"Port {port} on {host} is free.")


async def about_store(url: str) -> Finding:
    """Whether the store keeps what it is given."""
    try:
        store = open_store(url)
        try:
            await store.put({"check": "kept"}, ttl=60)
            kept = await store.take("check")
        finally:
            await store.aclose()
    except StoreError as error:
        return Finding("fault", f"The store can't be used: {error}.", ("Look at STORE_URL.",))
    if kept != "kept":
        return Finding("fault", "The store loses what it is given.", ("Look at STORE_URL.",))
    return Finding("good", "The store keeps what it is given.")


@dataclass(frozen=True, slots=True)
class _Answer:
    """What an app told of itself, and how many milliseconds that took."""

    info: AppInfo
    parameters: AppParameters
    milliseconds: float


async def about_apps(settings: Settings) -> list[Finding]:
    """Every app, asked what it is, all at once; then what holds for their servers, and for the clients."""
    async with HttptoolsTransport() as transport:
        answers = await asyncio.gather(*(_ask(app, transport) for app in settings.apps))
    told = [_about_app(app, answer) for app, answer in zip(settings.apps, answers, strict=True)]
    well = [
        (app, answer)
        for app, answer in zip(settings.apps, answers, strict=True)
        if isinstance(answer, _Answer)
    ]
    told += about_servers(sorted({app.base_url for app, _ in well}), settings.dify_idle_seconds)
    names = [*(app.names for app in settings.apps), *((answer.info.name,) for _, answer in well)]
    return [*told, *about_rights(settings.clients, names)]


async def _ask(app: AppConfig, transport: HttptoolsTransport) -> _Answer | DifyError:
    timeout = Timeout(connect=_SECONDS, silence=_SECONDS)
    dify = AsyncDify(app.key, base_url=app.base_url, transport=transport, timeout=timeout, max_retries=0)
    try:
        info = await dify.app.info()
        started = time.perf_counter()  # the connection is there now: what follows is Dify's own time
        parameters = await dify.app.parameters()
        return _Answer(info, parameters, 1000 * (time.perf_counter() - started))
    except DifyError as error:
        return error


def _about_app(app: AppConfig, answer: _Answer | DifyError) -> Finding:
    if isinstance(answer, DifyError):
        return Finding("fault", f"{app.origin}: {answer}", _mend(app, answer))
    also = f", offered as {', '.join(app.names)}" if app.names else ""
    said = f"{app.origin}: {answer.info.name!r}{also}: {answer.info.mode}, {answer.milliseconds:.0f} ms"
    if answer.info.mode not in _MODES:
        return Finding("fault", said, (f"The gateway knows no app of the kind {answer.info.mode!r}.",))
    return Finding("good", said, tuple(takes(answer.parameters)))


async def about_knowledge(key: str, base_url: str) -> Finding:
    """Whether the key of the knowledge, for `opendify kb`, opens any."""
    timeout = Timeout(connect=_SECONDS, silence=_SECONDS)
    try:
        async with AsyncKnowledge(key, base_url=base_url, timeout=timeout, max_retries=0) as knowledge:
            page = await knowledge.datasets.list(limit=1).first()
    except (DifyError, ValueError) as error:  # ValueError: a key that can be none
        return Finding("fault", f"DIFY_DATASET_KEY: {error}")
    return Finding(
        "good", f"DIFY_DATASET_KEY opens the knowledge of a workspace; datasets: {page.total or 0}"
    )


_MODES = ("chat", "agent-chat", "advanced-chat", "completion", "workflow", "agent")

_MENDS: tuple[tuple[type[DifyError], str], ...] = (
    (AuthenticationError, "Copy the key again from the app's page 'API Access', in the Dify at {base}."),
    (PermissionDeniedError, "Switch the app's API on: in Dify, on the app's page 'API Access'."),
    (NotFoundError, "What answers at {base} is not Dify's API. Dify shows its address on 'API Access'."),
    (ResponseError, "What answers at {base} is not Dify's API. Dify shows its address on 'API Access'."),
    (APIConnectionError, "Is {base} right, and can this machine reach it? DIFY_API_BASE sets it."),
)


def _mend(app: AppConfig, error: DifyError) -> tuple[str, ...]:
    return tuple(advice.format(base=app.base_url) for kind, advice in _MENDS if isinstance(error, kind))


def takes(parameters: AppParameters) -> Iterator[str]:
    """What an app takes, in lines: its inputs, and files.

    >>> from opendify.types import AppParameters
    >>> form = [{"text-input": {"variable": "name", "required": True}}]
    >>> list(takes(AppParameters.model_validate({"user_input_form": form})))
    ['input name: text-input, required']
    """
    for field in parameters.user_input_form:
        options = f" ({' | '.join(field.options)})" if field.options else ""
        yield f"input {field.variable}: {field.type}{options}{', required' if field.required else ''}"
    upload = parameters.file_upload
    kinds = upload.allowed_file_types or (["image"] if upload.image.enabled else [])
    if (upload.enabled or upload.image.enabled) and kinds:
        most = upload.number_limits or upload.image.number_limits
        yield f"files: {', '.join(kinds)}{f', at most {most}' if most else ''}"


def about_servers(addresses: Sequence[str], idle_seconds: float) -> Iterator[Finding]:
    """What a self-hosted Dify does that nobody would guess."""
    hosted = [address for address in addresses if urlsplit(address).hostname != "api.dify.ai"]
    if hosted:
        yield Finding(
            "note",
            f"A Dify of your own ({', '.join(hosted)}) answers ten connections at once, as it is shipped; "
            "further ones wait without a word.",
            (
                "That is SERVER_WORKER_CONNECTIONS (10) times SERVER_WORKER_AMOUNT (1) of Dify's .env. "
                "An answer takes one as long as it is streamed.",
                "An app may have a limit of its own, and APP_MAX_ACTIVE_REQUESTS limits all apps (0: none).",
            ),
        )
    if hosted and idle_seconds >= _DIFY_KEEPS_SECONDS:
        yield Finding(
            "note",
            f"DIFY_IDLE_SECONDS is {idle_seconds:g}, and Dify closes an idle connection after "
            f"{_DIFY_KEEPS_SECONDS:g} seconds, unless nginx stands in front of it.",
            ("Without nginx, set it below 2.",),
        )


def about_rights(clients: Sequence[ClientConfig], names: Sequence[Sequence[str]]) -> Iterator[Finding]:
    """Whether what clients may use exists: `names` has what each app is called."""
    for client in clients:
        for model in client.models or ():
            if not any(allows((model,), own) for own in names):
                yield Finding(
                    "note", f"[clients.{client.name}] may use {model!r}, and no model is called that."
                )


async def offered(settings: Settings) -> tuple[list[Model], dict[str, str]]:
    """The models that a gateway with these settings, which name an app, offers: and why others are missing.

    Returns:
        The models, and of each app that can't be read, where it is configured -> what is wrong.
    """
    async with HttptoolsTransport() as transport:
        catalog = Catalog(settings.apps, transport, MemoryStore())
        try:
            await catalog.start(wait=2 * _SECONDS)
            return catalog.models(ANONYMOUS), catalog.faults
        finally:
            await catalog.aclose()
