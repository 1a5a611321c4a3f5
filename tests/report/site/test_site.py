"""The site's numbers are the warehouse's, its pages stay small, and hostile text stays text."""

from __future__ import annotations

import csv
import json
import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.checks.integrity import seal
from tasks.evaluation.spec import EvaluationSpec
from tasks.prediction.record import ForwardRecord
from tasks.report.site.lineage import write_lineage
from tasks.report.site.site import SiteError, write_site
from tests.builders.rows import append
from warehouse.tables.predictions import forward_states

PAGES = ("index.html", "scoreboard.html", "data.html", "training.html", "lineage.html")


def shown_scores(site: Any) -> Any:
    return json.loads((site.root / "files" / "scores.json").read_text())


def scored(site: Any) -> Any:
    """Every forward prediction with its outcome, read row by row, without the site's queries."""
    frame = site.lake.sql(
        "SELECT p.model_id, p.ticker, p.session, p.p_up, p.predicted_at, e.label, "
        "e.label_start_ts FROM predictions p JOIN examples e USING (spec_id, example_id)"
    ).to_pandas()
    return frame[(frame["predicted_at"] < frame["label_start_ts"]) & frame["label"].notna()]


@pytest.mark.slow
def test_forward_accuracy_equals_an_independent_recomputation(market_site) -> None:
    rows = shown_scores(market_site)
    frame = scored(market_site)
    for row in rows:
        if not row["is_model"]:
            continue
        own = frame[frame["model_id"] == row["predictor"]]
        hits = (own["p_up"] >= 0.5) == (own["label"] == "up")
        assert row["scored"] == len(own)
        assert row["accuracy"] == pytest.approx(hits.mean(), abs=1e-6)
        brier = ((own["p_up"] - (own["label"] == "up")) ** 2).mean()
        assert row["brier"] == pytest.approx(brier, abs=1e-6)


@pytest.mark.slow
def test_bounds_of_accuracy_are_where_plain_bets_by_session_reach_their_limit(market_site) -> None:
    """Sixteen shares of the stake, each session's bet scaled to the largest session: 40 to 1."""
    row = shown_scores(market_site)[1]
    frame = scored(market_site)
    own = frame[frame["model_id"] == row["predictor"]].copy()
    own["hit"] = (own["p_up"] >= 0.5) == (own["label"] == "up")
    daily = own.groupby("session")["hit"].agg(["sum", "count"])
    for bound, sign in ((row["ci_low"], 1), (row["ci_high"], -1)):
        room = daily["count"].max() * (bound if sign > 0 else 1 - bound)
        won = sign * (daily["sum"] - daily["count"] * bound) / room
        money = [(1 + 0.95 * 0.75**k * won).prod() for k in range(16)]
        assert np.mean(money) == pytest.approx(40, rel=0.01)


@pytest.mark.slow
def test_late_and_open_predictions_are_counted_but_not_scored(market_site) -> None:
    rows = {row["predictor"]: row for row in shown_scores(market_site)}
    assert rows["model-challenger"]["late"] == 1
    assert rows["model-fine_tuned"]["late"] == 0
    assert rows["model-fine_tuned"]["waiting"] > 30
    total = market_site.lake.sql(
        "SELECT count(*) AS n FROM predictions WHERE predictor = 'challenger'"
    )["n"][0].as_py()
    row = rows["model-challenger"]
    assert row["scored"] + row["waiting"] + row["unlabelled"] + row["late"] == total


@pytest.mark.slow
def test_an_outcome_is_not_shown_before_its_session_is_over(market_site) -> None:
    ended = datetime.fromisoformat("2024-01-04T21:00:00+00:00")
    before, after = (
        ForwardRecord.read(market_site.lake, EvaluationSpec(), now=moment).counts.to_pylist()[0]
        for moment in (ended - timedelta(seconds=1), ended)
    )
    assert before["last_session"] == date(2024, 1, 3)
    assert after["last_session"] == date(2024, 1, 4)


