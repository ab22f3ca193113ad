"""The files of a folder: which of them go to Dify, under which names, and what is in them."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from opendify._media import extension_of, file_type

__all__ = ["Content", "LocalFile", "content_of", "document_names", "matches", "sha256_of"]

_PIECE = 1024 * 1024
_LONGEST_NAME = 120  # characters; Dify itself cuts names, and forgets the extension when it does


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to push. `path` is relative to the folder, with forward slashes."""

    path: str
    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a folder, by paths."""

    files: list[LocalFile] = field(default_factory=list[LocalFile])
    """To be pushed."""
    others: set[str] = field(default_factory=set[str])
    """There, and not to be pushed: what does not match, and files and folders that can't be read."""
    failures: dict[str, str] = field(default_factory=dict[str, str])
    """What is wrong with those that can't be read."""


def content_of(folder: Path, include: Sequence[str], exclude: Sequence[str]) -> Content:
    """Look through a folder; see `matches`. An empty file has nothing to be found: it counts as not there.

    Links to folders are not followed.
    """
    content = Content()

    def fail(path: str, why: str) -> None:
        content.others.add(path)
        content.failures[path] = why

    for path in _paths(folder, fail):
        file = folder / path
        try:
            if not file.is_file() or not (size := file.stat().st_size):
                continue
            if matches(path, include, exclude):
                path.encode()
                content.files.append(LocalFile(path, size, sha256_of(file)))
            else:
                content.others.add(path)
        except UnicodeEncodeError:
            fail(path, "Its name is not in UTF-8; give it another one.")
        except OSError as error:
            fail(path, f"It can't be read: {error.strerror or error}.")
    return content


def _paths(folder: Path, fail: Callable[[str, str], None]) -> Iterator[str]:
    """All files below a folder that are not hidden, in order."""

    def unreadable(error: OSError) -> None:
        fail(Path(error.filename).relative_to(folder).as_posix(), f"It can't be read: {error.strerror}.")

    for root, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            yield (Path(root) / name).relative_to(folder).as_posix()


def matches(path: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Whether a path is to be pushed. Where `include` is empty, its extension must be one of a document.

    Some of these (eml, ppt, epub) Dify can read only where its administrator set up Unstructured.

    A pattern without a slash is for names in every folder; one with a slash for whole paths, where `*` stands
    for anything, slashes too.

    >>> matches("a/b.md", [], []), matches("a/b.py", [], []), matches("a/b.py", ["*.py"], ["a/*"])
    (True, False, False)
    """
    name = PurePosixPath(path).name

    def fits(patterns: Iterable[str]) -> bool:
        return any(
            fnmatchcase(path if "/" in pattern else name, pattern.removeprefix("./")) for pattern in patterns
        )

    wanted = fits(include) if include else file_type(extension_of(name)) == "document"
    return wanted and not fits(exclude)


def sha256_of(file: Path) -> str:
    """The digest of a file's content."""
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while piece := content.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def document_names(paths: Iterable[str]) -> Mapping[str, str]:
    """A document name for each path, no two alike. Dify refuses slashes, so folders are joined by `__`.

    Quotes and control characters, which do not travel in a form as they are, become `_`.

    >>> dict(document_names(["guide.md", "api/users.md"]))
    {'guide.md': 'guide.md', 'api/users.md': 'api__users.md'}
    """
    flat = {path: _flat(path) for path in paths}
    often = Counter(flat.values())
    return {path: _marked(path, name, alone=often[name] == 1) for path, name in flat.items()}


def _flat(path: str) -> str:
    flat = path.replace("/", "__").replace("\\", "__").replace('"', "_")
    return "".join("_" if unicodedata.category(char) == "Cc" else char for char in flat)


def _marked(path: str, name: str, *, alone: bool) -> str:
    if alone and len(name) <= _LONGEST_NAME:
        return name
    stem, extension = os.path.splitext(name)
    mark = hashlib.sha256(path.encode()).hexdigest()[:8]
    return f"{stem[: _LONGEST_NAME - 30]}~{mark}{extension[:20]}"
