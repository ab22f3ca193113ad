"""A program for dify_oapi as type checkers see it: checked by test_types.py, never run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any, assert_type

from dify_oapi.api.chat.v1.model.chat_request import ChatRequest, ChatRequestBuilder
from dify_oapi.api.chat.v1.model.chat_request_body import ChatRequestBody, ChatRequestBodyBuilder
from dify_oapi.api.chat.v1.model.chat_response import ChatResponse
from dify_oapi.api.chat.v1.resource.chat import Chat
from dify_oapi.api.dify.v1.model import GetInfoRequest, GetInfoResponse
from dify_oapi.api.dify.v1.resource.info import Info
from dify_oapi.api.knowledge.v1.model import ListDatasetsRequest
from dify_oapi.api.knowledge.v1.model.dataset_info import DatasetInfo
from dify_oapi.core.enum import LogLevel

from dify_oapi.client import Client
from dify_oapi.core.model.request_option import RequestOption


def builders() -> ChatRequest:
    body = ChatRequestBody.builder()
    assert_type(body, ChatRequestBodyBuilder)
    assert_type(body.inputs({}).query("Hi").response_mode("blocking").user("ada"), ChatRequestBodyBuilder)
    assert_type(body.build(), ChatRequestBody)
    request = ChatRequest.builder().request_body(body.build())
    assert_type(request, ChatRequestBuilder)
    body.qery("Hi")  # type: ignore[attr-defined]  # no such setter
    body.response_mode("blockin")  # type: ignore[arg-type]  # not one of its values
    body.query(1)  # type: ignore[arg-type]  # not a text
    request.request_body("Hi")  # type: ignore[arg-type]  # not a body
    return request.build()


def clients() -> Client:
    return (
        Client.builder()
        .domain("https://dify.example.com")
        .log_level(LogLevel.INFO)
        .max_retry_count(1)
        .max_connections(50)
        .max_keepalive_connections(10)
        .keepalive_expiry(30.0)
        .timeout(60.0)
        .verify_ssl(True)
        .build()
    )


def calls(client: Client, request: ChatRequest, option: RequestOption, whichever: bool) -> None:
    assert_type(client.chat.v1.chat, Chat)
    assert_type(client.chat.v1.app, Info)
    response = client.chat.v1.chat.chat(request, option, False)
    assert_type(response, ChatResponse)
    assert_type(response.success, bool)
    assert_type(response.msg, str | None)
    assert_type(response.answer, str | None)
    if response.metadata is not None:
        assert_type(response.metadata.annotation_reply, dict[str, Any] | None)
    assert_type(client.chat.v1.chat.chat(request, option), ChatResponse)
    assert_type(client.chat.v1.chat.chat(request, option, True), Generator[bytes, None, None])
    assert_type(
        client.chat.v1.chat.chat(request, option, stream=whichever),
        ChatResponse | Generator[bytes, None, None],
    )
    assert_type(client.dify.v1.info.get(GetInfoRequest.builder().build()), GetInfoResponse)
    listed = client.knowledge.v1.dataset.list(ListDatasetsRequest.builder().page(1).build(), option)
    assert_type(listed.data, list[DatasetInfo] | None)
    print(client.chat.v1.chatt)  # type: ignore[attr-defined]  # no such part of the service
    client.chat.v1.chat.chat(option, request)  # type: ignore[call-overload]  # the wrong way round


async def awaited(client: Client, request: ChatRequest, option: RequestOption) -> None:
    assert_type(await client.chat.v1.chat.achat(request, option, False), ChatResponse)
    chunks = await client.chat.v1.chat.achat(request, option, True)
    assert_type(chunks, AsyncGenerator[bytes, None])
    async for chunk in chunks:
        assert_type(chunk, bytes)
