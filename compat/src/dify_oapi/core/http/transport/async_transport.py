"""Sends requests. The sync twin of this module is made from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Literal, overload

from opendify import APIConnectionError, AsyncRequest, AsyncResponse, DifyError
from opendify._async._upload import AsyncUpload, async_file_part
from opendify._call import Form, frame

from ...._exchange import Asked, answer, ask, is_success, refusal, wait
from ...log import logger
from ...model.base_request import BaseRequest
from ...model.base_response import BaseResponse
from ...model.config import Config
from ...model.raw_response import RawResponse
from ...model.request_option import RequestOption
from ...type import T


class ATransport:
    """Where all async calls go through."""

    @staticmethod
    @overload
    async def aexecute(
        conf: Config, req: BaseRequest, *, stream: Literal[True], option: RequestOption | None = None
    ) -> AsyncGenerator[bytes, None]: ...

    @staticmethod
    @overload
    async def aexecute(
        conf: Config, req: BaseRequest, *, unmarshal_as: type[T], option: RequestOption | None = None
    ) -> T: ...

    @staticmethod
    @overload
    async def aexecute(
        conf: Config, req: BaseRequest, *, option: RequestOption | None = None
    ) -> BaseResponse: ...

    @staticmethod
    async def aexecute(
        conf: Config,
        req: BaseRequest,
        *,
        stream: bool = False,
        unmarshal_as: type[BaseResponse] | None = None,
        option: RequestOption | None = None,
    ) -> BaseResponse | AsyncGenerator[bytes, None]:
        """Send, and give the response; or the bytes of the answer as they come.

        A stream is begun when its first bytes are asked for. Raises `opendify.APIConnectionError` without an
        answer, and, when streaming, `opendify.APIStatusError` for one that is not a success.
        """
        asked = ask(conf, req, option, stream=stream)
        if stream:
            return _chunks(conf, asked)
        raw = await _send(conf, asked, whole=True)
        assert isinstance(raw, RawResponse)
        return answer(asked, raw, unmarshal_as or BaseResponse)


async def _chunks(conf: Config, asked: Asked) -> AsyncGenerator[bytes, None]:
    response = await _send(conf, asked, whole=False)
    if isinstance(response, RawResponse):
        raise refusal(asked, response)
    try:
        while chunk := await response.chunk():
            yield chunk
    finally:
        await response.aclose()


async def _send(conf: Config, asked: Asked, *, whole: bool) -> AsyncResponse | RawResponse:
    """Send, as often as is right: the answer as it begins, or all of it, always so if it is not a success."""
    request, retries = await _request(asked)
    attempt = 1
    while True:
        try:
            transport = await conf.connections.async_transport(conf)
            response = await transport.open(request)
            logger.debug("%s %s", asked.what, response.status)
            success = is_success(response.status, response.headers)
            if success and not whole:
                return response
            raw = await _read(response)
            if success:
                return raw
            failure: DifyError = refusal(asked, raw)
        except APIConnectionError as error:
            raw, failure = None, error
        seconds = wait(failure, asked, attempt) if retries else None
        if seconds is None:
            if raw is None:
                raise failure
            return raw
        await asyncio.sleep(seconds)
        attempt += 1


async def _read(response: AsyncResponse) -> RawResponse:
    try:
        return RawResponse(
            status_code=response.status, headers=dict(response.headers), content=await response.read()
        )
    finally:
        await response.aclose()


async def _request(asked: Asked) -> tuple[AsyncRequest, bool]:
    """The request, and whether its body can be sent a second time."""
    if asked.file is None:
        return AsyncRequest(asked.method, asked.url, asked.headers, asked.json, asked.timeout), True
    file = await async_file_part(asked.file.content, asked.file.name, asked.file.mime_type)
    content_type, before, after = frame(Form(asked.form, file))
    upload = AsyncUpload(before, file, after)
    headers = {**asked.headers, "content-type": content_type}
    if upload.size is not None:
        headers["content-length"] = str(upload.size)
    return AsyncRequest(asked.method, asked.url, headers, upload, asked.timeout), file.again
