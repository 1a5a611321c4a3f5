"""The landing zone: bytes as received, once, whole, and unaltered."""

from __future__ import annotations

import gzip
import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.storage.landing import Landing, LandingError, Payload


def payload(body: bytes, url: str = "https://vendor/chart") -> Payload:
    return Payload("yahoo", url, 200, (), body, datetime(2020, 1, 1, tzinfo=UTC))


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=4096))
def test_body_comes_back_as_received(tmp_path_factory: pytest.TempPathFactory, body: bytes) -> None:
    landing = Landing(tmp_path_factory.mktemp("landing"))
    payload_id = landing.store(payload(body))
    assert payload_id == hashlib.sha256(body).hexdigest()
    assert landing.load(payload_id) == body


def test_equal_bodies_are_kept_once_and_left_alone(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    landing.store(payload(b"body"))
    [path] = files(tmp_path)
    written = path.stat().st_mtime_ns
    landing.store(payload(b"body", url="https://vendor/other"))
    assert files(tmp_path) == [path]
    assert path.stat().st_mtime_ns == written


def test_stored_bytes_depend_on_the_body_alone(tmp_path: Path) -> None:
    for name in ("one", "two"):
        Landing(tmp_path / name).store(payload(b"body" * 100))
    [one], [two] = files(tmp_path / "one"), files(tmp_path / "two")
    assert one.read_bytes() == two.read_bytes()


def test_altered_body_is_never_handed_out(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    payload_id = landing.store(payload(b"body"))
    [path] = files(tmp_path)
    path.write_bytes(gzip.compress(b"forged"))
    with pytest.raises(LandingError, match="altered after it landed"):
        landing.load(payload_id)


def test_damaged_file_is_reported_as_damaged(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    payload_id = landing.store(payload(b"body" * 100))
    [path] = files(tmp_path)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(LandingError, match="damaged on disk"):
        landing.load(payload_id)


def test_absent_payload_is_reported(tmp_path: Path) -> None:
    with pytest.raises(LandingError, match="not in the landing zone"):
        Landing(tmp_path).load("0" * 64)


def test_interrupted_write_is_invisible_and_the_next_one_heals_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = Landing(tmp_path)

    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            landing.store(payload(b"body"))
    with pytest.raises(LandingError, match="not in the landing zone"):
        landing.load(payload(b"body").payload_id)
    assert landing.load(landing.store(payload(b"body"))) == b"body"
