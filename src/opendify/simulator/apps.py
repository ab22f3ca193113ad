"""The apps of a simulator: what an app is, the form it asks for, and what Dify tells about it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import NAMESPACE_URL, uuid5

from opendify.simulator.conversation_variables import ConversationVariable
from opendify.simulator.errors import invalid
from opendify.simulator.files import LIMITS, File
from opendify.simulator.nodes import LLM, Answer, End, Node, Start
from opendify.simulator.wire import array, mapping

Behaviour = Literal["1.12", "1.16"]
"""Which Dify to be."""

Mode = Literal["chat", "agent-chat", "advanced-chat", "completion", "workflow", "agent"]
"""The kind of app; "agent" is the New Agent of Dify 1.16."""

FieldType = Literal[
    "text-input", "paragraph", "select", "number", "checkbox", "json_object", "file", "file-list"
]

CHAT_MODES = frozenset[Mode]({"chat", "agent-chat", "advanced-chat", "agent"})
GRAPH_MODES = frozenset[Mode]({"advanced-chat", "workflow"})

FindFile = Callable[[Mapping[str, object]], File]

VERSIONS: dict[Behaviour, str] = {"1.12": "1.12.1", "1.16": "1.16.0"}
"""What X-Version says."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an app's input form.

    Args:
        variable: its name in `inputs`.
        type: as in Dify's editor.
        label: what a person sees; the variable's name if not given.
        required: wanted on every turn of a conversation, not on the first only.
        max_length: characters of a text, files of a file-list.
        options: of a select.
        default: used when nothing is given.
        hide: not shown to people.
        allowed_file_types: of a file or file-list.
    """

    variable: str
    type: FieldType = "text-input"
    label: str = ""
    required: bool = False
    max_length: int | None = None
    options: tuple[str, ...] = ()
    default: str | None = None
    hide: bool = False
    allowed_file_types: tuple[str, ...] = ("image", "document", "audio", "video")

    def json(self, mode: Mode) -> dict[str, object]:
        """The field as `/parameters` shows it: basic apps and graph apps write it differently."""
        label = self.label or self.variable
        if mode not in GRAPH_MODES:
            shown: dict[str, object] = {
                "label": label,
                "variable": self.variable,
                "required": self.required,
            }
            if self.max_length is not None:
                shown["max_length"] = self.max_length
            if self.options:
                shown["options"] = list(self.options)
            return {self.type: {**shown, "default": self.default or ""}}
        shown = {
            "variable": self.variable,
            "label": label,
            "type": self.type,
            "required": self.required,
            "max_length": self.max_length,
            "options": list(self.options),
        }
        if self.type in ("file", "file-list"):
            shown["allowed_file_types"] = list(self.allowed_file_types)
            shown["allowed_file_upload_methods"] = ["local_file", "remote_url"]
            shown["allowed_file_extensions"] = []
        if self.default is not None:
            shown["default"] = self.default
        if self.hide:
            shown["hide"] = True
        return {self.type: shown}

    def take(self, value: object, find: FindFile) -> object:
        """A value as Dify takes it: checked, numbers read, files found.

        Raises:
            Refusal: 400 naming the field.
        """
        if value is None:
            if self.required:
                raise invalid(f"{self.variable} is required in input form")
            value = self.default or None
            if value is None:
                return None
        if self.type in ("text-input", "paragraph", "select") and not isinstance(value, str):
            raise invalid(f"(type '{self.type}') {self.variable} in input form must be a string")
        return _TAKE[self.type](self, value, find)


def _text(field: Field, value: object, find: FindFile) -> object:
    if field.max_length and len(str(value)) > field.max_length:
        raise invalid(f"{field.variable} in input form must be less than {field.max_length} characters")
    return value


def _select(field: Field, value: object, find: FindFile) -> object:
    if value not in field.options:
        raise invalid(f"{field.variable} in input form must be one of the following: {list(field.options)}")
    return value


def _number(field: Field, value: object, find: FindFile) -> object:
    if isinstance(value, (int, float)):
        return value
    if not isinstance(value, str):
        raise invalid(f"{field.variable} in input form must be a valid number")
    if not value.strip():
        return None
    try:
        return float(value) if "." in value else int(value)
    except ValueError:
        raise invalid(f"{field.variable} in input form must be a valid number") from None


def _checkbox(field: Field, value: object, find: FindFile) -> object:
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


def _object(field: Field, value: object, find: FindFile) -> object:
    if mapping(value) is None:
        raise invalid(f"{field.variable} in input form must be a dict")
    return value


def _file(field: Field, value: object, find: FindFile) -> object:
    item = mapping(value)
    if item is None:
        raise invalid(f"{field.variable} in input form must be a file")
    return find(item)


def _file_list(field: Field, value: object, find: FindFile) -> object:
    given = array(value)
    items = [item for one in given or [] if (item := mapping(one)) is not None]
    if given is None or len(items) < len(given):
        raise invalid(f"{field.variable} in input form must be a list of files")
    if field.max_length and len(items) > field.max_length:
        raise invalid(f"{field.variable} in input form must be less than {field.max_length} files")
    return [find(item) for item in items]


_TAKE = {
    "text-input": _text,
    "paragraph": _text,
    "select": _select,
    "number": _number,
    "checkbox": _checkbox,
    "json_object": _object,
    "file": _file,
    "file-list": _file_list,
}


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of an app's knowledge, cited when the question shares a word with it."""

    content: str
    document: str = "planets.txt"
    dataset: str = "Seed knowledge"


