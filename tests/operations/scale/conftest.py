"""A real PostgreSQL server and a real S3-compatible store, both on loopback and of our own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

import pytest

from tests.builders.servers import free_ports
from warehouse.lake import LakeSpec

SERVERS = Path("/usr/lib/postgresql")


class Postgres:
    """A throw-away cluster. As root everything runs as `postgres`, which PostgreSQL insists on."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._user = "postgres" if os.getuid() == 0 else None
        (self.port,) = free_ports()
        if self._user:
            shutil.chown(folder, self._user)

    def start(self) -> None:
        self._run("initdb", "--auth=trust", "--username=postgres", "--no-sync", "--locale=C")
        options = f"-h 127.0.0.1 -p {self.port} -k {self._folder} -F"
        self._run("pg_ctl", "--wait", f"--log={self._folder}/log", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "--wait", "--mode=immediate", "stop")

    def database(self) -> str:
        """The connection string of a new, empty database."""
        name = f"db_{uuid4().hex[:12]}"
        where = ["--host=127.0.0.1", f"--port={self.port}", "--username=postgres"]
        subprocess.run([self._programs / "createdb", *where, name], check=True, timeout=300)
        return f"dbname={name} host=127.0.0.1 port={self.port} user=postgres"

    def _run(self, program: str, *words: str) -> None:
        subprocess.run(
            [self._programs / program, f"--pgdata={self._folder / 'data'}", *words],
            user=self._user,
            cwd="/",
            check=True,
            timeout=900,
            stdout=subprocess.DEVNULL,
        )


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Skips where PostgreSQL's server programs are not installed (Debian: postgresql)."""
    programs = sorted(SERVERS.glob("*/bin/initdb"))
    if not programs:
        pytest.skip(f"no PostgreSQL server below {SERVERS}; install Debian's `postgresql`")
    folder = Path(tempfile.mkdtemp(prefix="newsvane-pg-"))
    server = Postgres(programs[-1].parent, folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def object_store() -> Iterator[str]:
    """The endpoint of an S3-compatible store; its keys are in the environment meanwhile."""
    server_module = pytest.importorskip("moto.server", reason="moto is not installed")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {
        "AWS_ACCESS_KEY_ID": "newsvane-key", "AWS_SECRET_ACCESS_KEY": "newsvane-very-secret",
        "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    with patch.dict(os.environ, keys):
        yield keys["AWS_ENDPOINT_URL"]
    server.stop()


@pytest.fixture
def bucket(object_store: str) -> str:
    """The address of a new, empty bucket."""
    from pyarrow.fs import S3FileSystem

    name = f"bucket-{uuid4().hex[:12]}"
    files = S3FileSystem(endpoint_override=object_store, allow_bucket_creation=True)
    files.create_dir(name)
    return f"s3://{name}"


@pytest.fixture
def machine(
    postgres: Postgres, object_store: str, bucket: str, tmp_path: Path
) -> Callable[[str], LakeSpec]:
    """The same warehouse as machine NAME sees it: nothing is shared but server and store."""
    catalog = f"postgres:{postgres.database()}"

    def seen_by(name: str) -> LakeSpec:
        return LakeSpec(
            catalog=catalog,
            storage=f"{bucket}/lake",
            landing=f"{bucket}/landing",
            endpoint=object_store,
            lock=tmp_path / name / "writer.lock",
            threads=1,
        )

    return seen_by
