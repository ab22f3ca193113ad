"""What programs rely on, and what is better on purpose: byte by byte, over TCP."""

import asyncio
import gc
import json
import logging
import os
import ssl
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from dify_oapi.api.chat.v1.model import (
    ChatRequest,
    ChatRequestBody,
    ChatResponse,
    GetConversationsListRequest,
    RenameConversationRequest,
    RenameConversationRequestBody,
)
from dify_oapi.api.dify.v1.model import (
    AudioToTextRequest,
    AudioToTextRequestBody,
    GetInfoRequest,
    UploadFileBody,
    UploadFileRequest,
)
from dify_oapi.api.knowledge.v1.model import (
    CreateChildChunkRequest,
    CreateChildChunkRequestBody,
    CreateDocumentByFileRequest,
    CreateDocumentByFileRequestBody,
    CreateDocumentByFileRequestBodyData,
    DeleteDatasetRequest,
    GetUploadFileInfoRequest,
    ListTagsRequest,
    ProcessRule,
)
from dify_oapi.api.workflow.v1.model import RunWorkflowRequest, RunWorkflowRequestBody, WorkflowInputs
from dify_oapi.core.enum import HttpMethod, LogLevel

from dify_oapi.client import Client
from dify_oapi.core.http.transport import Transport, connection_pool
from dify_oapi.core.model.base_request import BaseRequest
from dify_oapi.core.model.request_option import RequestOption
from opendify import APIConnectionError, APIStatusError, APITimeoutError, AuthenticationError, ResponseError
from sdk.wire_server import Close, Pause, WaitForClient, WireServer, answer, event, events

KEY = "app-secret-key-of-nobody"
OPTION = RequestOption.builder().api_key(KEY).build()
SAID = answer(b'{"answer": "Hello", "message_id": "m", "conversation_id": "c", "new_field": {"a": [1]}}')
PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


def message(query: str = "Hi", mode: str = "blocking") -> ChatRequest:
    body = ChatRequestBody.builder().inputs({}).query(query).response_mode(mode).user("ada").build()
    return ChatRequest.builder().request_body(body).build()


def client(server: WireServer) -> Any:
    """A client that is closed at the end of a with block."""
    return closing(Client.builder().domain(server.url).max_retry_count(2).build())


Ask = Callable[[WireServer, Any], Any]


def ask_and_wait(server: WireServer, request: Any) -> Any:
    with client(server) as dify:
        return dify.chat.v1.chat.chat(request, OPTION)


def ask_async(server: WireServer, request: Any) -> Any:
    async def ask() -> Any:
        dify = Client.builder().domain(server.url).max_retry_count(2).build()
        try:
            return await dify.chat.v1.chat.achat(request, OPTION)
        finally:
            await dify.aclose()

    return asyncio.run(ask())


both = pytest.mark.parametrize("ask", [ask_and_wait, ask_async])


@both
def test_a_message_goes_out_and_its_answer_comes_back_typed(ask: Ask) -> None:
    with WireServer(SAID) as server:
        response = ask(server, message())
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/v1/chat-messages")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert json.loads(request.body) == {
        "inputs": {},
        "query": "Hi",
        "response_mode": "blocking",
        "user": "ada",
    }
    assert isinstance(response, ChatResponse)
    assert (response.success, response.code, response.answer) == (True, None, "Hello")
    assert response.new_field == {"a": [1]}
    assert response.raw.status_code == 200
    assert response.raw.headers["content-type"] == "application/json"
    assert response.raw.content == SAID[0].partition(b"\r\n\r\n")[2]


@both
def test_a_502_is_not_a_success(ask: Ask) -> None:
    with WireServer(answer(PAGE, status=502, content_type="text/html", server="nginx")) as server:
        response = ask(server, message())
    assert (response.success, response.code, response.answer) == (False, "unknown", None)
    assert "502 Bad Gateway" in response.msg
    assert (response.raw.status_code, response.raw.content) == (502, PAGE)
    assert len(server.requests) == 1


@both
def test_a_web_page_with_status_200_is_not_a_success(ask: Ask) -> None:
    with WireServer(answer(PAGE, content_type="text/html; charset=utf-8")) as server:
        assert not ask(server, message()).success


@both
def test_a_refusal_says_why(ask: Ask) -> None:
    said = b'{"code": "app_unavailable", "message": "App unavailable.", "status": 400}'
    with WireServer(answer(said, status=400)) as server:
        response = ask(server, message())
    assert (response.success, response.code, response.msg) == (False, "app_unavailable", "App unavailable.")
    assert (response.raw.status_code, response.raw.content) == (400, said)


