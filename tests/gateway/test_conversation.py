"""A message list, read as a conversation."""

import json
import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from opendify.gateway.conversation import Conversation, Digest, attachments, canonical, in_chinese, read, said
from opendify.gateway.errors import OpenAIError
from opendify.gateway.history import new, seeded
from opendify.gateway.wire import FilePart, FunctionCall, ImageURL, Message, Part, ToolCall

IMAGE = Part("image_url", image_url=ImageURL("https://x/cat.png"))
PDF = Part("file", file=FilePart(file_data="data:,", filename="report.pdf"))


ROME = ToolCall("call_1", FunctionCall("get_weather", '{"city": "Rome"}'))
OSLO = ToolCall("call_2", FunctionCall("get_weather", '{"city": "Oslo"}'))


def called(*calls: ToolCall, text: str | None = None) -> Message:
    return Message("assistant", text, tool_calls=list(calls))


def result(call: ToolCall, text: str = "22 degrees") -> Message:
    return Message("tool", text, tool_call_id=call.id)


def texts(messages: Sequence[Message]) -> list[str]:
    return [message.text for message in messages]


def talk(*turns: str | tuple[str, str]) -> list[Message]:
    """Messages from "role: text" lines."""
    return [Message(*turn.split(": ", 1)) if isinstance(turn, str) else Message(*turn) for turn in turns]


def test_the_last_user_turn_is_the_question_and_what_is_before_it_the_history() -> None:
    chat = read(
        talk("system: Be brief.", "developer: In verse.", "user: Hi", "assistant: Hello", "user: And now?")
    )
    assert chat.system == "Be brief.\n\nIn verse."
    assert [message.text for message in chat.history] == ["Hi", "Hello"]
    assert chat.asks == "And now?"
    assert (chat.places, chat.goes_on) == ([4], True)


def test_nothing_is_lost_that_stands_after_the_question() -> None:
    chat = read(talk("user: Hi", "assistant: Let me"))
    assert [message.text for message in chat.history] == ["Let me"]
    assert "assistant: Let me" in seeded(chat, "")


def test_a_system_prompt_alone_is_the_question() -> None:
    chat = read(talk("system: Say hello."))
    assert (chat.system, chat.asks) == ("", "Say hello.")


@pytest.mark.parametrize(
    "messages", [talk("assistant: Hi"), talk("user:  "), [Message("user", [])], [Message("user", None)]]
)
def test_a_request_that_asks_nothing_is_refused(messages: list[Message]) -> None:
    with pytest.raises(OpenAIError) as refused:
        read(messages)
    assert refused.value.status == 400


def test_a_picture_without_words_is_a_question() -> None:
    assert read([Message("user", [IMAGE])]).has_files(history=False)


# ── Calls and results ────────────────────────────────────────────────────────────────────────────────


def test_results_that_follow_the_last_answer_are_new_and_need_no_question() -> None:
    chat = read([*talk("user: Warm?"), called(ROME, OSLO), result(ROME, "22"), result(OSLO, "-3")])
    assert (texts(chat.results), chat.question, chat.asks) == (["22", "-3"], None, "")
    assert (texts(chat.history), chat.places, chat.goes_on) == (["Warm?", ""], [2, 3], True)


def test_a_question_that_follows_the_results_is_new_too() -> None:
    chat = read([*talk("user: Warm?"), called(ROME), result(ROME), *talk("user: In Fahrenheit?")])
    assert (texts(chat.results), chat.asks) == (["22 degrees"], "In Fahrenheit?")
    assert (texts(chat.new), chat.places, chat.goes_on) == (["22 degrees", "In Fahrenheit?"], [2, 3], True)


def test_results_that_were_answered_are_history() -> None:
    chat = read([*talk("user: Warm?"), called(ROME), result(ROME), *talk("assistant: Yes.", "user: Sure?")])
    assert (chat.results, chat.asks, chat.places) == ([], "Sure?", [4])
    assert texts(chat.history) == ["Warm?", "", "22 degrees", "Yes."]


def test_results_of_the_older_form_are_named_by_their_function() -> None:
    call = Message("assistant", None, function_call=ROME.function)
    chat = read([*talk("user: Warm?"), call, Message("function", "22", name="get_weather")])
    assert texts(chat.results) == ["22"]
    assert '{"name": "get_weather", "content": "22"}' in seeded(chat, "")


