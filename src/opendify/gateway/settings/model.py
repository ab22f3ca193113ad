"""Every setting: its type, its default, what people are told about it; how they are read, and fit together.

Only `Settings.load` reads files and the environment; `Settings(...)` is its arguments alone.
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Self, TypeVar

from dotenv.parser import parse_stream
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from opendify.gateway.settings.faults import Place, Setting, SettingsError, hint, sentences, unknown
from opendify.gateway.settings.resolved import AppConfig, ClientConfig
from opendify.gateway.settings.values import (
    BaseUrl,
    Key,
    Keys,
    KeysByName,
    Limit,
    LogFormat,
    LogLevel,
    Memory,
    Name,
    Names,
    Origins,
    Pace,
    Prompt,
    Seconds,
    SomeSeconds,
    is_loopback,
    key_name,
    unquoted,
)


class ServerTable(BaseModel):
    """`[servers.NAME]`: a Dify server beside that of DIFY_API_BASE."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: Annotated[BaseUrl, Setting("Its address.", "an http:// or https:// address, with or without /v1")]


class AppTable(BaseModel):
    """`[apps.NAME]`: an app under a name of the user's choice, and what is different for it.

    What has the name of a general setting is that setting, for this app alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Annotated[
        Key, Field(repr=False), Setting("The app's API key.", "an app key of Dify: app-…", secret=True)
    ]
    server: Annotated[
        str | None, Setting("The Dify server that has the app.", "the NAME of a table [servers.NAME]")
    ] = None
    aliases: Annotated[
        Names,
        Setting(
            "Further names. A pattern like `gpt-*` serves clients that can't be told a model name; "
            "it never hides a real name.",
            "a list of names, in which * stands for any characters",
        ),
    ] = ()
    base: Annotated[
        BaseUrl | None,
        Setting(
            "Its address, where it is not worth a name.",
            "an http:// or https:// address, with or without /v1",
        ),
    ] = None
    inputs: Annotated[
        dict[str, JsonValue], Setting("Default values of the app's input form.", "a table: name = value")
    ] = {}
    conversation_memory_mode: Memory | None = None
    agent_steps: bool | None = None
    workflow_nodes: bool | None = None
    stream_pacing: Pace | None = None
    tool_prompt: Prompt | None = None
    auto_generate_name: bool | None = None
    timeout: SomeSeconds | None = None
    max_concurrent_per_app: Limit | None = None


class ClientTable(BaseModel):
    """`[clients.NAME]`: a client key with a name, and what it may use."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Annotated[
        Key, Field(repr=False), Setting("What the client sends after `Bearer`.", "a key", secret=True)
    ]
    models: Annotated[
        Names | None,
        Setting(
            "The models that it may use; all, where this is left out.",
            "a list of names, in which * stands for any characters",
        ),
    ] = None