@dataclass(frozen=True, slots=True)
class Moderation:
    """Words that are not to be asked for, or said, and what is said instead."""

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    input_reply: str = "Input was blocked by moderation."
    output_reply: str = "Output was blocked by moderation."


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool of an agent app: the server calls it, not the client.

    Args:
        name: what the model calls.
        result: what the tool says.
        label: what people see.
        arguments: what the model calls it with if no directive says otherwise.
        draws: makes an image as well.
        icon: path of its icon under the console's API.
    """

    name: str
    result: str
    label: str = ""
    arguments: Mapping[str, object] = field(default_factory=lambda: dict[str, object]())
    draws: bool = False
    icon: str = ""


@dataclass(frozen=True, slots=True)
class AppSpec:
    """One app of a simulator.

    Args:
        nickname: the short name by which tests call it: `dify.keys["chat"]`.
        mode: the kind of app, in Dify's words.
        name: what `/info` says; `Simulated <Nickname>` if not given.
        key: its API key; `app-sim-<nickname>` if not given.
        system: the instruction that the model sees; `{{variable}}` is filled in from the inputs.
        form: the input form.
        uploads: how many files a message may carry; 0: files are ignored without a word.
        upload_types: which kinds of files `/parameters` announces.
        upload_extensions: which extensions.
        tools: of an agent.
        strategy: how an agent calls them.
        knowledge: what the app cites.
        annotations: questions that are answered from the owner's notes, without a model, and the answers.
            More can be added over the API.
        moderation: words that are blocked.
        speech: the answer is also spoken: tts_message events, which may come after the end of the answer.
        speech_models: False: the workspace has no models that speak or listen.
        variables: of its conversations: a chatflow keeps them from turn to turn.
        max_active_requests: answers at once; 0: as many as come.
        graph: the nodes of an advanced-chat or workflow app; start, model and answer (or end) if not given.
        refuses: the status, code and message with which it refuses every generation, as an app with a
            broken model does.
        api_enabled: False: the app's API is switched off (403).
        published: False: a chatflow or workflow that was never published.
        shown: parts of `/parameters` that are to be otherwise, key by key.

    Raises:
        ValueError: a graph that does not begin with a Start node, or that an app of this mode has not.

    >>> AppSpec("chat", "chat").app_key, AppSpec("chat", "chat").title
    ('app-sim-chat', 'Simulated Chat')
    """

    nickname: str
    mode: Mode
    name: str = ""
    key: str = field(default="", repr=False)
    description: str = "An app of the Dify simulator"
    author: str = "Simulator"
    system: str = ""
    form: tuple[Field, ...] = ()
    opening_statement: str = ""
    suggested_questions: tuple[str, ...] = ()
    features: bool = True
    uploads: int = 3
    upload_types: tuple[str, ...] = ("image", "document")
    upload_extensions: tuple[str, ...] = (".JPG", ".PNG", ".PDF", ".TXT")
    tools: tuple[Tool, ...] = ()
    strategy: Literal["function_call", "react"] = "function_call"
    knowledge: tuple[Segment, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())
    moderation: Moderation = Moderation()
    speech: bool = False
    speech_models: bool = True
    variables: tuple[ConversationVariable, ...] = ()
    max_active_requests: int = 0
    graph: tuple[Node, ...] = ()
    refuses: tuple[int, str, str] | None = None
    api_enabled: bool = True
    published: bool = True
    shown: Mapping[str, object] = field(default_factory=lambda: dict[str, object]())

    def __post_init__(self) -> None:
        if self.graph and self.mode not in GRAPH_MODES:
            raise ValueError(f"App {self.nickname!r}: an app of mode {self.mode!r} has no graph.")
        if self.graph and not isinstance(self.graph[0], Start):
            raise ValueError(f"App {self.nickname!r}: the first node of a graph is a Start().")

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The graph, or the shortest one for the app's mode; none for other modes."""
        if self.graph or self.mode not in GRAPH_MODES:
            return self.graph
        return (Start(), LLM(system=self.system), Answer() if self.mode == "advanced-chat" else End())

    @property
    def app_key(self) -> str:
        """The API key."""
        return self.key or f"app-sim-{self.nickname}"

    @property
    def title(self) -> str:
        """The app's name."""
        return self.name or f"Simulated {self.nickname.replace('-', ' ').replace('_', ' ').title()}"

    @property
    def suggests(self) -> bool:
        """Are questions suggested after an answer?"""
        return self.features and self.mode not in ("completion", "workflow")

    @property
    def id(self) -> str:
        """The app's id: the same in every simulator."""
        return str(uuid5(NAMESPACE_URL, f"opendify-simulator/{self.nickname}"))

    @property
    def workflow_id(self) -> str:
        """The id of the published workflow."""
        return str(uuid5(NAMESPACE_URL, f"opendify-simulator/{self.nickname}/workflow"))

    def inputs(self, given: Mapping[str, object], find: FindFile) -> dict[str, object]:
        """The values of the form, checked. What the form does not know is ignored.

        Args:
            given: the request's `inputs`.
            find: gives the file that an input names.

        Raises:
            Refusal: 400 for the first value that is missing or wrong.
        """
        return {field.variable: field.take(given.get(field.variable), find) for field in self.form}

    def check(self, files: tuple[File, ...]) -> tuple[File, ...]:
        """The files of a message that the app takes: all, or none where uploads are off.

        Raises:
            Refusal: 400 for more than it allows.
        """
        if not self.uploads:
            return ()
        if len(files) > self.uploads:
            raise invalid(f"Number of {files[0].type} files exceeds the maximum limit {self.uploads}")
        return files

    def info(self) -> dict[str, object]:
        """`GET /info`."""
        return {
            "name": self.title,
            "description": self.description,
            "tags": [],
            "mode": self.mode,
            "author_name": self.author,
        }

    def parameters(self, *, annotated: bool) -> dict[str, object]:
        """`GET /parameters`. `features` False is an app on which nobody switched anything on.

        Args:
            annotated: its annotations are given as answers.
        """
        on = {"enabled": self.features}
        graph = self.mode in GRAPH_MODES
        voice: dict[str, object] = {"language": "en-US", "voice": "alloy"} if self.features else {}
        if self.features and not graph:
            voice["autoPlay"] = "enabled" if self.speech else "disabled"
        moderation: dict[str, object] = {"enabled": bool(self.moderation.inputs or self.moderation.outputs)}
        if not graph:
            moderation |= {"type": "", "configs": []}
        return {
            "opening_statement": self.opening_statement,
            "suggested_questions": list(self.suggested_questions),
            "suggested_questions_after_answer": {"enabled": self.suggests},
            "speech_to_text": on,
            "text_to_speech": {**on, **voice},
            "retriever_resource": on,
            "annotation_reply": {"enabled": annotated},
            "more_like_this": {"enabled": self.features and self.mode == "completion"},
            "user_input_form": [field.json(self.mode) for field in self.form],
            "sensitive_word_avoidance": moderation,
            "file_upload": self._file_upload(graph=graph),
            "system_parameters": {
                "image_file_size_limit": LIMITS["image"],
                "video_file_size_limit": LIMITS["video"],
                "audio_file_size_limit": LIMITS["audio"],
                "file_size_limit": LIMITS["document"],
                "workflow_file_upload_limit": 10,
            },
        } | dict(self.shown)

    def _file_upload(self, *, graph: bool) -> dict[str, object]:
        methods = ["local_file", "remote_url"] if graph else ["remote_url", "local_file"]
        taken = {
            "allowed_file_types": list(self.upload_types),
            "allowed_file_extensions": list(self.upload_extensions),
            "allowed_file_upload_methods": methods,
            "number_limits": self.uploads,
        }
        if graph:
            return {"enabled": True, **taken} if self.uploads else {"enabled": False}
        image = {
            "enabled": bool(self.uploads) and "image" in self.upload_types,
            "number_limits": self.uploads or 3,
            "detail": "high",
            "transfer_methods": methods,
        }
        shown: dict[str, object] = {"enabled": bool(self.uploads), "image": image}
        return {**shown, **taken} if self.uploads else shown

    def meta(self, url: str) -> dict[str, object]:
        """`GET /meta`: the icons of an agent's tools."""
        builtin = f"{url}/console/api/workspaces/current/tool-provider/builtin"
        icons = {tool.name: f"{builtin}/{tool.icon or tool.name}/icon" for tool in self.tools}
        return {"tool_icons": icons}

    def site(self) -> dict[str, object]:
        """`GET /site`."""
        return {
            "title": self.title,
            "chat_color_theme": None,
            "chat_color_theme_inverted": False,
            "icon_type": "emoji",
            "icon": "🤖",
            "icon_background": "#FFEAD5",
            "description": None,
            "copyright": None,
            "privacy_policy": None,
            "custom_disclaimer": "",
            "default_language": "en-US",
            "show_workflow_steps": True,
            "use_icon_as_answer_icon": False,
            "icon_url": None,
        }

    def cited(self, query: str, retriever_from: str) -> list[dict[str, object]]:
        """The `retriever_resources` of a question: the segments that share a word with it, best first."""
        wanted = set(query.lower().split())
        shared = [(len(wanted & set(segment.content.lower().split())), segment) for segment in self.knowledge]
        best = sorted((pair for pair in shared if pair[0]), key=lambda pair: -pair[0])
        return [
            _resource(position, segment, round(hits / len(wanted), 4), retriever_from)
            for position, (hits, segment) in enumerate(best, start=1)
        ]

    def citations(self, document: str, retriever_from: str) -> list[dict[str, object]]:
        """What `[[cite]]` cites, in an app without knowledge too."""
        segment = Segment(
            "The capital of the colony on Mars is Olympus City, founded in 2101.", document or "planets.txt"
        )
        return [_resource(1, segment, 0.9, retriever_from)]


def _resource(position: int, segment: Segment, score: float, retriever_from: str) -> dict[str, object]:
    def stable(name: str) -> str:
        return str(uuid5(NAMESPACE_URL, f"opendify-simulator/knowledge/{name}"))

    in_workflow = retriever_from == "workflow"
    return {
        "position": position,
        "dataset_id": stable(segment.dataset),
        "dataset_name": segment.dataset,
        "document_id": stable(segment.document),
        "document_name": segment.document,
        "data_source_type": "upload_file",
        "segment_id": stable(segment.content),
        "retriever_from": retriever_from,
        "score": score,
        "hit_count": 1 if in_workflow else None,
        "word_count": len(segment.content) if in_workflow else None,
        "segment_position": position if in_workflow else None,
        "index_node_hash": stable(segment.content).replace("-", "") if in_workflow else None,
        "content": segment.content,
        "page": None,
        "doc_metadata": None,
        "title": None,
        "files": None,
        "summary": None,
    }
