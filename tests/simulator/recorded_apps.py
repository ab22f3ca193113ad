"""The apps of the recorded Dify, for the simulator: one AppSpec for each nickname in `tests/recordings`."""

from __future__ import annotations

from dataclasses import replace

from opendify.simulator import AppSpec, ConversationVariable, Field, Moderation, Segment, Tool
from opendify.simulator.nodes import (
    LLM,
    Agent,
    Answer,
    Code,
    End,
    Iteration,
    Loop,
    Maker,
    Retrieval,
    Start,
    Template,
)

_OPENING = "Hello, I am the opening statement."
_QUESTIONS = ("Opening question 1?", "Opening question 2?")
_GRAPH_QUESTIONS = ("What can you do?", "Who are you?")
_BLOCKED = Moderation(inputs=("forbidden",), outputs=("badword",))
_UNPREPARED = (400, "provider_not_initialize", "Model stub-chat credentials is not initialized.")
_BOOM = """\
Traceback (most recent call last):
  File "<path>", line 13, in <module>
    output_obj = main(**inputs_obj)
                 ^^^^^^^^^^^^^^^^^^
  File "<path>", line 3, in main
    raise ValueError('code boom')
ValueError: code boom
"""
_PLANETS = (
    Segment("The capital of the colony on Mars is Olympus City, founded in 2101."),
    Segment("Mercury is the closest planet to the Sun."),
    Segment("Jupiter is the largest planet of all."),
)
_TIME = Tool(
    "current_time",
    "{now}",
    label="Current Time",
    arguments={"format": "%Y-%m-%d %H:%M:%S", "timezone": "UTC"},
    icon="time",
)


def _chat(nickname: str, name: str = "", **more: object) -> AppSpec:
    common: dict[str, object] = {
        "opening_statement": _OPENING,
        "suggested_questions": _QUESTIONS,
        "system": "You are the basic chatbot.\n",
    }
    return AppSpec(nickname, "chat", name or nickname, **(common | more))  # type: ignore[arg-type]


def _agent(nickname: str, name: str = "", **more: object) -> AppSpec:
    return replace(
        _chat(nickname, name, tools=(_TIME,), system="You are an agent with tools.\n"),
        mode="agent-chat",
        **more,  # type: ignore[arg-type]
    )


def _graph(nickname: str, mode: str, *graph: object, name: str = "", **more: object) -> AppSpec:
    common: dict[str, object] = {
        "upload_types": ("image", "document", "audio"),
        "upload_extensions": (".JPG", ".PNG"),
        "graph": graph,
    }
    if mode == "advanced-chat":
        common |= {"opening_statement": "Hi from the chatflow", "suggested_questions": _GRAPH_QUESTIONS}
    return AppSpec(nickname, mode, name or nickname, **(common | more))  # type: ignore[arg-type]


def _chatflow(nickname: str, *graph: object, name: str = "", **more: object) -> AppSpec:
    nodes = graph or (Start(), LLM(system="You are a chatflow assistant."), Answer())
    return _graph(nickname, "advanced-chat", *nodes, name=name, **more)


def _workflow(nickname: str, *graph: object, name: str = "", **more: object) -> AppSpec:
    return _graph(nickname, "workflow", *graph, name=name, **{"form": (Field("text"),), **more})


def _completion(nickname: str, name: str = "", **more: object) -> AppSpec:
    form = (Field("query", "paragraph", label="Query", required=True),)
    return AppSpec(nickname, "completion", name or nickname, **({"form": form} | more))  # type: ignore[arg-type]


LAST_QUERY = ConversationVariable("last_query", description="last query")
"""The one conversation variable of the recorded apps."""

_TYPES = ("t", "p", "n", "s", "c", "j", "d")
_VOICELESS = {"enabled": False, "voice": "", "language": ""}

