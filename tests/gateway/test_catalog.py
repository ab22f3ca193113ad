"""Which model is which app: read from Dify, kept fresh, never lost, and only for those who may use it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import structlog
from structlog.testing import LogCapture

from opendify.gateway import catalog as catalog_module
from opendify.gateway.access import ANONYMOUS, Client
from opendify.gateway.catalog import Catalog
from opendify.gateway.settings import AppConfig, Settings
from opendify.gateway.store import MemoryStore, Store
from opendify.httptools import HttptoolsTransport
from opendify.simulator import AppSpec, Field, Simulator

NOWHERE = "http://127.0.0.1:1/v1"  # nothing listens on port 1


@pytest.fixture
async def dify() -> AsyncIterator[Simulator]:
    async with Simulator(pace=0) as simulator:
        yield simulator


@asynccontextmanager
async def following(
    apps: Sequence[AppConfig],
    *,
    store: Store | None = None,
    refresh_seconds: float = 300.0,
    wait: float = 5.0,
) -> AsyncIterator[Catalog]:
    """A catalogue of these apps, started."""
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(HttptoolsTransport())
        if store is None:
            store = MemoryStore()
            stack.push_async_callback(store.aclose)
        catalog = Catalog(apps, transport, store, refresh_seconds=refresh_seconds)
        stack.push_async_callback(catalog.aclose)
        await catalog.start(wait)
        yield catalog


def configured(dify: Simulator, *nicknames: str, **settings: object) -> tuple[AppConfig, ...]:
    keys = ",".join(dify.keys[name] for name in nicknames)
    return Settings.model_validate({"dify_api_base": dify.base_url, "dify_api_keys": keys, **settings}).apps


def names(catalog: Catalog, client: Client = ANONYMOUS) -> list[str]:
    return [model.id for model in catalog.models(client)]


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something that will be so soon."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


# What there is.


async def test_an_app_is_a_model_with_the_name_and_kind_that_it_has_in_dify(dify: Simulator) -> None:
    async with following(configured(dify, "chat", "agent", "chatflow", "completion", "workflow")) as catalog:
        assert catalog.ready
        assert [(model.id, model.mode) for model in catalog.models(ANONYMOUS)] == [
            ("Simulated Chat", "chat"),
            ("Simulated Agent", "agent-chat"),
            ("Simulated Chatflow", "advanced-chat"),
            ("Simulated Completion", "completion"),
            ("Simulated Workflow", "workflow"),
        ]
        model = catalog.find("Simulated Chat", ANONYMOUS)
        assert model is not None
        assert model.app.key == dify.keys["chat"]
        reply = await model.client.chat.send(query="[[reply:Hello]]", user="ada")
        assert reply.answer == "Hello"


async def test_all_apps_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    specs = [AppSpec(f"app{number}", "chat") for number in range(12)]
    async with Simulator(specs, pace=0) as dify, following(configured(dify, *dify.keys)) as catalog:
        assert len(names(catalog)) == 12
        assert dify.counts().calls == {"GET /info": 12, "GET /parameters": 12}


async def test_a_model_tells_what_dify_tells_of_its_app(dify: Simulator) -> None:
    async with following(configured(dify, "form")) as catalog:
        [model] = catalog.models(ANONYMOUS)
        told = model.describe()
        assert {name: told[name] for name in ("id", "object", "owned_by")} == {
            "id": "Simulated Form",
            "object": "model",
            "owned_by": "dify",
        }
        assert abs(told["created"] - time.time()) < 60
        details = told["dify"]
        assert details["mode"] == "chat"
        assert [entry["variable"] for entry in details["inputs"]] == ["name", "lang", "age"]
        assert details["inputs"][1]["options"] == ["English", "中文"]
        assert details["inputs"][1]["required"] is True
        assert details["file_upload"]["number_limits"] == 3
        assert details["system_parameters"]["image_file_size_limit"] == 10


async def test_names_with_spaces_slashes_and_any_letters_are_found_however_they_were_typed() -> None:
    titles = ["a/b c", "客服 助手", "caf\u00e9", "gpt-*"]
    specs = [AppSpec(f"app{number}", "chat", name=title) for number, title in enumerate(titles)]
    async with Simulator(specs, pace=0) as dify, following(configured(dify, *dify.keys)) as catalog:
        assert names(catalog) == titles
        for title in [*titles, "cafe\u0301"]:
            assert catalog.find(title, ANONYMOUS) is not None
        for other in ("A/b c", "gpt-4o", "", "a"):
            assert catalog.find(other, ANONYMOUS) is None


async def test_an_app_has_all_the_names_that_the_user_gave_it_and_they_win_over_its_own(
    dify: Simulator,
) -> None:
    tables = {
        "support": {"key": dify.keys["kb"], "aliases": ["helpdesk", "gpt-*", "Simulated Chat"]},
        "all": {"key": dify.keys["plain"], "aliases": ["*"]},
    }
    async with following(configured(dify, "chat", apps=tables)) as catalog:
        assert names(catalog) == ["support", "helpdesk", "Simulated Chat", "all", "Simulated Chat (2)"]

        def app_of(name: str) -> str:
            model = catalog.find(name, ANONYMOUS)
            assert model is not None
            return model.app.key

        assert app_of("helpdesk") == app_of("gpt-4o") == app_of("Simulated Chat") == dify.keys["kb"]
        assert app_of("Simulated Chat (2)") == dify.keys["chat"]
        assert app_of("o3") == dify.keys["plain"]


async def test_a_pattern_alone_leaves_the_app_its_own_name_and_hides_no_other(dify: Simulator) -> None:
    async with following(
        configured(dify, "agent", model_config={"Simulated*": dify.keys["chat"]})
    ) as catalog:
        assert names(catalog) == ["Simulated Chat", "Simulated Agent"]
        for name, own in (("Simulated Agent", "Simulated Agent"), ("Simulated Oracle", "Simulated Chat")):
            model = catalog.find(name, ANONYMOUS)
            assert model is not None
            assert model.id == own


async def test_of_apps_with_one_name_the_later_ones_get_a_number_and_the_log_warns_once() -> None:
    specs = [AppSpec(nickname, "chat", name="Twin") for nickname in ("a", "b", "c")]
    log = LogCapture()
    structlog.configure(processors=[log])
    try:
        async with Simulator(specs, pace=0) as dify, following(configured(dify, "a", "b", "c")) as catalog:
            for _ in range(2):
                await catalog.refresh()
            assert [(model.id, model.app.key) for model in catalog.models(ANONYMOUS)] == [
                ("Twin", dify.keys["a"]),
                ("Twin (2)", dify.keys["b"]),
                ("Twin (3)", dify.keys["c"]),
            ]
    finally:
        structlog.reset_defaults()
    warned = [entry for entry in log.entries if entry["event"] == "two models have one name"]
    assert sorted(entry["offered_as"] for entry in warned) == ["Twin (2)", "Twin (3)"]


async def test_one_app_configured_twice_is_read_once_and_keeps_its_two_sets_of_inputs(
    dify: Simulator,
) -> None:
    key = dify.keys["form"]
    tables = {
        "english": {"key": key, "inputs": {"lang": "English"}},
        "chinese": {"key": key, "inputs": {"lang": "中文"}},
    }
    async with following(configured(dify, apps=tables)) as catalog:
        assert [model.app.inputs["lang"] for model in catalog.models(ANONYMOUS)] == ["English", "中文"]
        assert dify.counts().calls["GET /info"] == 1


# Who may use what.


async def test_a_client_sees_and_finds_only_what_it_may_use(dify: Simulator) -> None:
    tables = {"support": {"key": dify.keys["kb"], "aliases": ["helpdesk", "gpt-*"]}}
    apps = configured(dify, "chat", "agent", apps=tables)
    async with following(apps) as catalog:
        for models, seen in (
            (None, ["support", "helpdesk", "Simulated Chat", "Simulated Agent"]),
            (("helpdesk",), ["support", "helpdesk"]),
            (("gpt-*",), ["support", "helpdesk"]),
            (("Simulated*",), ["Simulated Chat", "Simulated Agent"]),
            (("nothing",), []),
        ):
            client = Client("ada", models)
            assert names(catalog, client) == seen
            for model in catalog.models(ANONYMOUS):
                assert (catalog.find(model.id, client) is not None) == (model.id in seen)
            assert (catalog.find("gpt-4o", client) is not None) == ("support" in seen)


async def test_a_dify_key_as_client_key_sees_its_own_app_alone(dify: Simulator) -> None:
    settings = Settings(
        dify_api_base=dify.base_url, valid_api_keys=(dify.keys["chat"], dify.keys["agent"], "sk-1")
    )
    async with following(settings.apps) as catalog:
        chat, agent, operator = settings.clients
        assert names(catalog, Client(chat.name, app_key=chat.app_key)) == ["Simulated Chat"]
        assert names(catalog, Client(agent.name, app_key=agent.app_key)) == ["Simulated Agent"]
        assert names(catalog, Client(operator.name)) == ["Simulated Chat", "Simulated Agent"]
        assert catalog.find("Simulated Agent", Client(chat.name, app_key=chat.app_key)) is None


# Over time.


async def test_a_dify_that_is_down_at_start_stops_nothing_and_its_apps_appear_when_it_is_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catalog_module, "_FIRST_RETRY_SECONDS", 0.02)
    async with Simulator(pace=0) as gone:
        port = int(gone.url.rpartition(":")[2])
        apps = configured(
            gone, "chat", model_config={"named": gone.keys["agent"], "gpt-*": gone.keys["agent"]}
        )
    async with following(apps) as catalog:
        assert not catalog.ready
        assert names(catalog) == []
        assert set(catalog.faults) == {"DIFY_API_KEYS entry 1", "MODEL_CONFIG 'named'"}
        assert catalog.find("named", ANONYMOUS) is None
        assert catalog.awaits("named", ANONYMOUS)
        assert catalog.awaits("gpt-4o", ANONYMOUS)
        assert catalog.awaits("other", ANONYMOUS)  # the app of DIFY_API_KEYS may be called so
        assert not catalog.awaits("named", Client("ada", ("other",)))
        async with Simulator(pace=0, port=port):
            await until(lambda: len(names(catalog)) == 2)
            assert catalog.ready
            assert catalog.faults == {}
            assert not catalog.awaits("named", ANONYMOUS)


async def test_one_dify_that_is_down_does_not_hide_the_apps_of_another(dify: Simulator) -> None:
    tables = {"lost": {"key": "app-lost", "base": NOWHERE}}
    async with following(configured(dify, "chat", apps=tables)) as catalog:
        assert catalog.ready
        assert names(catalog) == ["Simulated Chat"]
        assert catalog.awaits("lost", ANONYMOUS)


async def test_a_start_waits_no_longer_than_it_was_told() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        apps = Settings(dify_api_base=f"http://127.0.0.1:{port}", dify_api_keys=("app-1",)).apps
        async with asyncio.timeout(10), following(apps, wait=0.05) as catalog:
            assert not catalog.ready


async def test_a_model_that_was_there_stays_when_dify_goes_away_and_renews_when_it_is_back() -> None:
    async with Simulator([AppSpec("chat", "chat", name="Before")], pace=0) as dify:
        port = int(dify.url.rpartition(":")[2])
        apps = configured(dify, "chat")
        async with following(apps) as catalog:
            [before] = catalog.models(ANONYMOUS)
            await dify.__aexit__(None, None, None)
            try:
                await catalog.refresh()
                assert names(catalog) == ["Before"]
                assert catalog.ready
                assert list(catalog.faults) == ["DIFY_API_KEYS entry 1"]
                form = (Field("name", required=True),)
                async with Simulator([AppSpec("chat", "chat", name="After", form=form)], pace=0, port=port):
                    await catalog.refresh()
                    [after] = catalog.models(ANONYMOUS)
                    assert after.id == "After"
                    assert [entry.variable for entry in after.parameters.user_input_form] == ["name"]
                    assert after.created == before.created
                    assert catalog.faults == {}
            finally:
                await dify.__aenter__()


async def test_apps_are_read_again_in_the_background(dify: Simulator) -> None:
    async with following(configured(dify, "chat"), refresh_seconds=0.02):
        await until(lambda: dify.counts().calls["GET /parameters"] >= 3)
    calls = dify.counts().calls["GET /info"]
    await asyncio.sleep(0.1)
    assert dify.counts().calls["GET /info"] == calls, "a catalogue that is closed asks no more"


async def test_created_stays_over_restarts_and_so_does_the_order_of_names_while_dify_is_down() -> None:
    specs = [AppSpec(nickname, "chat", name="Twin") for nickname in ("a", "b")]
    store = MemoryStore()
    async with Simulator(specs, pace=0) as dify, Simulator(specs, pace=0) as other:
        first = AppConfig(dify.keys["a"], dify.base_url, origin="first")
        second = AppConfig(other.keys["b"], other.base_url, origin="second")
        async with following((first, second), store=store) as catalog:
            created = [model.created for model in catalog.models(ANONYMOUS)]
        for app in (first, second):
            kept = await store.get(f"model:{app.id}")
            assert kept is not None
            await store.put({f"model:{app.id}": f"1700000000 {kept.partition(' ')[2]}"}, ttl=60)
        assert created != [1_700_000_000] * 2
        await dify.__aexit__(None, None, None)
        try:
            async with following((first, second), store=store) as catalog:
                [model] = catalog.models(ANONYMOUS)
                assert (model.id, model.created) == ("Twin (2)", 1_700_000_000)
                assert catalog.awaits("Twin", ANONYMOUS)
        finally:
            await dify.__aenter__()
    await store.aclose()


async def test_two_workers_agree_when_an_app_was_first_seen(dify: Simulator) -> None:
    class Racing(MemoryStore):
        """A store into which the other worker wrote a moment before."""

        async def add(self, key: str, value: str, *, ttl: float) -> bool:
            await super().add(key, f"1700000000 {value.partition(' ')[2]}", ttl=ttl)
            return await super().add(key, value, ttl=ttl)

    store = Racing()
    async with following(configured(dify, "chat"), store=store) as catalog:
        assert [model.created for model in catalog.models(ANONYMOUS)] == [1_700_000_000]
    await store.aclose()


async def test_a_store_that_fails_costs_one_reading_and_not_all_to_come(
    dify: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalog_module, "_FIRST_RETRY_SECONDS", 0.02)

    class Failing(MemoryStore):
        fails = True

        async def get(self, key: str) -> str | None:
            if self.fails:
                raise RuntimeError("disk full")
            return await super().get(key)

    store = Failing()
    async with following(configured(dify, "chat"), store=store) as catalog:
        assert not catalog.ready
        assert catalog.faults == {"DIFY_API_KEYS entry 1": "RuntimeError in the gateway; its log says more"}
        store.fails = False
        await until(lambda: catalog.ready)
    await store.aclose()


async def test_closing_waits_for_all_that_it_started(dify: Simulator) -> None:
    def own() -> list[str]:
        coroutines = [task.get_coro() for task in asyncio.all_tasks()]
        return [name for coroutine in coroutines if (name := coroutine.__qualname__).startswith("Catalog.")]

    async with following(configured(dify, "chat", "agent")):
        assert own() == ["Catalog._follow"] * 2
    assert own() == []


async def test_finding_a_model_is_a_lookup(dify: Simulator) -> None:
    async with following(
        configured(dify, "chat", apps={"all": {"key": dify.keys["kb"], "aliases": ["*"]}})
    ) as catalog:
        for client in (ANONYMOUS, Client("ada", ("Simulated*",))):
            first = catalog.find("Simulated Chat", client)
            assert first is not None
            assert catalog.find("Simulated Chat", client) is first
