"""Where the gateway spends a call and a chunk: flame graphs and a table of functions, `make profile`.

py-spy looks at the gateway 500 times a second while it works, from outside: nothing is built into it.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import peers
from benchmarks.dialects import OPENAI
from benchmarks.load import Load, WrongAnswer
from benchmarks.processes import NotStarted, Process, interruptible
from benchmarks.work import BURST, BUSY, PACED, Work

PROFILED: dict[str, tuple[str, Work]] = {
    "call": ("a plain call, of 32 at once", BUSY),
    "burst": ("a stream of 100 tokens at once", BURST),
    "chunk": ("a chunk of 100 streams, 50 tokens a second each", replace(PACED, climbs=False)),
}
"""What is looked at: its name, what it is, and the work that has it."""

RATE = 500
"""Looks a second. More of them slow the gateway down."""

LEFT_OUT = 1.0
"""Seconds at the beginning of a work that are not looked at: connections are made, caches filled."""

LONGEST_DRAWING = 60.0
"""Seconds that py-spy may take beyond those that it looks."""

FOLDER = peers.ROOT / "benchmarks/profiles"


class NotSeen(Exception):
    """py-spy could not look at the gateway."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one function has of the samples.

    Attributes:
        function: Its name and its file.
        own: Samples in it itself, in C code that it called too.
        total: Samples in it or in what it called.
    """

    function: str
    own: int
    total: int


def shares(stacks: str) -> tuple[list[Share], int]:
    """Functions of what was sampled, those with most of their own first, and how many samples there are.

    Args:
        stacks: One stack a line: functions from the outermost to the innermost, and how often it was seen.

    >>> found, samples = shares("run (a.py);read (b.py) 3\\nrun (a.py) 1\\nrun (a.py);run (a.py) 2\\n")
    >>> samples, [(share.function, share.own, share.total) for share in found]
    (6, [('run (a.py)', 3, 6), ('read (b.py)', 3, 3)])
    """
    own, total = Counter[str](), Counter[str]()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        functions = stack.split(";")
        own[functions[-1]] += int(count)
        for function in dict.fromkeys(functions):
            total[function] += int(count)
    found = [Share(function, own[function], count) for function, count in total.items()]
    return sorted(found, key=lambda share: (-share.own, -share.total)), own.total()


def main() -> int:
    """Run the command. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PROFILED)} (default: all)")
    parser.add_argument(
        "--seconds", type=int, default=5, choices=range(1, 61), metavar="N", help="of each, 1 to 60"
    )
    parser.add_argument("--rows", type=int, default=12, choices=range(1, 101), metavar="N", help="of a table")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(PROFILED):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(PROFILED)}")
    console = Console(highlight=False)
    console.width = max(console.width, 100)
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if spy is None:
        console.print("This needs py-spy, which `make profile` installs: the extra `profile`.")
        return 1
    FOLDER.mkdir(exist_ok=True)
    try:
        with peers.alone() as bench:
            for name in arguments.names or PROFILED:
                stacks = bench.directory / name
                micros = bench.runner.run(_look(spy, bench.gateway, name, arguments.seconds, stacks))
                console.print(_table(name, micros, stacks.read_text(), arguments.rows))
                console.print(f"Flame graph: {_drawing(name).relative_to(peers.ROOT)}\n")
    except (NotStarted, WrongAnswer, NotSeen) as error:
        console.print(f"No profile: {error}", markup=False, style="red")
        return 1
    return 0


async def _look(spy: str, gateway: Process, name: str, seconds: int, stacks: Path) -> float:
    """CPU µs of one call or chunk while nobody looks; then look, and write what is seen."""
    _, work = PROFILED[name]
    async with Load(gateway.port, OPENAI, work) as load:
        await asyncio.sleep(work.warm + LEFT_OUT)
        tally = load.tally
        done, cpu = (tally.chunks, tally.calls)[work.unit == "call"], gateway.cpu()
        await asyncio.sleep(1.0)
        done, cpu = (tally.chunks, tally.calls)[work.unit == "call"] - done, gateway.cpu() - cpu
        await _spy(spy, gateway, seconds, "raw", stacks)
        await _spy(spy, gateway, seconds, "flamegraph", _drawing(name))
    return cpu / done * 1e6


async def _spy(spy: str, gateway: Process, seconds: int, form: str, output: Path) -> None:
    """Let py-spy look for so long, at what has the interpreter's lock: threads that wait have not."""
    options = ["--gil", "--function", "--format", form, "--rate", str(RATE), "--duration", str(seconds)]
    command = [spy, "record", *options, "--pid", str(gateway.pid), "--output", str(output)]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(seconds + LONGEST_DRAWING):
            printed, _ = await process.communicate()
    except TimeoutError as error:
        raise NotSeen(f"py-spy did not end within {seconds + LONGEST_DRAWING:g} s.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise NotSeen(
            f"py-spy ended with {process.returncode}. It must be allowed to look at other processes: "
            f"as root, or where kernel.yama.ptrace_scope is 0. It printed:\n{printed.decode()[-2000:]}"
        )


def _drawing(name: str) -> Path:
    return FOLDER / f"{name}.svg"


def _table(name: str, micros: float, stacks: str, rows: int) -> Table:
    """The functions with most of their own; then the gateway's that have most in all, but not all."""
    title, _ = PROFILED[name]
    found, samples = shares(stacks)
    table = Table(title=f"{title}: {micros:,.1f} µs CPU; {samples:,} samples", title_justify="left")
    table.add_column("function", overflow="ellipsis", no_wrap=True, max_width=62)
    for column in ("own", "µs", "total", "µs"):
        table.add_column(column, justify="right", no_wrap=True)
    above = [share for share in found if "opendify" in share.function and share.total < 0.95 * samples]
    for group in (found, sorted(above, key=lambda share: -share.total)):
        for share in group[:rows]:
            own, total = share.own / samples, share.total / samples
            cells = (f"{own:.1%}", f"{own * micros:,.1f}", f"{total:.1%}", f"{total * micros:,.1f}")
            table.add_row(share.function.replace("opendify/", ""), *cells)
        table.add_section()
    return table


if __name__ == "__main__":
    sys.exit(interruptible(main))