@both
def test_a_message_that_may_have_arrived_is_not_sent_twice(ask: Ask) -> None:
    with WireServer([Close()]) as server:
        with pytest.raises(APIConnectionError) as failed:
            ask(server, message())
        assert failed.value.sent
        assert len(server.requests) == 1


@both
def test_a_message_that_was_refused_for_too_many_is_sent_again(ask: Ask) -> None:
    said = b'{"code": "too_many_requests", "message": "Too many", "status": 429}'
    refused = answer(said, status=429, retry_after="0")
    with WireServer(refused, refused, SAID) as server:
        assert ask(server, message()).answer == "Hello"
        assert len(server.requests) == 3


@pytest.mark.parametrize("max_retry_count", [0, 1, 3])
def test_nothing_is_sent_again_more_often_than_the_client_was_told(max_retry_count: int) -> None:
    refused = answer(b'{"code": "too_many_requests", "message": "Too many"}', status=429, retry_after="0")
    with (
        WireServer(*[refused] * 9) as server,
        closing(Client.builder().domain(server.url).max_retry_count(max_retry_count).build()) as dify,
    ):
        assert dify.chat.v1.chat.chat(message(), OPTION).code == "too_many_requests"
        assert len(server.requests) == 1 + max_retry_count


def test_what_only_reads_is_asked_again() -> None:
    with WireServer([Close()], answer(b'{"name": "App"}')) as server, client(server) as dify:
        assert dify.dify.v1.info.get(GetInfoRequest.builder().build(), OPTION).name == "App"
        assert [request.body for request in server.requests] == [b"", b""]


def test_a_call_without_an_answer_ends() -> None:
    assert Client.builder().build()._config.timeout == 120
    with WireServer([Pause(10)]) as server:
        dify = Client.builder().domain(server.url).timeout(0.1).build()
        with closing(dify), pytest.raises(APITimeoutError):
            dify.chat.v1.chat.chat(message(), OPTION)
        assert len(server.requests) == 1


CHUNKS = [event(event="message", answer=text) for text in ("Hel", "lo")] + [event(event="message_end")]


def stream(server: WireServer, request: Any) -> list[bytes]:
    with client(server) as dify:
        return list(dify.chat.v1.chat.chat(request, OPTION, True))


def stream_async(server: WireServer, request: Any) -> list[bytes]:
    async def follow() -> list[bytes]:
        dify = Client.builder().domain(server.url).max_retry_count(2).build()
        chunks = [chunk async for chunk in await dify.chat.v1.chat.achat(request, OPTION, True)]
        await dify.aclose()
        return chunks

    return asyncio.run(follow())


both_streams = pytest.mark.parametrize("follow", [stream, stream_async])


@both_streams
def test_a_stream_is_the_bytes_of_the_answer(follow: Ask) -> None:
    with WireServer(events(*CHUNKS)) as server:
        assert b"".join(follow(server, message())) == b"".join(CHUNKS)
    (request,) = server.requests
    assert json.loads(request.body)["response_mode"] == "streaming"


@both_streams
def test_a_refused_stream_is_an_error_and_no_chunk(follow: Ask) -> None:
    said = b'{"code": "unauthorized", "message": "Access token is invalid", "status": 401}'
    with WireServer(answer(said, status=401)) as server, pytest.raises(AuthenticationError) as refused:
        follow(server, message())
    assert (refused.value.status, refused.value.code) == (401, "unauthorized")


@both_streams
def test_a_web_page_is_no_stream(follow: Ask) -> None:
    page = answer(PAGE, content_type="text/html")
    with WireServer(page) as server, pytest.raises(APIStatusError, match="a page"):
        follow(server, message())


@both_streams
def test_a_stream_that_breaks_is_an_error_and_no_chunk(follow: Ask) -> None:
    with WireServer(events(*CHUNKS[:1], Close())) as server, pytest.raises(APIConnectionError):
        follow(server, message())
    assert len(server.requests) == 1


def test_whoever_leaves_a_stream_gives_the_connection_back() -> None:
    with WireServer(events(CHUNKS[0], WaitForClient())) as server, client(server) as dify:
        chunks: Generator[bytes, None, None] = dify.chat.v1.chat.chat(message(), OPTION, True)
        assert next(chunks) == CHUNKS[0]
        chunks.close()
        assert server.closed_by_client.wait(5)


