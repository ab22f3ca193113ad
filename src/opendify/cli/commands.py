"""The commands and their options. What a command does stands elsewhere; here it is only called.

Each imports for itself what no other needs: a gateway runs in the process that was told to serve, and keeps
for good whatever that process has loaded.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table

from opendify import DifyError
from opendify.cli import doctor
from opendify.cli.kb.commands import kb
from opendify.cli.options import ConfigFile, EnvFile, UsageError, load_settings
from opendify.cli.terminal import plain
from opendify.gateway import logs
from opendify.gateway.settings import Settings, SettingsError
from opendify.gateway.store import StoreError

if TYPE_CHECKING:
    from opendify.simulator import Simulator

NO_APP = (
    "No Dify app is configured: set DIFY_API_KEYS to the keys of your apps, which Dify shows on "
    "an app's page 'API Access'"
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(kb, name="kb")
DIFY_CLOUD = Settings.model_fields["dify_api_base"].default
out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)


def run() -> None:
    """Run the command line of this process."""
    try:
        app(prog_name="opendify")
    except (SettingsError, StoreError, DifyError, UsageError) as error:
        err.print(str(error), style="red", markup=False, soft_wrap=True)
        sys.exit(2)


@app.callback(invoke_without_command=True)
def opendify(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Every Dify app from every OpenAI client.

    Put the keys of your Dify apps into DIFY_API_KEYS, in the environment or in a file .env, and
    run: opendify serve. Without a Dify, try: opendify serve --simulator.
    """
    if version:
        show_version()
        raise typer.Exit


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on, in place of SERVER_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Port, in place of SERVER_PORT. 0 is a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes, in place of WORKERS.")] = None,
    simulator: Annotated[
        bool, typer.Option("--simulator", help="Where no app is configured, serve those of a simulated Dify.")
    ] = False,
    env_file: EnvFile = None,
    config: ConfigFile = None,
) -> None:
    """Start the gateway. It runs until Ctrl-C or SIGTERM, and lets running answers end.

    Clients use http://ADDRESS:PORT/v1 as base URL, and one of VALID_API_KEYS as key.
    """
    from opendify.gateway import server

    settings = load_settings(env_file, config, server_host=host, server_port=port, workers=workers)
    typos = list(doctor.misspelt(env_file or Path(".env")))
    for typo in typos:
        err.print(typo.text, style="yellow", markup=False, soft_wrap=True)
    if settings.apps and simulator:
        err.print("Apps are configured: they are served, and no simulated ones.", style="yellow")
    with ExitStack() as stack:
        if not settings.apps:
            # who wrote settings of a Dify means it, and would not see that the answers are simulated
            if not simulator or typos or settings.dify_api_base != DIFY_CLOUD:
                raise SettingsError(
                    [f"{NO_APP}; or try it with no settings of a Dify: opendify serve --simulator"]
                )
            from opendify.simulator import Simulator

            settings = _simulated(settings, stack.enter_context(Simulator()))
        store = asyncio.run(doctor.about_store(settings.store_url))
        if store.kind == "fault":
            raise SettingsError([" ".join((store.text, *store.more))])
        raise typer.Exit(server.serve(settings))


@app.command()
def check(env_file: EnvFile = None, config: ConfigFile = None) -> None:
    """Try everything that the gateway needs, and say what is wrong and how to mend it.

    Looks at every setting, at the store, at every Dify server and every key, that of the knowledge among
    them. Sends no message to any app. The exit code is 0 if all is well, else 1.
    """
    files = (env_file or Path(".env"), config or Path("opendify.toml"))
    faults = asyncio.run(doctor.examine(*files, show=_show_finding))
    raise typer.Exit(1 if faults else 0)


@app.command()
def models(env_file: EnvFile = None, config: ConfigFile = None) -> None:
    """List the models that the gateway offers, as Dify tells of them now.

    In a terminal a table; into a pipe a line each: name, kind of app and description, with tabs between.
    """
    settings = load_settings(env_file, config)
    if not settings.apps:
        raise SettingsError([f"{NO_APP}."])
    logs.configure("error", "console")  # what can't be read is told below
    found, faults = asyncio.run(doctor.offered(settings))
    if out.is_terminal:
        table = Table("model", "kind of app", "takes", "description", box=None, header_style="bold")
        for model in found:
            takes = "\n".join(doctor.takes(model.parameters))
            table.add_row(model.id, model.mode, takes, model.info.description)
        out.print(table)
    else:
        for model in found:
            sys.stdout.write(
                "\t".join((model.id, model.mode, " ".join(model.info.description.split()))) + "\n"
            )
    for origin, fault in faults.items():
        err.print(f"{origin}: {fault}", style="red", markup=False, soft_wrap=True)
    raise typer.Exit(0 if found and not faults else 1)


@app.command()
def chat(
    model: Annotated[str | None, typer.Argument(help="The model; left out, you are asked.")] = None,
    base_url: Annotated[
        str | None, typer.Option(help="The gateway's /v1 address; by default that of the settings.")
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(help="The client key; by default the first of the settings, else OPENAI_API_KEY."),
    ] = None,
    user: Annotated[str | None, typer.Option(help="The user to be, as clients send it.")] = None,
    env_file: EnvFile = None,
    config: ConfigFile = None,
) -> None:
    """Chat with a model, through a running gateway.

    /new starts another conversation, /exit or Ctrl-D ends; Ctrl-C stops an answer. Where a run waits for a
    person, its form is shown, and the next line answers it. What comes from a pipe is asked line by line.
    """
    from opendify.cli import talk

    settings = load_settings(env_file, config)
    if base_url and not urlsplit(base_url).path.strip("/"):
        base_url = f"{base_url.rstrip('/')}/v1"
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.server_host, settings.server_host)
    key = api_key or next((client.key for client in settings.clients), os.environ.get("OPENAI_API_KEY"))
    with talk.Gateway(base_url or f"http://{host}:{settings.server_port}/v1", key, user) as gateway:
        talk.talk(gateway, model or talk.choose(gateway, out), out)


