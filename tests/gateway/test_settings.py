"""What a user can write into the environment, `.env` and opendify.toml, and what a mistake is told as."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from opendify.gateway.settings import Settings, SettingsError, settings_of

Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Settings from the text of a `.env` and of an opendify.toml, and none from this machine."""
    monkeypatch.chdir(tmp_path)
    for name in settings_of(Settings):
        monkeypatch.delenv(name.upper(), raising=False)

    def load(env: str = "", toml: str = "", **overrides: object) -> Settings:
        (tmp_path / ".env").write_text(env, "utf-8")
        (tmp_path / "opendify.toml").write_text(toml, "utf-8")
        return Settings.load(**overrides)

    return load


def fault(load: Load, *args: str, **overrides: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load(*args, **overrides)
    return str(caught.value)


# The samples that the earlier proxies told their users to write.


def test_the_env_of_the_first_proxy_works_as_it_is(load: Load) -> None:
    settings = load(
        """
# Dify API Keys Configuration
# Format: Comma-separated list of API keys
DIFY_API_KEYS=app-xxxxxxxx,app-yyyyyyyy,app-zzzzzzzz

# Dify API Base URL
DIFY_API_BASE="https://your-dify-api-base-url/v1"

# OpenAI Compatible API Keys (for client authentication)
VALID_API_KEYS="sk-abc123,sk-def456"

# Server Configuration
SERVER_HOST="127.0.0.1"
SERVER_PORT=5000
CONVERSATION_MEMORY_MODE=2
"""
    )
    assert [app.key for app in settings.apps] == ["app-xxxxxxxx", "app-yyyyyyyy", "app-zzzzzzzz"]
    assert {app.base_url for app in settings.apps} == {"https://your-dify-api-base-url/v1"}
    assert {app.conversation_memory_mode for app in settings.apps} == {"2"}
    assert [client.key for client in settings.clients] == ["sk-abc123", "sk-def456"]
    assert (settings.server_host, settings.server_port) == ("127.0.0.1", 5000)


def test_the_env_with_chosen_model_names_works_as_it_is(load: Load) -> None:
    settings = load(
        """
# Dify Model Configurations
# 注意：必须是单行的 JSON 字符串格式
MODEL_CONFIG={"claude-3-5-sonnet-v2":"your-claude-api-key","custom-model":"your-custom-api-key"}
DIFY_API_BASE="https://your-dify-api-base-url/v1"
SERVER_HOST="127.0.0.1"
SERVER_PORT=5000
"""
    )
    assert [(app.names, app.key) for app in settings.apps] == [
        (("claude-3-5-sonnet-v2",), "your-claude-api-key"),
        (("custom-model",), "your-custom-api-key"),
    ]
    assert settings.clients == ()


def test_the_env_of_the_fastapi_proxy_works_as_it_is(load: Load) -> None:
    settings = load(
        """
VALID_API_KEYS=your_api_key_1,your_api_key_2
DIFY_API_BASE=https://your_dify_api_base
CONVERSATION_MEMORY_MODE=1
TIMEOUT=30.0
SERVER_HOST=127.0.0.1
SERVER_PORT=8000
"""
    )
    assert settings.dify_api_base == "https://your_dify_api_base/v1"
    assert (settings.timeout, settings.server_port) == (30.0, 8000)
    assert [client.key for client in settings.clients] == ["your_api_key_1", "your_api_key_2"]


def test_with_nothing_written_every_setting_has_its_default(load: Load) -> None:
    settings = load()
    assert settings.dify_api_base == "https://api.dify.ai/v1"
    assert (settings.server_host, settings.server_port, settings.timeout) == ("127.0.0.1", 5000, 120)
    assert settings.conversation_memory_mode == "auto"
    assert (settings.apps, settings.clients) == ((), ())


# Where settings come from.


def test_the_environment_wins_over_env_and_that_over_toml(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml = "timeout = 1\nserver_port = 1\nworkers = 2\nlog_level = 'debug'"
    monkeypatch.setenv("TIMEOUT", "3")
    settings = load("TIMEOUT=2\nSERVER_PORT=2\nLOG_LEVEL=ERROR", toml, log_level="warning")
    assert (settings.timeout, settings.server_port, settings.workers) == (3, 2, 2)
    assert settings.log_level == "warning"


def test_a_variable_that_is_empty_counts_as_not_set(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMEOUT", "")
    assert load("VALID_API_KEYS=\nSERVER_HOST=", "timeout = 9").timeout == 9


def test_other_programs_variables_do_no_harm(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("APPS", "CLIENTS", "SERVERS"):
        monkeypatch.setenv(name, "theirs")
    assert load("SOMETHING_ELSE=1\nAPPS=x").apps == ()


def test_a_program_that_makes_its_own_settings_gets_those_and_nothing_of_the_machine(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIFY_API_KEYS", "app-1")
    load("SERVER_PORT=1")
    assert Settings() == Settings.model_construct()
    assert Settings(model_map={"a": "app-2"}).apps[0].names == ("a",)
    with pytest.raises(ValidationError):
        Settings(server_port=-1)


# What the values may look like.


@pytest.mark.parametrize(
    "written",
    [
        "https://dify.example.com",
        "https://dify.example.com/",
        "https://dify.example.com/v1",
        "https://dify.example.com/v1/",
        ' "https://dify.example.com/v1" ',
    ],
)
def test_difys_address_may_have_v1_and_a_slash_or_not(written: str) -> None:
    assert Settings(dify_api_base=written).dify_api_base == "https://dify.example.com/v1"


def test_dify_may_live_under_a_path_and_on_a_port() -> None:
    assert Settings(dify_api_base="http://[::1]:5001/dify").dify_api_base == "http://[::1]:5001/dify/v1"


@pytest.mark.parametrize(
    ("written", "keys"),
    [
        ("app-1,app-2", ["app-1", "app-2"]),
        (" app-1 , ,app-2,,", ["app-1", "app-2"]),
        ("\"app-1\",'app-2'", ["app-1", "app-2"]),
        ('"app-1,app-2"', ["app-1", "app-2"]),
        ("app-1,app-2,app-1", ["app-1", "app-2"]),
        ("", []),
        (" , ", []),
        (["app-1", " app-2 "], ["app-1", "app-2"]),
    ],
)
def test_a_comma_list_forgives_blanks_quotes_and_repeats(written: object, keys: list[str]) -> None:
    assert [app.key for app in Settings.model_validate({"dify_api_keys": written}).apps] == keys


@given(
    st.lists(
        st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\"',["), min_size=1)
    )
)
def test_every_key_that_fits_a_header_is_read_as_it_is(keys: list[str]) -> None:
    assert Settings.model_validate({"dify_api_keys": ",".join(keys)}).dify_api_keys == tuple(
        dict.fromkeys(keys)
    )


@pytest.mark.parametrize(
    ("written", "mode"),
    [("0", "0"), (1, "1"), ("none", "0"), ("history_message", "1"), ("Zero_Width", "2"), ("AUTO", "auto")],
)
def test_a_memory_mode_may_be_a_number_or_a_word(written: object, mode: str) -> None:
    assert Settings.model_validate({"conversation_memory_mode": written}).conversation_memory_mode == mode


# Apps.


def test_a_key_with_two_names_is_one_app_and_one_with_a_name_is_not_offered_under_its_own() -> None:
    settings = Settings(
        model_map={"fast": "app-1", "quick": "app-1", "other": "app-2"}, dify_api_keys=("app-2", "app-3")
    )
    assert [(app.names, app.key, app.origin) for app in settings.apps] == [
        (("fast", "quick"), "app-1", "MODEL_CONFIG 'fast'"),
        (("other",), "app-2", "MODEL_CONFIG 'other'"),
        ((), "app-3", "DIFY_API_KEYS entry 2"),
    ]


def test_toml_says_what_a_flat_list_cannot(load: Load) -> None:
    settings = load(
        "DIFY_API_KEYS=app-0\nAGENT_STEPS=false\nTOOL_PROMPT=invoke",
        """
timeout = 60
[servers.eu]
base = "https://eu.example.com"

[apps."Customer support"]
key = "app-1"
server = "eu"
aliases = ["support", "gpt-*"]
inputs = { language = "de", level = 2 }
agent_steps = true
workflow_nodes = true
stream_pacing = "off"
tool_prompt = "Mistral"
auto_generate_name = true
conversation_memory_mode = "none"
timeout = 600
max_concurrent_per_app = 3

[apps.plain]
key = "app-1"
base = "http://localhost:5001"

[clients.ada]
key = "sk-ada"
models = ["support", "plain*"]

[clients.bob]
key = "sk-bob"
""",
    )
    support, plain, unnamed = settings.apps
    assert support.names == ("Customer support", "support", "gpt-*")
    assert (support.base_url, support.key, support.origin) == (
        "https://eu.example.com/v1",
        "app-1",
        "[apps.Customer support]",
    )
    assert support.inputs == {"language": "de", "level": 2}
    assert (support.agent_steps, support.workflow_nodes, support.stream_pacing) == (True, True, "off")
    assert (support.auto_generate_name, support.conversation_memory_mode) == (True, "0")
    assert (support.timeout, support.max_concurrent_per_app) == (600, 3)
    assert (support.tool_prompt, plain.tool_prompt, unnamed.tool_prompt) == ("mistral", "invoke", "invoke")
    assert (plain.base_url, plain.timeout, plain.agent_steps) == ("http://localhost:5001/v1", 60, False)
    assert (unnamed.base_url, unnamed.names, unnamed.agent_steps) == ("https://api.dify.ai/v1", (), False)
    assert [(client.name, client.models) for client in settings.clients] == [
        ("ada", ("support", "plain*")),
        ("bob", None),
    ]


def test_an_app_keeps_its_id_under_every_name_and_at_every_start() -> None:
    first = Settings(model_map={"a": "app-1"}, dify_api_base="http://dify").apps[0]
    again = Settings(dify_api_keys=("app-1",), dify_api_base="http://dify/v1/").apps[0]
    other = Settings(dify_api_keys=("app-1",), dify_api_base="http://other").apps[0]
    assert first.id == again.id != other.id
    assert first.key not in first.id


def test_model_names_compare_in_one_unicode_form() -> None:
    assert Settings(model_map={"cafe\u0301": "app-1"}).apps[0].names == ("caf\u00e9",)


# Clients.


def test_dify_keys_as_client_keys_open_their_own_app_each_where_no_app_is_configured() -> None:
    settings = Settings(valid_api_keys=("sk-1", "app-1", "app-2"))
    assert [(app.key, app.origin) for app in settings.apps] == [
        ("app-1", "VALID_API_KEYS entry 2"),
        ("app-2", "VALID_API_KEYS entry 3"),
    ]
    assert [client.app_key for client in settings.clients] == [None, "app-1", "app-2"]


@pytest.mark.parametrize("apps", [{"dify_api_keys": ("app-9",)}, {"model_map": {"a": "app-9"}}])
def test_dify_keys_as_client_keys_are_plain_client_keys_where_apps_are_configured(
    apps: dict[str, object],
) -> None:
    settings = Settings.model_validate({"valid_api_keys": ("app-1",), **apps})
    assert [app.key for app in settings.apps] == ["app-9"]
    assert [client.app_key for client in settings.clients] == [None]


def test_a_client_key_with_a_name_is_not_listed_again_without(load: Load) -> None:
    settings = load("VALID_API_KEYS=sk-1,sk-2", "[clients.ada]\nkey = 'sk-1'")
    assert [(client.name, client.key) for client in settings.clients] == [
        ("ada", "sk-1"),
        (settings.clients[1].name, "sk-2"),
    ]
    assert settings.clients[1].name.startswith("key-")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "LOCALHOST"])
def test_without_a_client_key_the_gateway_runs_for_this_machine(host: str) -> None:
    assert Settings(server_host=host).clients == ()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "gateway.example.com"])
