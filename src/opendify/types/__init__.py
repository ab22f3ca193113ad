"""Everything that Dify tells, typed. Unknown fields are kept in `model_extra`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import find

if TYPE_CHECKING:
    from .annotation import Annotation, AnnotationReplyAction, AnnotationReplyJob
    from .app import (
        AppInfo,
        AppMeta,
        AppMode,
        AppParameters,
        AppSite,
        Feature,
        FileUpload,
        FormField,
        ImageUpload,
        SystemParameters,
        TextToSpeech,
    )
    from .audio import Transcript
    from .chat import (
        AgentThought,
        AnnotationReply,
        ChatReply,
        CompletionReply,
        MessageFile,
        Metadata,
        RetrieverResource,
        Usage,
    )
    from .conversation import Conversation, ConversationVariable, SortBy
    from .end_user import EndUser
    from .events import (
        AgentLogEvent,
        AgentMessageEvent,
        AgentThoughtEvent,
        ChatEvent,
        ClosingMessageEvent,
        CompletionEvent,
        ErrorEvent,
        Event,
        HumanInputFormFilledEvent,
        HumanInputFormTimeoutEvent,
        HumanInputRequiredEvent,
        IterationCompletedEvent,
        IterationNextEvent,
        IterationStartedEvent,
        LoopCompletedEvent,
        LoopNextEvent,
        LoopStartedEvent,
        MessageEndEvent,
        MessageEvent,
        MessageFileEvent,
        MessageReplaceEvent,
        NodeFinishedEvent,
        NodeRetryEvent,
        NodeStartedEvent,
        OtherEvent,
        PingEvent,
        ReasoningChunkEvent,
        TextChunkEvent,
        TextReplaceEvent,
        TtsMessageEndEvent,
        TtsMessageEvent,
        WorkflowEvent,
        WorkflowFinishedEvent,
        WorkflowPausedEvent,
        WorkflowStartedEvent,
    )
    from .feedback import Feedback, Rating
    from .files import FileType, InputFile, LocalFile, RemoteFile, UploadedFile
    from .message import Message, MessageFeedback, MessageThought
    from .server import ServerInfo
    from .workflow import PausedData, WorkflowReply, WorkflowStatus

__all__ = [
    "AgentLogEvent",
    "AgentMessageEvent",
    "AgentThought",
    "AgentThoughtEvent",
    "Annotation",
    "AnnotationReply",
    "AnnotationReplyAction",
    "AnnotationReplyJob",
    "AppInfo",
    "AppMeta",
    "AppMode",
    "AppParameters",
    "AppSite",
    "ChatEvent",
    "ChatReply",
    "ClosingMessageEvent",
    "CompletionEvent",
    "CompletionReply",
    "Conversation",
    "ConversationVariable",
    "EndUser",
    "ErrorEvent",
    "Event",
    "Feature",
    "Feedback",
    "FileType",
    "FileUpload",
    "FormField",
    "HumanInputFormFilledEvent",
    "HumanInputFormTimeoutEvent",
    "HumanInputRequiredEvent",
    "ImageUpload",
    "InputFile",
    "IterationCompletedEvent",
    "IterationNextEvent",
    "IterationStartedEvent",
    "LocalFile",
    "LoopCompletedEvent",
    "LoopNextEvent",
    "LoopStartedEvent",
    "Message",
    "MessageEndEvent",
    "MessageEvent",
    "MessageFeedback",
    "MessageFile",
    "MessageFileEvent",
    "MessageReplaceEvent",
    "MessageThought",
    "Metadata",
    "NodeFinishedEvent",
    "NodeRetryEvent",
    "NodeStartedEvent",
    "OtherEvent",
    "PausedData",
    "PingEvent",
    "Rating",
    "ReasoningChunkEvent",
    "RemoteFile",
    "RetrieverResource",
    "ServerInfo",
    "SortBy",
    "SystemParameters",
    "TextChunkEvent",
    "TextReplaceEvent",
    "TextToSpeech",
    "Transcript",
    "TtsMessageEndEvent",
    "TtsMessageEvent",
    "UploadedFile",
    "Usage",
    "WorkflowEvent",
    "WorkflowFinishedEvent",
    "WorkflowPausedEvent",
    "WorkflowReply",
    "WorkflowStartedEvent",
    "WorkflowStatus",
]

# The modules above, in the order in which they are looked through: each is loaded when a name is wanted that
# none before it has.
_HOMES = (
    "annotation",
    "app",
    "audio",
    "chat",
    "conversation",
    "end_user",
    "events",
    "feedback",
    "files",
    "message",
    "server",
    "workflow",
)


def __getattr__(name: str) -> object:
    return find(__name__, name, __all__, _HOMES)
