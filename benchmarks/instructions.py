"""Instructions of the gateway's pure parts, beside those committed: `make bench-instructions`.

Times on a busy machine say little; how many instructions a piece of work takes does not depend on what else
runs. valgrind counts them, in one process: at each mark (a system call that Python has no other use for) it
writes down what came since the last, so that start and imports are no part of any count.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.processes import interruptible
from benchmarks.upstream import PARAMETERS, Turn
from benchmarks.work import BURST, CALL, JSON, PROMPT, Work, answer
from opendify._sse import Decoder
from opendify.gateway.answer import Answer
from opendify.gateway.channel import Channel
from opendify.gateway.conversation import read
from opendify.gateway.expected import Expected
from opendify.gateway.translate import background, to_dify
from opendify.gateway.wire import parse
from opendify.types import AppParameters

COUNTS = Path(__file__).with_name("instructions.json")
"""What is committed: what was counted with, and the instructions of each part."""

PACKAGES = ("jsonschema-rs", "msgspec", "pydantic-core")
"""Those whose code the parts run: another version of one has other counts, and is no fault of the gateway."""

SLACK = 0.05
"""How many more are no fault yet."""

TIMES = 20
"""How often each part is done between its marks, and as often before: what is made once is no part of it."""

LONGEST_RUN = 300.0

Part = Callable[[], object]


def parts() -> dict[str, Part]:
    """What is counted, by its name: pure functions of the gateway on what the benchmark sends through it."""
    decoded = Decoder().feed(_events(BURST))
    deltas = Answer("chat", "http://dify.example/v1").feed(decoded)
    parameters = AppParameters.model_validate(PARAMETERS)
    bodies = {work.name: _body(work) for work in (BURST, PROMPT, CALL, JSON)}
    requests = {name: parse(body) for name, body in bodies.items()}

    def frames() -> bytes:
        channel = Channel(0, (), paced=False)
        channel.open("chatcmpl-1", 1, "Benchmark")
        return channel.feed(deltas, None)

    def expected(work: Work) -> Part:
        request, tokens = requests[work.name], answer(work.kind, work.tokens)

        def follow() -> object:
            looked = Expected(request.toolset, request.response_format, streaming=True, mode="chat")
            for token in tokens:
                looked.feed(token)
            looked.end()
            return looked.judge(Answer("chat", "http://dify.example/v1"))

        return follow

    def translate(work: Work) -> Part:
        def call() -> object:
            said = read(requests[work.name].messages)
            past = background(said, "chat", None, True)
            return to_dify(
                past or said,
                model="Benchmark",
                mode="chat",
                parameters=parameters,
                inputs={},
                files=(),
                conversation_id=None,
                history=past is not None,
            )

        return call

    return {
        "events of 100 tokens: bytes to payloads": lambda: Decoder().feed(_BURST),
        "events of 100 tokens: payloads to text": lambda: Answer("chat", "http://dify.example/v1").feed(
            decoded
        ),
        "100 tokens as chunks": frames,
        "100 tokens with a tool call, read": expected(CALL),
        "100 tokens of JSON, read and judged": expected(JSON),
        "a short request, read": lambda: parse(bodies[BURST.name]),
        "a request of 60 messages, read": lambda: parse(bodies[PROMPT.name]),
        "a request with a tool, read": lambda: parse(bodies[CALL.name]),
        "a short request, as Dify is asked it": translate(BURST),
        "a request of 60 messages, as Dify is asked it": translate(PROMPT),
        "the identity of 60 messages": lambda: read(requests[PROMPT.name].messages).digest.key(),
    }


def _events(work: Work) -> bytes:
    """A stream of Dify, without the framing of HTTP."""
    turn = Turn(1)
    chunks = [*map(turn.token, answer(work.kind, work.tokens)), turn.end(work.tokens)]
    return b"".join(chunk.split(b"\r\n")[1] for chunk in chunks)


def _body(work: Work) -> bytes:
    question = {"role": "user", "content": work.prompt}
    return json.dumps(work.body({"model": "Benchmark", "messages": [question], "stream": True})).encode()


_BURST = _events(BURST)


def count(valgrind: str) -> dict[str, int]:
    """The instructions of each part, done once."""
    with tempfile.TemporaryDirectory(prefix="opendify-instructions-") as directory:
        subprocess.run(
            [
                valgrind,
                "--quiet",
                "--tool=callgrind",
                f"--dump-before={_mark.__name__}",
                f"--callgrind-out-file={directory}/out",
                *(sys.executable, "-m", "benchmarks.instructions", "--under-valgrind"),
            ],
            env={**os.environ, "PYTHONHASHSEED": "0"},
            timeout=LONGEST_RUN,
            check=True,
            process_group=0,  # of Ctrl-C it hears by this process alone
        )
        counted: dict[str, int] = {}
        for number, name in enumerate(parts()):
            # the first two have what was before the first part: start, and the part's first times
            dumped = Path(directory, f"out.{2 * number + 2}").read_text()
            found = re.search(r"^totals: (\d+)", dumped, re.MULTILINE)
            assert found is not None, "callgrind writes totals into each of its files"
            counted[name] = round(int(found[1]) / TIMES)
    return counted


_mark = os.getppid


def _work() -> None:
    """What valgrind counts: each part between two marks."""
    gc.disable()
    for part in parts().values():
        for _ in range(TIMES):
            part()
        _mark()
        for _ in range(TIMES):
            part()
        _mark()


def counted_with() -> dict[str, str]:
    """What the counts depend on beside the code here: Python and packages, by name, with their versions."""
    python = f"{platform.python_implementation()} {platform.python_version()} {platform.machine()}"
    return {"python": python, **{name: version(name) for name in PACKAGES}}


def compare(now: Mapping[str, int], before: Mapping[str, int]) -> tuple[Table, list[str]]:
    """The counts beside those committed, and what is wrong with them, a sentence each.

    >>> _, faults = compare({"a": 104, "b": 106}, {"a": 100, "b": 100})
    >>> faults
    ['b: more than 5% above the committed count']
    >>> _, faults = compare({"a": 104, "c": 100}, {"a": 100, "b": 100})
    >>> faults
    ['c: has no committed count', 'b: committed, but not counted any more']
    """
    table = Table("part", title="Instructions", title_justify="left")
    for column in ("committed", "now", ""):
        table.add_column(column, justify="right")
    faults: list[str] = []
    for name, instructions in now.items():
        known = before.get(name)
        change = "new" if known is None else f"{instructions / known - 1:+.1%}"
        if known is None:
            faults.append(f"{name}: has no committed count")
        elif instructions > known * (1 + SLACK):
            faults.append(f"{name}: more than {SLACK:.0%} above the committed count")
            change += " MORE"
        table.add_row(name, f"{known:,}" if known else "", f"{instructions:,}", change)
    faults += [f"{name}: committed, but not counted any more" for name in before if name not in now]
    return table, faults


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """In what two counts are not of the same, a few words each.

    >>> differences({"python": "3.12", "msgspec": "0.22.0"}, {"python": "3.11", "msgspec": "0.22.0"})
    ['python 3.12 instead of 3.11']
    """
    return [
        f"{name} {here.get(name, 'nothing')} instead of {there.get(name, 'nothing')}"
        for name in {**there, **here}
        if here.get(name) != there.get(name)
    ]


def main() -> int:
    """Run the command. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the counts into instructions.json")
    parser.add_argument("--under-valgrind", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.under_valgrind:
        _work()
        return 0
    console = Console(highlight=False)
    console.width = max(console.width, 100)
    return judge(console, write=arguments.write)


def judge(console: Console, *, write: bool = False, where_possible: bool = False) -> int:
    """Count, and print the counts beside those committed.

    Args:
        console: Takes what is printed.
        write: Keep the counts, and judge nothing.
        where_possible: It is no failure where nothing can be judged.

    Returns:
        The exit code.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        console.print(
            "No instructions are counted: that needs valgrind (in Debian: apt install valgrind).",
            style="yellow",
        )
        return 0 if where_possible else 1
    here = counted_with()
    kept = json.loads(COUNTS.read_text()) if COUNTS.exists() else {"with": here, "instructions": {}}
    now = count(valgrind)
    table, faults = compare(now, kept["instructions"])
    console.print(table)
    if write:
        COUNTS.write_text(json.dumps({"with": here, "instructions": now}, indent=2) + "\n")
        console.print(f"Written: {COUNTS.relative_to(COUNTS.parent.parent)}")
        return 0
    if others := differences(here, kept["with"]):
        console.print(
            f"NOTHING WAS JUDGED: these counts were made with {', '.join(others)}. "
            "On a commit that is known to be good, make bench-instructions ARGS=--write keeps those of here.",
            style="yellow",
        )
        return 0 if where_possible else 1
    for fault in faults:
        console.print(f"{fault}.", style="red")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(interruptible(main))
