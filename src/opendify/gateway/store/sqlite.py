"""A store in one SQLite file, shared by all worker processes of a machine.

`Entries` is the table: plain blocking calls. `SqliteStore` runs them on a thread of its own. What is asked
for while one transaction runs goes together into the next, so that many callers share the price of a commit
and of a wake-up.
"""

import asyncio
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from opendify.gateway.store.base import StoreError, digest

T = TypeVar("T")

Entry = tuple[bytes, float]
"""A value, and the time at which it expires in seconds since 1970."""

Row = tuple[bytes, bytes, float]
"""What is put: a key, a value, and for how many seconds."""

BUSY_SECONDS = 5.0
"""How long a process waits for another one's transaction. They take milliseconds."""

NAP_SECONDS = 0.0005
"""When it looks again. SQLite's own naps grow to 100 ms, so that of two busy workers one stood still; and
where two open a new file at once, it takes none.
"""

CHECKPOINT_PAGES = 4000
"""The log goes into the file every 16 MB. At SQLite's own 4 MB a put in a group costs a third more."""

SWEEP_ROWS = 256
SWEEP_ROWS_PER_WRITE = 4
"""For every entry written this many are looked at, 256 or more at a time, and dropped if they have expired:
they never pile up. An index on `expires` would find them at once, but makes a put in a group half as dear
again.
"""


def _create_entries(db: sqlite3.Connection) -> None:
    # Keys are random digests. Without rowid the rows themselves would lie in that order, and a put of 2 KB in
    # the middle of them would cost twice as much.
    db.execute("CREATE TABLE entries (key BLOB NOT NULL UNIQUE, value BLOB NOT NULL, expires REAL NOT NULL)")


MIGRATIONS: Sequence[Callable[[sqlite3.Connection], None]] = (_create_entries,)
"""Migration n brings a file of schema n to schema n + 1 (`PRAGMA user_version`). Only ever added to."""

_GET = "SELECT value FROM entries WHERE key = ? AND expires > ?"


def _put(rows: int) -> str:
    return (
        f"INSERT INTO entries (key, value, expires) VALUES {', '.join(['(?, ?, ?)'] * rows)}"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires"
    )


ROWS = 256
_PUT = {rows: _put(rows) for rows in (1, 2, 3, 4, 8, 16, 32, 64, 128, ROWS)}
"""Statements by the rows that they put. One of many instead of many of one: between two, the thread waits for
Python's lock, and all other processes for SQLite's.
"""

_ADD = f"{_PUT[1]} WHERE entries.expires <= ?"
_TAKE = "DELETE FROM entries WHERE key = ? RETURNING value, expires"
_DELETE = "DELETE FROM entries WHERE key = ?"
_RETRACT = "DELETE FROM entries WHERE key = ? AND value = ? AND expires = ?"
_AHEAD = "SELECT count(*), max(rowid) FROM (SELECT rowid FROM entries WHERE rowid > ? ORDER BY rowid LIMIT ?)"
_SWEEP = "DELETE FROM entries WHERE rowid > ? AND rowid <= ? AND expires <= ?"

_PRIMARY = 0xFF
"""The part of an error's code that tells what it is; the rest is detail."""

_REASONS = {
    sqlite3.SQLITE_BUSY: f"another process kept it locked for {BUSY_SECONDS:.0f} s. Is it open elsewhere?",
    sqlite3.SQLITE_CORRUPT: "its content is damaged. Stop the gateway and move it away: a new one is made",
    sqlite3.SQLITE_FULL: "its disk is full. Make room",
    sqlite3.SQLITE_NOTADB: "it is no SQLite file. Name another file in STORE_URL",
    sqlite3.SQLITE_READONLY: "it may not be written. Let the gateway's user write to it and its folder",
}