_APPS = (
    _chat("chat", "Basic Chat"),
    _chat("chat_kb", knowledge=_PLANETS),
    _chat(
        "chat_form",
        "Chat with form",
        opening_statement="Hello {{name}}!",
        system="Address the user as {{name}}, in {{lang}}.\n",
        form=(
            Field("name", label="Name", required=True, max_length=10),
            Field("lang", "select", label="Language", required=True, options=("English", "中文")),
            Field("age", "number", label="Age"),
            Field("bio", "paragraph", label="Bio"),
        ),
    ),
    _chat(
        "chat_plain",
        "Chat bare (no features)",
        opening_statement="",
        suggested_questions=(),
        features=False,
        uploads=0,
    ),
    _chat("chat_moderation", moderation=_BLOCKED),
    _chat("chat_tts", speech=True),
    _chat("chat_limit1", max_active_requests=1),
    _chat("chat_badmodel", refuses=(400, "invalid_param", "Model stub-missing not exist.")),
    _chat("chat_nocred", refuses=(400, "invalid_param", "Provider langgenius/openai/openai does not exist.")),
    _chat(
        "chat_locked",
        refuses=(400, "provider_not_initialize", "Model locked-chat credentials is not initialized."),
    ),
    _agent("agent", "Agent FC"),
    _agent("agent_react", strategy="react", tools=()),
    _agent("agent_files", tools=(Tool("tts", "Audio generated successfully", label="Text To Speech"),)),
    _agent(
        "agent_image",
        tools=(
            Tool(
                "draw",
                "I drew it.",
                arguments={"prompt": "a red square"},
                draws=True,
                icon="realdify/tools/paint",
            ),
        ),
    ),
    _chatflow(
        "chatflow",
        Start(),
        LLM(system="You are a chatflow assistant. tone={{#start.tone#}}"),
        Answer(),
        name="Chatflow",
        form=(Field("tone", max_length=256), Field("lang", "select", options=("English", "中文"))),
    ),
    _chatflow("chatflow_kb", Start(), Retrieval(), LLM(), Answer(), knowledge=_PLANETS),
    _chatflow(
        "chatflow_multi",
        Start(),
        LLM(id="llm1", system="draft"),
        Answer("Draft: {{#llm1.text#}}\n---\n", id="ans1"),
        LLM(id="llm2", system="final must={{#start.must#}}"),
        Answer("Final: {{#llm2.text#}} (must={{#start.must#}})", id="ans2"),
        name="Chatflow with text around the LLM, two LLM nodes and a conversation variable",
        form=(Field("must", required=True, max_length=256),),
        variables=(LAST_QUERY,),
    ),
    _chatflow("chatflow_error", Start(), Code(error=_BOOM), Answer("before {{#code.result#}}")),
    _chatflow("chatflow_unpublished", published=False),
    _chatflow("chatflow_moderation", moderation=_BLOCKED),
    _chatflow("chatflow_tts", speech=True),
    _chatflow("chatflow_file_input", form=(Field("pic", "file"),)),
    _chatflow(
        "chatflow_file_output", Start(), Maker("wav", "done"), Answer("Here is audio: {{#tool.files#}}")
    ),
    _chatflow("chatflow_image", Start(), Maker(), Answer("{{#tool.text#}} {{#tool.files#}}")),
    _chatflow("chatflow_agentnode", Start(), Agent(), Answer("{{#agent.text#}}")),
    _chatflow("chatflow_reason", Start(), LLM(reasoning_format="separated"), Answer()),
    _completion("completion", "Completion"),
    _completion("completion_form", form=(Field("text", required=True), Field("lang"))),
    _workflow(
        "workflow",
        Start(),
        Template("{{#start.text#}}", {"t": "start.text"}),
        LLM(system="workflow llm", prompt="{{#start.text#}}"),
        End({"result": "llm.text", "template": "tpl.output", "usage": "llm.usage"}),
        name="Workflow",
        form=(Field("text", "paragraph", required=True, max_length=4000), Field("n", "number")),
    ),
    _workflow("workflow_nollm", Start(), End({"text": "start.text"})),
    _workflow("workflow_error", Start(), Code(error=_BOOM), End({"result": "code.result"})),
    _workflow(
        "workflow_partial",
        Start(),
        Code(error=_BOOM, fallback={"result": "fallback"}),
        End({"result": "code.result"}),
    ),
    _workflow(
        "workflow_files",
        Start(),
        LLM(system="see", prompt="{{#start.text#}}", files=("start.pic",)),
        End({"result": "llm.text", "pic": "start.pic", "docs": "start.docs"}),
        name="Workflow with file inputs",
        form=(
            Field("text", max_length=256),
            Field("pic", "file", allowed_file_types=("image",)),
            Field("docs", "file-list", max_length=3, allowed_file_types=("document", "image")),
        ),
    ),
    _workflow(
        "workflow_types",
        Start(),
        End({name: f"start.{name}" for name in _TYPES}),
        form=(
            Field("t", max_length=256),
            Field("p", "paragraph", max_length=100),
            Field("n", "number"),
            Field("s", "select", options=("a", "b")),
            Field("c", "checkbox"),
            Field("j", "json_object"),
            Field("d", max_length=256, default="dflt", hide=True),
        ),
    ),
    _workflow(
        "fx_iteration_flatten_output_enabled",
        Start("start_node"),
        Code({"result": [1, 2, 3]}, id="code_node", title="Generate Array"),
        Iteration(
            "code_node.result",
            Code(id="code_inner_node", title="Generate Pair"),
            id="iteration_node",
            title="Iteration with Flatten Enabled",
        ),
        End({"output": "iteration_node.output"}, id="end_node"),
        form=(),
        features=False,
        uploads=0,
        shown={"text_to_speech": _VOICELESS, "retriever_resource": {"enabled": True}},
    ),
    _chatflow(
        "fx_loop_contains_answer",
        Start("1755203854938"),
        Loop("1755203898151", "1755204039754", id="1755203872773"),
        Answer("{{#sys.query#}} + {{#1755203872773.i#}}", id="1755203915300", title="Answer 2"),
        opening_statement="",
        suggested_questions=(),
        features=False,
        uploads=0,
        shown={
            "text_to_speech": {"enabled": False, "language": "", "voice": ""},
            "retriever_resource": {"enabled": True},
            "file_upload": {
                "allowed_file_extensions": [".JPG", ".JPEG", ".PNG", ".GIF", ".WEBP", ".SVG"],
                "allowed_file_types": ["image"],
                "allowed_file_upload_methods": ["local_file", "remote_url"],
                "enabled": False,
                "fileUploadConfig": {
                    "audio_file_size_limit": 50,
                    "batch_count_limit": 5,
                    "file_size_limit": 15,
                    "image_file_size_limit": 10,
                    "video_file_size_limit": 100,
                    "workflow_file_upload_limit": 10,
                },
                "image": {
                    "enabled": False,
                    "number_limits": 3,
                    "transfer_methods": ["local_file", "remote_url"],
                },
                "number_limits": 3,
            },
        },
    ),
    _chat("empty_chat", refuses=_UNPREPARED, speech_models=False),
    _agent("empty_agent", refuses=_UNPREPARED),
    _completion("empty_completion", refuses=_UNPREPARED),
    _chatflow("empty_chatflow", Start(), LLM(credentials=False), Answer()),
    _workflow("empty_workflow", Start(), LLM(credentials=False), End({"result": "llm.text"})),
)


def recorded_apps() -> tuple[AppSpec, ...]:
    """The apps of `tests/recordings`, under their nicknames."""
    return tuple(
        replace(app, description=f"realdify {app.title}", author="Owner", key=f"app-{app.nickname}")
        for app in _APPS
    )
