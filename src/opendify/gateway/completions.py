"""`POST /v1/chat/completions`, from socket to socket: the hot path.

A plain ASGI callable with nothing between it and the server. What is decided is decided elsewhere, in pure
functions; here things happen, in this order: who is asking, what do they want, where does it go on, ask Dify,
pass on what comes, remember, log.

The events of one network read leave in one write. There is no queue, and no task but the server's own: that
the client has gone, or a silence is long, is a call back (`Reply`).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial

import msgspec
import structlog
from msgspec.structs import replace

from opendify import APIStatusError, AuthenticationError, BadRequestError, DifyError, NotFoundError
from opendify.gateway import logs
from opendify.gateway.access import Access, Client, Denied, identity
from opendify.gateway.admission import Admission
from opendify.gateway.asking import Asking
from opendify.gateway.attachments import Attachment, Inline, collect, limits
from opendify.gateway.catalog import Catalog, Model
from opendify.gateway.choice import Choice, Head
from opendify.gateway.conversation import read
from opendify.gateway.errors import OpenAIError, from_dify, invalid, let_go, unauthorized
from opendify.gateway.forms import Forms, Submission
from opendify.gateway.human import arguments, for_the_model, in_words
from opendify.gateway.memory import Memory, Owner, Thread
from opendify.gateway.reply import ClientGone, Receive, Reply, Scope, Send, random_id, request_id
from opendify.gateway.tools import prompt
from opendify.gateway.translate import KINDS, DifyCall, background, to_dify
from opendify.gateway.uploads import Uploads
from opendify.gateway.wire import DONE, ChatRequest, Usage, check, completion, decode, parse, total
from opendify.types import InputFile

LARGE_BODY = 64 * 1024
"""Bytes from which on a request is read in a thread: its pictures would hold up everybody else's tokens."""

LARGE_SCHEMAS = 16 * 1024
"""The same for a request with schemas: looked at from all sides, they take five times as long."""

BODY_SECONDS = 30.0
"""How long a client may pause while it sends its request."""

DISCARD_SECONDS = 10.0
"""How long a client whose request is refused may go on sending it before it gets its answer."""

LONGEST_NAME = 200
"""Characters of a model's name, as a client sent it, that an error or the log repeats."""

USER_HEADER = b"x-openwebui-user-id"
"""Who is asking, where a chat UI says so beside the body. Only the UI's own key can claim it."""

STALE_UPLOAD = "Invalid upload file"
"""How Dify 1.12.1 begins to say that it doesn't have (or no longer has) a file of that id."""

_SHUTTING_DOWN = OpenAIError(503, "The gateway is shutting down.", type="api_error", code="shutting_down")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MOST_NAMES = 50
"""Model names in an error message, names of ignored settings in a header."""

log = structlog.stdlib.get_logger("opendify")


class Record(logs.Line, kw_only=True):
    """What the log says of a request, in one line."""

    event: str = "request"
    request_id: str
    client: str = ""
    model: str = ""
    mode: str = ""
    stream: bool = False
    status: int = 0
    first_token_ms: float | None = None
    total_ms: float = 0.0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    error: str | None = None


class Prepared(msgspec.Struct, frozen=True):
    """A call to Dify, and what it was made of.

    Attributes:
        files: The request's files.
        placed: The same as Dify knows them.
        tools: The digest of the tools that the model hears of in it; empty for none.
    """

    call: DifyCall
    files: Sequence[Attachment]
    placed: Sequence[InputFile]
    tools: str = ""


