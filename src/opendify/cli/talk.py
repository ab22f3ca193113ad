"""A chat in the terminal, over the OpenAI wire: what any client sees of a running gateway."""

import json
import sys
from collections.abc import Generator
from contextlib import closing
from types import TracebackType
from typing import Literal, NotRequired, Self, TypedDict, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError
from rich.console import Console

from opendify._sse import Decoder
from opendify.cli.options import UsageError
from opendify.cli.terminal import plain


class GatewayError(UsageError):
    """The gateway can't be reached, or refuses; the text says what to do."""


class Message(TypedDict):
    """One turn: a question, an answer, or what a person answers to a form (`tool`)."""

    role: Literal["user", "assistant", "tool"]
    content: str
    tool_calls: NotRequired[list[dict[str, object]]]
    tool_call_id: NotRequired[str]


class _Request(TypedDict):
    model: str
    messages: list[Message]
    stream: bool
    user: NotRequired[str]


class _Function(BaseModel):
    name: str = ""
    arguments: str = ""


class _Call(BaseModel):
    """A call, or a piece of one. No tools are offered here, so it is a form that waits for a person."""

    index: int = 0
    id: str = ""
    type: Literal["function"] = "function"
    function: _Function = _Function()


class Delta(BaseModel):
    """A piece of an answer: of its text, of the reasoning before it, or of the forms at its end."""

    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_Call] = []


class _Choice(BaseModel):
    delta: Delta = Delta()


class _Refusal(BaseModel):
    message: str


class _Chunk(BaseModel):
    choices: list[_Choice] = []
    error: _Refusal | None = None


class _Named(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Named]


class _Form(BaseModel):
    title: str
    question: str
    choices: list[_Named]
    answer_with: dict[str, object]


