"""Write the sync twin of the SDK from its async source.

    python scripts/unasync.py            write
    python scripts/unasync.py --check    say what differs, and fail

`src/opendify/_async` is written by hand; `src/opendify/_sync` is made from it, checked in, and never edited.
A substitution that changes nothing any more fails too: it would be a rule that nobody needs.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "opendify"
SOURCE, TWIN = PACKAGE / "_async", PACKAGE / "_sync"

HEADER = "# Made from {source} by scripts/unasync.py: edit that file, not this one.\n"

SUBSTITUTIONS = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\basync (def|for|with)\b", r"\1"),
        (r"\bawait ", ""),
        (r"\bAwaitable\[(\w+)\]", r"\1"),
        (r", Awaitable\b|\bAwaitable, ", ""),
        (r"\bStopAsyncIteration\b", "StopIteration"),
        (r"\b(a|_a)(iter|next)\(", r"\2("),
        (r"\b__a(enter|exit|iter|next)__\b", r"__\1__"),
        (r"\baclose\b", "close"),
        (r"\baiter_bytes\b", "iter_bytes"),
        (r"\basync_(\w)", r"\1"),
        (r"\b(_?)Async(?=[A-Z])", r"\1"),
        (
            r"The SDK with `await`, written by hand.*",
            'The SDK without `await`: made from `opendify._async`."""',
        ),
    )
]


def main() -> int:
    twins = {path.name: convert(path) for path in sorted(SOURCE.glob("*.py"))}
    unused = [pattern.pattern for pattern, _ in SUBSTITUTIONS if pattern not in USED]
    for pattern in unused:
        print(f"unused substitution: {pattern}")
    if "--check" in sys.argv[1:]:
        differing = sorted(
            name
            for name in twins.keys() | {path.name for path in TWIN.glob("*.py")}
            if not (TWIN / name).exists() or twins.get(name) != (TWIN / name).read_text()
        )
        for name in differing:
            print(f"not what scripts/unasync.py writes: {TWIN / name}")
        return 1 if differing or unused else 0
    TWIN.mkdir(exist_ok=True)
    for path in TWIN.glob("*.py"):
        if path.name not in twins:
            path.unlink()
    for name, text in twins.items():
        (TWIN / name).write_text(text)
    return 1 if unused else 0


USED: set[re.Pattern[str]] = set()


def convert(path: Path) -> str:
    """The sync text of an async source, formatted as the project is."""
    text = path.read_text()
    for pattern, replacement in SUBSTITUTIONS:
        text, count = pattern.subn(replacement, text)
        if count:
            USED.add(pattern)
    text = HEADER.format(source=f"_async/{path.name}") + text
    for command in (["check", "--select", "I,RUF022", "--fix-only", "--quiet"], ["format", "--quiet"]):
        text = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(TWIN / path.name), "-"],
            input=text,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    return text


if __name__ == "__main__":
    sys.exit(main())
