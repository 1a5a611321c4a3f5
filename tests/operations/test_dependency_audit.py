"""A known vulnerability is found; a database that cannot be asked is not taken for a clean bill."""

from __future__ import annotations

import json
import runpy
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.builders.command_line import REPOSITORY
from tests.builders.servers import free_ports

AUDIT = runpy.run_path(str(REPOSITORY / ".ci" / "audit.py"))["main"]
PINS = "\n".join(f"{name} --hash=sha256:{'0' * 64}" for name in ("idna==3.4", "six==1.17.0"))
RANGE = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.7"}]}
KNOWN = {
    "id": "GHSA-jjg7-2v4v-x38h",
    "affected": [{"package": {"name": "idna", "ecosystem": "PyPI"}, "ranges": [RANGE]}],
}


@pytest.fixture
def pins(tmp_path: Path) -> str:
    path = tmp_path / "pins.txt"
    path.write_text(PINS)
    return str(path)


@pytest.fixture
def database() -> Iterator[str]:
    """A database of vulnerabilities on loopback that knows one of idna."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = {"vulns": [KNOWN]} if asked["package"]["name"] == "idna" else {}
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


def test_vulnerability_fails_the_audit(
    pins: str, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pip_audit", reason="pip-audit is not installed beside this Python")
    assert AUDIT([pins, "--osv-url", database]) == 1
    said = capsys.readouterr().out
    assert "idna 3.4: GHSA-jjg7-2v4v-x38h, corrected in 3.7" in said
    assert "2 of 2 releases asked about, 1 known" in said


def test_database_out_of_reach_is_said_and_fails_where_it_must_not_be(
    pins: str, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = f"http://127.0.0.1:{free_ports()[0]}/v1/query"
    assert AUDIT([pins, "--osv-url", nobody]) == 0
    assert AUDIT([pins, "--osv-url", nobody, "--strict"]) == 2
    assert capsys.readouterr().out.count("NOT DONE, the database of vulnerabilities") == 2
