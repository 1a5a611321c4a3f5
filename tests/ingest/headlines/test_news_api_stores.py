"""News APIs in the whole of it: backfilled, polled, checked, replayed, and no key left anywhere."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from prefect import flow

from flows.ingest import poll_headlines
from flows.settings import load_settings
from tests.builders.command_line import REPOSITORY, Newsvane
from tests.builders.servers import asking
from warehouse.lake import Lake

KEYS = {
    name: f"{name.lower()}-4711"
    for name in ("FINNHUB_TOKEN", "POLYGON_KEY", "ALPACA_KEY_ID", "ALPACA_SECRET_KEY",
                 "BENZINGA_TOKEN", "NEWSAPI_KEY")
}  # fmt: skip
SEARCHED = ("alpaca", "benzinga", "finnhub", "gdelt", "newsapi", "polygon")
OWN = """
[profiles.apis]
inherits = "sandbox"
feeds = ["alpaca", "benzinga", "benzinga-latest", "finnhub", "gdelt", "gdelt-latest", "newsapi",
  {{ preset = "polygon", url = "{polygon}" }}]
universe = {{ tickers = ["IBM"] }}
sandbox.faults = {{ faults = [{{ kind = "next_with_key" }},
  {{ kind = "server_error", path = "/api/v1/company-news" }}] }}
"""


@pytest.fixture
def own_file(tmp_path: Path) -> Path:
    """The shipped configuration with the shipped APIs; Massive's answers are of two items."""
    polygon = load_settings(overrides=['feeds=["polygon"]']).feeds[0].url
    path = tmp_path / "newsvane.toml"
    shipped = (REPOSITORY / "newsvane.toml").read_text("utf-8")
    path.write_text(shipped + OWN.format(polygon=polygon.replace("=1000", "=2")), "utf-8")
    return path


@pytest.mark.slow
def test_no_store_holds_a_key_of_a_news_api(
    prefect_runs: str, newsvane: Newsvane, own_file: Path, tmp_path: Path
) -> None:
    words = ("--config", str(own_file), "--profile", "apis")
    environment = {**KEYS, "NEWSVANE_HTTP__FEEDS__RETRY__ATTEMPTS": "1"}
    days = ("2012-06-04", "2012-06-15", "--what", "headlines")
    said = [newsvane(*words, "backfill", *days, "--dry-run", **environment)]
    assert all(name in said[0].stdout for name in SEARCHED)
    said.append(newsvane(*words, "backfill", *days, **environment))
    assert said[1].returncode == 2, "one vendor is down"
    assert "HTTP 500" in said[1].stderr
    said.append(newsvane(*words, "sources", "check", **environment))
    assert all(name in said[2].stdout for name in SEARCHED)
    said.append(newsvane(*words, "replay", **environment))
    assert ": 0 requests, 0 bars, 0 actions, 0 headlines, 0 quarantined." in said[3].stdout
    text = "".join(one.stdout + one.stderr for one in said)
    with asking(prefect_runs, os.environ["PREFECT_API_AUTH_STRING"]) as server:
        kinds = ("logs", "flow_runs", "task_runs", "artifacts", "block_documents")
        text += json.dumps([server.post(f"/{kind}/filter", json={}).json() for kind in kinds])
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    text += "".join(path.read_bytes().decode("latin-1") for path in files)
    landed = [gzip.decompress(path.read_bytes()) for path in files if path.suffix == ".gz"]
    text += "".join(body.decode("latin-1") for body in landed)
    assert "apiKey=***" in text, "a vendor that repeats the key was asked"
    spec = load_settings(own_file, "apis", [f"data_root={tmp_path / 'data'}"]).warehouse
    with Lake.open(spec) as lake:
        tables = lake.sql("SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake'")
        for name in tables["table_name"].to_pylist():
            text += str(lake.sql(f"FROM {name}").to_pylist())
        counted = lake.sql("SELECT source, count(*) AS n FROM headlines GROUP BY ALL").to_pylist()
        failed = lake.sql("SELECT source FROM partitions WHERE state = 'failed'")["source"]
    assert [name for name, value in KEYS.items() if value in text] == []
    assert {row["source"] for row in counted} == set(SEARCHED) - {"finnhub"}
    assert len({row["n"] for row in counted if row["source"] not in ("gdelt", "newsapi")}) == 1
    assert failed.to_pylist() == ["finnhub"]


@pytest.mark.slow
def test_news_api_is_polled_as_every_feed_of_the_daily_run(
    prefect_runs: str, own_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    chosen = [f"data_root={tmp_path / 'data'}", 'feeds=["benzinga-latest", "gdelt-latest"]']
    settings = load_settings(own_file, "apis", chosen)
    polled = flow(name="polls")(poll_headlines)(settings)
    assert polled.missing == ()
    with Lake.open(settings.warehouse) as lake:
        rows = lake.sql("SELECT DISTINCT source, availability FROM headlines").to_pylist()
        asked = lake.sql("SELECT source, state FROM partitions ORDER BY source").to_pylist()
    assert sorted((row["source"], row["availability"]) for row in rows) == [
        ("benzinga", "observed")
    ]
    assert [(row["source"], row["state"]) for row in asked] == [
        ("benzinga-latest", "done"), ("gdelt-latest", "empty")
    ]  # fmt: skip
