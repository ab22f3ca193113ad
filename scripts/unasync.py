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

SUBSTITUTIONS = {
    r"\basync (def|for|with)\b": r"\1",
    # (await dify.app.info()).mode: what parentheses were for is gone
    r"\(await ([\w.]+\((?:[^()\n]|\([^()\n]*\))*\))\)(?=[.\[])": r"\1",
    r"\bawait ": "",
    r"\bAwaitable\[(\w+(?:\[\w+\])?)\]": r"\1",
    r"\bAwaitable, ": "",
    r"\bStopAsyncIteration\b": "StopIteration",
    r"\ba(iter|next)\(": r"\1(",
    r"\b__a(enter|exit|iter|next)__\b": r"__\1__",
    r"\baclose\b": "close",
    r"\baread\b": "read",
    r"\baiter_bytes\b": "iter_bytes",
    r"\basync_(?=\w)": "",
    r"\b(_?)Async(?=[A-Z])": r"\1",
    r"with `await`, written by hand.*": 'without `await`, made from `opendify._async`."""',
}

# Words and imports come out in another order, and loops become shorter, than by hand: ruff puts that right.
TIDY = ["check", "--select", "I,RUF022,UP028", "--fix-only", "--unsafe-fixes", "--quiet"]
FORMAT = ["format", "--quiet"]


def main(arguments: list[str]) -> int:
    used: set[str] = set()
    twins = {path.name: convert(path, used) for path in sorted(SOURCE.glob("*.py"))}
    complaints = [f"unused substitution: {pattern}" for pattern in SUBSTITUTIONS.keys() - used]
    if arguments == ["--check"]:
        written = {path.name: path.read_text() for path in TWIN.glob("*.py")}
        complaints += [
            f"not what scripts/unasync.py writes: {TWIN / name}"
            for name in sorted(twins.keys() | written.keys())
            if twins.get(name) != written.get(name)
        ]
    else:
        for path in TWIN.glob("*.py"):
            path.unlink()
        for name, text in twins.items():
            (TWIN / name).write_text(text)
    print(*complaints, sep="\n", end="\n" if complaints else "")
    return 1 if complaints else 0


def convert(path: Path, used: set[str]) -> str:
    """The sync text of an async source, formatted as the project is; what was replaced goes into `used`."""
    text = path.read_text()
    for pattern, replacement in SUBSTITUTIONS.items():
        text, count = re.subn(pattern, replacement, text)
        if count:
            used.add(pattern)
    text = HEADER.format(source=f"_async/{path.name}") + text
    for command in (TIDY, FORMAT):
        text = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(TWIN / path.name), "-"],
            input=text,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
