"""Structured logs: one JSON object a line, with the trace it belongs to, and no text of an exception or a library.

Messages of exceptions and of libraries that read files quote what they choke on, which may be a patient's name.
"""

import logging
import sys
import threading
from types import TracebackType
from typing import Any, Final

from opentelemetry import trace
from pythonjsonlogger.json import JsonFormatter

from radrelay_shared.observability.redaction import describe_fault

_QUIET: Final = ("uvicorn.access", "httpx", "httpcore", "urllib3", "alembic.runtime.plugins")
_SILENT: Final = ("pydicom", "pynetdicom", "PIL")
"""They say nothing but what is in files and messages of others."""
_QUOTING: Final = "asyncio"
"""After its first line it shows tasks with the text of their exceptions."""

_log = logging.getLogger(__name__)


class _TraceContext(logging.Filter):
    """Adds the ids of the current span."""

    def filter(self, record: logging.LogRecord) -> bool:
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            record.trace_id = trace.format_trace_id(context.trace_id)
            record.span_id = trace.format_span_id(context.span_id)
        return True


class _Formatter(JsonFormatter):
    """Shows of an exception what `describe_fault` does."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        if record.name == _QUOTING:
            record.msg, record.args = record.getMessage().partition("\n")[0], ()
        record.exc_text = None  # another handler's, which holds the message
        return super().format(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802  # the name is logging's
        """Types and places."""
        return describe_fault(ei[1]) if ei[1] is not None else ""


def configure_logs(process: str, level: str) -> None:
    """Send every log record of this process to standard output as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        _Formatter(
            "{asctime}{levelname}{name}{message}",
            style="{",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            static_fields={"service": process},
            datefmt="%Y-%m-%dT%H:%M:%S%z",
        )
    )
    handler.addFilter(_TraceContext())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    _log_uncaught()


def _log_uncaught() -> None:
    """Log exceptions that nobody caught, where Python would print them with their text."""
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _on_uncaught
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = lambda hooked: _on_uncaught(hooked.exc_type, hooked.exc_value, hooked.exc_traceback)
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = lambda hooked: _on_uncaught(hooked.exc_type, hooked.exc_value, hooked.exc_traceback)


def _on_uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if not issubclass(kind, Exception):  # the process is told to end
        sys.__excepthook__(kind, error or kind(), trace)
        return
    _log.critical("uncaught exception", exc_info=(kind, error or kind(), trace))
