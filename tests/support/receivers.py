"""A hospital's own system that events are posted to: it answers as a test says, and keeps what came."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True)
class Received:
    """A request that came."""

    path: str
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What is answered."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    endless: bool = False
    """The body never ends."""
    silent_until: threading.Event | None = None
    """Nothing is answered before."""


@dataclass
class Receiver:
    """What listens on loopback. `answer` may be replaced at any time."""

    port: int
    scheme: str = "http"
    answer: Callable[[Received], Answer] = lambda _: Answer()
    received: list[Received] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where events are posted to."""
        return f"{self.scheme}://127.0.0.1:{self.port}/events"

    def ids(self) -> list[str]:
        """Identifiers of the events that came, in their order."""
        return [each.headers["webhook-id"] for each in self.received]


@contextmanager
def receiving_events(certificate: tuple[Path, Path] | None = None) -> Iterator[Receiver]:
    """A receiver on a free port, which answers 200 unless a test says otherwise; with a certificate, over TLS."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            answer = receiver.answer(came)
            receiver.received.append(came)
            if answer.silent_until:
                answer.silent_until.wait(60)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if not answer.endless:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            while answer.endless:
                self.wfile.write(b"x" * 65536)
                time.sleep(0.001)

        def handle(self) -> None:
            try:
                super().handle()
            except (BrokenPipeError, ConnectionResetError):
                """Whoever posted has gone, as it may."""

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
            """Keep the test output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*certificate)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver = Receiver(server.server_port, "https" if certificate else "http")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