class Settings(BaseSettings):
    """Every setting of the gateway, checked.

    `Settings.load()` reads the environment, `.env` and `opendify.toml`; `Settings(server_port=0)` takes its
    keywords and nothing else, for a program or a test that starts the gateway itself.

    >>> settings = Settings(dify_api_base="http://localhost/", dify_api_keys=("app-1", "app-2"))
    >>> [app.base_url for app in settings.apps]
    ['http://localhost/v1', 'http://localhost/v1']
    """

    model_config = SettingsConfigDict(
        extra="ignore",
        frozen=True,
        enable_decoding=False,
        env_ignore_empty=True,
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
    )

    dify_api_base: Annotated[
        BaseUrl, Setting("Dify's address.", "an http:// or https:// address, with or without /v1", "Dify")
    ] = "https://api.dify.ai/v1"
    dify_api_keys: Annotated[
        Keys,
        Field(repr=False),
        Setting(
            "App keys: each is one model, named after its app.",
            "a comma list: app-…,app-…",
            "Dify",
            secret=True,
        ),
    ] = ()
    model_map: Annotated[
        KeysByName,
        Field(validation_alias="model_config", repr=False),
        Setting(
            "App keys under model names of your choice. May stand beside `DIFY_API_KEYS`.",
            'one line of JSON: {"model name": "app key"}',
            "Dify",
            secret=True,
        ),
    ] = {}
    dify_dataset_key: Annotated[
        str,
        Field(repr=False),
        Setting(
            "The key of your knowledge, for `opendify kb`. The gateway does not use it.",
            "a key: dataset-…",
            "Dify",
            secret=True,
        ),
    ] = ""
    timeout: Annotated[
        SomeSeconds,
        Setting(
            "Seconds without a byte from Dify, not even a ping, before a call is given up.",
            "a number of seconds above 0",
            "Dify",
        ),
    ] = 120.0
    dify_idle_seconds: Annotated[
        Seconds,
        Setting(
            "Seconds that an unused connection to Dify is kept. Dify without nginx closes it after 2.",
            "a number of seconds (0: a connection for every call)",
            "Dify",
        ),
    ] = 1.5
    catalog_refresh_seconds: Annotated[
        SomeSeconds,
        Setting(
            "Seconds from one reading of the apps' names, modes and forms to the next.",
            "a number of seconds above 0",
            "Dify",
        ),
    ] = 300.0

    valid_api_keys: Annotated[
        Keys,
        Field(repr=False),
        Setting(
            "Keys that clients may use. Without one, the gateway serves this machine only, and everybody on "
            "it. Where no app is configured, an entry `app-…` is client key and app key in one.",
            "a comma list: sk-…,sk-…",
            "Clients",
            secret=True,
        ),
    ] = ()
    cors_origins: Annotated[
        Origins,
        Setting(
            "Web sites whose pages may call the gateway from a browser.",
            "a comma list of origins like https://chat.example.com, or *",
            "Clients",
        ),
    ] = ()

    conversation_memory_mode: Annotated[
        Memory,
        Setting(
            "How a conversation goes on: `0` not at all; `1` its earlier turns go along with the question; "
            "`2` by an invisible id in the answer; `auto` the gateway recognises its history.",
            "0 or none, 1 or history_message, 2 or zero_width, or auto",
            "Memory",
        ),
    ] = "auto"
    store_url: Annotated[
        str,
        Field(pattern=r"^(memory:|[a-z][a-z0-9+]*://.)", repr=False),
        Setting(
            "Where conversations and uploads are remembered.",
            "sqlite:///FILE, or memory: for as long as the gateway runs",
            "Memory",
        ),
    ] = "sqlite:///opendify.sqlite3"
    memory_ttl_days: Annotated[
        float,
        Field(gt=0, le=36_500),
        Setting(
            "Days that a conversation is remembered after its last turn.",
            "a number of days above 0",
            "Memory",
        ),
    ] = 30.0
    upload_ttl_hours: Annotated[
        float,
        Field(ge=0, le=876_000),
        Setting(
            "Hours in which the same file is not uploaded to Dify again.",
            "a number of hours (0: uploaded every time)",
            "Memory",
        ),
    ] = 24.0
    secret_key: Annotated[
        str,
        Field(repr=False),
        Setting(
            "Signs the invisible ids. Left empty, one is made at the first start and kept in the store. "
            "Gateways that serve the same users from different stores need the same one.",
            "a long random text",
            "Memory",
            secret=True,
        ),
    ] = ""

    stream_pacing: Annotated[
        Pace,
        Setting(
            "`auto` spreads a lump of text over the time until the next; `off` passes all on as it comes.",
            "auto or off",
            "Answers",
        ),
    ] = "auto"
    agent_steps: Annotated[
        bool,
        Setting("Tool calls of the app itself appear as `reasoning_content`.", "true or false", "Answers"),
    ] = True
    workflow_nodes: Annotated[
        bool, Setting("A workflow's nodes appear as `reasoning_content`.", "true or false", "Answers")
    ] = False
    tool_prompt: Annotated[
        Prompt,
        Setting(
            "How models are asked to write calls of a client's tools: `tagged` as Hermes and Qwen, `invoke` "
            "as Claude, `llama`, `mistral`, or `fenced` as blocks of JSON. All are always understood.",
            "tagged, fenced, invoke, llama or mistral",
            "Answers",
        ),
    ] = "tagged"
    auto_generate_name: Annotated[
        bool,
        Setting(
            "Dify names each new conversation for its own pages. That delays the first answer by a second.",
            "true or false",
            "Answers",
        ),
    ] = False

    server_host: Annotated[
        str, Field(min_length=1), Setting("Where to listen; `0.0.0.0` is everywhere.", "an address", "Server")
    ] = "127.0.0.1"
    server_port: Annotated[
        int,
        Field(ge=0, le=65_535),
        Setting("The port.", "a number from 0 to 65535 (0: a free port)", "Server"),
    ] = 5000
    workers: Annotated[
        int,
        Field(ge=1, le=256),
        Setting("Processes that share the work.", "a whole number from 1 to 256", "Server"),
    ] = 1
    shutdown_seconds: Annotated[
        Seconds,
        Setting(
            "Seconds that running answers have to end when the gateway is stopped.",
            "a number of seconds",
            "Server",
        ),
    ] = 25.0
    log_level: Annotated[
        LogLevel,
        Setting(
            "How much is logged. Keys never are, prompts at most at `debug`.",
            "debug, info, warning or error",
            "Server",
        ),
    ] = "info"
    log_format: Annotated[
        LogFormat,
        Setting("`auto` is `console` in a terminal and `json` elsewhere.", "auto, json or console", "Server"),
    ] = "auto"
    slow_step_ms: Annotated[
        float,
        Field(ge=0, le=60_000),
        Setting(
            "Steps of the event loop that take longer than so many milliseconds are logged, and where they "
            "were: they hold up everybody's tokens. For whoever looks for the cause; costs some CPU.",
            "a number of milliseconds (0: none is)",
            "Server",
        ),
    ] = 0.0

    max_body_mb: Annotated[
        float,
        Field(gt=0, le=10_000),
        Setting("Megabytes that a request may have, with the files in it.", "a number above 0", "Limits"),
    ] = 100.0
    max_header_kb: Annotated[
        float,
        Field(gt=0, le=1_000),
        Setting("Kilobytes that the headers of a request may have.", "a number above 0", "Limits"),
    ] = 32.0
    max_concurrent_per_app: Annotated[
        Limit,
        Setting(
            "Calls to one app at a time, for each worker. Further calls wait.",
            "a whole number (0: no limit)",
            "Limits",
        ),
    ] = 256
    queue_seconds: Annotated[
        Seconds,
        Setting("Seconds that such a call waits before it is refused.", "a number of seconds", "Limits"),
    ] = 5.0

    app_tables: Annotated[
        dict[Name, AppTable], Field(validation_alias="apps"), Setting("The apps.", "tables: [apps.NAME]")
    ] = {}
    client_tables: Annotated[
        dict[str, ClientTable],
        Field(validation_alias="clients"),
        Setting("The clients.", "tables: [clients.NAME]"),
    ] = {}
    server_tables: Annotated[
        dict[str, ServerTable],
        Field(validation_alias="servers"),
        Setting("The servers.", "tables: [servers.NAME]"),
    ] = {}

    @classmethod
    def load(
        cls, env_file: str | Path = ".env", toml_file: str | Path = "opendify.toml", **overrides: object
    ) -> Self:
        """Read all settings: `overrides`, else the environment, else `env_file`, else `toml_file`.

        Args:
            env_file: lines `NAME=value`. Need not exist.
            toml_file: the settings in lower case, and the tables `[apps.NAME]`, `[clients.NAME]` and
                `[servers.NAME]`. Need not exist.
            overrides: values by field name, as a command line has them.

        Raises:
            SettingsError: something in them can't be used.
        """
        found = places(env_file, toml_file, **overrides)
        known = {"": settings_of(cls), **{kind: settings_of(table) for kind, table in _TABLES.items()}}
        problems = [
            unknown(name, known[""], str(toml_file)) for name in found[-1].values if name not in known[""]
        ]
        values = {name: value for place in reversed(found) for name, value in place.values.items()}
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            # What is missing is often there under a name that does not exist: so those are told of first.
            faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
            problems += [sentence for fault in faults for sentence in sentences(fault, found, known)]
            raise SettingsError(problems) from None
        if problems:
            raise SettingsError(problems)
        return settings

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Keywords alone: what else counts, and in which order, is for `load` to say."""
        return (init_settings,)

    @field_validator("*", mode="before")
    @classmethod
    def _strip(cls, value: object) -> object:
        return unquoted(value)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """What no setting can know by itself: names are given once, servers exist, no door stands open."""
        problems = [*_server_faults(self), *_client_faults(self)] or [
            *_name_faults(self),
            *_lonely_store(self),
            *_open_door(self),
        ]
        if problems:
            raise PydanticCustomError("together", "{first}", {"first": problems[0], "problems": problems})
        return self

    @property
    def apps(self) -> tuple[AppConfig, ...]:
        """The apps to offer: those of MODEL_CONFIG, then of opendify.toml, then of DIFY_API_KEYS.

        A key that has a name is not offered under its app's own name too; a key that MODEL_CONFIG names twice
        is one app with two names. Where all three are empty, the keys `app-…` of VALID_API_KEYS are the apps.
        """
        apps: list[AppConfig] = []
        names: dict[str, list[str]] = {}
        for name, key in self.model_map.items():
            names.setdefault(key, []).append(name)
        for key, chosen in names.items():
            apps.append(self._app(AppTable(key=key), tuple(chosen), f"MODEL_CONFIG {chosen[0]!r}"))
        for name, table in self.app_tables.items():
            apps.append(self._app(table, (name, *table.aliases), f"[apps.{name}]"))
        named = {app.id for app in apps}
        listed = [(key, "DIFY_API_KEYS", number) for number, key in enumerate(self.dify_api_keys, 1)]
        if not apps and not listed:
            keys = enumerate(self.valid_api_keys, 1)
            listed = [(key, _PASS_THROUGH, number) for number, key in keys if key.startswith("app-")]
        unnamed = [
            self._app(AppTable(key=key), (), f"{where} entry {number}") for key, where, number in listed
        ]
        apps += [app for app in unnamed if app.id not in named]
        return tuple(apps)

    @property
    def clients(self) -> tuple[ClientConfig, ...]:
        """The keys that clients may use: those of opendify.toml, then the other ones of VALID_API_KEYS."""
        clients = [ClientConfig(name, table.key, table.models) for name, table in self.client_tables.items()]
        named = {client.key for client in clients}
        app_keys = {app.key for app in self.apps if app.origin.startswith(_PASS_THROUGH)}
        clients += [
            ClientConfig(key_name(key), key, app_key=key if key in app_keys else None)
            for key in self.valid_api_keys
            if key not in named
        ]
        return tuple(clients)

    def _app(self, table: AppTable, names: tuple[str, ...], origin: str) -> AppConfig:
        base = self.server_tables[table.server].base if table.server is not None else table.base
        return AppConfig(
            table.key,
            base or self.dify_api_base,
            names,
            origin=origin,
            inputs=table.inputs,
            conversation_memory_mode=_either(table.conversation_memory_mode, self.conversation_memory_mode),
            agent_steps=_either(table.agent_steps, self.agent_steps),
            workflow_nodes=_either(table.workflow_nodes, self.workflow_nodes),
            stream_pacing=_either(table.stream_pacing, self.stream_pacing),
            tool_prompt=_either(table.tool_prompt, self.tool_prompt),
            auto_generate_name=_either(table.auto_generate_name, self.auto_generate_name),
            timeout=_either(table.timeout, self.timeout),
            max_concurrent_per_app=_either(table.max_concurrent_per_app, self.max_concurrent_per_app),
        )


_PASS_THROUGH = "VALID_API_KEYS"
_TABLES: Mapping[str, type[BaseModel]] = {"apps": AppTable, "clients": ClientTable, "servers": ServerTable}
_T = TypeVar("_T")


def _either(own: _T | None, general: _T) -> _T:
    return general if own is None else own


# What settings must agree on, as sentences.


def _server_faults(settings: Settings) -> Iterator[str]:
    for name, table in settings.app_tables.items():
        if table.server is None:
            continue
        if table.base is not None:
            yield f"[apps.{name}] in opendify.toml has a server and a base; it takes one of them."
        if table.server not in settings.server_tables:
            yield (
                f"apps.{name}.server in opendify.toml is {table.server!r}; it takes the NAME of a table "
                f"[servers.NAME]{hint(table.server, settings.server_tables)}."
            )


def _client_faults(settings: Settings) -> Iterator[str]:
    owners: dict[str, str] = {}
    names: dict[str, str] = {}
    for name, table in settings.client_tables.items():
        # It goes into Dify's `user`, before a colon: with no colon in it, no two clients share a `user`.
        if not (
            len(name) <= 32 and all(char.isascii() and (char.isalnum() or char in "._-") for char in name)
        ):
            yield f"The client name {name!r} in opendify.toml takes 1 to 32 letters, digits, dots, - and _."
        if not name or name.lower() == "anonymous" or name.lower().startswith("key-"):
            yield f"The client name {name!r} in opendify.toml is taken for keys without a name."
        if table.models == ():
            yield f"clients.{name}.models in opendify.toml is empty; left out, it allows all models."
        # Case does not tell two apart: a Dify on MySQL compares `user` without it.
        if (other := names.setdefault(name.lower(), name)) != name:
            yield f"The client names {other!r} and {name!r} in opendify.toml differ in case alone."
        if owners.setdefault(table.key, name) != name:
            yield f"[clients.{owners[table.key]}] and [clients.{name}] in opendify.toml have the same key."


def _name_faults(settings: Settings) -> Iterator[str]:
    owners: dict[str, str] = {}
    for app in settings.apps:
        for name in app.names:
            if owners.setdefault(name, app.origin) != app.origin:
                yield f"The model name {name!r} is given to two apps: {owners[name]} and {app.origin}."


def _lonely_store(settings: Settings) -> Iterator[str]:
    if settings.store_url == "memory:" and settings.workers > 1:
        yield (
            f"STORE_URL is memory: and WORKERS is {settings.workers}, but no process sees another's memory: "
            "set STORE_URL to sqlite:///FILE, or WORKERS to 1."
        )


def _open_door(settings: Settings) -> Iterator[str]:
    if not settings.clients and not is_loopback(settings.server_host):
        yield (
            f"SERVER_HOST is {settings.server_host!r}, which other machines reach, and no client key is set: "
            "set VALID_API_KEYS to the keys that clients may use, or SERVER_HOST to 127.0.0.1."
        )


def settings_of(model: type[BaseModel]) -> dict[str, Setting]:
    """What there is to say about each setting of `Settings` or of a table, under its key in opendify.toml."""
    found: dict[str, Setting] = {}
    for name, info in model.model_fields.items():
        own = next((entry for entry in info.metadata if isinstance(entry, Setting)), None)
        key = info.validation_alias if isinstance(info.validation_alias, str) else name
        found[key] = own or settings_of(Settings)[name]  # without words of its own it is the general setting
    return found


def places(
    env_file: str | Path = ".env", toml_file: str | Path = "opendify.toml", **overrides: object
) -> tuple[Place, ...]:
    """What stands in each place that settings come from, unchecked; the place that wins is first.

    Raises:
        SettingsError: a file can't be read.
    """
    return (
        Place(
            "the command line", overrides, lambda name: f"--{name.removeprefix('server_').replace('_', '-')}"
        ),
        Place("the environment", _without_tables(EnvSettingsSource(Settings)()), str.upper),
        Place(
            str(env_file),
            _without_tables(_read_env(Path(env_file))),
            lambda name: f"{name.upper()} in {env_file}",
        ),
        Place(str(toml_file), _read_toml(Path(toml_file)), lambda name: f"{name} in {toml_file}"),
    )


def _read_toml(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:  # not TOML, and not UTF-8, are both a ValueError
        raise SettingsError([f"{file} can't be read: {error}."]) from error


def _read_env(file: Path) -> dict[str, object]:
    try:
        with file.open(encoding="utf-8") as lines:
            for line in parse_stream(lines):
                if line.error or (line.key and line.value is None):  # python-dotenv goes on without it
                    raise SettingsError(
                        [f"{file} can't be read: line {line.original.line} is not NAME=value."]
                    )
        return DotEnvSettingsSource(Settings, env_file=file)()
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError([f"{file} can't be read: {error}."]) from error


def _without_tables(values: Mapping[str, object]) -> dict[str, object]:
    """A variable APPS that some other program uses is none of ours: only opendify.toml has tables."""
    return {name: value for name, value in values.items() if name not in _TABLES}