@pytest.mark.slow
def test_the_alarm_rings_when_forward_falls_below_the_backtest(market_site) -> None:
    text = (market_site.root / "scoreboard.html").read_text()
    tested = market_site.lake.sql(
        "SELECT avg(((p_up >= 0.5) = (label = 'up'))::INTEGER) AS accuracy "
        "FROM predictions JOIN examples USING (spec_id, example_id) WHERE kind = 'backtest'"
    )["accuracy"][0].as_py()
    assert f"Its back-test showed {100 * tested:.1f}%" in text
    assert "<strong>Alarm.</strong>" in text


@pytest.mark.slow
def test_today_shows_headlines_and_names_the_silent_tickers(market_site) -> None:
    text = (market_site.root / "index.html").read_text()
    assert "Friday, 5 January 2024" in text
    silent = text.split('id="silent"')[1].split("</p>")[0]
    assert text.count('<li id="T') + len(re.findall(r"\bT\d{3}\b", silent)) == 100
    assert "Quarterly results beat estimates" in text
    assert "&lt;script&gt;" in text
    assert "The session opens" in text


@pytest.mark.slow
def test_hostile_headlines_reach_no_page_as_markup(market_site) -> None:
    for path in [market_site.root / name for name in PAGES] + lineage(market_site)[:3]:
        text = path.read_text()
        assert "<script" not in text, path.name
        assert "<img" not in text, path.name
        addresses = set(re.findall(r"(?:src|href)=\"(https?:[^\"]*)", text))
        assert addresses == set(), path.name


def lineage(site: Any) -> list[Path]:
    """The lineage pages, the latest first."""
    return sorted((site.root / "lineage").glob("*.html"), reverse=True)


@pytest.mark.slow
def test_every_page_weighs_less_than_three_megabytes(market_site) -> None:
    weights = {path.name: path.stat().st_size for path in market_site.root.rglob("*.html")}
    assert len(weights) > 120
    assert max(weights.values()) < 3_000_000


@pytest.mark.slow
def test_every_link_leads_to_a_file_or_an_anchor(market_site) -> None:
    for path in [market_site.root / name for name in PAGES] + lineage(market_site)[:2]:
        text = path.read_text()
        ids = re.findall(r'\bid="([^"]+)"', text)
        assert len(ids) == len(set(ids)), path.name
        for href in re.findall(r'href="([^"]+)"', text):
            target, _, anchor = href.partition("#")
            if target.startswith("data:"):
                continue
            assert not target or (path.parent / target).is_file(), href
            if anchor:
                page = (path.parent / target).read_text() if target else text
                assert f'id="{anchor}"' in page, href