def test_whoever_forgets_a_stream_in_an_event_loop_does_no_harm() -> None:
    with WireServer(events(CHUNKS[0], WaitForClient())) as server:
        dify = Client.builder().domain(server.url).build()

        async def begin() -> bytes:
            async for chunk in await dify.chat.v1.chat.achat(message(), OPTION, True):
                return chunk
            return b""

        assert asyncio.run(begin()) == CHUNKS[0]
        assert server.closed_by_client.wait(5)
        gc.collect()


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
def test_a_domain_may_have_v1_or_not(path: str) -> None:
    with WireServer(SAID) as server:
        with closing(Client.builder().domain(server.url + path).build()) as dify:
            dify.chat.v1.chat.chat(message(), OPTION)
        assert server.requests[0].path == "/v1/chat-messages"


def test_no_key_no_question_and_no_user_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("Dify").setLevel(logging.DEBUG)
    with WireServer([Close()], answer(b"{}")) as server:
        dify = Client.builder().domain(server.url).log_level(LogLevel.DEBUG).build()
        with closing(dify), caplog.at_level(logging.DEBUG):
            dify.chat.v1.conversation.list(GetConversationsListRequest.builder().user("ada").build(), OPTION)
            dify.chat.v1.chat.chat(message("secret question"), OPTION)
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name == "Dify")
    assert f"POST {server.url}/v1/chat-messages 200" in logged
    assert "trying again" in logged
    for secret in (KEY, "secret question", "ada"):
        assert secret not in logged
    assert KEY not in repr(OPTION)
    Client.builder().build()
    assert logging.getLogger("Dify").level == logging.WARNING


def test_a_dify_on_this_machine_is_asked_directly_and_the_environment_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    before = dict(os.environ)
    with WireServer(SAID) as server:
        assert ask_and_wait(server, message()).success
    assert dict(os.environ) == before


def test_one_client_serves_one_event_loop_after_the_other() -> None:
    with WireServer(SAID) as server:
        dify = Client.builder().domain(server.url).build()

        async def ask() -> str:
            return str((await dify.chat.v1.chat.achat(message(), OPTION)).answer)

        # Not closed: the end of the loop does that.
        assert [asyncio.run(ask()) for _ in range(3)] == ["Hello"] * 3
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(ask()) == "Hello"
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        gc.collect()


def test_closing_one_client_leaves_the_others_alone_and_it_can_be_used_again() -> None:
    with WireServer(SAID) as server:
        one, other = (Client.builder().domain(server.url).build() for _ in range(2))
        for dify in (one, other):
            dify.chat.v1.chat.chat(message(), OPTION)
        one.close()
        other.chat.v1.chat.chat(message(), OPTION)
        assert server.connections == 2
        assert one.chat.v1.chat.chat(message(), OPTION).success
        assert server.connections == 3
        connection_pool.close_all()
        assert other.chat.v1.chat.chat(message(), OPTION).success
        assert server.connections == 4
        asyncio.run(connection_pool.aclose_all())


def test_a_client_has_no_more_connections_than_it_was_told() -> None:
    with WireServer([Pause(0.05), *SAID]) as server:
        dify = Client.builder().domain(server.url).max_connections(2).build()

        async def ask() -> None:
            asked = [dify.chat.v1.chat.achat(message(), OPTION) for _ in range(6)]
            assert all(response.success for response in await asyncio.gather(*asked))

        asyncio.run(ask())
        assert server.connections == 2
        with closing(dify), ThreadPoolExecutor(6) as pool:
            answers = pool.map(lambda _: dify.chat.v1.chat.chat(message(), OPTION), range(6))
            assert all(response.success for response in answers)
        assert server.connections == 2 + 2


def test_certificates_are_checked_as_the_client_was_told(tmp_path: Path) -> None:
    tls = Path(__file__).parents[1] / "gateway" / "tls"
    with WireServer(SAID) as server:
        for verify in (str(tls / "known.pem"), str(tls), ssl.create_default_context(), False):
            with closing(Client.builder().domain(server.url).verify_ssl(verify).build()) as dify:
                assert dify.chat.v1.chat.chat(message(), OPTION).success
        with (
            closing(Client.builder().domain(server.url).verify_ssl(str(tmp_path / "no.pem")).build()) as dify,
            pytest.raises(FileNotFoundError),
        ):
            dify.chat.v1.chat.chat(message(), OPTION)


