"""Conversation ids that nobody sees: a mark of zero-width characters that an answer brings back to us. Pure.

Our mark is U+2060 and then 98 of U+2061 to U+2064, two bits each: a version of four bits, the 16 bytes of the
conversation's UUID, and 8 bytes of an HMAC-SHA256 over them and over whose they are: its checksum, too. These
five characters are left alone by `strip` and `trim` of Python and JavaScript, by all four Unicode
normalisations, by JSON, and by the usual clean-up of zero-width characters (`[\\u200B-\\u200D\\uFEFF]`). They
render as nothing, and no script needs them.

The marks of the first OpenDify are read for ever: 96 of eight characters, three bits each, that spell the
UUID's text. They are not signed; Dify itself refuses the conversation of another user.
"""

import hmac
import re
from uuid import UUID

_OURS = "\u2061\u2062\u2063\u2064"
_LEGACY = "\u200b\u200c\u200d\ufeff\u2060\u180e\u2061\u2062"

_VERSION = 1
_DOMAIN = b"opendify conversation mark 1\0"
_TO_OURS = str.maketrans({f"{n:x}": _OURS[n >> 2] + _OURS[n & 3] for n in range(16)})
_FROM_OURS = str.maketrans(_OURS, "0123")
_FROM_LEGACY = str.maketrans(_LEGACY, "01234567")

_MARK = re.compile(rf"\u2060([{_OURS}]{{98}})")
_LEGACY_RUN = re.compile(rf"[{_LEGACY}]{{95,}}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_REMAINS = re.compile(rf"([{_LEGACY}{_OURS}]{{16,}})")
"""A mark or what is left of one. Emoji, and scripts that need joiners, use one or two at a time."""

_TELLTALES = "\u2060\u2061\u2062\u2063\u2064\u180e"
"""Every mark has one of these and hardly a text does; looking for them is quicker than any pattern."""

_ENDS_A_BLOCK = re.compile(r"[`~$:=\-*_+#>|\\\])} \t]+|[> \t]*\|.*")
"""A last line that must end there to mean in Markdown what it does: a fence, a rule, a row of a table."""


def fits(conversation_id: str) -> bool:
    """Whether a mark can carry this id: a UUID as Dify writes it.

    >>> fits("45701982-8118-4bc5-8e9b-64562b4555f2"), fits("chat-1")
    (True, False)
    """
    return _UUID.fullmatch(conversation_id) is not None


def encode(conversation_id: str, *, secret: bytes, context: str) -> str:
    """The mark that carries a conversation's id: 99 characters that nobody sees. Put `joint` before it.

    Args:
        conversation_id: A UUID as Dify writes it.
        secret: Signs the mark; only who knows it can make one.
        context: Whose conversation it is, say client key, user and app: `decode` finds it for them only.

    Raises:
        ValueError: The id is not a UUID in Dify's form. All of Dify's are.

    Example:
        >>> mark = encode("45701982-8118-4bc5-8e9b-64562b4555f2", secret=b"secret", context="ada")
        >>> decode(f"Hello! {mark}", secret=b"secret", context="ada")
        '45701982-8118-4bc5-8e9b-64562b4555f2'
        >>> decode(f"Hello! {mark}", secret=b"secret", context="eve") is None
        True
        >>> strip(f"Hello! {mark}")
        'Hello!'
    """
    if not fits(conversation_id):
        raise ValueError(f"a mark carries a UUID like Dify's, not {conversation_id!r}")
    identifier = bytes.fromhex(conversation_id.replace("-", ""))
    digits = f"{_VERSION:x}{identifier.hex()}{_sign(identifier, secret, context).hex()}"
    return "\u2060" + digits.translate(_TO_OURS)


def decode(text: str, *, secret: bytes, context: str) -> str | None:
    """The conversation id in the last valid mark of a text, ours or the first OpenDify's, or None.

    A mark counts wherever it stands, also with more text or another mark right after it. One that is damaged,
    forged, or made for somebody else does not.

    Args:
        text: An answer as a client sent it back.
        secret: What marks are signed with.
        context: Who asks; see `encode`.
    """
    if text.isascii() or not ("\u2060" in text or "\u180e" in text):  # every mark has one of them
        return None
    # Odd pieces are marks of ours, even ones the text between, where older marks may be.
    pieces = _MARK.split(text)
    for index in reversed(range(len(pieces))):
        if index % 2:
            found = _ours(pieces[index], secret, context)
        else:
            found = _legacy(pieces[index], last=index == len(pieces) - 1)
        if found:
            return found
    return None


def strip(text: str) -> str:
    """The text without marks, whole or damaged, and without their `joint`. Joiners in words and emoji stay.

    Example:
        >>> strip("می\u200cخواهم 👩\u200d💻") == "می\u200cخواهم 👩\u200d💻"
        True
    """
    if text.isascii() or not any(character in text for character in _TELLTALES):
        return text
    # Even pieces are text, odd ones marks.
    pieces = _REMAINS.split(text)
    for index in range(1, len(pieces), 2):
        if _MARK.match(pieces[index]):
            before = pieces[index - 1]
            pieces[index - 1] = before.removesuffix("\n\n" if before.endswith("\n\n") else " ")
    return "".join(pieces[::2])


def joint(text: str) -> str:
    """What to put between an answer and its mark, so that it renders as it did without one.

    A link or closing asterisks end at a space. A closing fence, a rule or a row of a table would no longer be
    one with anything after it on its line, so there the mark is a paragraph of its own.

    Args:
        text: The answer, or at least its last line.
    """
    last = text.rstrip().rpartition("\n")[2]
    return "\n\n" if _ENDS_A_BLOCK.fullmatch(last) else " "


def _sign(identifier: bytes, secret: bytes, context: str) -> bytes:
    return hmac.digest(secret, _DOMAIN + identifier + context.encode("utf-8", "surrogatepass"), "sha256")[:8]


def _ours(symbols: str, secret: bytes, context: str) -> str | None:
    version, body = divmod(int(symbols.translate(_FROM_OURS), 4), 1 << 192)
    data = body.to_bytes(24, "big")
    identifier, signature = data[:16], data[16:]
    if version != _VERSION or not hmac.compare_digest(signature, _sign(identifier, secret, context)):
        return None
    return str(UUID(bytes=identifier))


def _legacy(text: str, *, last: bool) -> str | None:
    """The id in the last legacy mark of `text`.

    JavaScript's `trim` takes U+FEFF, with which every eighth mark ends, from the end of a text. With that one
    symbol put back, the mark is what it was. (Had a text been cut off before another last symbol, this would
    make an id that Dify doesn't know.) Nothing else is guessed.
    """
    if "\u180e" not in text:  # a UUID's first hyphen is always spelt with two of them
        return None
    for run in reversed(list(_LEGACY_RUN.finditer(text))):
        symbols = run[0]
        if found := _legacy_run(symbols):
            return found
        if last and run.end() == len(text) and (found := _legacy_run(symbols + "\ufeff")):
            return found
    return None


def _legacy_run(symbols: str) -> str | None:
    """The last id in marks that stand one right after the other."""
    for end in range(len(symbols), 95, -96):
        digits = symbols[end - 96 : end].translate(_FROM_LEGACY)
        spelt = int(digits, 8).to_bytes(36, "big").decode("ascii", "replace")
        if _UUID.fullmatch(spelt):
            return spelt
    return None