class Gateway:
    """A running gateway, as a client sees it.

    Args:
        base_url: its address, with `/v1`.
        key: the client key; None where it asks for none.
        user: the `user` of every request.
    """

    def __init__(self, base_url: str, key: str | None, user: str | None = None) -> None:
        self._base_url = base_url.rstrip("/")
        self._user = user
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx2.Client(headers=headers, timeout=httpx2.Timeout(10.0, read=300.0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def models(self) -> list[str]:
        """The names of the models that the key may use."""
        try:
            reply = self._http.get(f"{self._base_url}/models")
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            raise self._unreachable(error) from error
        if reply.status_code != 200:
            raise _refused(reply.status_code, reply.content)
        return [model.id for model in _parsed(_Models, reply.content).data]

    def answer(self, model: str, messages: list[Message]) -> Generator[Delta, None, None]:
        """The answer to a conversation, as it comes. Closing the iterator stops it.

        Raises:
            GatewayError: the gateway can't be reached, refuses, or breaks off.
        """
        request: _Request = {"model": model, "messages": messages, "stream": True}
        if self._user is not None:
            request["user"] = self._user
        decoder = Decoder()
        try:
            with self._http.stream("POST", f"{self._base_url}/chat/completions", json=request) as reply:
                if reply.status_code != 200:
                    raise _refused(reply.status_code, reply.read())
                for read in reply.iter_bytes():
                    for payload in decoder.feed(read):
                        if payload == b"[DONE]":
                            return
                        chunk = _parsed(_Chunk, payload)
                        if chunk.error is not None:
                            raise GatewayError(chunk.error.message)
                        yield from (choice.delta for choice in chunk.choices)
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            raise self._unreachable(error) from error
        raise GatewayError("The gateway broke the answer off. Its log may say why.")

    def _unreachable(self, error: Exception) -> GatewayError:
        return GatewayError(
            f"No gateway answers at {self._base_url} ({error}). Start one in another terminal: opendify serve"
        )


def choose(gateway: Gateway, out: Console) -> str:
    """The model to talk to where none was named: the only one, or the one that the user picks.

    Raises:
        GatewayError: there is none, or nobody to ask.
    """
    names = gateway.models()
    if len(names) == 1:
        return names[0]
    if not names:
        raise GatewayError("The gateway offers no model yet. What it waits for, tells: opendify check")
    if not sys.stdin.isatty():
        raise GatewayError(f"Name a model: opendify chat MODEL. There are: {', '.join(names)}.")
    for number, name in enumerate(names, 1):
        out.print(f"{number:>3}  {name}", markup=False)
    while True:
        picked = _ask("Which model? ")
        if picked is None:
            raise GatewayError("No model was chosen.")
        if picked in names:
            return picked
        if picked.isdecimal() and 0 < int(picked) <= len(names):
            return names[int(picked) - 1]
        out.print("Type one of the numbers, or a name.")


def talk(gateway: Gateway, model: str, out: Console) -> None:
    """Ask what the user types, and print the answers, until the input ends or says /exit.

    Raises:
        GatewayError: an answer failed, and nobody sits at the terminal to try something else.
    """
    asking = sys.stdin.isatty()
    if asking:
        out.print(
            f"You talk to {model}. /new starts afresh, /exit ends, Ctrl-C stops an answer.", markup=False
        )
    messages: list[Message] = []
    while (line := _ask("> " if asking else "")) is not None:
        match line:
            case "":
                continue
            case "/exit":
                return
            case "/new":
                messages = []
                continue
            case _:
                messages.append(_turn(line, messages))
        try:
            messages.append(_print_answer(gateway, model, messages, out))
        except GatewayError as error:
            if not asking:
                raise
            messages.pop()
            out.print(str(error), style="red", markup=False)


def _ask(prompt: str) -> str | None:
    """A line of the user's; None at the end of the input, and for Ctrl-C."""
    try:
        return input(prompt).strip()
    except (EOFError, KeyboardInterrupt):
        return None


def _turn(line: str, messages: list[Message]) -> Message:
    """What was typed: the answer to the form that waits, if one does, else a question."""
    calls = messages[-1].get("tool_calls") if messages else None
    if calls:
        # Of several forms, those that are still open are asked again.
        return {"role": "tool", "tool_call_id": str(calls[0]["id"]), "content": line}
    return {"role": "user", "content": line}


def _print_answer(gateway: Gateway, model: str, messages: list[Message], out: Console) -> Message:
    """Print an answer while it comes, reasoning dimmed, and return it. Ctrl-C ends it where it is."""
    text: list[str] = []
    calls: dict[int, _Call] = {}
    thinking = False
    try:
        with closing(gateway.answer(model, messages)) as deltas:
            for delta in deltas:
                if delta.reasoning_content:
                    thinking = True
                    _print(out, delta.reasoning_content, style="dim")
                if delta.content:
                    if thinking:
                        out.print("\n")
                    thinking = False
                    text.append(delta.content)
                    _print(out, delta.content)
                for piece in delta.tool_calls:
                    call = calls.setdefault(piece.index, piece)
                    if call is not piece:
                        call.function.arguments += piece.function.arguments
    except KeyboardInterrupt:
        calls.clear()
        out.print(" (stopped)", style="yellow", end="")
    if text or thinking or not calls:
        out.print()
    answer: Message = {"role": "assistant", "content": "".join(text)}
    if calls:
        _print_form(_parsed(_Form, calls[0].function.arguments.encode()), out)
        answer["tool_calls"] = [call.model_dump(exclude={"index"}) for call in calls.values()]
    return answer


def _print_form(form: _Form, out: Console) -> None:
    """Show a form that the run waits for; the next line that is typed answers it."""
    choices = ", ".join(choice.id for choice in form.choices)
    out.print(plain(form.title), style="bold", markup=False)
    _print(out, f"{form.question}\n\nThe run waits for a person. Type one of: {choices}; or all of it, as\n")
    _print(out, f"{json.dumps(form.answer_with, ensure_ascii=False)}\n")


def _print(out: Console, text: str, style: str | None = None) -> None:
    out.print(plain(text), style=style, end="", markup=False, soft_wrap=True)


def _refused(status: int, body: bytes) -> GatewayError:
    try:
        refusal = _Chunk.model_validate_json(body).error
    except ValidationError:
        refusal = None
    return GatewayError(
        refusal.message if refusal else f"The gateway answered {status}, and did not say why."
    )


_M = TypeVar("_M", bound=BaseModel)


def _parsed(model: type[_M], body: bytes) -> _M:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise GatewayError("What answers there does not speak OpenAI's protocol. Is it a gateway?") from error