def test_ids_are_quoted_and_a_missing_one_is_told() -> None:
    body = RenameConversationRequestBody.builder().name("x").user("ada").build()
    with WireServer(answer(b"{}")) as server, client(server) as dify:
        named = RenameConversationRequest.builder().conversation_id("a/b?c#d").request_body(body).build()
        assert dify.chat.v1.conversation.rename(named, OPTION).success
        assert server.requests[0].path == "/v1/conversations/a%2Fb%3Fc%23d/name"
        with pytest.raises(ValueError, match="RenameConversationRequest needs conversation_id"):
            dify.chat.v1.conversation.rename(
                RenameConversationRequest.builder().request_body(body).build(), OPTION
            )
        nothing: Any = None  # as an answer without the id has it
        unnamed = RenameConversationRequest.builder().conversation_id(nothing).request_body(body).build()
        with pytest.raises(ValueError, match="RenameConversationRequest needs conversation_id"):
            dify.chat.v1.conversation.rename(unnamed, OPTION)


def test_headers_go_with_a_request_and_the_key_is_the_options() -> None:
    option = RequestOption.builder().headers({"X-Trace": "1", "Authorization": "no"}).api_key(KEY).build()
    with WireServer(SAID) as server, client(server) as dify:
        dify.chat.v1.chat.chat(message(), option)
    sent = server.requests[0].headers
    assert (sent["x-trace"], sent["authorization"]) == ("1", f"Bearer {KEY}")


def test_a_header_of_the_program_takes_the_place_of_ours_whatever_its_case() -> None:
    option = RequestOption.builder().headers({"content-type": "application/json; v=1"}).api_key(KEY).build()
    with WireServer(SAID) as server, client(server) as dify:
        dify.chat.v1.chat.chat(message(), option)
    assert server.requests[0].headers["content-type"] == "application/json; v=1"


def test_a_key_that_http_cannot_carry_is_refused_and_not_shown() -> None:
    option = RequestOption.builder().api_key(f"{KEY}\n").build()
    with WireServer(SAID) as server, client(server) as dify:
        with pytest.raises(ValueError, match="header 'Authorization' holds") as refused:
            dify.chat.v1.chat.chat(message(), option)
        assert KEY not in str(refused.value)
        assert server.requests == []


def test_queries_leave_out_what_is_none_and_repeat_what_is_a_list() -> None:
    request = BaseRequest()
    request.http_method, request.uri = HttpMethod.GET, "/v1/anything"
    request.add_query("ids", ["a", "b c"])
    request.add_query("last_id", None)
    request.add_query("enabled", True)
    with WireServer(answer(b'{"a": 1}')) as server, client(server) as dify:
        assert dify.request(request).a == 1
    assert server.requests[0].path == "/v1/anything?ids=a&ids=b%20c&enabled=true"


@pytest.mark.parametrize(
    ("said", "result"),
    [
        (answer(b"", status=204, content_type=None), "success"),
        (answer(b"204\n"), "success"),
        (answer(b'{"result": "success"}'), "success"),
        (answer(b""), "success"),
    ],
)
def test_an_answer_without_content_is_a_success(said: Any, result: str) -> None:
    with WireServer(said) as server, client(server) as dify:
        request = DeleteDatasetRequest.builder().dataset_id("d").build()
        response = dify.knowledge.v1.dataset.delete(request, OPTION)
    assert (response.success, response.result) == (True, result)


def test_a_bare_list_is_the_data() -> None:
    with WireServer(answer(b'[{"id": "t", "name": "Tag", "type": "knowledge"}]')) as server:
        with client(server) as dify:
            response = dify.knowledge.v1.tag.list(ListTagsRequest.builder().type("knowledge").build(), OPTION)
        assert server.requests[0].path == "/v1/datasets/tags?type=knowledge"
    assert [tag.name for tag in response.data] == ["Tag"]


@both
def test_a_value_that_is_not_as_its_type_says_is_kept_as_it_came(ask: Ask) -> None:
    metadata = b'{"usage": [1], "annotation_reply": {"id": "a"}}'
    said = b'{"answer": "Hi", "created_at": "today", "metadata": ' + metadata + b"}"
    with WireServer(answer(said)) as server:
        response = ask(server, message())
    assert response.success
    assert (response.created_at, response.metadata.usage) == ("today", [1])
    assert response.metadata.annotation_reply == {"id": "a"}


def test_json_that_is_none_is_told() -> None:
    with WireServer(answer(b"{")) as server, pytest.raises(ResponseError, match="should be JSON"):
        ask_and_wait(server, message())


def upload(server: WireServer, call: Callable[[Client], Any]) -> Any:
    with client(server) as dify:
        assert call(dify).success
    return server.requests[-1].parts


