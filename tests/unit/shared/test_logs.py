"""Logs are one JSON object a line, and carry the trace they belong to."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from radrelay_shared.observability.logs import configure_logs


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the configured logs write."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    written = io.StringIO()
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout", written)
        configure_logs("probe", "INFO")
    yield written
    root.handlers = handlers
    root.setLevel(level)


def test_a_record_is_one_line_of_json_with_its_trace(output: io.StringIO) -> None:
    with TracerProvider().get_tracer("test").start_as_current_span("work") as span:
        logging.getLogger("probe.part").warning("line one\nline two", extra={"batch_id": "b-1"})
        trace_id = trace.format_trace_id(span.get_span_context().trace_id)
    [line] = output.getvalue().splitlines()
    record = json.loads(line)
    assert record["message"] == "line one\nline two"
    assert (record["level"], record["logger"], record["service"]) == ("WARNING", "probe.part", "probe")
    assert (record["batch_id"], record["trace_id"]) == ("b-1", trace_id)
    assert record["time"]


def test_an_exception_stays_within_its_line(output: io.StringIO) -> None:
    try:
        int("what went wrong")
    except ValueError:
        logging.getLogger("probe").exception("failed")
    [line] = output.getvalue().splitlines()
    assert json.loads(line)["exc_info"].startswith("ValueError\n  at unit/shared/test_logs.py:")
    assert "what went wrong" not in line


def test_libraries_that_quote_what_they_read_say_nothing(output: io.StringIO) -> None:
    logging.getLogger("pydicom").warning("Invalid value: DOE^JANE")
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: ValueError('DOE^JANE')")
    [line] = output.getvalue().splitlines()
    assert json.loads(line)["message"] == "Task exception was never retrieved"
    assert "DOE" not in line
