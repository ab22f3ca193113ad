"""The text of an uploaded document. Pure.

HTML loses its tags, a `.docx` gives its paragraphs, and any other file that is text is taken as it is. Of a
format that the simulator does not know (PDF, for instance) it takes the runs of readable characters.
"""

from __future__ import annotations

import io
import re
import zipfile
from html import unescape

EXTENSIONS = frozenset(
    {
        *("txt", "markdown", "md", "mdx", "pdf", "html", "htm", "xlsx", "xls", "vtt", "properties"),
        *("doc", "docx", "csv", "eml", "msg", "pptx", "xml", "epub", "ppt"),
    }
)
"""Of the documents that Dify takes, with the parser that reads most of them."""

_TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_RUN = re.compile(rb"[\x20-\x7e]{4,}")


def text_of(content: bytes, extension: str) -> str:
    """What a document says.

    >>> text_of(b"<p>Hello &amp; <b>welcome</b></p>", "html")
    'Hello & welcome'
    """
    match extension.lower():
        case "html" | "htm" | "xml":
            return unescape(_TAG.sub("", _decoded(content))).strip()
        case "docx":
            return _paragraphs(content)
        case _:
            return _decoded(content)


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "\n".join(run.decode("ascii") for run in _RUN.findall(content))


def _paragraphs(content: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            xml = archive.read("word/document.xml").decode()
    except (zipfile.BadZipFile, KeyError):
        return _decoded(content)
    return unescape(_TAG.sub("", xml.replace("</w:p>", "\n"))).strip()
