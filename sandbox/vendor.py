"""A real HTTP server on 127.0.0.1 that answers as Yahoo's chart, news feeds and EDGAR would."""

from __future__ import annotations

import select
import socket
import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa

from sandbox.answers import Responder
from sandbox.chart import Quoting
from sandbox.faults import FaultPlan
from sandbox.market import Market
from sandbox.messages import Answer, Request
from sandbox.newswire import NewsSpec

Clock = Callable[[], datetime]
HOST_HEADER = "X-Sandbox-Host"
_CHUNK = 1 << 16
_DROP = 64


@dataclass(frozen=True)
class Served:
    """One line of the request log."""

    at: datetime
    request: Request
    status: int
    bytes: int


class SandboxVendor:
    """The vendor as a context manager: serving between `with` and its end, on its own threads.

    `news` is a spec (headlines are made on demand) or a ready table in HEADLINES_SCHEMA. `now` is
    the vendor's clock: nothing later than it exists. `quoting` says how bars are quoted, `faults`
    what goes wrong; the counts of a fault plan start anew with each vendor. `recorded`: a folder of
    answers that come instead of made-up ones (see `Responder`).
    """

    def __init__(
        self,
        market: Market,
        news: NewsSpec | pa.Table,
        *,
        now: Clock = lambda: datetime.now(UTC),
        faults: FaultPlan | None = None,
        quoting: Quoting | None = None,
        recorded: Path | None = None,
        port: int = 0,
    ) -> None:
        self._responder = Responder(
            market, news, faults or FaultPlan(), quoting or Quoting(), recorded
        )
        self._now = now
        self._port = port
        self._log: list[Served] = []
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT`, without a trailing slash."""
        if self._server is None:
            raise RuntimeError(
                "The sandbox vendor is not running; use it as `with SandboxVendor(...)`."
            )
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def requests(self) -> tuple[Served, ...]:
        """Requests and answers so far, in the order of the answers."""
        with self._lock:
            return tuple(self._log)

    def __enter__(self) -> Self:
        self.stopping.clear()
        self._server = _Server(("127.0.0.1", self._port), _Handler)
        self._server.vendor = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None and self._thread is not None:
            self.stopping.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def answer(self, request: Request) -> Answer:
        """The answer to one request at the vendor's present moment; logged."""
        moment = self._now()
        answer = self._responder.answer(request, int(moment.timestamp()))
        with self._lock:
            self._log.append(Served(moment, request, answer.status, len(answer.body)))
        return answer


class _Server(ThreadingHTTPServer):
    vendor: SandboxVendor
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of an error, unless it is only that the client is gone."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_GET(self) -> None:
        split = urlsplit(self.path)
        host = self.headers.get(HOST_HEADER, "")
        query = dict(parse_qsl(split.query))
        request = Request(
            host, split.path, query, {name.lower(): value for name, value in self.headers.items()}
        )
        self._send(self.server.vendor.answer(request))

    do_POST = do_GET  # noqa: N815 - the base class looks handlers up by this name

    def _send(self, answer: Answer) -> None:
        if answer.delivery in ("none", "silence"):
            if answer.delivery == "silence":
                self._await_departure()
            self._close_at_once()
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        chunked = answer.delivery == "chunked"
        length = (
            ("Transfer-Encoding", "chunked")
            if chunked
            else ("Content-Length", str(len(answer.body)))
        )
        self.send_header(*length)
        self.end_headers()
        try:
            self._deliver(answer)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client gave up, as it may

    def _deliver(self, answer: Answer) -> None:
        body = answer.body
        if answer.delivery == "chunked":
            for start in range(0, len(body), _CHUNK):
                block = body[start : start + _CHUNK]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block))
            self.wfile.write(b"0\r\n\r\n")
        elif answer.delivery == "drip":
            for start in range(0, len(body), _DROP):
                self.wfile.write(body[start : start + _DROP])
                self.wfile.flush()
                if self.server.vendor.stopping.wait(answer.pause):
                    self.close_connection = True
                    return
        elif answer.delivery == "reset":
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self._close_at_once()
        else:
            self.wfile.write(body)

    def _await_departure(self) -> None:
        """Return when the client is gone, or the vendor is to stop."""
        while not self.server.vendor.stopping.is_set():
            if select.select([self.connection], [], [], 0.05)[0]:
                return

    def _close_at_once(self) -> None:
        linger_no_more = struct.pack("ii", 1, 0)  # close() then sends RST instead of FIN
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_no_more)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """The request log is `SandboxVendor.requests`; nothing goes to stderr."""
