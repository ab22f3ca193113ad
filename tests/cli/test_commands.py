"""The command line, as somebody in a terminal meets it."""

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from opendify.cli import doctor
from opendify.simulator import AppSpec, Simulator
from opendify.types import AppParameters

from .conftest import COMMAND, SECONDS, Run, said


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The /v1 address of a gateway with simulated apps."""
    with serving(tmp_path_factory.mktemp("gateway"), "--simulator") as (_, address):
        yield address


@contextlib.contextmanager
def serving(folder: Path, *arguments: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    settings = {"SERVER_PORT": "0", "LOG_FORMAT": "json"} | variables
    process = subprocess.Popen(
        [*COMMAND, "serve", *arguments],
        cwd=folder,
        env=inherited | settings,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        lines: list[str] = []
        while '"ready"' not in (line := process.stderr.readline()):
            assert line, f"the gateway ended: {lines}"
            lines.append(line)
        address = (
            next(line for line in lines if '"starting"' in line).partition('"address":"')[2].partition('"')[0]
        )
        yield process, address
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=SECONDS)
        process.kill()
        process.wait()


# Help, version, mistakes.


def test_help_shows_patterns_as_they_are_typed(opendify: Run) -> None:
    assert "*.md or guide/*" in said(opendify("kb", "push", "--help"))


def test_help_names_every_command_and_how_to_begin(opendify: Run) -> None:
    result = opendify("--help")
    assert result.returncode == 0
    for word in ("serve", "check", "models", "chat", "simulate", "version", "DIFY_API_KEYS", "--simulator"):
        assert word in said(result)


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_the_version_is_told(opendify: Run, arguments: list[str]) -> None:
    name, version = opendify(*arguments).stdout.split()
    assert name == "opendify"
    assert version[0].isdigit()


@pytest.mark.parametrize(
    ("arguments", "variables", "sentence"),
    [
        (["serve"], {}, "No Dify app is configured: set DIFY_API_KEYS to the keys of your apps"),
        (["models"], {}, "No Dify app is configured: set DIFY_API_KEYS to the keys of your apps"),
        (["serve"], {"SERVER_PORT": "abc"}, "SERVER_PORT is 'abc'; it takes a number from 0 to 65535"),
        (["serve", "--port", "99999"], {}, "--port is 99999; it takes a number from 0 to 65535"),
        (["serve", "--port", "many"], {}, "Invalid value for '--port'"),
        (["serve", "--env-file", "nowhere"], {}, "file 'nowhere' does not exist"),
        (["serve", "--simulator", "--host", "0.0.0.0"], {}, "no client key is set: set VALID_API_KEYS"),
        (
            ["serve", "--simulator", "--host", "192.0.2.1"],
            {"VALID_API_KEYS": "sk-1"},
            "Can't listen on 192.0.2.1",
        ),
        (["simulate", "--host", "192.0.2.1"], {}, "Can't listen on 192.0.2.1:5001"),
        (["simulate", "--pace", "-1"], {}, "Invalid value for '--pace'"),
        (["serve", "--simulator"], {"STORE_URL": "oracle://x"}, "there is no store of the kind 'oracle'"),
        (
            ["chat", "x", "--base-url", "http://127.0.0.1:1/v1"],
            {},
            "No gateway answers at http://127.0.0.1:1/v1",
        ),
        (["chat", "x", "--base-url", "nonsense"], {}, "No gateway answers at nonsense"),
        (["srve"], {}, "No such command 'srve'. Did you mean 'serve'?"),
    ],
)
def test_a_mistake_ends_in_a_sentence_and_not_in_a_traceback(
    opendify: Run, arguments: list[str], variables: dict[str, str], sentence: str
) -> None:
    result = opendify(*arguments, stdin="hello\n", **variables)
    assert sentence in said(result).replace("│ ", "").replace(" │", "")
    assert result.returncode == 2


def test_a_gateway_of_ones_own_dify_loads_no_simulated_one() -> None:
    program = "import sys, opendify.cli.commands; print('opendify.simulator' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"


def test_without_the_gateways_packages_it_says_how_to_get_them() -> None:
    program = "import sys; sys.modules['typer'] = None; from opendify.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.strip() == (
        "This command needs typer, which is not installed: pip install 'opendify[gateway]'"
    )


# serve and simulate.


def test_serve_answers_from_a_simulated_dify_where_no_app_is_configured(gateway: str) -> None:
    assert len(httpx2.get(f"{gateway}/models").json()["data"]) > 10
    question = {"model": "Simulated Chat", "messages": [{"role": "user", "content": "[[reply:Hello]]"}]}
    reply = httpx2.post(f"{gateway}/chat/completions", json=question).json()
    assert reply["choices"][0]["message"]["content"] == "Hello"


def test_serve_offers_the_configured_apps_and_no_simulated_ones_beside_them(
    tmp_path: Path, dify: Simulator
) -> None:
    (tmp_path / ".env").write_text(f"DIFY_API_BASE={dify.base_url}\nDIFY_API_KEYS={dify.keys['agent']}\n")
    with serving(tmp_path, "--simulator") as (process, address):
        assert [model["id"] for model in httpx2.get(f"{address}/models").json()["data"]] == [
            "Simulated Agent"
        ]
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0


def test_a_misspelt_setting_is_told_and_no_simulated_apps_take_the_place_of_ones_own(
    tmp_path: Path, environment: Callable[..., dict[str, str]]
) -> None:
    (tmp_path / ".env").write_text("DIFY_API_KEY=app-mine\n")
    ended = subprocess.run(
        [*COMMAND, "serve", "--simulator"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert ended.returncode == 2
    assert "Did you mean DIFY_API_KEYS?" in ended.stderr
    assert "No Dify app is configured" in ended.stderr


def test_several_workers_serve_one_simulated_dify(tmp_path: Path) -> None:
    with serving(tmp_path, "--simulator", "--workers", "2") as (process, address):
        assert httpx2.get(f"{address}/models").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0


def test_simulate_prints_where_it_is_and_its_keys(environment: Callable[..., dict[str, str]]) -> None:
    process = subprocess.Popen(
        [*COMMAND, "simulate", "--port", "0", "--behaviour", "1.16", "--pace", "0"],
        env=environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        first = process.stdout.readline()
        address = first.split()[-1]
        assert first.startswith("A simulated Dify 1.16 listens at http://127.0.0.1:")
        listed = [process.stdout.readline() for _ in range(3)]
        assert "Simulated Chat" in listed[1]
        headers = {"Authorization": f"Bearer {listed[1].split()[-1]}"}
        assert httpx2.get(f"{address}/info", headers=headers).json()["name"] == "Simulated Chat"
        knowledge = next(line for line in process.stdout if " datasets " in line)
        headers = {"Authorization": f"Bearer {knowledge.split()[-1]}"}
        assert httpx2.get(f"{address}/datasets", headers=headers).json()["total"] == 0
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS)
    assert process.returncode == 130


# check.


def test_the_doctor_finds_nothing_where_all_is_well_and_tells_what_apps_take(
    opendify: Run, dify: Simulator
) -> None:
    keys = ",".join(dify.keys[name] for name in ("chat", "form", "workflow"))
    result = opendify(
        "check",
        DIFY_API_BASE=dify.base_url,
        DIFY_API_KEYS=keys,
        DIFY_DATASET_KEY=dify.dataset_key,
        VALID_API_KEYS="sk-0123456789abcdef",
        SERVER_PORT="0",
    )
    text = said(result)
    assert result.returncode == 0
    assert "✗" not in text
    for line in (
        "DIFY_API_KEYS 3, not shown the environment",
        "TIMEOUT 120 default",
        "DIFY_API_KEYS entry 1: 'Simulated Chat': chat, ",
        "DIFY_API_KEYS entry 3: 'Simulated Workflow': workflow, ",
        "input lang: select (English | 中文), required",
        "files: image, document, at most 3",
        "SERVER_WORKER_CONNECTIONS (10)",
        "DIFY_DATASET_KEY opens the knowledge of a workspace; datasets: 0",
        "The store keeps what it is given.",
    ):
        assert line in text
    assert "app-sim" not in text
    assert "0123456789abcdef" not in text


def test_the_doctor_tells_each_fault_and_how_to_mend_it(
    opendify: Run, dify: Simulator, tmp_path: Path
) -> None:
    with Simulator([AppSpec("off", "chat", api_enabled=False)]) as other:
        (tmp_path / "opendify.toml").write_text(
            f"""
