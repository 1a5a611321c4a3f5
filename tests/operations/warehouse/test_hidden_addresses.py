"""A warehouse that kept secrets of addresses keeps them no longer, and proves as much as before."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.checks.integrity import seal, verify
from tasks.ingest.http.redaction import redacted
from tests.builders.rows import append
from tests.builders.warehouse import QUARANTINED, OpenLake, lake_spec_below
from tests.ingest.headlines.test_secrets_of_addresses import HIDES, SECRET, SHOWN
from warehouse.lake import Lake
from warehouse.storage.landing import Landing, Payload

MONDAY = datetime(2024, 1, 8, 12, tzinfo=UTC)
CLEAN = "https://x.example/rss?symbol=IBM"
KEYED = "https://x.example/rss?symbol=IBM&token="


def fetched(url: str, body: bytes, hour: int) -> Payload:
    return Payload("paid", url, 200, (), body, MONDAY + timedelta(hours=hour))


def keep(lake: Lake, landing: Landing, *payloads: Payload) -> None:
    rows = [
        {
            "payload_id": landing.store(one), "source": one.source, "url": one.url, "status": 200,
            "headers": "[]", "bytes": len(one.body), "fetched_at": one.fetched_at,
        }
        for one in payloads
    ]  # fmt: skip
    append(lake, "payloads", rows)


def rejected(**fields: str) -> dict[str, Any]:
    return QUARANTINED | {"kind": "payload", **fields}


@pytest.fixture
def kept(open_lake: OpenLake, tmp_path: Path) -> list[str]:
    """A warehouse of the former release with secrets in three places; the heads of its chain."""
    landing = Landing(tmp_path / "landing")
    with open_lake(tmp_path) as lake:
        keep(lake, landing, fetched(CLEAN, b"clean", 0))
        heads = [seal(lake, now=MONDAY)]
        # The token was changed in between: of the same answer there are two addresses.
        keep(lake, landing, fetched(KEYED + SECRET, b"a", 1), fetched(KEYED + "older", b"a", 2))
        heads.append(seal(lake, now=MONDAY + timedelta(days=1)))
        keep(lake, landing, fetched(CLEAN + "&page=2", b"later", 30))
        heads.append(seal(lake, now=MONDAY + timedelta(days=2)))
        error = f"https://u:{SECRET}@x.example/?key={SECRET} answered HTTP 404; expected 200."
        append(lake, "partitions", [{
            "source": "paid", "key": "IBM", "range_start": MONDAY.date(),
            "range_end": MONDAY.date(), "state": "failed", "attempts": 1, "rows": 0,
            "error": error, "updated_at": MONDAY,
        }])  # fmt: skip
        append(lake, "quarantine", [
            rejected(quarantine_id="1", record=json.dumps({"url": KEYED + SECRET})),
            rejected(quarantine_id="2", reason=f"{KEYED}{SECRET}: no feed"),
            rejected(quarantine_id="3", kind="headline", record=json.dumps({"link": KEYED + "ok"})),
        ])  # fmt: skip
        lake._connection.execute(
            "DELETE FROM schema_versions WHERE name = 'addresses_keep_no_secrets'"
        )
    return [head or "" for head in heads]


def rows_of(lake: Lake) -> str:
    tables = ("payloads", "sealed_rows", "partitions", "quarantine")
    return json.dumps([lake.sql(f"from {table}").to_pylist() for table in tables], default=str)


def test_secrets_that_were_kept_are_hidden_and_the_chain_still_holds(
    kept: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), Lake.open(lake_spec_below(tmp_path)) as lake:
        assert SECRET not in rows_of(lake)
        urls = lake.sql("select url from payloads order by fetched_at")["url"].to_pylist()
        assert urls == [CLEAN, f"{KEYED}***", f"{KEYED}***#2", f"{CLEAN}&page=2"]
        (error,) = lake.sql("select error from partitions")["error"].to_pylist()
        assert error == "https://***@x.example/?key=*** answered HTTP 404; expected 200."
        rejects = lake.sql("select * from quarantine order by kind, record").to_pylist()
        assert json.loads(rejects[0]["record"]) == {"link": KEYED + "ok"}
        assert len({row["quarantine_id"] for row in rejects}) == 3
        report = verify(lake, Landing(tmp_path / "landing"))
        assert report.sound, report.words
        chain = lake.sql("select hash from seals order by seal_no")["hash"].to_pylist()
        assert chain[0] == kept[0]
        assert chain[1:] != kept[1:]
        assert seal(lake, now=MONDAY + timedelta(days=3)) is None
    assert "2 addresses of payloads, 1 errors of the ledger and 2 quarantined" in caplog.text
    assert f"The hash chain has a new head, {chain[-1]}" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE sealed_rows SET row_hash = 'x' WHERE seal_no = 2",
        "DELETE FROM sealed_rows WHERE seal_no = 2 AND record_id LIKE '%older'",
        "UPDATE seals SET prev_hash = 'x' WHERE seal_no = 2",
        "UPDATE seals SET hash = 'x' WHERE seal_no = 2",
        "UPDATE seals SET content_hash = 'x' WHERE seal_no = 3",
        "UPDATE payloads SET status = 404",
    ],
)
def test_what_was_altered_before_is_not_made_good(
    kept: list[str], tmp_path: Path, tampering: str
) -> None:
    spec = lake_spec_below(tmp_path)
    from warehouse.lake.connection import attach

    connection = attach(spec)
    connection.execute(tampering)
    connection.close()
    with Lake.open(spec) as lake:
        assert SECRET not in rows_of(lake)
        assert not verify(lake, Landing(tmp_path / "landing")).sound


def test_old_rows_and_new_ones_are_hidden_alike(open_lake: OpenLake, tmp_path: Path) -> None:
    texts = [text.replace("@@", SECRET) for text in HIDES if "%65" not in text] + list(SHOWN[:1])
    with open_lake(tmp_path) as lake:
        append(lake, "payloads", [
            {"payload_id": str(at), "source": "s", "url": text, "status": 200, "headers": "[]",
             "bytes": 1, "fetched_at": MONDAY}
            for at, text in enumerate(texts)
        ])  # fmt: skip
        lake._connection.execute("DELETE FROM schema_versions WHERE name LIKE 'addresses%'")
    with Lake.open(lake_spec_below(tmp_path)) as lake:
        found = lake.sql("select url from payloads order by payload_id::int")["url"].to_pylist()
    assert found == [redacted(text) for text in texts]


def test_warehouse_without_secrets_stays_as_it_was(
    open_lake: OpenLake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_lake(tmp_path) as lake:
        keep(lake, Landing(tmp_path / "landing"), fetched(CLEAN, b"clean", 0))
        seal(lake, now=MONDAY)
        before: list[pa.Table] = [lake.sql(f"from {name}") for name in ("payloads", "seals")]
        lake._connection.execute("DELETE FROM schema_versions WHERE name LIKE 'addresses%'")
    with caplog.at_level(logging.WARNING), Lake.open(lake_spec_below(tmp_path)) as lake:
        assert [lake.sql(f"from {name}") for name in ("payloads", "seals")] == before
    assert "secrets" not in caplog.text