def test_what_stands_between_results_is_not_lost() -> None:
    messages = [called(ROME, OSLO), result(ROME), *talk("user: Look at this"), result(OSLO, "-3")]
    chat = read([*talk("user: Warm?"), *messages])
    assert (texts(chat.results), chat.question) == (["22 degrees", "-3"], None)
    assert "Look at this" in texts(chat.history)
    assert not chat.goes_on


def test_an_empty_question_behind_results_is_none_to_complain_of() -> None:
    assert read([*talk("user: Warm?"), called(ROME), result(ROME), *talk("user: ")]).asks == ""


@pytest.mark.parametrize(
    ("messages", "place", "words"),
    [
        ([*talk("user: Hi"), result(ROME)], "messages[1].tool_call_id", "'call_1'"),
        (
            [*talk("user: Hi"), called(ROME), result(ROME), result(OSLO)],
            "messages[3].tool_call_id",
            "'call_2'",
        ),
        ([*talk("user: Hi"), result(ROME), called(ROME)], "messages[1].tool_call_id", "'call_1'"),
        ([*talk("user: Hi"), called(ROME), Message("tool", "22")], "messages[2].tool_call_id", "no call"),
    ],
)
def test_a_result_of_no_call_is_refused_and_named(messages: list[Message], place: str, words: str) -> None:
    with pytest.raises(OpenAIError) as refused:
        read(messages)
    assert (refused.value.status, refused.value.param) == (400, place)
    assert words in refused.value.message


def test_a_result_is_not_taken_for_a_question() -> None:
    with pytest.raises(OpenAIError):
        read([Message("assistant", "Hi")])
    assert read([called(ROME), result(ROME)]).question is None


def test_a_picture_in_a_result_is_an_attachment() -> None:
    chat = read([*talk("user: Draw"), called(ROME), Message("tool", [IMAGE], tool_call_id="call_1")])
    assert chat.has_files(history=False)


def test_the_exchange_of_results_begins_with_the_users_last_turn() -> None:
    chat = read([*talk("user: Hi", "assistant: Hello", "user: Warm?"), called(ROME), result(ROME)])
    assert texts(chat.exchange().history) == ["Warm?", ""]
    assert texts(chat.exchange().results) == ["22 degrees"]


def test_the_exchange_of_results_has_their_calls_whatever_the_user_said_between() -> None:
    chat = read(
        [
            *talk("user: Hi", "assistant: Hello", "user: Warm?"),
            called(ROME),
            *talk("user: Quick!"),
            result(ROME),
        ]
    )
    assert texts(chat.exchange().history) == ["Warm?", "", "Quick!"]
    assert not chat.called
    chat = read([*talk("user: Warm?"), called(ROME), result(ROME)])
    assert chat.called == [ROME.id]


def test_a_history_tells_calls_and_results_as_the_app_writes_them() -> None:
    chat = read(
        [
            *talk("user: Warm?"),
            called(ROME, text="Let me see."),
            result(ROME),
            *talk("assistant: Yes.", "user: And Oslo?"),
            called(OSLO),
            result(OSLO, "-3"),
            *talk("user: Brr"),
        ]
    )
    assert seeded(chat, "", "llama") == (
        "<history>\nuser: Warm?\n\n"
        'assistant: Let me see.\n<function=get_weather>{"city": "Rome"}</function>\n\n'
        'tool: <tool_response>\n{"name": "get_weather", "content": "22 degrees"}\n</tool_response>\n\n'
        "assistant: Yes.\n\nuser: And Oslo?\n\n"
        'assistant: <function=get_weather>{"city": "Oslo"}</function>\n</history>\n\n'
        '<tool_response>\n{"name": "get_weather", "content": "-3"}\n</tool_response>\n\n'
        "Current question: Brr"
    )


def test_a_history_that_ends_with_results_asks_nothing_more() -> None:
    chat = read([*talk("user: Warm?"), called(ROME), result(ROME)])
    assert seeded(chat, "Be brief.").endswith("</history>\n\n" + new(chat, "tagged"))


def test_an_id_that_is_used_again_belongs_to_the_call_before_its_result() -> None:
    again = ToolCall("call_1", FunctionCall("clock", "{}"))
    messages = [*talk("user: Hi"), called(ROME), result(ROME), called(again), result(again, "noon")]
    told = seeded(read([*messages, *talk("assistant: So.", "user: And?")]), "")
    assert '{"name": "get_weather", "content": "22 degrees"}' in told
    assert '{"name": "clock", "content": "noon"}' in told


