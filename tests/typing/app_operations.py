"""What the operations of an app take and give, as type checkers see it. It is not meant to be run."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import assert_type

from pydantic import JsonValue

from opendify import (
    AsyncDify,
    AsyncDownload,
    AsyncKnowledge,
    AsyncPages,
    AsyncStream,
    Dify,
    Download,
    Knowledge,
    Page,
    Pages,
    Stream,
)
from opendify.types import (
    Annotation,
    AnnotationReplyJob,
    AppInfo,
    AppMeta,
    AppParameters,
    AppSite,
    ChatEvent,
    ChatReply,
    CompletionEvent,
    CompletionReply,
    Conversation,
    ConversationVariable,
    EndUser,
    Feedback,
    HumanInputForm,
    Message,
    MessageThought,
    RetrieverResource,
    ServerInfo,
    Transcript,
    UploadedFile,
    WorkflowEvent,
    WorkflowLog,
    WorkflowReply,
    WorkflowRun,
)


async def lists_are_pages_of_their_own_kind(dify: AsyncDify) -> None:
    assert_type(dify.conversations.list(), AsyncPages[Conversation])
    assert_type(dify.conversations.variables("c"), AsyncPages[ConversationVariable])
    assert_type(dify.messages.list("c"), AsyncPages[Message])
    assert_type(dify.feedback.list(), AsyncPages[Feedback])
    assert_type(dify.annotations.list(keyword="k"), AsyncPages[Annotation])
    assert_type(await dify.messages.list("c").first(), Page[Message])
    async for page in dify.conversations.list(sort_by="-created_at", limit=100).pages():
        assert_type(page, Page[Conversation])
        assert_type(page.data, list[Conversation])
        assert_type(page.total, int | None)
    async for message in dify.messages.list("c"):
        assert_type(message, Message)
        assert_type(message.total_price, Decimal | None)
        assert_type(message.retriever_resources, list[RetrieverResource])
        assert_type(message.agent_thoughts, list[MessageThought])
    async for variable in dify.conversations.variables("c", variable_name="v"):
        assert_type(variable.value, JsonValue)
    async for one in dify.feedback.list(limit=101):
        assert_type(one.created_at, datetime | None)
    dify.conversations.list(sort_by="name")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def calls_give_what_they_say(dify: AsyncDify, speech: Path) -> None:
    assert_type(await dify.chat.send(query="q"), ChatReply)
    assert_type(dify.chat.stream(query="q"), AsyncStream[ChatEvent, ChatReply])
    assert_type(dify.chat.events("r"), AsyncStream[ChatEvent, ChatReply])
    assert_type(await dify.chat.stop("t"), None)
    assert_type(await dify.completion.send(inputs={}), CompletionReply)
    assert_type(dify.completion.stream(inputs={}), AsyncStream[CompletionEvent, CompletionReply])
    assert_type(await dify.completion.stop("t"), None)
    assert_type(await dify.workflows.run(inputs={}), WorkflowReply)
    assert_type(dify.workflows.stream(inputs={}), AsyncStream[WorkflowEvent, WorkflowReply])
    assert_type(dify.workflows.events("r"), AsyncStream[WorkflowEvent, WorkflowReply])
    assert_type(await dify.workflows.stop("t"), None)
    assert_type(await dify.workflows.get("r"), WorkflowRun)
    assert_type(dify.workflows.logs(status="failed"), AsyncPages[WorkflowLog])
    assert_type(await dify.app.info(), AppInfo)
    assert_type(await dify.app.parameters(), AppParameters)
    assert_type(await dify.app.meta(), AppMeta)
    assert_type(await dify.app.site(), AppSite)
    assert_type(await dify.files.upload(speech), UploadedFile)
    assert_type(await dify.human_input.form("t"), HumanInputForm)
    assert_type(await dify.human_input.submit("t", action="a", inputs={"i": "v"}), None)
    assert_type(await dify.conversations.rename("c", name="n"), Conversation)
    assert_type(await dify.conversations.delete("c"), None)
    assert_type(
        await dify.conversations.update_variable("c", "v", value={"a": [1, None]}), ConversationVariable
    )
    assert_type(await dify.messages.suggested("m"), list[str])
    assert_type(await dify.feedback.send("m", rating="like"), None)
    assert_type(await dify.feedback.send("m", rating=None), None)
    assert_type(await dify.audio.to_text(speech), Transcript)
    assert_type(dify.audio.from_text(text="Hi"), AsyncDownload)
    assert_type(dify.files.preview("f", as_attachment=True), AsyncDownload)
    assert_type(await dify.annotations.create(question="q", answer="a"), Annotation)
    assert_type(await dify.annotations.update("a", question="q", answer="a"), Annotation)
    assert_type(await dify.annotations.delete("a"), None)
    assert_type(await dify.annotations.enable_reply(
        embedding_provider_name="p", embedding_model_name="m", score_threshold=0.9
    ), AnnotationReplyJob)  # fmt: skip
    assert_type(await dify.annotations.disable_reply(), AnnotationReplyJob)
    assert_type(await dify.annotations.reply_status("j", action="enable"), AnnotationReplyJob)
    assert_type(await dify.annotations.wait("j", action="disable", timeout=5), AnnotationReplyJob)
    assert_type(await dify.end_users.get("u"), EndUser)
    assert_type(await dify.server.info(), ServerInfo)
    await dify.feedback.send("m", rating="love")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await dify.annotations.reply_status("j", action="on")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await dify.annotations.wait("j")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def the_sync_twin_gives_the_same(dify: Dify, speech: Path) -> None:
    assert_type(dify.chat.send(query="q"), ChatReply)
    assert_type(dify.chat.stream(query="q"), Stream[ChatEvent, ChatReply])
    assert_type(dify.chat.events("r"), Stream[ChatEvent, ChatReply])
    assert_type(dify.chat.stop("t"), None)
    assert_type(dify.completion.send(inputs={}), CompletionReply)
    assert_type(dify.completion.stream(inputs={}), Stream[CompletionEvent, CompletionReply])
    assert_type(dify.completion.stop("t"), None)
    assert_type(dify.workflows.run(inputs={}), WorkflowReply)
    assert_type(dify.workflows.stream(inputs={}), Stream[WorkflowEvent, WorkflowReply])
    assert_type(dify.workflows.events("r"), Stream[WorkflowEvent, WorkflowReply])
    assert_type(dify.workflows.stop("t"), None)
    assert_type(dify.workflows.get("r"), WorkflowRun)
    assert_type(dify.workflows.logs(status="failed"), Pages[WorkflowLog])
    assert_type(dify.app.info(), AppInfo)
    assert_type(dify.app.parameters(), AppParameters)
    assert_type(dify.app.meta(), AppMeta)
    assert_type(dify.app.site(), AppSite)
    assert_type(dify.files.upload(speech), UploadedFile)
    assert_type(dify.human_input.form("t"), HumanInputForm)
    assert_type(dify.human_input.submit("t", action="a", inputs={"i": "v"}), None)
    assert_type(dify.conversations.variables("c"), Pages[ConversationVariable])
    assert_type(dify.conversations.update_variable("c", "v", value=1), ConversationVariable)
    assert_type(dify.conversations.delete("c"), None)
    assert_type(dify.feedback.send("m", rating="like"), None)
    assert_type(dify.annotations.list(), Pages[Annotation])
    assert_type(dify.annotations.create(question="q", answer="a"), Annotation)
    assert_type(dify.annotations.update("a", question="q", answer="a"), Annotation)
    assert_type(dify.annotations.delete("a"), None)
    assert_type(dify.annotations.disable_reply(), AnnotationReplyJob)
    assert_type(dify.annotations.reply_status("j", action="enable"), AnnotationReplyJob)
    assert_type(dify.end_users.get("u"), EndUser)
    assert_type(dify.conversations.list(), Pages[Conversation])
    assert_type(dify.messages.list("c").first(), Page[Message])
    for conversation in dify.conversations.list():
        assert_type(conversation, Conversation)
    for page in dify.feedback.list().pages():
        assert_type(page.data, list[Feedback])
    assert_type(dify.conversations.rename("c", auto_generate=True), Conversation)
    assert_type(dify.messages.suggested("m"), list[str])
    assert_type(dify.audio.to_text(speech).text, str)
    assert_type(dify.audio.from_text(message_id="m"), Download)
    assert_type(dify.files.preview("f").save(Path("f")), Path)
    assert_type(dify.annotations.enable_reply(
        embedding_provider_name="p", embedding_model_name="m", score_threshold=0.9
    ), AnnotationReplyJob)  # fmt: skip
    assert_type(dify.annotations.wait("j", action="enable").done, bool)
    assert_type(dify.server.info(), ServerInfo)


async def knowledge_knows_the_server_too(knowledge: Knowledge, async_knowledge: AsyncKnowledge) -> None:
    assert_type(knowledge.server.info(), ServerInfo)
    assert_type(await async_knowledge.server.info(), ServerInfo)
