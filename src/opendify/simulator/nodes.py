"""The nodes of a chatflow or workflow: what an `AppSpec.graph` is made of. Data only.

A graph runs from top to bottom. Texts may name variables the way Dify's editor does: `{{#llm.text#}}`,
`{{#sys.query#}}`, `{{#start.name#}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True)
class Start:
    """Takes the inputs. Every graph begins with one."""

    id: str = "start"
    title: str = "Start"
    type: ClassVar[str] = "start"


@dataclass(frozen=True, slots=True)
class LLM:
    """Asks the scripted model.

    Args:
        system: its instruction.
        prompt: what it is asked; if that is empty, as `sys.query` is in a workflow, the texts of the inputs.
        reasoning_format: `separated` keeps `<think>` out of the node's text; it is the `reasoning_content`
            of its outputs, and, in behaviour 1.16, reasoning_chunk events. `tagged` leaves it in the text.
        files: the file variables that it sees beside the files of the message; None: all that the form has.
        credentials: False fails as a provider without credentials does.
    """

    id: str = "llm"
    title: str = "LLM"
    system: str = ""
    prompt: str = "{{#sys.query#}}"
    reasoning_format: Literal["tagged", "separated"] = "tagged"
    files: tuple[str, ...] | None = None
    credentials: bool = True
    type: ClassVar[str] = "llm"


@dataclass(frozen=True, slots=True)
class Template:
    """Fills a text in; its output is `output`."""

    template: str
    inputs: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())
    id: str = "tpl"
    title: str = "Template"
    type: ClassVar[str] = "template-transform"


@dataclass(frozen=True, slots=True)
class Code:
    """Gives fixed outputs, or fails.

    Args:
        outputs: what it gives.
        inputs: what it shows as its inputs: name to variable.
        error: fail with this text.
        fallback: the outputs to go on with after a failure; the run is then `partial-succeeded`.
    """

    outputs: Mapping[str, object] = field(default_factory=lambda: dict[str, object]())
    inputs: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())
    error: str | None = None
    fallback: Mapping[str, object] | None = None
    id: str = "code"
    title: str = "Code"
    type: ClassVar[str] = "code"


@dataclass(frozen=True, slots=True)
class Maker:
    """A tool node that makes a file.

    Args:
        makes: the kind of file: a red square (png) or silence (wav).
        text: its `text` output.
    """

    makes: Literal["png", "wav"] = "png"
    text: str = "I drew it."
    id: str = "tool"
    title: str = "Tool"
    type: ClassVar[str] = "tool"


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Looks the question up in the app's knowledge."""

    id: str = "retrieval"
    title: str = "Knowledge Retrieval"
    type: ClassVar[str] = "knowledge-retrieval"


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent node: calls a tool, logs it as agent_log events, and answers."""

    instruction: str = "be brief"
    text: str = "The agent node says it is 2026-01-01 00:00:00."
    id: str = "agent"
    title: str = "Agent"
    type: ClassVar[str] = "agent"


@dataclass(frozen=True, slots=True)
class Assigner:
    """Sets variables of the conversation, for this turn and later ones: `{{#conversation.name#}}`.

    Args:
        values: the text that each variable becomes.
    """

    values: Mapping[str, str]
    id: str = "assigner"
    title: str = "Variable Assigner"
    type: ClassVar[str] = "assigner"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a chatflow says. Text before a variable that is not yet known waits for nothing."""

    answer: str = "{{#llm.text#}}"
    id: str = "answer"
    title: str = "Answer"
    type: ClassVar[str] = "answer"


@dataclass(frozen=True, slots=True)
class End:
    """What a workflow gives: output name to variable."""

    outputs: Mapping[str, str] = field(default_factory=lambda: {"result": "llm.text"})
    id: str = "end"
    title: str = "End"
    type: ClassVar[str] = "end"


@dataclass(frozen=True, slots=True)
class Iteration:
    """Runs a code node for each item; its output is `output`, the flattened list of all results.

    Args:
        over: the variable that holds the list.
        pairs: what the inner node gives for each item: each factor times the item.
    """

    over: str
    inner: Code
    factors: tuple[int, ...] = (1, 2)
    id: str = "iteration"
    title: str = "Iteration"
    type: ClassVar[str] = "iteration"


@dataclass(frozen=True, slots=True)
class Loop:
    """Counts `i` up, saying it through an answer node, until `rounds` are done.

    Args:
        count: the limit that it shows.
        rounds: after how many it breaks off.
    """

    assigner_id: str = "assigner"
    answer_id: str = "loop_answer"
    count: int = 10
    rounds: int = 2
    id: str = "loop"
    title: str = "Loop"
    type: ClassVar[str] = "loop"


@dataclass(frozen=True, slots=True)
class FormInput:
    """One field of a human-input form.

    Args:
        output_variable_name: its name, in the form's text too: `{{#$output.name#}}`.
        default: what a paragraph begins with: a text, or one variable.
        options: of a select.
        allowed_file_types: of a file or file-list.
        number_limits: files of a file-list.
    """

    output_variable_name: str
    type: Literal["paragraph", "select", "file", "file-list"] = "paragraph"
    default: str = ""
    options: tuple[str, ...] = ()
    allowed_file_types: tuple[str, ...] = ("image", "document", "audio", "video")
    number_limits: int = 5


@dataclass(frozen=True, slots=True)
class UserAction:
    """One button of a human-input form.

    Args:
        then: the nodes that come after it, instead of those below the form.
    """

    id: str
    title: str
    button_style: Literal["primary", "default", "accent", "ghost"] = "default"
    then: tuple[Node, ...] | None = None


@dataclass(frozen=True, slots=True)
class HumanInput:
    """Waits for a person to fill in a form (behaviour 1.16). Its outputs are what was entered, by name.

    Args:
        form_content: what the person reads.
        timeout: seconds that it waits.
        after_timeout: the nodes that come when nobody has answered by then.
        web_app: False: it is sent by mail only, so the API has no token for it.
    """

    form_content: str = "Please review: {{#llm.text#}}"
    inputs: tuple[FormInput, ...] = ()
    actions: tuple[UserAction, ...] = (
        UserAction("approve", "Approve", "primary"),
        UserAction("reject", "Reject"),
    )
    timeout: float = 36 * 3600
    after_timeout: tuple[Node, ...] = ()
    web_app: bool = True
    display_in_ui: bool = True
    id: str = "human_input"
    title: str = "Human Input"
    type: ClassVar[str] = "human-input"


@dataclass(frozen=True, slots=True)
class Together:
    """Waits for several forms at once. With each that is filled in, the run goes on, and pauses for the rest.

    Args:
        nodes: what asks. The button of the form that was filled in last decides what comes after them.
    """

    nodes: tuple[HumanInput, ...]
    id: str = "together"
    title: str = "Together"
    type: ClassVar[str] = "together"


Node = (
    Start
    | LLM
    | Template
    | Code
    | Maker
    | Retrieval
    | Agent
    | Assigner
    | Answer
    | End
    | Iteration
    | Loop
    | HumanInput
    | Together
)
