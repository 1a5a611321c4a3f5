"""Witnesses on loopback: an appending endpoint, a bare git repository, an RFC 3161 authority."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Endpoint(ThreadingHTTPServer):
    """Appends what is posted and gives all of it back; `status`, if set, is all it answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Appending)
        self.documents: list[bytes] = []
        self.tokens: list[str | None] = []
        self.status: int | None = None
        self.forgetful = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/chain"


class _Appending(BaseHTTPRequestHandler):
    server: Endpoint

    def do_GET(self) -> None:
        self._answer(b"[" + b",".join(self.server.documents) + b"]")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status is None and not self.server.forgetful:
            self.server.documents.append(body)
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.server.tokens.append(self.headers["Authorization"])
        self.send_response(self.server.status or 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _served(server: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    with server:
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def appending_endpoint() -> Iterator[Endpoint]:
    """An endpoint that keeps what it is sent, until the end of the block."""
    server = Endpoint()
    with _served(server):
        yield server


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """An endpoint that keeps what it is sent."""
    with appending_endpoint() as server:
        yield server


def bare_repository(folder: Path) -> Path:
    """A git remote that only grows."""
    remote = folder / "witness.git"
    git(folder, "init", "--quiet", "--bare", str(remote))
    git(remote, "config", "receive.denyNonFastForwards", "true")
    return remote


def git(folder: Path, *words: str) -> str:
    """Run git there, whoever has configured what."""
    own = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *own, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout


class Authority(ThreadingHTTPServer):
    """Signs the time as `openssl ts` does; `root` is the PEM file of its root certificate."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Signing)
        self.folder = folder
        self.root = _certificates(folder)
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/tsa"


class _Signing(BaseHTTPRequestHandler):
    server: Authority

    def do_POST(self) -> None:
        folder = self.server.folder
        with self.server.lock:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            (folder / "query.tsq").write_bytes(body)
            words = "ts -reply -config tsa.cnf -section tsa -queryfile query.tsq -out reply.tsr"
            subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)
            answer = (folder / "reply.tsr").read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "application/timestamp-reply")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def time_stamping(folder: Path) -> Iterator[Authority]:
    """A time-stamping authority with certificates of its own, until the end of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    server = Authority(folder)
    with _served(server):
        yield server


_CONFIGURATION = """[tsa]
serial = serial
signer_cert = signer.pem
signer_key = signer.key
signer_digest = sha256
default_policy = 1.3.6.1.4.1.99999.1
digests = sha256, sha512
ess_cert_id_alg = sha256
"""


def _certificates(folder: Path) -> Path:
    (folder / "tsa.cnf").write_text(_CONFIGURATION)
    (folder / "serial").write_text("01\n")
    root_key, signer_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name, signer_name = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("root", "signer")
    )
    now = datetime.now(UTC)

    def certificate(name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(root_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
        )

    root = certificate(root_name, root_key).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    stamping = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
    signer = certificate(signer_name, signer_key).add_extension(stamping, critical=True)
    for name, made in (("root", root), ("signer", signer)):
        signed = made.sign(root_key, hashes.SHA256())
        (folder / f"{name}.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "signer.key").write_bytes(
        signer_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "root.pem"