@pytest.mark.parametrize(
    ("messages", "chinese"),
    [
        (talk("user: 罗马天气怎么样？"), True),
        (talk("system: You are a helpful assistant.", "user: 罗马天气怎么样？"), True),
        ([*talk("user: 罗马热吗？"), called(ROME), result(ROME, "It is a warm and sunny day in Rome")], True),
        (talk("user: How is the weather?", "assistant: 很好"), False),
        (talk("user: What does 你好 mean?"), False),
    ],
)
def test_the_language_is_that_of_who_asks(messages: list[Message], chinese: bool) -> None:
    assert in_chinese(read(messages)) is chinese


def test_the_history_goes_in_as_the_contract_writes_it() -> None:
    chat = read(talk("user: Hi", "assistant: Hello", "user: And now?"))
    history = "<history>\nsystem: Be brief.\n\nuser: Hi\n\nassistant: Hello\n</history>"
    assert seeded(chat, "Be brief.") == f"{history}\n\nCurrent question: And now?"


def test_a_system_prompt_without_a_history_is_a_paragraph_before_the_question() -> None:
    assert seeded(read(talk("user: Hi")), "Be brief.") == "Be brief.\n\nHi"
    assert seeded(read(talk("user: Hi")), "") == "Hi"


@pytest.mark.parametrize(
    ("turns", "label"),
    [
        (("user: 你好", "assistant: 你好！有什么可以帮您？"), "用户当前问题:"),
        (("user: Hi", "assistant: Hello, what is 你好?"), "Current question:"),
        (
            ("user: Python 的 asyncio 是什么意思？请详细解释一下", "assistant: 它是一个异步库"),
            "用户当前问题:",
        ),
    ],
)
def test_the_label_speaks_the_language_of_the_history(turns: tuple[str, str], label: str) -> None:
    assert f"\n\n{label} 再见" in seeded(read(talk(*turns, "user: 再见")), "")


def test_attachments_of_earlier_turns_are_named_in_the_history() -> None:
    message = Message("user", [Part("text", text="See"), IMAGE, PDF])
    chat = read([message, *talk("assistant: Nice", "user: More?")])
    assert "user: See\n[image]\n[report.pdf]\n" in seeded(chat, "")


def test_thinking_stays_out_of_what_is_sent_on() -> None:
    assert said(Message("assistant", "<think>hm</think>\n\nYes ")) == "Yes"
    assert said(Message("assistant", "[THINK]hm[/THINK]Yes")) == "Yes"
    assert said(Message("assistant", "Write <think>hm</think>.")) == "Write <think>hm</think>."
    assert said(Message("user", "<think>hm</think> is a tag")) == "<think>hm</think> is a tag"


@pytest.mark.parametrize("kind", ["thinking", "redacted_thinking", "reasoning"])
def test_parts_in_which_a_client_sends_thinking_back_are_passed_over(kind: str) -> None:
    shown = Message("assistant", [Part(kind, text="hm"), Part("text", text="Yes")])
    assert said(shown) == "Yes"
    assert not list(attachments(shown))
    assert Digest("").add([shown]).key() == Digest("").add([Message("assistant", "Yes")]).key()