def test_a_file_goes_out_with_its_name_its_fields_and_the_type_that_dify_takes() -> None:
    with WireServer(answer(b'{"text": "Hi", "id": "f"}')) as server:
        mp3 = BytesIO(b"ID3\x04" + bytes(64))
        user = AudioToTextRequestBody.builder().user("ada").build()
        heard = AudioToTextRequest.builder().file(mp3, "speech.mp3").request_body(user).build()
        for _ in range(2):  # the same open file, twice
            parts = upload(server, lambda dify: dify.dify.v1.audio.to_text(heard, OPTION))
            assert parts["file"].get_content_type() == "audio/mp3"
            assert parts["file"].get_filename() == "speech.mp3"
            assert len(parts["file"].get_payload(decode=True)) == 68
            assert parts["user"].get_payload(decode=True) == b"ada"

        pdf = UploadFileRequest.builder().file(BytesIO(b"%PDF-1.7")).request_body(UploadFileBody(user="ada"))
        parts = upload(server, lambda dify: dify.chat.v1.file.upload(pdf.build(), OPTION))
        assert parts["file"].get_filename() == "upload.pdf"

        data = CreateDocumentByFileRequestBodyData.builder().indexing_technique("economy")
        data = data.process_rule(ProcessRule.builder().mode("automatic").build()).build()
        text = (
            CreateDocumentByFileRequest.builder()
            .dataset_id("d")
            .file(BytesIO(b"# Notes"), "notes.md")
            .request_body(CreateDocumentByFileRequestBody.builder().data(data).build())
            .build()
        )
        parts = upload(server, lambda dify: dify.knowledge.v1.document.create_by_file(text, OPTION))
        assert json.loads(parts["data"].get_payload(decode=True)) == {
            "indexing_technique": "economy",
            "process_rule": {"mode": "automatic"},
        }


def test_a_file_without_a_name_goes_out_with_its_own(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("# Notes")
    request = BaseRequest()
    request.http_method, request.uri = HttpMethod.POST, "/v1/files/upload"
    with WireServer(answer(b"{}")) as server, (tmp_path / "notes.md").open("rb") as file:
        request.files = {"file": file}
        parts = upload(server, lambda dify: Transport.execute(dify._config, request, option=OPTION))
    assert parts["file"].get_filename() == "notes.md"


def test_the_inputs_of_a_workflow_are_the_inputs_however_they_are_given() -> None:
    wrapped = WorkflowInputs.builder().inputs({"a": 1}).add_input("b", ["c"]).build()
    with WireServer(answer(b"{}")) as server, client(server) as dify:
        for inputs in (wrapped, {"a": 1, "b": ["c"]}):
            body = RunWorkflowRequestBody.builder().inputs(inputs).user("ada").build()
            dify.workflow.v1.workflow.run(RunWorkflowRequest.builder().request_body(body).build(), OPTION)
            assert json.loads(server.requests[-1].body)["inputs"] == {"a": 1, "b": ["c"]}


def test_a_child_chunk_is_sent_as_dify_takes_it() -> None:
    body = CreateChildChunkRequestBody.builder().add_chunk("A child").build()
    request = CreateChildChunkRequest.builder().dataset_id("d").document_id("e").segment_id("s")
    with WireServer(answer(b'{"data": {"id": "c"}}')) as server, client(server) as dify:
        made = dify.knowledge.v1.chunk.create(request.request_body(body).build(), OPTION)
        assert [chunk.id for chunk in made.data] == ["c"]
        assert json.loads(server.requests[0].body) == {"content": "A child"}
    assert CreateChildChunkRequestBody.builder().build().model_dump() == {}  # and Dify says what it misses
    with pytest.raises(ValueError, match="one child chunk a call"):
        request.request_body(CreateChildChunkRequestBody.builder().add_chunk("a").add_chunk("b").build())


def test_what_dify_has_removed_says_so() -> None:
    request = GetUploadFileInfoRequest.builder().dataset_id("d").document_id("e").build()
    with WireServer(answer(PAGE, status=404, content_type="text/html")) as server, client(server) as dify:
        response = dify.knowledge.v1.document.file_info(request, OPTION)
    assert (response.success, response.raw.status_code) == (False, 404)
    assert "Dify removed this operation" in response.msg


def test_what_a_client_was_not_told_it_asks_for() -> None:
    with pytest.raises(RuntimeError, match="domain is required"):
        Client.builder().build().chat.v1.chat.chat(message(), OPTION)
    with pytest.raises(RuntimeError, match="HTTP method"):
        Client.builder().domain("http://127.0.0.1").build().request(BaseRequest())
