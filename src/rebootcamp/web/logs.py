"""Logs as one JSON object a line on stderr (or coloured text for people), ours and the libraries' alike."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, Final

import structlog
from flask import has_request_context, request
from structlog.typing import EventDict, Processor, WrappedLogger

from rebootcamp.core.json import dumps_text

# Where the environ of a request keeps its context.
CONTEXT: Final = "rebootcamp.request"
MOST_CAUSES: Final = 8
_QUOTED: Final = re.compile(r"^(DETAIL:|CONTEXT:|LINE \d+:).*$", re.MULTILINE)


class _Stderr:
    """Looks stderr up at each line, so that a redirected stream is honoured."""

    def msg(self, line: str) -> None:
        sys.stderr.write(line + "\n")

    debug = info = warning = error = critical = msg


class _State:
    level = logging.WARNING


access: Any = structlog.get_logger("rebootcamp.access")


def is_access_logged() -> bool:
    """Tell whether a line per request is wanted at all."""
    return _State.level <= logging.INFO


def configure(level: str, style: str) -> None:
    """Set level (`INFO`…) and style (`json` or `console`) for the whole process."""
    _State.level = logging.getLevelNamesMapping().get(level, logging.INFO)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_request,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Plain tracebacks: the structured ones print local variables, passwords among them.
    render: list[Processor] = [
        structlog.processors.format_exc_info,
        _without_values,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if style == "console"
        else structlog.processors.JSONRenderer(_dumps),
    ]
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(_State.level),
        logger_factory=lambda *_: _Stderr(),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
    )
    _route_standard_library(formatter)


class _StderrHandler(logging.StreamHandler[Any]):
    @property
    def stream(self) -> Any:
        return sys.stderr

    @stream.setter
    def stream(self, _: Any) -> None:
        """Stay with whatever stderr is now."""


def _route_standard_library(formatter: logging.Formatter) -> None:
    handler = _StderrHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _StderrHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(max(_State.level, logging.INFO))


def _add_request(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if has_request_context() and (current := request.environ.get(CONTEXT)):
        event["request_id"] = current.request_id
        if current.trace_id:
            event["trace_id"] = current.trace_id
    return event


def causes_of(error: BaseException) -> list[str]:
    """Return what an error came from, itself first: a line for each, without the values that PostgreSQL quotes."""
    causes: list[str] = []
    found: BaseException | None = error
    while found is not None and len(causes) < MOST_CAUSES:
        text = str(found).strip()
        causes.append(f"{type(found).__name__}: {text.splitlines()[0][:300] if text else ''}")
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return causes


def _without_values(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Keep from a traceback what PostgreSQL repeats of the rows and of the statement."""
    if "exception" in event:
        event["exception"] = _QUOTED.sub(r"\1 …", event["exception"])
    return event


def _dumps(value: object, **_: Any) -> str:
    try:
        return dumps_text(value)
    except TypeError:
        return dumps_text({"event": repr(value)})