@app.command("run")
def run_workflow(
    name: Annotated[str, typer.Argument(metavar="APP", help="Its name, as in opendify models, or its key.")],
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            help="An input and its value, once for each; a value @PATH is what the file holds, "
            "and for an input that takes files the file itself.",
            metavar="NAME=VALUE",
        ),
    ] = None,
    user: Annotated[str, typer.Option(help="The end user to be, for Dify.")] = "opendify-cli",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all outputs as JSON, a single text too.")
    ] = False,
    env_file: EnvFile = None,
    config: ConfigFile = None,
) -> None:
    """Run a workflow, and show its nodes while they work.

    Its outputs are printed to stdout, its nodes to stderr. A form that it waits for is asked in the
    terminal. Ctrl-C stops the run in Dify, too. The exit code is 1 if the run fails, or waits for a person
    where nobody can be asked.

    For example: opendify run summary --input text=@notes.txt --input language=English
    """
    from opendify import Dify, Timeout, WorkflowFailedError
    from opendify.cli import forms, workflow

    settings = load_settings(env_file, config)
    key, base_url = _app_named(name, settings)
    with Dify(key, base_url=base_url, timeout=Timeout(silence=settings.timeout)) as dify:
        info = dify.app.info()
        if info.mode != "workflow":
            raise UsageError(
                f"{info.name!r} is no workflow but a {info.mode} app: opendify chat talks to it."
            )
        answer = partial(forms.ask, dify=dify, user=user, console=err) if sys.stdin.isatty() else None
        inputs = workflow.inputs_from(given or [], dify.app.parameters(), dify, user)
        try:
            reply = workflow.follow(dify, inputs, user, workflow.Nodes(err), answer)
        except WorkflowFailedError as error:
            err.print(str(error), style="red", markup=False, soft_wrap=True)
            raise typer.Exit(1) from error
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except EOFError:
            err.print("Nobody answered; the run waits in Dify.", style="yellow")
            raise typer.Exit(1) from None
    err.print(workflow.summary(reply), style="dim", markup=False)
    if reply.paused is not None:
        err.print("It waits for a person: run it in a terminal to answer its form.", style="yellow")
        raise typer.Exit(1)
    told = workflow.shown(reply, as_json=as_json)
    sys.stdout.write((plain(told) if out.is_terminal else told) + "\n")


@app.command()
def simulate(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 is a free one.", min=0, max=65_535)] = 5001,
    behaviour: Annotated[Literal["1.12", "1.16"], typer.Option(help="Which Dify to be.")] = "1.12",
    pace: Annotated[float, typer.Option(help="Seconds that the model takes for a token.", min=0)] = 0.02,
) -> None:
    """Run a simulated Dify, to try a Dify client or this gateway on. Anybody who reaches it may use it.

    Words in double square brackets, in a question, direct what it does: docs/simulator.md has all of them.
    """

    from opendify.simulator import serve as serve_simulator

    def started(dify: Simulator) -> None:
        out.print(f"A simulated Dify {behaviour} listens at {dify.base_url}")
        table = Table("app", "kind", "key", box=None, header_style="bold")
        for spec in dify.apps:
            table.add_row(spec.title, spec.mode, spec.app_key)
        table.add_row("Knowledge", "datasets", dify.dataset_key)
        out.print(table)

    try:
        asyncio.run(serve_simulator(host, port, behaviour=behaviour, pace=pace, started=started))
    except OSError as error:
        raise SettingsError([f"Can't listen on {host}:{port}: {error.strerror or error}."]) from error


@app.command("version")
def show_version() -> None:
    """Show the version."""
    sys.stdout.write(f"opendify {version_of('opendify')}\n")


def _app_named(name: str, settings: Settings) -> tuple[str, str]:
    """The key and the address of an app that somebody named."""
    if name.startswith("app-"):
        return name, settings.dify_api_base
    if not settings.apps:
        raise SettingsError([f"{NO_APP}; or name the app by its key."])
    logs.configure("error", "console")  # what can't be read is told below
    found, faults = asyncio.run(doctor.offered(settings))
    for model in found:
        if model.id == name:
            return model.app.key, model.app.base_url
    known = ", ".join(model.id for model in found if model.mode == "workflow") or "none"
    unread = f" Not read: {', '.join(faults)}; opendify check tells why." if faults else ""
    raise SettingsError([f"There is no app {name!r}; the workflows are: {known}.{unread}"])


def _simulated(settings: Settings, dify: Simulator) -> Settings:
    told = f"No app is configured: these answers come from a simulated Dify at {dify.base_url}."
    err.print(told, style="yellow", soft_wrap=True)
    apps: dict[str, object] = {"dify_api_base": dify.base_url, "dify_api_keys": tuple(dify.keys.values())}
    # The simulator forgets all when it ends: what the gateway keeps about it need not outlive it.
    forget = settings.workers == 1 and "store_url" not in settings.model_fields_set
    return settings.model_copy(update=apps | ({"store_url": "memory:"} if forget else {}))


def _show_finding(finding: doctor.Finding) -> None:
    mark, style = {"good": ("✓", "green"), "note": ("!", "yellow"), "fault": ("✗", "red")}[finding.kind]
    out.print(
        f"{mark} {finding.text}", style=style if finding.kind != "good" else "", markup=False, soft_wrap=True
    )
    for line in finding.more:
        out.print(f"    {line}", markup=False, soft_wrap=True)
