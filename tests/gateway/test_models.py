"""`GET /v1/models` and `/v1/models/{id}`: which apps a client finds, and by which names."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from openai import AuthenticationError, NotFoundError, OpenAI

from opendify.simulator import AppSpec, Simulator
from servers import Gateway, eventually, free_port, running_gateway

from .clients import ADA, http, plain


def client_of(gateway: Gateway, key: str) -> OpenAI:
    return OpenAI(base_url=gateway.base_url, api_key=key, max_retries=0)


def test_every_app_is_a_model_named_after_it(openai: OpenAI, dify: Simulator) -> None:
    names = [model.id for model in openai.models.list()]
    assert len(names) == len(set(names))
    assert {"Simulated Chat", "Simulated Workflow", "Team A/Help Desk", "客服 助手"} <= set(names)
    assert set(names) >= {"memory 0", "memory 1", "memory 2", "preset", "with defaults", "unpaced"}
    assert not {"Simulated None", "Simulated Preset"} & set(names), "an app with a chosen name has that alone"


def test_a_model_tells_what_dify_knows_of_its_app(openai: OpenAI) -> None:
    model = openai.models.retrieve("Simulated Form")
    assert (model.id, model.object, model.owned_by) == ("Simulated Form", "model", "dify")
    assert 0 < model.created <= time.time()
    (details,) = [(model.model_extra or {})["dify"]]
    assert details["mode"] == "chat"
    assert details["description"] == "An app of the Dify simulator"
    assert details["tags"] == []
    assert [(field["variable"], field["type"], field["required"]) for field in details["inputs"]] == [
        ("name", "text-input", True),
        ("lang", "select", True),
        ("age", "number", False),
    ]
    assert details["inputs"][1]["options"] == ["English", "中文"]
    assert details["file_upload"]["enabled"] is True
    assert details["system_parameters"]["image_file_size_limit"] > 0


@pytest.mark.parametrize(
    "name", ["Simulated Chat", "Team A/Help Desk", "客服 助手", "Twin (2)", "memory 0", "with defaults"]
)
def test_a_model_is_found_by_its_name_however_hard_that_is_to_write(openai: OpenAI, name: str) -> None:
    assert openai.models.retrieve(name).id == name
    assert plain(openai, name, "[[reply:Hello]]").content == "Hello"


def test_a_name_in_a_url_may_be_encoded_or_not(gateway: Gateway) -> None:
    for path in ("Team%20A%2FHelp%20Desk", "Team%20A/Help%20Desk", "%E5%AE%A2%E6%9C%8D%20%E5%8A%A9%E6%89%8B"):
        reply = http("GET", f"{gateway.base_url}/models/{path}", headers={"Authorization": f"Bearer {ADA}"})
        assert reply.status_code == 200, path


def test_of_two_apps_with_one_name_the_second_has_a_number(openai: OpenAI, gateway: Gateway) -> None:
    names = [model.id for model in openai.models.list()]
    assert names.index("Twin") < names.index("Twin (2)")
    assert plain(openai, "Twin (2)", "[[system]]").content == "SYSTEM:I am the second."
    assert plain(openai, "Twin", "[[system]]").content == "SYSTEM:"
    warnings = [line for line in gateway.lines if line["level"] == "warning" and "Twin (2)" in str(line)]
    assert len(warnings) == 1


def test_an_unknown_model_is_not_found_and_the_answer_names_those_that_are(openai: OpenAI) -> None:
    with pytest.raises(NotFoundError) as caught:
        openai.models.retrieve("gpt_4o")
    assert caught.value.code == "model_not_found"
    assert "Simulated Chat" in caught.value.message


def test_any_name_that_fits_a_pattern_finds_its_app(openai: OpenAI) -> None:
    assert (openai.models.retrieve("gpt-4o").model_extra or {})["dify"]["mode"] == "chat"
    assert plain(openai, "gpt-4o", "[[echo]]").json["inputs"]["name"] == "Grace"
    assert "gpt-*" not in [model.id for model in openai.models.list()]


def test_created_is_the_same_each_time(openai: OpenAI) -> None:
    first = {model.id: model.created for model in openai.models.list()}
    assert {model.id: model.created for model in openai.models.list()} == first


def test_a_key_sees_and_uses_only_its_own_models(gateway: Gateway) -> None:
    with client_of(gateway, "sk-guest") as guest:
        names = [model.id for model in guest.models.list()]
        assert names == ["preset", "with defaults", "Simulated Chat", "Team A/Help Desk"]
        assert guest.models.retrieve("Team A/Help Desk").id == "Team A/Help Desk"
        assert plain(guest, "gpt-4o", "[[reply:Hello]]").content == "Hello"
        for call in (guest.models.retrieve, lambda name: plain(guest, name, "Hello")):
            with pytest.raises(NotFoundError) as caught:
                call("Simulated Workflow")
            assert "Simulated Chat" in caught.value.message
            assert "Twin" not in caught.value.message


@pytest.mark.parametrize("path", ["/models", "/models/Simulated%20Chat", "/models/nothing"])
@pytest.mark.parametrize("header", [None, "Bearer sk-wrong", "Bearer", "Basic c2s6", "sk-ada-0001", ""])
def test_nobody_sees_models_without_a_key(gateway: Gateway, path: str, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    reply = http("GET", gateway.base_url + path, headers=headers)
    assert reply.status_code == 401
    assert reply.json()["error"]["code"] == "invalid_api_key"
    assert reply.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/Simulated%20Chat"])
def test_models_are_read_and_not_written(gateway: Gateway, path: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        reply = http(method, gateway.root + path, headers={"Authorization": f"Bearer {ADA}"}, content=b"{}")
        assert reply.status_code == 405
        assert reply.json()["error"]["code"] == "method_not_allowed"
        assert "GET" in reply.headers["allow"]


# ── Other ways to let clients in ─────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def open_gateway(dify: Simulator) -> Iterator[Gateway]:
    """A gateway without client keys."""
    with running_gateway(DIFY_API_BASE=dify.url, DIFY_API_KEYS=dify.keys["chat"]) as gateway:
        yield gateway


@pytest.mark.parametrize("key", ["anything", "sk-ada-0001"])
def test_without_client_keys_the_gateway_is_open_to_this_machine(open_gateway: Gateway, key: str) -> None:
    with client_of(open_gateway, key) as client:
        assert [model.id for model in client.models.list()] == ["Simulated Chat"]
        assert plain(client, "Simulated Chat", "[[reply:Hello]]").content == "Hello"
    assert http("GET", f"{open_gateway.base_url}/models").status_code == 200


def test_an_open_gateway_says_so_in_its_first_line(open_gateway: Gateway) -> None:
    assert "open to everybody" in str(open_gateway.lines[0]["event"])
    assert open_gateway.lines[0]["level"] == "warning"


def test_a_dify_key_among_the_client_keys_opens_its_own_app_alone(dify: Simulator) -> None:
    keys = f"{dify.keys['chat']},{dify.keys['workflow']},sk-other"
    with running_gateway(DIFY_API_BASE=dify.base_url, VALID_API_KEYS=keys) as gateway:
        with client_of(gateway, dify.keys["chat"]) as client:
            assert [model.id for model in client.models.list()] == ["Simulated Chat"]
            assert plain(client, "Simulated Chat", "[[reply:Hello]]").content == "Hello"
            with pytest.raises(NotFoundError):
                plain(client, "Simulated Workflow", "Hello")
        with client_of(gateway, dify.keys["workflow"]) as client:
            assert [model.id for model in client.models.list()] == ["Simulated Workflow"]
        with client_of(gateway, dify.keys["form"]) as client, pytest.raises(AuthenticationError):
            client.models.list()
        assert dify.keys["chat"] not in str(gateway.lines)


def test_a_dify_that_is_down_at_start_is_waited_for() -> None:
    """Readiness, models and calls all say that it is not there yet, and recover by themselves."""
    port = free_port()
    settings = {"DIFY_API_BASE": f"http://127.0.0.1:{port}/v1", "VALID_API_KEYS": ADA}
    named = '{"named": "app-sim-chat"}'
    with (
        running_gateway(ready=False, MODEL_CONFIG=named, **settings) as gateway,
        client_of(gateway, ADA) as client,
    ):
        reply = http("GET", f"{gateway.root}/health/ready")
        assert reply.status_code == 503
        assert "app-sim-chat" not in reply.text
        assert client.models.list().data == []
        early = http(
            "POST",
            f"{gateway.base_url}/chat/completions",
            json={"model": "named", "messages": [{"role": "user", "content": "Hello"}]},
            headers={"Authorization": f"Bearer {ADA}"},
        )
        assert early.status_code == 503
        assert early.json()["error"]["code"] == "upstream_unavailable"
        assert int(early.headers["retry-after"]) > 0
        with Simulator([AppSpec("chat", "chat")], pace=0, port=port):
            eventually(gateway.is_ready, 15)
            assert plain(client, "named", "[[reply:Hello]]").content == "Hello"
        assert [model.id for model in client.models.list()] == ["named"], "a model that was there stays"
        assert gateway.is_ready()


@pytest.mark.parametrize("stream", [True, False])
def test_an_app_of_a_kind_that_nobody_knows_yet_is_said_so(stream: bool) -> None:
    mode: Any = "telepathy"  # no mode of Dify's, so not one of the simulator's
    with (
        Simulator((AppSpec("odd", mode),)) as dify,
        running_gateway(DIFY_API_BASE=dify.base_url, DIFY_API_KEYS=dify.keys["odd"]) as gateway,
    ):
        body = {"model": "Simulated Odd", "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
        reply = http("POST", f"{gateway.base_url}/chat/completions", json=body)
    assert reply.status_code == 501
    assert reply.json()["error"]["code"] == "unknown_app_mode"
    assert "telepathy" in reply.json()["error"]["message"]