class Entries:
    """The table of entries in a file. Blocking, and for one thread at a time.

    Each method is one statement, so it happens whole or not at all, among all processes.

    Args:
        path: The file. If missing it is made, for its owner's eyes only: a store may hold secrets.
        clock: Seconds since 1970, the same for all processes.

    Raises:
        StoreError: The file cannot be opened, or is not a store that this version knows.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._now = clock()
        self._unswept = 0
        self._swept_to = 0
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise StoreError(
                f"the store {path} cannot be opened: {error.strerror}. Its folder must exist, and the "
                "gateway's user must be allowed to write there; STORE_URL names another file"
            ) from error
        self._db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            self._patiently(self._prepare)
        except sqlite3.Error as error:
            self._db.close()
            raise self.failure(error) from error
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        (mode,) = self._db.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreError(
                f"the store {self._path} cannot be shared by worker processes: its file system does not "
                "allow SQLite's write-ahead log. Name a file on a local disk in STORE_URL"
            )
        # Not synced at every commit: a power cut may cost the last entries, never the file.
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        self._migrate()

    def _patiently(self, act: Callable[[], None]) -> None:
        """Do something as soon as no other process keeps the file locked."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return act()
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & _PRIMARY == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > deadline:
                    raise
            time.sleep(NAP_SECONDS)

    def _migrate(self) -> None:
        if self._version() == len(MIGRATIONS):
            return
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            version = self._version()  # another process may have been here first
            if version > len(MIGRATIONS):
                raise StoreError(
                    f"the store {self._path} was written by a newer OpenDify (its schema is {version}, "
                    f"this one knows {len(MIGRATIONS)}). Upgrade, or name another file in STORE_URL"
                )
            for migration in MIGRATIONS[version:]:
                migration(self._db)
            self._db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _version(self) -> int:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        return int(version)

    def failure(self, error: Exception) -> StoreError:
        """What `error`, raised by one of the methods, means to somebody who runs a gateway."""
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
        failure = StoreError(f"the store {self._path} failed: {_REASONS.get(code, error)}")
        failure.__cause__ = error
        return failure

    def run(self, operations: "Sequence[_Operation]") -> None:
        """Carry out operations, those on one key in their order: all, or none if an exception is raised."""
        self._patiently(partial(self._run, operations))

    def _run(self, operations: "Sequence[_Operation]") -> None:
        self._now = self._clock()
        writes = sum([operation.writes for operation in operations])
        sweep = writes > 0 and self._unswept >= SWEEP_ROWS
        steps = _steps(operations)
        if sweep:
            steps.append(Entries._sweep)
        if len(steps) == 1:
            steps[0](self)  # one statement is a transaction by itself
        else:
            self._db.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            with self._db:
                for step in steps:
                    step(self)
        self._unswept += SWEEP_ROWS_PER_WRITE * writes

    def get(self, key: bytes) -> bytes | None:
        row = self._db.execute(_GET, (key, self._now)).fetchone()
        return row[0] if row else None

    def put(self, rows: Sequence[Row]) -> None:
        """Keep at most `ROWS` entries, each under a key of its own."""
        size = next(size for size in _PUT if size >= len(rows))
        cells: list[bytes | float] = []
        for key, value, ttl in rows:
            cells += (key, value, self._now + ttl)
        self._db.execute(_PUT[size], cells + cells[-3:] * (size - len(rows)))

    def add(self, key: bytes, value: bytes, ttl: float) -> Entry | None:
        """The entry as it was kept, or None if there is one already."""
        expires = self._now + ttl
        cursor = self._db.execute(_ADD, (key, value, expires, self._now))
        return (value, expires) if cursor.rowcount else None

    def take(self, key: bytes) -> Entry | None:
        rows = self._db.execute(_TAKE, (key,)).fetchall()
        return rows[0] if rows and rows[0][1] > self._now else None

    def delete(self, key: bytes) -> None:
        self._db.execute(_DELETE, (key,))

    def retract(self, key: bytes, entry: Entry) -> None:
        """Undo an `add`, unless somebody has put something else there."""
        self._db.execute(_RETRACT, (key, *entry))

    def restore(self, key: bytes, entry: Entry) -> None:
        """Undo a `take`, unless somebody has put something else there."""
        self._db.execute(_ADD, (key, *entry, self._now))

    def _sweep(self) -> None:
        rows, end = self._db.execute(_AHEAD, (self._swept_to, self._unswept)).fetchone()
        if rows:
            self._db.execute(_SWEEP, (self._swept_to, end, self._now))
        self._swept_to = end if rows == self._unswept else 0  # at the last row, start over
        self._unswept = 0

    def close(self) -> None:
        self._db.close()


class _Statement(Generic[T]):
    """Something about one entry that somebody waits for, and what came of it.

    Attributes:
        writes: How many entries it changes.
    """

    __slots__ = ("_run", "future", "key", "result", "writes")

    def __init__(
        self, future: asyncio.Future[T], run: Callable[[Entries, bytes], T], key: bytes, writes: int
    ) -> None:
        self._run = run
        self.future = future
        self.key = key
        self.writes = writes
        self.result: T | None = None

    def carry_out(self, entries: Entries) -> None:
        self.result = self._run(entries, self.key)


class _Put:
    """Entries that somebody wants kept: with those of others, in one statement."""

    __slots__ = ("future", "rows")
    result = None

    def __init__(self, future: asyncio.Future[None], rows: Sequence[Row]) -> None:
        self.future = future
        self.rows = rows

    @property
    def writes(self) -> int:
        """How many entries it changes."""
        return len(self.rows)


_Operation = _Statement[Any] | _Put


def _steps(operations: Sequence[_Operation]) -> list[Callable[[Entries], None]]:
    """Statements of a batch. What is put goes together, and last: except before others on the same key."""
    steps: list[Callable[[Entries], None]] = []
    rows: dict[bytes, Row] = {}
    for operation in operations:
        if isinstance(operation, _Put):
            rows.update({row[0]: row for row in operation.rows})  # of two for one key the later counts
            continue
        if operation.key in rows:
            steps += _putting(rows)
            rows = {}
        steps.append(operation.carry_out)
    return steps + _putting(rows)


