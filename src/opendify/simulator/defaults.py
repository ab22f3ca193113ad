"""The apps of a simulator that is told of none: one of every mode, and one of every peculiarity."""

from __future__ import annotations

from opendify.simulator.apps import AppSpec, Behaviour, Field, Moderation, Segment, Tool
from opendify.simulator.conversation_variables import ConversationVariable
from opendify.simulator.nodes import (
    LLM,
    Answer,
    Assigner,
    Code,
    End,
    FormInput,
    HumanInput,
    Maker,
    Start,
    Template,
    UserAction,
)

CURRENT_TIME = Tool(
    "current_time",
    "{now}",
    label="Current Time",
    arguments={"format": "%Y-%m-%d %H:%M:%S", "timezone": "UTC"},
    icon="time",
)
DRAW = Tool("draw", "I drew it.", arguments={"prompt": "a red square"}, draws=True)

KNOWLEDGE = (
    Segment("The capital of the colony on Mars is Olympus City, founded in 2101."),
    Segment("Mercury is the closest planet to the Sun."),
    Segment("Jupiter is the largest planet of all."),
)

_FORM = (
    Field("name", label="Name", required=True, max_length=48),
    Field("lang", "select", label="Language", required=True, options=("English", "中文")),
    Field("age", "number", label="Age"),
)


def default_apps(behaviour: Behaviour = "1.12") -> tuple[AppSpec, ...]:
    """The apps of a simulator that is told of none. New Agents and forms there are in behaviour 1.16 only.

    >>> [app.title for app in default_apps("1.16") if app.mode == "agent"]
    ['Simulated New Agent']
    """
    return (*_APPS, *_NEWER) if behaviour == "1.16" else _APPS


_REVIEW = HumanInput(
    "Draft: {{#llm.text#}}\n\nRemark: {{#$output.remark#}}",
    inputs=(
        FormInput("remark", default="Looks good."),
        FormInput("tone", "select", options=("kind", "strict")),
    ),
    actions=(
        UserAction("approve", "Approve", "primary"),
        UserAction(
            "reject",
            "Reject",
            then=(Template("Rejected: {{#review.remark#}}"), End({"result": "tpl.output"})),
        ),
    ),
    id="review",
    title="Review",
)
_APPROVAL = HumanInput(
    "Shall I send this? {{#llm.text#}}",
    inputs=(FormInput("remark"),),
    actions=(
        UserAction("send", "Send", "primary"),
        UserAction(
            "discard", "Discard", then=(Answer("\nDiscarded. {{#approval.remark#}}", id="discarded"),)
        ),
    ),
    after_timeout=(Answer("\nNobody answered.", id="late"),),
    id="approval",
    title="Approval",
)

_NEWER = (
    AppSpec("new-agent", "agent", tools=(CURRENT_TIME,)),
    AppSpec(
        "review",
        "workflow",
        name="Simulated Workflow With A Form",
        form=(Field("text", "paragraph", required=True, max_length=4000),),
        graph=(
            Start(),
            LLM(prompt="{{#start.text#}}"),
            _REVIEW,
            Template("Approved: {{#llm.text#}} ({{#review.remark#}})"),
            End({"result": "tpl.output"}),
        ),
    ),
    AppSpec(
        "approval",
        "advanced-chat",
        name="Simulated Chatflow With A Form",
        graph=(
            Start(),
            LLM(),
            Answer(id="draft"),
            _APPROVAL,
            Answer("\nSent. {{#approval.remark#}}", id="sent"),
        ),
    ),
)

_APPS = (
    AppSpec("chat", "chat", system="You are a helpful assistant."),
    AppSpec("form", "chat", form=_FORM, system="Address the user as {{name}}, in {{lang}}."),
    AppSpec("plain", "chat", features=False, uploads=0),
    AppSpec("kb", "chat", name="Simulated Knowledge Chat", knowledge=KNOWLEDGE),
    AppSpec("moderation", "chat", moderation=Moderation(inputs=("forbidden",), outputs=("badword",))),
    AppSpec("tts", "chat", name="Simulated Speech", speech=True),
    AppSpec("limit1", "chat", max_active_requests=1),
    AppSpec("annotated", "chat", annotations={"What is your name?": "My name is Dify, says a note."}),
    AppSpec("agent", "agent-chat", system="You are an agent with tools.", tools=(CURRENT_TIME, DRAW)),
    AppSpec(
        "chatflow",
        "advanced-chat",
        graph=(Start(), LLM(system="You are a chatflow assistant."), Answer()),
    ),
    AppSpec(
        "reasoning",
        "advanced-chat",
        graph=(Start(), LLM(reasoning_format="separated"), Answer()),
    ),
    AppSpec(
        "memory",
        "advanced-chat",
        name="Simulated Chatflow With Variables",
        variables=(
            ConversationVariable("last_query", description="what was asked before"),
            ConversationVariable("count", "number", 0),
            ConversationVariable("tags", "array[string]", []),
        ),
        graph=(
            Start(),
            LLM(prompt="Before: {{#conversation.last_query#}} Now: {{#sys.query#}}"),
            Assigner({"last_query": "{{#sys.query#}}"}),
            Answer(),
        ),
    ),
    AppSpec(
        "painter",
        "advanced-chat",
        graph=(Start(), Maker(), Answer("I drew it. {{#tool.files#}}")),
    ),
    AppSpec("completion", "completion", form=(Field("query", "paragraph", label="Query", required=True),)),
    AppSpec(
        "workflow",
        "workflow",
        form=(Field("text", "paragraph", required=True, max_length=4000),),
        graph=(Start(), LLM(prompt="{{#start.text#}}"), End({"result": "llm.text"})),
    ),
    AppSpec(
        "outputs",
        "workflow",
        name="Simulated Workflow With Outputs",
        form=(Field("text", "paragraph", required=True), Field("n", "number")),
        graph=(
            Start(),
            Template("{{#start.text#}}", {"t": "start.text"}),
            LLM(prompt="{{#start.text#}}"),
            End({"result": "llm.text", "template": "tpl.output", "usage": "llm.usage"}),
        ),
    ),
    AppSpec(
        "files",
        "workflow",
        name="Simulated Workflow With Files",
        form=(
            Field("text"),
            Field("pic", "file", allowed_file_types=("image",)),
            Field("docs", "file-list", max_length=3, allowed_file_types=("document", "image")),
        ),
        graph=(
            Start(),
            LLM(system="see", prompt="{{#start.text#}}"),
            End({"result": "llm.text", "pic": "start.pic", "docs": "start.docs"}),
        ),
    ),
    AppSpec(
        "failing",
        "workflow",
        form=(Field("text"),),
        graph=(Start(), Code(error="ValueError: code boom"), End({"result": "code.result"})),
    ),
)