[apps.unreachable]
key = "app-x"
base = "http://127.0.0.1:1"
[apps.no-dify]
key = "app-x"
base = "{dify.base_url.removesuffix("/v1")}/elsewhere"
[apps.off]
key = "{other.keys["off"]}"
base = "{other.base_url}"
[clients.ada]
key = "sk-1"
models = ["Simulated Caht", "off"]
"""
        )
        result = opendify(
            "check",
            DIFY_API_BASE=dify.base_url,
            DIFY_API_KEYS="app-wrong," + dify.keys["chat"],
            DIFY_DATASET_KEY="dataset-wrong",
            STORE_URL="sqlite:////nowhere/at/all",
            SERVER_HOST="192.0.2.1",
            DIFY_IDLE_SECONDS="30",
        )
    text = said(result)
    assert result.returncode == 1
    assert text.count("✗") == 7
    for line in (
        "[apps.unreachable]: No connection to http://127.0.0.1:1/v1/info",
        "Is http://127.0.0.1:1/v1 right, and can this machine reach it? DIFY_API_BASE sets it.",
        f"What answers at {dify.url}/elsewhere/v1 is not Dify's API.",
        "Switch the app's API on",
        "DIFY_API_KEYS entry 1: 401 unauthorized",
        "Copy the key again from the app's page 'API Access'",
        "DIFY_DATASET_KEY: 401 unauthorized",
        "The store can't be used: ",
        "Set SERVER_HOST to an address of this machine.",
        "The client key ada has only 4 characters",
        "[clients.ada] may use 'Simulated Caht', and no model is called that.",
        "DIFY_IDLE_SECONDS is 30, and Dify closes an idle connection after 2 seconds",
        "✓ DIFY_API_KEYS entry 2: 'Simulated Chat'",
    ):
        assert line in text
    assert "app-wrong" not in text


def test_the_doctor_tells_all_bad_settings_and_misspelt_ones(opendify: Run, tmp_path: Path) -> None:
    result = opendify("check", SERVER_PORT="x", TIMEOUT="y")
    assert said(result).count("✗") == 2
    assert result.returncode == 1
    (tmp_path / ".env").write_text("DIFY_API_KEY=app-1\nUNRELATED=1\n")
    assert "DIFY_API_KEY in .env is not a setting. Did you mean DIFY_API_KEYS?" in said(opendify("check"))


def test_the_doctor_knows_a_port_that_is_in_use(opendify: Run, dify: Simulator) -> None:
    port = dify.url.rpartition(":")[2]
    assert f"Port {port} is in use" in said(opendify("check", SERVER_PORT=port))


@pytest.mark.parametrize(
    ("parameters", "lines"),
    [
        ({}, []),
        ({"file_upload": {"enabled": False, "allowed_file_types": ["image"]}}, []),
        ({"file_upload": {"image": {"enabled": True, "number_limits": 2}}}, ["files: image, at most 2"]),
        (
            {"user_input_form": [{"select": {"variable": "x", "options": ["a", "b"]}}]},
            ["input x: select (a | b)"],
        ),
    ],
)
def test_what_an_app_takes_is_told_in_lines(parameters: dict[str, object], lines: list[str]) -> None:
    assert list(doctor.takes(AppParameters.model_validate(parameters))) == lines


# models and chat.


def test_models_are_listed_for_programs_with_what_is_missing_on_the_side(
    opendify: Run, dify: Simulator
) -> None:
    keys = f"{dify.keys['chat']},{dify.keys['workflow']},app-wrong"
    result = opendify("models", DIFY_API_BASE=dify.base_url, DIFY_API_KEYS=keys)
    assert result.stdout.splitlines() == [
        "Simulated Chat\tchat\tAn app of the Dify simulator",
        "Simulated Workflow\tworkflow\tAn app of the Dify simulator",
    ]
    assert result.stderr.startswith("DIFY_API_KEYS entry 3: 401 unauthorized")
    assert result.returncode == 1


def test_a_pipe_can_ask_line_by_line_in_one_conversation(opendify: Run, gateway: str) -> None:
    questions = "[[reply:First]]\n\n[[history]]\n/new\n[[reply:Third]]\n/exit\nnever asked\n"
    result = opendify("chat", "Simulated Chat", "--base-url", gateway, stdin=questions)
    assert result.stderr == ""
    first, *history, third = result.stdout.splitlines()
    assert (first, third) == ("First", "Third")
    assert "First" in " ".join(history)
    assert result.returncode == 0


def test_a_chat_shows_a_form_that_a_run_waits_for_and_the_next_line_answers_it(
    opendify: Run, tmp_path: Path
) -> None:
    lines = [
        "[[reply:Dear Bob]]",
        '{"action": "approve", "inputs": {"remark": "Nice.", "tone": "kind"}}',
        "[[reply:Dear Eve]]",
    ]
    with (
        Simulator(behaviour="1.16", pace=0) as dify,
        serving(tmp_path, DIFY_API_BASE=dify.base_url, DIFY_API_KEYS=dify.keys["review"]) as (_, address),
    ):
        result = opendify("chat", "--base-url", address, stdin="\n".join(lines))
        assert (result.stderr, result.returncode) == ("", 0)
        first, approved, second = result.stdout.partition("Approved: Dear Bob (Nice.)\n")
        assert first.startswith("Review\nDraft: Dear Bob\n\nRemark: [remark]\n\n")
        assert "approve, reject" in first
        assert approved
        assert second.startswith("Review\nDraft: Dear Eve\n")
        refused = opendify("chat", "--base-url", address, stdin="[[reply:x]]\nperhaps")
        assert "The answer is none of the form's choices." in said(refused)
        assert refused.returncode == 2


def test_chat_finds_the_gateway_and_the_key_in_the_settings(
    opendify: Run, tmp_path: Path, dify: Simulator
) -> None:
    settings = {
        "DIFY_API_BASE": dify.base_url,
        "DIFY_API_KEYS": dify.keys["chat"],
        "VALID_API_KEYS": "sk-secret",
    }
    with serving(tmp_path, **settings) as (_, address):
        port = address.split(":")[2].removesuffix("/v1")
        result = opendify("chat", stdin="[[reply:Hello]]", SERVER_PORT=port, **settings)
        assert (result.stdout, result.stderr, result.returncode) == ("Hello\n", "", 0)
        refused = opendify("chat", "--api-key", "sk-other", stdin="Hello", SERVER_PORT=port, **settings)
        assert said(refused).startswith("Invalid API key.")
        assert refused.returncode == 2


def test_chat_asks_which_model_only_where_somebody_can_answer(opendify: Run, gateway: str) -> None:
    result = opendify("chat", "--base-url", gateway, stdin="hello\n")
    assert said(result).startswith("Name a model: opendify chat MODEL. There are: Simulated Chat, ")
    assert result.returncode == 2


def test_chat_tells_what_the_gateway_refuses(opendify: Run, gateway: str) -> None:
    result = opendify("chat", "Simulated Form", "--base-url", gateway, stdin="hello\n")
    assert "name" in said(result)
    assert result.returncode == 2


def test_no_answer_can_write_to_the_terminal_but_text(opendify: Run, gateway: str) -> None:
    result = opendify("chat", "Simulated Chat", "--base-url", gateway, stdin="[[reply:a\x1b[31mred\x07\x9b]]")
    assert result.stdout == "a[31mred\n"


class Terminal:
    """A terminal with a command in it: what is typed goes in, what is shown comes out."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self._terminal, inside = pty.openpty()
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            env=environment,
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
        )
        os.close(inside)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def wait_for(self, text: str) -> None:
        """Read until `text` is shown, and forget what stood before it."""
        deadline = time.monotonic() + SECONDS
        while text not in self.shown:
            ready, _, _ = select.select([self._terminal], [], [], deadline - time.monotonic())
            assert ready, f"{text!r} did not come, but {self.shown!r}"
            self.shown += os.read(self._terminal, 65536).decode()
        self.shown = self.shown.partition(text)[2]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._terminal)


def test_a_chat_in_a_terminal_asks_for_the_model_stops_at_ctrl_c_and_goes_on(
    gateway: str, environment: Callable[..., dict[str, str]]
) -> None:
    terminal = Terminal(["chat", "--base-url", gateway], environment(TERM="dumb"))
    with contextlib.closing(terminal):
        terminal.wait_for("1  Simulated Chat")
        terminal.wait_for("Which model? ")
        terminal.type("99\n")
        terminal.wait_for("Type one of the numbers, or a name.")
        terminal.type("1\n")
        terminal.wait_for("You talk to Simulated Chat.")
        terminal.type("[[slow:200:0.1]]\n")
        terminal.wait_for("]]\r\n")
        time.sleep(1.0)
        os.kill(terminal.process.pid, signal.SIGINT)
        terminal.wait_for("(stopped)")
        terminal.type("[[reply:Still here]]\n")
        terminal.wait_for("Still here")
        terminal.wait_for("> ")
        terminal.type("[[error:plugin]]\n")
        terminal.wait_for("> ")
        terminal.type("/exit\n")
        assert terminal.process.wait(SECONDS) == 0