def _putting(rows: Mapping[bytes, Row]) -> list[Callable[[Entries], None]]:
    values = list(rows.values())
    return [partial(Entries.put, rows=values[at : at + ROWS]) for at in range(0, len(values), ROWS)]


class SqliteStore:
    """Entries in a SQLite file; see `Store` for the contract.

    Opening blocks for some milliseconds, so it belongs where a server starts. Everything else happens on the
    store's own thread, which begins with the first operation and ends with `aclose`. It is no daemon: a store
    that was used and never closed keeps its process alive.

    Args:
        path: The file; its folder must exist.
        clock: Seconds since 1970, the same for all processes that share the file.

    Raises:
        StoreError: The file cannot be opened, or is not a store that this version knows.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._entries = Entries(path, clock)
        self._thread = threading.Thread(target=self._work, name="opendify-store")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._user = 0  # the thread that the loop runs in
        self._batches: queue.SimpleQueue[list[_Operation] | None] = queue.SimpleQueue()
        self._waiting: list[_Operation] = []
        self._busy = False
        self._closed: asyncio.Future[None] | None = None

    async def get(self, key: str) -> str | None:
        value = await self._ask(Entries.get, digest(key), writes=0).future
        return None if value is None else _decode(value)

    async def put(self, entries: Mapping[str, str], *, ttl: float) -> None:
        rows = [(digest(key), _encode(value), ttl) for key, value in entries.items()]
        operation = _Put(self._future(), rows)
        self._enqueue(operation)
        await operation.future

    async def add(self, key: str, value: str, *, ttl: float) -> bool:
        data = _encode(value)
        added = self._ask(lambda entries, key: entries.add(key, data, ttl), digest(key))
        return await self._claimed(added, Entries.retract) is not None

    async def take(self, key: str) -> str | None:
        entry = await self._claimed(self._ask(Entries.take, digest(key)), Entries.restore)
        return None if entry is None else _decode(entry[0])

    async def delete(self, key: str) -> None:
        await self._ask(Entries.delete, digest(key)).future

    async def aclose(self) -> None:
        if self._closed is None:
            loop = self._attach()
            self._closed = loop.create_future()
            if not self._busy:
                self._batches.put(None)
        await asyncio.shield(self._closed)
        self._thread.join()  # closing was the last thing it did

    async def _claimed(
        self, claim: _Statement[Entry | None], undo: Callable[[Entries, bytes, Entry], None]
    ) -> Entry | None:
        def give_back(entries: Entries, key: bytes) -> None:
            if claim.result:  # operations on a key keep their order: it has been carried out
                undo(entries, key, claim.result)

        try:
            return await claim.future
        except asyncio.CancelledError:
            if self._closed is None:
                self._ask(give_back, claim.key)
            raise

    def _attach(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop, self._user = asyncio.get_running_loop(), threading.get_ident()
            self._thread.start()
        elif self._user != threading.get_ident() or not self._loop.is_running():
            # which of all loops is running would take a system call: 5 µs in a busy process
            raise RuntimeError("a store belongs to the event loop that used it first: open one for each loop")
        return self._loop

    def _ask(self, run: Callable[[Entries, bytes], T], key: bytes, *, writes: int = 1) -> _Statement[T]:
        statement = _Statement(self._future(), run, key, writes)
        self._enqueue(statement)
        return statement

    def _future(self) -> asyncio.Future[Any]:
        loop = self._attach()
        if self._closed is not None:
            raise StoreError(f"the store {self._path} is closed; open it again")
        return loop.create_future()

    def _enqueue(self, operation: _Operation) -> None:
        self._waiting.append(operation)
        if not self._busy:
            self._busy = True
            # Not at once: what else this turn of the loop asks for comes along.
            self._attach().call_soon(self._hand_over)

    def _hand_over(self) -> None:
        if self._waiting:
            self._batches.put(self._waiting)
            self._waiting = []
        elif self._closed is not None:
            self._batches.put(None)
        else:
            self._busy = False

    def _deliver(self, batch: Sequence[_Operation], error: Exception | None) -> None:
        for operation in batch:
            if not operation.future.done():
                if error is None:
                    operation.future.set_result(operation.result)
                else:
                    operation.future.set_exception(self._entries.failure(error))
        self._hand_over()

    def _work(self) -> None:
        """The thread: one batch after the other, each a transaction."""
        assert self._loop is not None, "the thread starts with the first operation"
        while (batch := self._batches.get()) is not None:
            error: Exception | None = None
            try:
                self._entries.run(batch)
            except Exception as failure:  # noqa: BLE001 - every caller in the batch gets it
                error = failure
            self._loop.call_soon_threadsafe(self._deliver, batch, error)
        try:
            self._entries.close()
        finally:
            assert self._closed is not None, "the thread ends when the store is closed"
            self._loop.call_soon_threadsafe(self._closed.set_result, None)


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