def test_without_a_client_key_it_does_not_run_for_others_and_says_how_to_mend_it(
    load: Load, host: str
) -> None:
    sentence = fault(load, f"SERVER_HOST={host}")
    assert sentence == (
        f"SERVER_HOST is '{host}', which other machines reach, and no client key is set: set VALID_API_KEYS "
        "to the keys that clients may use, or SERVER_HOST to 127.0.0.1."
    )
    assert load(f"SERVER_HOST={host}\nVALID_API_KEYS=sk-1").server_host == host


# What users are told.


@pytest.mark.parametrize(
    ("env", "toml", "sentence"),
    [
        (
            "SERVER_PORT=abc",
            "",
            "SERVER_PORT in .env is 'abc'; it takes a number from 0 to 65535 (0: a free port).",
        ),
        ("TIMEOUT=0", "", "TIMEOUT in .env is '0'; it takes a number of seconds above 0."),
        ("TIMEOUT=nan", "", "TIMEOUT in .env is 'nan'; it takes a number of seconds above 0."),
        ("AGENT_STEPS=perhaps", "", "AGENT_STEPS in .env is 'perhaps'; it takes true or false."),
        (
            "CONVERSATION_MEMORY_MODE=3",
            "",
            "CONVERSATION_MEMORY_MODE in .env is '3'; "
            "it takes 0 or none, 1 or history_message, 2 or zero_width, or auto.",
        ),
        (
            "TOOL_PROMPT=xml",
            "",
            "TOOL_PROMPT in .env is 'xml'; it takes tagged, fenced, invoke, llama or mistral.",
        ),
        (
            "DIFY_API_BASE=dify.example.com",
            "",
            "DIFY_API_BASE in .env is 'dify.example.com': "
            "it does not start with http:// or https:// and a host; "
            "it takes an http:// or https:// address, with or without /v1.",
        ),
        (
            "DIFY_API_BASE=http://dify/v1/chat-messages",
            "",
            "DIFY_API_BASE in .env is 'http://dify/v1/chat-messages': it goes on after /v1; "
            "it takes an http:// or https:// address, with or without /v1.",
        ),
        (
            "CORS_ORIGINS=example.com",
            "",
            "CORS_ORIGINS in .env is 'example.com': 'example.com' is not an origin; "
            "it takes a comma list of origins like https://chat.example.com, or *.",
        ),
        ("DIFY_API_KEYS='app-1", "", ".env can't be read: line 1 is not NAME=value."),
        ("", "workers = 0", "workers in opendify.toml is 0; it takes a whole number from 1 to 256."),
        (
            "",
            "dify_api_kyes = ''",
            "There is no setting 'dify_api_kyes' (did you mean 'dify_api_keys'?) in opendify.toml.",
        ),
        ("", "zebra = 1", "There is no setting 'zebra' in opendify.toml."),
        ("", "[app.x]", "There is no setting 'app' (did you mean 'apps'?) in opendify.toml."),
        (
            "",
            "[apps.x]\nkey='k'\nalias='y'",
            "There is no setting 'alias' (did you mean 'aliases'?) in apps.x in opendify.toml.",
        ),
        (
            "",
            "[servers.a]\nbase_url='http://u'",
            "There is no setting 'base_url' (did you mean 'base'?) in servers.a in opendify.toml.",
        ),
        (
            "",
            "[apps.x]\napi_key='k'",
            "There is no setting 'api_key' (did you mean 'key'?) in apps.x in opendify.toml.",
        ),
        ("", "[apps.x]", "apps.x.key in opendify.toml is missing; it takes an app key of Dify: app-…."),
        (
            "",
            "[apps.'']\nkey='k'",
            "[apps.] can't be used: a model name in it is blank or has a control character.",
        ),
        ("", "apps = 'x'", "apps in opendify.toml is 'x'; it takes tables: [apps.NAME]."),
        ("", "[apps]\nx = 'app-1'", "apps.x in opendify.toml can't be used; it takes a table: [apps.x]."),
        (
            "",
            "[apps.x]\nkey='k'\ntimeout=-1",
            "apps.x.timeout in opendify.toml is -1; it takes a number of seconds above 0.",
        ),
        (
            "",
            "[apps.x]\nkey='k'\nserver='eu'\n[servers.asia]\nbase='http://u'",
            "apps.x.server in opendify.toml is 'eu'; it takes the NAME of a table [servers.NAME].",
        ),
        (
            "",
            "[apps.x]\nkey='k'\nserver='us'\nbase='http://v'\n[servers.us]\nbase='http://u'",
            "[apps.x] in opendify.toml has a server and a base; it takes one of them.",
        ),
        (
            'MODEL_CONFIG={"x":"app-1"}',
            "[apps.x]\nkey='app-2'",
            "The model name 'x' is given to two apps: MODEL_CONFIG 'x' and [apps.x].",
        ),
        (
            "",
            "[clients.'a:b']\nkey='k'",
            "The client name 'a:b' in opendify.toml takes 1 to 32 letters, digits, dots, - and _.",
        ),
        (
            "",
            "[clients.key-1]\nkey='k'",
            "The client name 'key-1' in opendify.toml is taken for keys without a name.",
        ),
        (
            "",
            "[clients.a]\nkey='k'\n[clients.A]\nkey='l'",
            "The client names 'a' and 'A' in opendify.toml differ in case alone.",
        ),
        (
            "",
            "[clients.a]\nkey='k'\n[clients.b]\nkey='k'",
            "[clients.a] and [clients.b] in opendify.toml have the same key.",
        ),
        (
            "",
            "[clients.a]\nkey='k'\nmodels=[]",
            "clients.a.models in opendify.toml is empty; left out, it allows all models.",
        ),
        (
            "",
            "x",
            "opendify.toml can't be read: Expected '=' after a key in a key/value pair (at end of document).",
        ),
    ],
)
def test_a_bad_setting_is_told_in_one_sentence(load: Load, env: str, toml: str, sentence: str) -> None:
    assert fault(load, env, toml) == sentence


