"""The files of a folder: which of them go to Dify, under which names, and what is in them."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

__all__ = ["DOCUMENTS", "LocalFile", "document_names", "files_of", "matches", "sha256_of"]

DOCUMENTS = frozenset(
    [
        *("txt", "md", "mdx", "markdown", "pdf", "html", "htm", "xlsx", "xls", "docx", "csv", "vtt"),
        *("properties", "doc", "eml", "msg", "ppt", "pptx", "xml", "epub"),
    ]
)
"""Extensions that Dify can read; the last ones only where its administrator set up Unstructured."""

_PIECE = 1024 * 1024
_LONGEST_NAME = 120  # characters; Dify itself cuts names, and forgets the extension when it does


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to push. `path` is relative to the folder, with forward slashes."""

    path: str
    size: int
    """Bytes."""
    sha256: str


def files_of(folder: Path, include: Sequence[str], exclude: Sequence[str]) -> Iterator[str]:
    """The paths below a folder that are to be pushed; see `matches`. Links to folders are not followed."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = (Path(root) / name).relative_to(folder).as_posix()
            if matches(path, include, exclude) and (folder / path).is_file():
                yield path


def matches(path: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Whether a path is to be pushed: by its extension where `include` is empty, and not if it is hidden.

    A pattern without a slash is for names in every folder; one with a slash for whole paths, where `*` stands
    for anything, slashes too.

    >>> matches("a/b.md", [], []), matches("a/b.py", [], []), matches("a/b.py", ["*.py"], ["a/*"])
    (True, False, False)
    """
    name = PurePosixPath(path).name
    if name.startswith("."):
        return False

    def fits(patterns: Iterable[str]) -> bool:
        return any(
            fnmatchcase(path if "/" in pattern else name, pattern.removeprefix("./")) for pattern in patterns
        )

    wanted = fits(include) if include else name.rpartition(".")[2].lower() in DOCUMENTS
    return wanted and not fits(exclude)


def sha256_of(file: Path) -> str:
    """The digest of a file's content."""
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while piece := content.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def document_names(paths: Iterable[str]) -> Mapping[str, str]:
    """A document name for each path: Dify refuses slashes, so folders are joined by `__`; no two are alike.

    >>> dict(document_names(["guide.md", "api/users.md"]))
    {'guide.md': 'guide.md', 'api/users.md': 'api__users.md'}
    """
    flat = {path: path.replace("/", "__").replace("\\", "__") for path in paths}
    often = Counter(flat.values())
    return {path: _marked(path, name, alone=often[name] == 1) for path, name in flat.items()}


def _marked(path: str, name: str, *, alone: bool) -> str:
    if alone and len(name) <= _LONGEST_NAME:
        return name
    stem, dot, extension = name.rpartition(".")
    mark = hashlib.sha256(path.encode()).hexdigest()[:8]
    return f"{stem[: _LONGEST_NAME - 30]}~{mark}{dot}{extension}"