def key(*turns: str | tuple[str, str], system: str = "") -> str:
    digest = Digest(system)
    for message in talk(*turns):
        digest.add([message])
    return digest.key()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("user: Hi", "assistant: Hello"), ("user: Hi ", "assistant: \nHello\n")),
        (("assistant: Yes",), ("assistant: <think>hm</think>\nYes",)),
    ],
)
def test_what_clients_change_on_their_own_makes_no_other_conversation(
    one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    assert key(*one) == key(*other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("user: Hi",), ("user: Ho",)),
        (("user: Hi",), ("assistant: Hi",)),
        (("user: a", "user: b"), ("user: ab",)),
        (("user: a", "user: b"), (("user", "a\nuser: b"),)),
        (("user: Hi",), ("user: Hi", "assistant: ")),
    ],
)
def test_conversations_that_say_something_else_are_others(
    one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    assert key(*one) != key(*other)
    assert key(*one) != key(*one, system="Be brief.")


ARGUMENTS = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


def as_javascript(value: object) -> object:
    """What a client in JavaScript makes of parsed JSON: numbers are doubles, whole ones have no point."""
    if isinstance(value, dict):
        members = list(value.items())
        random.shuffle(members)
        return {name: as_javascript(member) for name, member in members}
    if isinstance(value, list):
        return [as_javascript(entry) for entry in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            return value
        return int(number) if number.is_integer() and abs(number) < 1e21 else number
    return value


@given(ARGUMENTS, st.booleans(), st.sampled_from([None, 2]))
def test_a_call_is_the_same_however_a_client_writes_its_arguments_again(
    arguments: dict[str, object], ascii_only: bool, indent: int | None
) -> None:
    sent = ToolCall("call_1", FunctionCall("f", json.dumps(arguments, separators=(",", ":"))))
    written = json.dumps(as_javascript(arguments), ensure_ascii=ascii_only, indent=indent)
    back = ToolCall("call_1", FunctionCall("f", f" {written}\n"))
    ours = Digest("").add([called(sent), result(sent)])
    theirs = Digest("").add([called(back, text="")]).add([result(back, "22 degrees\n")])
    assert ours.key() == theirs.key()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1}', '{"a": true}'),
        ('{"a": 1}', '{"a": "1"}'),
        ('{"a": 1}', '{"a": 2}'),
        ('{"a": 1}', '{"b": 1}'),
        ('{"a": 1.5}', '{"a": 1}'),
        ('{"a": null}', "{}"),
        ('{"a": [1, 2]}', '{"a": [2, 1]}'),
        ('{"a"', '{"b"'),
    ],
)
def test_other_arguments_are_another_call(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


def test_a_call_without_arguments_is_one_with_none() -> None:
    assert canonical("") == canonical(" {} ") == canonical("{}")


@pytest.mark.parametrize(
    "other",
    [
        [called(OSLO), result(OSLO)],
        [called(ROME), result(ROME, "23 degrees")],
        [called(ROME), Message("tool", "22 degrees", tool_call_id="call_3")],
        [called(ToolCall("call_1", FunctionCall("clock", ROME.function.arguments))), result(ROME)],
        [called(ROME, text="Let me see."), result(ROME)],
        [called(), result(ROME)],
        [called(ROME)],
        [Message("assistant", None, function_call=ROME.function), result(ROME)],
    ],
)
def test_other_calls_or_results_make_another_conversation(other: list[Message]) -> None:
    def key(messages: list[Message]) -> str:
        digest = Digest("")
        for message in messages:
            digest.add([message])
        return digest.key()

    assert key(other) != key([called(ROME), result(ROME)])


def test_another_picture_makes_another_conversation() -> None:
    other = Part("image_url", image_url=ImageURL("https://x/dog.png"))
    keys = {Digest("").add([Message("user", [part])]).key() for part in (IMAGE, other, PDF)}
    assert len(keys) == 3


TURNS = st.lists(
    st.tuples(st.sampled_from(["user", "assistant"]), st.text("a\0\1\2 <\n\u00e9", max_size=5)), max_size=4
)


@given(TURNS, TURNS)
def test_histories_are_the_same_if_their_turns_say_the_same_and_only_then(
    one: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    def identity(turns: list[tuple[str, str]]) -> tuple[str, list[tuple[str, str]]]:
        messages = [Message(role, text) for role, text in turns]
        whole = Conversation("", messages, Message("user", "And now?")).digest
        assert whole.key() == Digest("").add(messages).key()
        return whole.key(), [(message.role, said(message)) for message in messages]

    (key, says), (other_key, other_says) = identity(one), identity(other)
    assert (key == other_key) == (says == other_says)


def test_lone_surrogates_do_no_harm() -> None:
    assert Digest("\ud800").add([Message("user", "\udfff")]).key()


class Slow(list[Message]):
    """A history that takes long to read: until somebody has read another one."""

    def __init__(self, *messages: Message) -> None:
        super().__init__(messages)
        self.begun, self.over = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[Message]:
        self.begun.set()
        assert self.over.wait(5)
        return super().__iter__()


def test_who_reads_a_long_history_in_a_thread_holds_up_nobody() -> None:
    history = Slow(*talk("user: Hi"))
    question = Message("user", "And now?")
    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(lambda: Conversation("", history, question).digest)
        assert history.begun.wait(5)
        fast = threads.submit(lambda: Conversation("", talk("user: Hi"), question).digest)
        done, _ = wait([fast], timeout=2)
        history.over.set()
        assert done == {fast}
        assert fast.result().key() == slow.result().key()


def test_what_was_read_of_a_conversation_is_not_taken_over_by_a_changed_one() -> None:
    chat = read([Message("system", "Be brief."), *talk("user: Hi", "assistant: Hello", "user: And now?")])
    assert chat.texts is chat.texts
    other = replace(chat, history=talk("user: Good evening", "assistant: Hello"))
    assert (chat.texts, other.texts) == (["Hi", "Hello"], ["Good evening", "Hello"])
    assert chat.digest.key() != other.digest.key()
