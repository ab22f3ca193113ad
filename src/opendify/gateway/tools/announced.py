"""What the words before a mark say of it: a call, an example of one, or a bit of code. Pure."""

from __future__ import annotations

import re
from typing import Literal

LONGEST_LINE = 240
"""Characters before a mark that may tell what it is."""
_EXAMPLE = (
    "for example", "for instance", "e g", "i e", "such as", "looks like", "look like", "would emit",
    "would write", "would return", "would produce", "would output", "would look", "imagine", "suppose",
    "consider", "instead of", "demo", "equivalent to", "to illustrate", "you write", "you get",
    "have to write", "this is what", "that is what", "this is how", "that is how",
)  # fmt: skip
"""Whatever stands behind these words is no call."""
_AN_EXAMPLE = ("example", "examples")
"""The same unless it is something that somebody does: ``I'll write the example script:``."""
_DESCRIBED = (
    "syntax", "sample", "samples", "format", "formats", "formatted", "documentation", "docs", "readme",
    "return", "returns", "returned", "response", "schema", "spec", "specification", "shows", "template",
    "placeholder", "tag", "tags", "markup", "like this", "like so", "transcript", "message", "log", "logs",
    "history", "contains", "mock", "do this", "expected output", "actual output", "expected", "not valid",
    "invalid", "shape", "structure", "layout", "notation", "serialised", "serialized", "encoded",
    "represented", "rendered", "denoted", "typical", "typically", "began with", "begins with", "starts with",
    "ends with", "writes", "emits", "outputs", "produces", "this output", "the text", "would be",
    "could be", "might be", "fixture", "dataset", "the parser", "the prompt", "now reads",
    "completion",
)  # fmt: skip
"""The same where they lead over to it, with a colon, as a question, or in the same sentence."""
_EXAMPLE_CHINESE = (
    "例如", "比如", "示例", "举例", "样例", "例子", "格式如下", "格式为", "格式是", "譬如", "类似", "假设",
)  # fmt: skip
_DESCRIBED_CHINESE = (
    "语法", "格式", "文档", "返回", "模板", "标签", "日志", "不要这样", "写法", "输出", "记录",
    "模型", "样本",
)  # fmt: skip
_MEANT = (
    "i", "i'll", "i'm", "let me", "let's", "we", "we'll", "one moment", "here goes", "then",
)  # fmt: skip
_MEANT_CHINESE = ("我", "现在", "稍", "正在", "马上", "为您", "调用工具")
_DOING = re.compile(
    r"(?:\W*\w+)?\W*(?:add|ask|book|call|check|creat|fetch|gett|look|open|query|runn|search|send|sett|translat"
    r"|try|turn|updat|writ)ing\b"
    r"|\W*(?:tool call|function call|action)\W*\Z"
    r"|\W*here(?:'s| is) (?:the|my) (?:\w+ )?call\b"
    r"|.{0,80}\b(?:here(?:'s| is)|below is) (?:the|my) (?:\w+ ){0,2}call(?: in json| you need)?\W*\Z"
    r"|\W*(?:下面|以下)是(?:\w{0,6}的)?(?:函数|工具)调用[：:]?\Z"
    r"|\W*(?:(?:okay|ok|sure|certainly|absolutely|understood|alright|right away|of course|got it|no problem"
    r"|thing|one moment|please|wait)\b\W*)+\Z"
    r"|\W*(?:好的|没问题|明白了?|当然可以?|请?稍等|请?稍候)\W*\Z"
)
"""What somebody does, or is about to do; how such a sentence begins that names nobody."""
_SHOWN = (
    "show", "show you", "give", "explain", "demonstrate", "illustrate", "describe", "write you", "quote",
    "i wrote", "i saw", "i used", "i have seen", "i've seen", "my earlier", "contained",
    "fixture", "dataset", "training sample", "test case", "would put", "from the server", "model answers",
    "model replies", "model responds", "model writes", "model says",
)  # fmt: skip
_SHOWN_CHINESE = ("展示", "给你看", "演示", "说明", "解释", "举个")
"""What somebody means who shows something, or tells of what was."""
_WAITING = (
    "i'll", "i will", "let me know", "please wait", "waiting", "wait", "one moment", "stand by",
    "hope this helps", "once i", "as soon as", "will return", "feel free",
)  # fmt: skip
_WAITING_CHINESE = ("请稍", "稍等", "稍候", "等待", "我会", "我将", "请告诉我", "请随时")
"""What somebody says behind a call that was meant."""
_ABOUT = (*_AN_EXAMPLE, "format", "formats", "syntax", "template", "snippet", "sample")
_ABOUT_CHINESE = (*_EXAMPLE_CHINESE, "格式", "语法", "模板", "写法")
"""What somebody speaks of who has shown something."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])(?!\Z)")
_BETWEEN = re.compile(r"[^\w']+")
_ENDS = ".!?:;。！？：；…"
_LEADS = (":", "：", "?", "？")
_QUOTED = ">"
"""What Markdown puts before the lines of somebody else."""
_VERBATIM = re.compile(
    r"(?:\\begin\{\w{1,30}\*?\}(?:\[[^\]]{0,60}\])?|<(?:pre|code|example|samp|textarea)(?:\s[^<>]{0,60})?>|\"\"\"|''')\s{0,20}\Z"
    r"|[\s:：(\[{,=][\"'“‘「『]\Z"
)
"""What opens a bit of text that is shown as it is: in LaTeX, HTML or a program, or a quotation."""
_FURTHEST = 120
"""Characters before a mark that such an opening is looked for in."""
_DECORATION = " \t\r*_#>-•"
_BACKTICKS = re.compile("`+")


def gate(before: str, *, fenced: bool = False) -> Literal["go", "wait", "example"]:
    """What a mark is after this text: a call, a call unless the sentence goes on behind it, an example.

    In a fence everything is an example that words lead over to, unless they say that it is done.

    >>> gate("Let me look.\\n"), gate("You may use "), gate("For example:\\n")
    ('go', 'wait', 'example')
    >>> gate("A list of calls:\\n"), gate("A list of calls:\\n", fenced=True)
    ('go', 'example')
    """
    if before[before.rfind("\n") + 1 :].lstrip().startswith(_QUOTED) or _VERBATIM.search(before[-_FURTHEST:]):
        return "example"
    own, text = _line(before)
    if not text:
        return "go"
    sentence, words = _last_sentence(text)
    begun = bool(own) and own[-1] not in _ENDS
    leads = begun or text.endswith(_LEADS) or text[-1] not in _ENDS
    unmeant = not _means(sentence, words)
    if (leads or unmeant) and _says(sentence, words, _EXAMPLE, _EXAMPLE_CHINESE):
        return "example"
    if (unmeant or (fenced and leads)) and _says(sentence, words, _AN_EXAMPLE, ()):
        return "example"
    if leads and unmeant and (fenced or _says(sentence, words, _DESCRIBED, _DESCRIBED_CHINESE)):
        return "example"
    return "wait" if begun else "go"


def _line(before: str) -> tuple[str, str]:
    """What stands on the line before a mark; the same, or else the line above."""
    line = before[before.rfind("\n") + 1 :].strip(_DECORATION)
    if line:
        return line[-LONGEST_LINE:], line[-LONGEST_LINE:]
    above = before.rstrip()
    return "", above[above.rfind("\n") + 1 :].strip(_DECORATION)[-LONGEST_LINE:]


def _last_sentence(text: str) -> tuple[str, str]:
    """The last sentence of a line, and its words between single spaces."""
    sentence = _SENTENCE.split(text)[-1].lower().replace("’", "'")
    return sentence, f" {_BETWEEN.sub(' ', sentence)} "


def _says(sentence: str, words: str, english: tuple[str, ...], chinese: tuple[str, ...]) -> bool:
    return any(f" {phrase} " in words for phrase in english) or any(phrase in sentence for phrase in chinese)


def _means(sentence: str, words: str) -> bool:
    if _says(sentence, words, _SHOWN, _SHOWN_CHINESE):
        return False
    return _says(sentence, words, _MEANT, _MEANT_CHINESE) or bool(_DOING.match(sentence))


def meant(before: str) -> bool:
    """Whether the words before a fence say that what stands in it is done, not shown; or there are none.

    >>> meant("I'll look it up:\\n"), meant("The tags:\\n"), meant("I show you the tags:\\n")
    (True, False, False)
    """
    _, text = _line(before)
    return not text or _means(*_last_sentence(text))


def waits(after: str) -> bool:
    """Whether the line behind a call says no more than that somebody waits for its result, or takes leave.

    >>> waits(""), waits("Let me know if you need more."), waits("The client then runs it.")
    (True, True, False)
    """
    sentence = after.lower().replace("’", "'").strip(_DECORATION)
    words = f" {_BETWEEN.sub(' ', sentence)} "
    if _says(sentence, words, _ABOUT, _ABOUT_CHINESE):
        return False
    return not sentence or _says(sentence, words, _WAITING, _WAITING_CHINESE)


def ends(line: str) -> bool:
    """Whether a line ends with a sentence, or leads over to what follows."""
    return line[-1:] in tuple(_ENDS)


def announces(line: str) -> bool:
    """Whether a line ends with a sentence that says what is done next.

    >>> announces("I'll look it up."), announces("I'll use"), announces("It is a list:")
    (True, False, False)
    """
    return ends(line) and _means(*_last_sentence(line[-LONGEST_LINE:]))


def in_code(line: str) -> bool:
    """Whether the end of a line stands between backticks.

    >>> in_code("Write `<b>` or `"), in_code("Write `<b>` or ")
    (True, False)
    """
    if "`" not in line:
        return False
    opened = ""
    for run in _BACKTICKS.finditer(line):
        if not opened:
            opened = run[0]
        elif opened == run[0]:
            opened = ""
    return bool(opened)


def goes_on(after: str) -> bool:
    """Whether a sentence goes on with this character."""
    return bool(after) and not (after.isupper() or after.isdigit() or after in "*_#<[{")