def test_an_option_of_the_command_line_is_called_what_it_is_called_there(load: Load) -> None:
    assert fault(load, server_port=70_000).startswith("--port is 70000; it takes ")


def test_a_variable_of_the_environment_is_called_by_its_name_alone(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKERS", "many")
    assert fault(load, "WORKERS=2") == "WORKERS is 'many'; it takes a whole number from 1 to 256."


def test_all_faults_are_kept_for_the_doctor(load: Load) -> None:
    with pytest.raises(SettingsError) as caught:
        load("WORKERS=0\nTIMEOUT=x", "zebra = 1\n[apps.x]\nkey='k'\nalias='y'")
    assert len(caught.value.problems) == 4


SECRET = "S3CR3T"


@pytest.mark.parametrize(
    ("env", "toml"),
    [
        (f"DIFY_API_KEYS='{SECRET} {SECRET}'", ""),
        (f"DIFY_API_KEYS=['{SECRET}']", ""),
        (f"VALID_API_KEYS=sk-1,{SECRET}é", ""),
        (f"MODEL_CONFIG={{'a': '{SECRET}'}}", ""),
        (f'MODEL_CONFIG={{"a": "{SECRET}"', ""),
        (f'MODEL_CONFIG={{"a": ["{SECRET}"]}}', ""),
        (f'MODEL_CONFIG={{"a": "{SECRET}", "a": "{SECRET}"}}', ""),
        (f'MODEL_CONFIG="{SECRET}"', ""),
        (f"STORE_URL=x//user:{SECRET}@host", ""),
        (f"DIFY_API_BASE=https://user:{SECRET}@dify", ""),
        (f"{SECRET}'", ""),
        (f"DIFY_API_KEYS='{SECRET}", ""),
        ("", f"dify_api_keys = [['{SECRET}']]"),
        ("", f"secret_key = ['{SECRET}']"),
        ("", f"[apps.x]\nkey = '{SECRET} '"),
        ("", f"[apps.x]\nkey = ['{SECRET}']"),
        ("", f"[clients.x]\nkey = '{SECRET} {SECRET}'"),
        ("", f"[apps]\nx = '{SECRET}'"),
        ("", f"[clients.a]\nkey='{SECRET}'\n[clients.b]\nkey='{SECRET}'"),
        ("", f"dify_api_keys = '{SECRET}"),
    ],
)
def test_no_secret_is_ever_shown(load: Load, env: str, toml: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(env, toml)
    assert SECRET not in " ".join(caught.value.problems)


def test_no_secret_is_in_a_repr(load: Load) -> None:
    settings = load(
        f'DIFY_API_KEYS={SECRET}1\nMODEL_CONFIG={{"a":"{SECRET}2"}}\nVALID_API_KEYS={SECRET}3\nSECRET_KEY={SECRET}',
        f"[apps.x]\nkey='{SECRET}4'\n[clients.c]\nkey='{SECRET}5'",
    )
    assert SECRET not in repr((settings, settings.apps, settings.clients))