@pytest.mark.slow
def test_numbers_beside_the_plots_are_the_same_as_csv_and_json(market_site) -> None:
    folder = market_site.root / "files"
    names = sorted(path.stem for path in folder.glob("*.csv"))
    assert {"running", "scores", "calibration", "coverage_day", "loss", "today"} <= set(names)
    for name in names:
        records = json.loads((folder / f"{name}.json").read_text())
        with (folder / f"{name}.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert len(rows) == len(records), name
        if rows:
            assert list(rows[0]) == list(records[0]), name


@pytest.mark.slow
def test_a_second_build_touches_only_lineage_pages_whose_story_changed(market_site) -> None:
    paths = lineage(market_site)
    before = {path: path.stat().st_mtime_ns for path in paths}
    text = paths[0].read_text()
    paths[0].write_text(re.sub(r'(newsvane-digest" content=")[0-9a-f]+', r"\g<1>0", text))
    first = {name: (market_site.root / name).read_bytes() for name in PAGES}
    write_site(market_site.lake, market_site.root, market_site.now)
    assert {name: (market_site.root / name).read_bytes() for name in PAGES} == first
    changed = [path for path in paths if path.stat().st_mtime_ns != before[path]]
    assert changed == [paths[0]]
    assert paths[0].read_text() == text


@pytest.mark.slow
def test_an_example_rewritten_after_the_prediction_is_pointed_out(market_site) -> None:
    path = lineage(market_site)[5]
    session, marker = date.fromisoformat(path.stem), "The example has been rewritten since."
    assert marker not in path.read_text()
    stored = market_site.lake.sql(f"SELECT * FROM examples WHERE session = '{session}' LIMIT 1")
    place = stored.column_names.index("input")
    changed = stored.set_column(place, "input", [["other news"]])

    def republish(rows: Any) -> None:
        key = ("spec_id", "example_id")
        market_site.lake.transact(lambda tx: tx.upsert("examples", rows, key))
        states = forward_states(market_site.lake, now=market_site.now)
        write_lineage(market_site.lake, market_site.root, states)

    republish(changed)
    assert path.read_text().count(marker) == 2
    republish(stored)
    assert marker not in path.read_text()


@pytest.mark.slow
def test_lineage_leads_from_outcome_to_payload(market_site) -> None:
    row = market_site.lake.sql(
        "WITH one AS (SELECT *, headline_ids[1] AS headline_id FROM predictions "
        "WHERE predictor = 'fine_tuned' AND kind = 'forward' ORDER BY prediction_id LIMIT 1) "
        "SELECT one.ticker, one.session, prediction_id, headline_id, h.payload_id, "
        "b.payload_id AS bar FROM one JOIN headlines h USING (headline_id) "
        "JOIN bars b ON b.ticker = one.ticker AND b.session = one.session"
    ).to_pylist()[0]
    text = (market_site.root / "lineage" / f"{row['session']}.html").read_text()
    section = text.split(f'aria-labelledby="{row["ticker"]}"')[1].split("</section>")[0]
    for key in ("prediction_id", "headline_id", "payload_id", "bar"):
        assert row[key] in section, key
    assert "https://wire.example/rss" in section


@pytest.mark.slow
@pytest.mark.parametrize(
    ("edge", "heading"), [(0.0, "No skill shown in advance"), (0.6, "right, called in advance")]
)
def test_a_market_without_signal_claims_no_skill_and_one_with_signal_shows_it(
    market, tmp_path, edge: float, heading: str
) -> None:
    now = datetime.fromisoformat("2024-01-05T12:00:00+00:00")
    with market(tmp_path, edge) as lake:
        head = seal(lake, now=now)
        write_site(lake, tmp_path / "site", now)
    assert head is not None
    assert head in (tmp_path / "site" / "lineage.html").read_text()
    text = (tmp_path / "site" / "scoreboard.html").read_text()
    assert f"{heading}</h1>" in text
    assert ("is not shown to be better than: always up" in text) == (edge == 0.0)


def test_a_site_about_nothing_says_so(lake, tmp_path) -> None:
    now = datetime.fromisoformat("2024-01-05T12:00:00+00:00")
    write_site(lake, tmp_path / "site", now)
    for page, words in {
        "index": "No forward prediction yet", "scoreboard": "Nothing scored yet",
        "data": "Nothing has been ingested yet", "training": "No model yet",
        "lineage": "no forward prediction to trace",
    }.items():  # fmt: skip
        assert words in (tmp_path / "site" / f"{page}.html").read_text()
    with pytest.raises(SiteError, match="without a time zone"):
        write_site(lake, tmp_path / "site", datetime(2024, 1, 5))  # noqa: DTZ001


def test_what_is_missing_is_shown_with_its_next_try(lake, tmp_path) -> None:
    now = datetime.fromisoformat("2024-01-05T12:00:00+00:00")
    days = [date(2024, 1, 2), date(2024, 1, 3)]
    append(lake, "partitions", [{
        "source": "chart <b>", "key": "IBM", "range_start": days[0], "range_end": days[1],
        "state": "partial", "attempts": 3, "rows": 0, "expected": 2, "received": 0,
        "missing": days, "payload_id": None, "error": None, "retry_at": now, "updated_at": now,
    }])  # fmt: skip
    write_site(lake, tmp_path / "site", now)
    page = (tmp_path / "site" / "data.html").read_text()
    assert "2 sessions (2024-01-02, 2024-01-03)" in page
    assert "chart &lt;b&gt;" in page
    [row] = json.loads((tmp_path / "site" / "files" / "incomplete.json").read_text())
    assert (row["key"], row["sessions"], row["attempts"]) == ("IBM", 2, 3)
