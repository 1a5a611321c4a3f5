"""The report site over HTTP, on loopback alone, and the inbox where alarms of the stack arrive."""

from __future__ import annotations

import argparse
import functools
import hashlib
import hmac
import http.server
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from flows.platform.credentials import stored_credentials
from flows.platform.display import SERVED
from flows.platform.notifications import Receiver

INBOX = "/alarms"
MAX_BYTES = 1 << 16
_OWN_NAME = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?", re.IGNORECASE)
"""What a request may call the site by; it listens on loopback alone."""
_FIELDS = ("at", "flow", "run", "state", "message", "url")


def alarms_path(data_root: Path) -> Path:
    """Where alarms are kept, one JSON object a line, oldest first."""
    return data_root / "alarms.jsonl"


def file_alarm(inbox: Path, alarm: Mapping[str, object]) -> None:
    """Add an alarm to the inbox. Raises KeyError or TypeError for what is none."""
    line = json.dumps({name: str(alarm[name]) for name in _FIELDS})
    with inbox.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


@contextmanager
def site_server(data_root: Path, host: str, port: int) -> Iterator[Receiver]:
    """Serve DATA_ROOT/site, and yield the address that takes alarms.

    The pages are for whoever reaches the port; alarms are taken only from who knows the token. It
    follows from the stored credentials: an alarm that the Prefect server sends before it hears of a
    new start arrives too.
    """
    root = data_root / "site"
    root.mkdir(parents=True, exist_ok=True)
    handler = functools.partial(
        _Handler, directory=str(root), token=_token(data_root), inbox=alarms_path(data_root)
    )
    with http.server.ThreadingHTTPServer((host, port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield inbox_of(data_root, host, int(server.server_address[1]))
        finally:
            server.shutdown()


def inbox_of(data_root: Path, host: str, port: int) -> Receiver:
    """The address at which DATA_ROOT's site takes alarms, whether it is up or not."""
    return Receiver(f"http://{host}:{port}{INBOX}", _token(data_root))


def _token(data_root: Path) -> str:
    key = stored_credentials(data_root).encode()
    return hmac.new(key, INBOX.encode(), hashlib.sha256).hexdigest()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *args: object, token: str, inbox: Path, directory: str) -> None:
        self._expected = f"Bearer {token}"
        self._inbox = inbox
        super().__init__(*args, directory=directory)  # type: ignore[arg-type]

    def parse_request(self) -> bool:
        # A page whose own name was pointed at this machine would read the site as its own.
        if not super().parse_request():
            return False
        names = self.headers.get_all("Host", [])
        if len(names) != 1 or not _OWN_NAME.fullmatch(names[0]):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return False
        return True

    def translate_path(self, path: str) -> str:
        inside = super().translate_path(path)
        root = Path(self.directory)
        first = Path(inside).relative_to(root).parts[:1]
        if first and first[0] in SERVED:
            return str(root.parent / Path(inside).relative_to(root))
        return inside

    def do_POST(self) -> None:
        if not hmac.compare_digest(self.headers.get("Authorization", ""), self._expected):
            self.send_error(HTTPStatus.UNAUTHORIZED)
        elif self.path != INBOX:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self._take_alarm()

    def _take_alarm(self) -> None:
        try:
            size = int(self.headers["Content-Length"])
            if not 0 < size <= MAX_BYTES:
                raise ValueError(size)
            file_alarm(self._inbox, json.loads(self.rfile.read(size)))
        except (ValueError, KeyError, TypeError):
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        self.send_response(HTTPStatus.NO_CONTENT)
        self.end_headers()

    def end_headers(self) -> None:
        # The pages load nothing from elsewhere; a browser should hold them to it.
        self.send_header(
            "Content-Security-Policy",
            "default-src 'self' 'unsafe-inline' data:; frame-ancestors 'none'",
        )
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


def main() -> None:
    """Serve a data root's site until interrupted: a part of the stack."""
    parser = argparse.ArgumentParser(description="The report site, and the inbox of alarms.")
    parser.add_argument("data_root", type=Path)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    with site_server(given.data_root, given.host, given.port):
        threading.Event().wait()


if __name__ == "__main__":
    main()
