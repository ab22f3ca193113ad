"""Structured logs on standard error: one line a request, as JSON or for reading in a terminal."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

import msgspec
import structlog

_encode = msgspec.json.Encoder(enc_hook=str).encode

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Line(msgspec.Struct, kw_only=True):
    """A line at level ``info`` whose fields are known: whoever tells it often gives it a class."""

    event: str
    level: Literal["info"] = "info"
    timestamp: datetime | None = None


class Lines:
    """Writes such lines, as logs are set up when this is made.

    What structlog does for any line, gathering its fields and passing them on, is half the price of one in
    JSON.
    """

    def __init__(self) -> None:
        self._log: structlog.typing.FilteringBoundLogger = structlog.get_logger("opendify").bind()
        self._told = self._log.is_enabled_for(logging.INFO)
        set_up = structlog.get_config()
        in_json = set_up["processors"] == [_json_line]
        self._json: structlog.BytesLogger | None = set_up["logger_factory"]() if in_json else None

    def write(self, line: Line) -> None:
        """Write one, if this level is wanted."""
        if not self._told:
            return
        if self._json is not None:
            line.timestamp = datetime.now(UTC)
            self._json.msg(_encode(line))
            return
        fields = msgspec.structs.asdict(line)
        del fields["level"], fields["timestamp"]
        self._log.info(**fields)


def configure(level: str, form: Literal["auto", "json", "console"]) -> None:
    """Set up logging for this process.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        form: ``auto`` is ``console`` in a terminal and ``json`` elsewhere.
    """
    console = sys.stderr.isatty() if form == "auto" else form == "console"
    processors: list[structlog.typing.Processor]
    factory: Callable[..., structlog.typing.WrappedLogger]
    if console:
        processors = [
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            _without_empty,
            # the default shows local variables in tracebacks: keys and prompts are among them
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty() and "NO_COLOR" not in os.environ,
                sort_keys=False,
                exception_formatter=structlog.dev.plain_traceback,
            ),
        ]
        factory = structlog.PrintLoggerFactory(sys.stderr)
    else:
        processors = [_json_line]
        factory = structlog.BytesLoggerFactory(sys.stderr.buffer)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Libraries()])


class _Libraries(logging.Handler):
    """What the server and other libraries have to say, if somebody must look at it: in the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.stdlib.get_logger(record.name)
        log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)


def _json_line(
    logger: structlog.typing.WrappedLogger, method: str, event: structlog.typing.EventDict
) -> bytes:
    """Level, time and form in one: structlog's own four processors cost three times as much, each request."""
    event["level"] = method
    event["timestamp"] = datetime.now(UTC)
    if "exc_info" in event:
        event = structlog.processors.format_exc_info(logger, method, event)
    return _encode(event)


def _without_empty(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return {name: value for name, value in event.items() if value not in (None, "")}
