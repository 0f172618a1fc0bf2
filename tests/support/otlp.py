"""A small receiver of OTLP over HTTP, and traces as trees."""

import gzip
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

Value = str | int | bool | float


@dataclass(frozen=True)
class ReceivedSpan:
    """One span as it was exported."""

    process: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    attributes: dict[str, Value]
    links: tuple[tuple[str, str], ...]
    """Trace and span that it is linked to."""
    failed: bool
    started_ns: int
    schema_url: str


@dataclass
class Receiver:
    """What was exported so far."""

    endpoint: str
    bodies: list[bytes] = field(default_factory=list)
    """As they came, for a search in everything that is in them."""
    _read: int = 0
    _spans: list[ReceivedSpan] = field(default_factory=list)

    @property
    def spans(self) -> list[ReceivedSpan]:
        """All spans; they are taken apart only when somebody asks for them."""
        while self._read < len(self.bodies):
            self._spans.extend(_spans(ExportTraceServiceRequest.FromString(self.bodies[self._read])))
            self._read += 1
        return self._spans

    def of_trace(self, trace_id: str) -> list[ReceivedSpan]:
        """The spans of one trace, in order of their start."""
        return sorted((each for each in self.spans if each.trace_id == trace_id), key=lambda each: each.started_ns)

    def until(self, found: Callable[[Sequence[ReceivedSpan]], bool], *, timeout_s: float = 60) -> None:
        """Wait until the spans are what is looked for: they are exported some seconds after their end."""
        deadline = time.monotonic() + timeout_s
        while not found(tuple(self.spans)):
            if time.monotonic() > deadline:
                raise TimeoutError("the spans that were waited for did not come")
            time.sleep(0.1)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port of loopback while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            receiver.bodies.append(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, name="otlp-receiver", daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def tree(spans: Sequence[ReceivedSpan]) -> str:
    """A trace for people: each span below its parent, with its process and what it is linked to."""
    known = {each.span_id for each in spans}

    def below(parent: str | None, depth: int) -> Iterator[str]:
        for each in spans:
            is_root = each.parent_id not in known
            if is_root if parent is None else each.parent_id == parent:
                linked = f"  (linked to {len(each.links)})" if each.links else ""
                failed = "  FAILED" if each.failed else ""
                yield f"{'  ' * depth}{each.name}  [{each.process}]{linked}{failed}"
                yield from below(each.span_id, depth + 1)

    return "\n".join(below(None, 0))


def _spans(request: ExportTraceServiceRequest) -> Iterator[ReceivedSpan]:
    for resource in request.resource_spans:
        process = str(_values(resource.resource.attributes).get("service.name", ""))
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield ReceivedSpan(
                    process=process,
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    attributes=_values(span.attributes),
                    links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                    failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
                    started_ns=span.start_time_unix_nano,
                    schema_url=scope.schema_url or resource.schema_url,
                )


def _values(attributes: Sequence[KeyValue]) -> dict[str, Value]:
    return {each.key: _value(each.value) for each in attributes}


def _value(value: AnyValue) -> Value:
    found: Value = getattr(value, value.WhichOneof("value") or "string_value")
    return found
