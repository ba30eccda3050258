"""Logs: one JSON object a line on standard output, with the trace they belong to."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import structlog
from opentelemetry import trace
from structlog.tracebacks import ExceptionDictTransformer
from structlog.types import EventDict, WrappedLogger

# Without local variables: they hold passwords and what customers wrote.
_TRACEBACKS = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
# What PostgreSQL and asyncpg add to an error: the row that failed, the value that doesn't fit.
_QUOTED = re.compile(r"\nDETAIL: .*?(?=\n\[SQL: |\Z)|(?<=invalid input for query argument )\$\d+: .*", re.DOTALL)


def configure_logging(service: str, level: str = "INFO") -> None:
    """Send structlog and the standard library's loggers through one JSON renderer."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _TRACEBACKS,
                _without_rows,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # These say at INFO what the metrics say better, and at a rate that drowns the rest.
    for chatty in ("aiokafka", "uvicorn.access", "alembic", "httpx"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))


def _add_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


def _without_rows(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {key: _unquoted(value) for key, value in event.items()}


def _unquoted(value: Any) -> Any:
    match value:
        case str():
            return _QUOTED.sub("", value)
        case dict():
            return {key: _unquoted(each) for key, each in value.items()}
        case list():
            return [_unquoted(each) for each in value]
        case _:
            return value
