"""Earlier turns, calls and results as text for a model that gets one query. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from opendify.gateway.conversation import RESULT_ROLES, Conversation, called, calls, mostly_chinese, told
from opendify.gateway.settings import ToolPrompt
from opendify.gateway.tools import prompt
from opendify.gateway.wire import Message, ToolCall


def seeded(conversation: Conversation, system: str, style: ToolPrompt = "tagged") -> str:
    """The query that carries the earlier turns into a new Dify conversation.

    Args:
        conversation: What the client said.
        system: The system prompt, if it has to stand in the query.
        style: How the app's model writes calls.

    >>> from opendify.gateway.conversation import read
    >>> chat = read([Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "And now?")])
    >>> print(seeded(chat, "Be brief."))
    <history>
    system: Be brief.
    <BLANKLINE>
    user: Hi
    <BLANKLINE>
    assistant: Hello
    </history>
    <BLANKLINE>
    Current question: And now?
    """
    turns = list(_turns(conversation, style)) if conversation.history else []
    if not turns:
        return paragraphs(system, new(conversation, style))
    if system:
        turns.insert(0, f"system: {system}")
    history = "\n\n".join(turns)
    question = conversation.asks
    if question or not conversation.results:
        label = "用户当前问题:" if mostly_chinese(history) else "Current question:"
        question = f"{label} {question}"
    return paragraphs(f"<history>\n{history}\n</history>", _results(conversation, style), question)


def new(conversation: Conversation, style: ToolPrompt) -> str:
    """What an app that knows the earlier turns has not heard yet: the results, then the question."""
    return paragraphs(_results(conversation, style), conversation.asks)


def paragraphs(*texts: str) -> str:
    """Texts with blank lines between them; empty ones leave no trace."""
    return "\n\n".join(filter(None, texts))


def _results(conversation: Conversation, style: ToolPrompt) -> str:
    if not conversation.results:
        return ""
    known = {name: call for message in conversation.history for name, call in _by_id(message).items()}
    return prompt.results(conversation.results, known, style)


def _turns(conversation: Conversation, style: ToolPrompt) -> Iterator[str]:
    """The history's turns as text. Results that came together stand together, in one turn."""
    if conversation.plain:
        yield from [line for line, text in zip(conversation.lines, conversation.texts, strict=True) if text]
        return
    known: dict[str, ToolCall] = {}
    results: list[Message] = []
    for message, text in zip(conversation.history, conversation.texts, strict=True):
        if message.role in RESULT_ROLES:
            results.append(message)
            continue
        if results:
            yield f"tool: {prompt.results(results, known, style)}"
            results.clear()
        if isinstance(message.content, str) and not calls(message):
            turn = text
        else:
            turn = _turn(message, style)
            known |= _by_id(message)
        if turn:
            yield f"{message.role}: {turn}"
    if results:
        yield f"tool: {prompt.results(results, known, style)}"


def _turn(message: Message, style: ToolPrompt) -> str:
    text, asked = told(message), calls(message)
    return "\n".join(filter(None, [text, prompt.calls(asked, style)])) if asked else text


def _by_id(message: Message) -> Mapping[str, ToolCall]:
    """A message's calls by what their results name them: an id, in the older form the function's name."""
    return dict(zip(called(message), calls(message), strict=True))