class Completions:
    """The endpoint, in the event loop that it is made in.

    Args:
        access: Who may ask.
        catalog: Which models there are.
        memory: Which conversations go on.
        uploads: How files get to Dify.
        forms: What runs that wait for a person have asked for.
        admission: How many requests an app gets at once.
        max_body: Largest request body, in bytes.

    Attributes:
        calls: Those that are being answered now.
    """

    def __init__(
        self,
        *,
        access: Access,
        catalog: Catalog,
        memory: Memory,
        uploads: Uploads,
        forms: Forms,
        admission: Admission,
        max_body: int,
    ) -> None:
        self._access = access
        self._catalog = catalog
        self._memory = memory
        self._uploads = uploads
        self._forms = forms
        self._admission = admission
        self._max_body = max_body
        self._loop = asyncio.get_running_loop()  # known once: to ask for it is a system call
        self._lines = logs.Lines()
        self.calls: set[asyncio.Task[object]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Every outcome ends in one log line."""
        began = time.perf_counter()
        call = asyncio.current_task(self._loop)
        assert call is not None, "a server runs each request as a task"
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        record = Record(request_id=request_id(headers))
        reply = Reply(scope, send, call, record.request_id)
        self.calls.add(call)
        try:
            await self._serve(headers, receive, reply, record)
        except OpenAIError as error:
            let_go(error)
            await _refuse(error, reply, record)
        except ClientGone as error:
            let_go(error)
            reply.gone = True
        except asyncio.CancelledError as error:
            let_go(error)
            reply.heard()  # nothing more is expected of the client
            if not reply.gone:
                await _refuse(_too_late() if reply.late else _SHUTTING_DOWN, reply, record)
            call.uncancel()  # it was cancelled to come to its end, and has
        except Exception as error:
            record.error = "internal_error"
            log.exception("internal error", request_id=record.request_id, model=record.model)
            let_go(error)
            await reply.refuse(
                OpenAIError(
                    500, "The gateway failed; its log says why.", type="api_error", code="internal_error"
                )
            )
        finally:
            self.calls.discard(call)
            _complete(record, reply, began)
            self._lines.write(record)

    async def _serve(
        self, headers: Mapping[bytes, bytes], receive: Receive, reply: Reply, record: Record
    ) -> None:
        try:
            client = authenticate(self._access, headers.get(b"authorization"))
        except OpenAIError:
            await _discard(headers, receive)
            raise
        record.client = client.name
        body = await self._body(headers, receive, reply)
        request, large = await _read(body)
        record.model, record.stream = request.model[:LONGEST_NAME], request.stream
        model = self._find(request.model, client)
        record.mode = model.mode
        user = request.user or headers.get(USER_HEADER, b"").decode("latin-1")
        owner = Owner(identity(client, user), model.app.id)
        if request.toolset is not None:
            request = replace(request, toolset=for_the_model(request.toolset, model.mode))
        messages = request.messages
        conversation = await asyncio.to_thread(read, messages, large=True) if large else read(messages)
        asking = Asking(request, conversation, model, owner, headers)
        reply.streaming = request.stream
        if ignored := [name for name in request.ignored if _NAME.fullmatch(name)]:
            reply.header(b"x-opendify-ignored", ", ".join(ignored[:_MOST_NAMES]))
        reply.attend()
        try:
            async with self._admission.slot(model.app.id, model.app.max_concurrent_per_app, model=model.id):
                await self._answer(asking, large, reply, record)
        finally:
            await reply.leave()

    def _find(self, name: str, client: Client) -> Model:
        model = self._catalog.find(name, client)
        if model is None:
            raise unknown_model(self._catalog, name, client)
        return model

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive, reply: Reply) -> bytes:
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._max_body:
            await _discard(headers, receive)
            raise _too_large(self._max_body)
        parts: list[bytes] = []
        size = 0
        while True:
            reply.expect(BODY_SECONDS)
            message = await receive()
            reply.heard()
            if message["type"] == "http.disconnect":
                raise ClientGone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            more = message.get("more_body")
            if size > self._max_body:
                if more:
                    await _discard(headers, receive)
                raise _too_large(self._max_body)
            if not more:
                if len(parts) == 1:
                    return parts[0]
                return await asyncio.to_thread(b"".join, parts) if size > LARGE_BODY else b"".join(parts)

    async def _answer(self, asking: Asking, large: bool, reply: Reply, record: Record) -> None:
        """Run the app, once for each choice, pass on what comes, and remember it."""
        request, model = asking.request, asking.model
        head = Head(f"chatcmpl-{random_id()}", request.model)
        choices = [Choice(index, asking, reply) for index in range(request.n)]
        thread, held = Thread(), True
        prepared: Prepared | None = None
        try:
            submissions = await self._answered(asking) if asking.conversation.results else ()
            with reply.undisturbed:
                thread = await self._recall(asking)
            if submissions:
                await choices[0].run.resume(submissions)
            else:
                prepared, thread = await self._begin(asking, thread, choices, large)
            call = prepared.call if prepared else None
            await _all([choice.follow(head, call) for choice in choices])
            if reply.gone:
                raise ClientGone
            last = await self._remember(asking, thread, prepared, choices)
            # the client's next question may come as soon as it sees the end of this
            with reply.undisturbed:
                held = False
                await self._memory.release(thread, begun=True)
            usage = total([choice.run.usage for choice in choices])
            if usage:
                record.prompt_tokens = usage["prompt_tokens"]
                record.completion_tokens = usage["completion_tokens"]
            await _finish(head, asking, prepared, choices, last, usage, reply)
        except DifyError as error:
            let_go(error)
            _tell_operator(error, model, record)
            await _refuse(from_dify(error, model.id), reply, record)
        except OpenAIError as error:
            let_go(error)
            await _refuse(error, reply, record)
        finally:
            # the client has its answer by now: a Dify that fails may also be slow to hear that it must stop,
            # and before it has stopped nobody goes on in the conversation
            await _all([choice.run.close() for choice in choices])
            if held:
                await self._memory.release(thread, begun=choices[0].run.begun)

    async def _answered(self, asking: Asking) -> Sequence[Submission]:
        """The forms that this request answers: then a run goes on, and no new one begins."""
        submissions = await self._forms.answered(asking.conversation, asking.model, asking.owner)
        if submissions and asking.request.n > 1:
            raise invalid("The answer to a form goes to one run: 'n' takes 1 here.", "n")
        return submissions

    async def _recall(self, asking: Asking) -> Thread:
        """Where this request goes on. Choices can't share a conversation, and not every app has any."""
        memory_mode = asking.model.app.conversation_memory_mode
        if KINDS.get(asking.model.mode) != "chat":
            return Thread()
        if asking.request.n > 1:
            return Thread(history=memory_mode != "0")
        return await self._memory.recall(
            memory_mode,
            asking.owner,
            asking.conversation,
            conversation_id=asking.request.conversation_id,
            headers=asking.headers,
        )

    async def _begin(
        self, asking: Asking, thread: Thread, choices: Sequence[Choice], large: bool
    ) -> tuple[Prepared, Thread]:
        """Ask Dify, for all choices at once; and once more where what was remembered is no longer there.

        What is asked again has not run: Dify refused it before it began.
        """
        prepared = await self._prepare(asking, thread, large)
        conversation_id = prepared.call.conversation_id
        try:
            await _all([choice.run.begin(prepared.call) for choice in choices])
        except NotFoundError:
            if conversation_id is None:
                raise
            if thread.explicit:
                raise OpenAIError(
                    404,
                    f"Model '{asking.model.id}' has no conversation '{conversation_id[:64]}' of yours. "
                    "Leave it out to start a new one.",
                    code="conversation_not_found",
                    param="conversation_id",
                ) from None
            thread = thread.fresh()
        except BadRequestError as error:
            stale = error.message.startswith(STALE_UPLOAD)
            if not stale or not await self._uploads.forget(prepared.files, asking.owner):
                raise
        else:
            return prepared, thread
        prepared = await self._prepare(asking, thread, large)
        await _all([choice.run.begin(prepared.call) for choice in choices if not choice.run.begun])
        return prepared, thread

    async def _prepare(self, asking: Asking, thread: Thread, large: bool) -> Prepared:
        """The call to Dify, its files uploaded."""
        model, conversation, owner = asking.model, in_words(asking.conversation), asking.owner
        conversation_id = thread.conversation_id
        toolset = asking.request.toolset
        past = None
        if conversation_id is None:
            past = background(conversation, model.mode, toolset, thread.history)
        elif conversation.results and not await self._memory.has_calls(thread, owner, asking.conversation):
            past = conversation.exchange()
        conversation, history = past or conversation, past is not None
        files: Sequence[Attachment] = ()
        if conversation.has_files(history=history):
            allowed = limits(model.parameters)
            find = partial(collect, conversation, allowed, model.id, history=history)
            files = await asyncio.to_thread(find) if large else find()
        kept: Mapping[str, object] = {}
        before = conversation_id or thread.instead_of
        if before is not None and model.parameters.user_input_form:
            kept = await self._memory.inputs(owner, before)
        placed = await self._uploads.place(files, model.client, owner) if files else ()
        tools, told = "", False
        if toolset is not None:
            digest = partial(prompt.digest, toolset, model.app.tool_prompt)
            tools = await asyncio.to_thread(digest) if large else digest()
            told = conversation_id is not None and tools == await self._memory.tools(owner, conversation_id)
        translate = partial(
            to_dify,
            conversation,
            model=model.id,
            mode=model.mode,
            parameters=model.parameters,
            inputs=asking.request.inputs or {},
            defaults={**model.app.inputs, **kept},
            files=placed,
            conversation_id=conversation_id,
            history=history,
            toolset=toolset,
            style=model.app.tool_prompt,
            told=told,
            answer_format=asking.answer_format,
        )
        call = await asyncio.to_thread(translate) if large else translate()
        return Prepared(call, files, placed, "" if told else tools)

    async def _remember(
        self,
        asking: Asking,
        thread: Thread,
        prepared: Prepared | None,
        choices: Sequence[Choice],
    ) -> list[bytes]:
        """Keep what the next request needs, before this one's client sees the end of it.

        Returns:
            What is left to send of each choice.
        """
        conversation_id = choices[0].answer.conversation_id
        calls = choices[0].channel.calls or choices[0].answer.paused
        in_words = asking.request.response_format is None and not calls
        mark = (
            self._memory.mark(thread, asking.owner, conversation_id) if conversation_id and in_words else ""
        )
        last = [
            choice.channel.close(choice.answer, mark) + await self._ask(choice, asking) for choice in choices
        ]
        if conversation_id:
            answer = choices[0].channel.message
            await self._memory.remember(
                thread,
                asking.owner,
                asking.conversation,
                conversation_id,
                answer,
                mark=mark,
                inputs=prepared.call.lasting if prepared else None,
                tools=prepared.tools if prepared else "",
            )
        return last

    async def _ask(self, choice: Choice, asking: Asking) -> bytes:
        """What is left to send of a choice whose run waits for a person: calls that ask for its forms."""
        answer, toolset = choice.answer, asking.request.toolset
        one_call = toolset is not None and not toolset.parallel
        out: list[bytes] = []
        for form in answer.paused[: 1 if one_call else None]:
            call_id = await self._forms.keep(form, answer.workflow_run_id, asking.owner, told=answer.told)
            out.append(choice.channel.ask(call_id, arguments(form)))
        return b"".join(out)


async def _read(body: bytes) -> tuple[ChatRequest, bool]:
    """A request, and whether there is so much in it that who reads all of it does so in a thread."""
    if len(body) <= LARGE_SCHEMAS:
        return parse(body), False
    if len(body) > LARGE_BODY:
        return await asyncio.to_thread(parse, body), True
    fields, ignored = decode(body)
    if fields.has_schemas:
        return await asyncio.to_thread(check, fields, ignored), True
    return check(fields, ignored), False


def authenticate(access: Access, authorization: bytes | None) -> Client:
    """Whose request it is that has this ``Authorization`` header.

    Raises:
        OpenAIError: 401 if it is nobody's.
    """
    try:
        return access.authenticate(authorization)
    except Denied as denied:
        raise unauthorized(str(denied)) from None


def unknown_model(catalog: Catalog, name: str, client: Client) -> OpenAIError:
    """Why there is no such model for this client: it may come yet, or there are only these."""
    shown = name[:LONGEST_NAME]
    if catalog.awaits(name, client):
        return OpenAIError(
            503,
            f"Dify has not answered yet for the app behind the model '{shown}'. Try again in a moment.",
            type="api_error",
            code="upstream_unavailable",
            headers={"retry-after": "5"},
        )
    known = [model.id for model in catalog.models(client)]
    names = ", ".join(known[:_MOST_NAMES]) + (", …" if len(known) > _MOST_NAMES else "")
    unread = catalog.unread(client)
    missing = f" Dify has not answered yet for {unread} more." if unread else ""
    return OpenAIError(
        404,
        f"The model '{shown}' does not exist. Models for this key: {names or 'none'}.{missing}",
        code="model_not_found",
        param="model",
    )


def _too_late() -> OpenAIError:
    return invalid(
        f"Nothing more of the request body came for {BODY_SECONDS:g} s.", code="request_timeout", status=408
    )


def _too_large(most: int) -> OpenAIError:
    return invalid(
        f"The request body is larger than {most} bytes, the most that this gateway takes.",
        code="request_too_large",
        status=413,
    )


async def _discard(headers: Mapping[bytes, bytes], receive: Receive) -> None:
    """Read a body that is not wanted: who is still sending it would not hear why."""
    if b"expect" in headers:
        return  # it is sent only if it is asked for
    try:
        async with asyncio.timeout(DISCARD_SECONDS):
            while (await receive()).get("more_body"):
                pass
    except TimeoutError:
        return


async def _finish(
    head: Head,
    asking: Asking,
    prepared: Prepared | None,
    choices: Sequence[Choice],
    last: Sequence[bytes],
    usage: Usage | None,
    reply: Reply,
) -> None:
    """Send the end of the answer, or all of a plain one."""
    request, answer = asking.request, choices[0].answer
    note = answer.note()
    if prepared and (uploads := _uploaded(prepared)):
        note["uploads"] = uploads
    if request.stream:
        ends = [choice.channel.finish(choice.answer) for choice in choices]
        if request.include_usage:
            ends.append(choices[0].channel.usage(usage, note))
        else:
            ends[-1] = choices[-1].channel.finish(choices[-1].answer, note)
        await choices[0].write(b"".join([*last, *ends, DONE]), last=True)
        return
    if answer.conversation_id:
        reply.header(b"conversation-id", answer.conversation_id)
    body = completion(
        {
            "id": head.id,
            "object": "chat.completion",
            "created": head.since(answer),
            "model": head.model,
            "choices": [choice.channel.choice(choice.answer) for choice in choices],
            "usage": usage,
            "dify": note,
        }
    )
    await reply.answer(200, body)


async def _refuse(error: OpenAIError, reply: Reply, record: Record) -> None:
    record.error = error.code or error.type
    await reply.refuse(error)


def _uploaded(prepared: Prepared) -> list[dict[str, str]]:
    """The ids by which this client may name its files from now on, in place of their bytes."""
    pairs = zip(prepared.files, prepared.placed, strict=True)
    return [
        {"id": placed["upload_file_id"], "type": placed["type"], "name": file.name}
        for file, placed in pairs
        if isinstance(file, Inline) and placed["transfer_method"] == "local_file"
    ]


def _all(parts: Sequence[Coroutine[object, object, None]]) -> Coroutine[object, object, None]:
    """Run them all to their ends, then raise the first failure. None is cancelled because another failed."""
    return parts[0] if len(parts) == 1 else _each(parts)


async def _each(parts: Sequence[Coroutine[object, object, None]]) -> None:
    outcomes = await asyncio.gather(*parts, return_exceptions=True)
    failures = [outcome for outcome in outcomes if outcome is not None]
    for unheard in failures[1:]:
        let_go(unheard)
    if failures:
        raise failures[0]


def _tell_operator(error: DifyError, model: Model, record: Record) -> None:
    """Dify's refusals that the operator must mend. Their texts may quote a prompt, so they are not logged."""
    reason = type(error).__name__
    code = error.code if isinstance(error, APIStatusError) else None
    tell = log.error if isinstance(error, AuthenticationError) else log.warning
    tell(
        "Dify failed",
        model=model.id,
        app=model.app.origin,
        reason=reason,
        code=code,
        request_id=record.request_id,
    )


def _complete(record: Record, reply: Reply, began: float) -> None:
    """What is known at the end of a request."""
    record.status = 499 if reply.gone else reply.status
    if reply.gone:
        record.error = "client_gone"
    if reply.first_at is not None:
        record.first_token_ms = round((reply.first_at - began) * 1000, 1)
    record.total_ms = round((time.perf_counter() - began) * 1000, 1)
