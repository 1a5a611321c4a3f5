"""The whole job on real parts: what goes in is what is stored, and a second run changes nothing."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from flows.settings import load_settings
from sandbox.market import bokeh_market
from tests.builders.command_line import Newsvane
from warehouse.lake import Lake

TINY = ("--set", "training.recipe=sandbox-tiny")
FINAL = ("--set", "dataset.split.final=2012-12-03")
TWO_THREADS = ("--set", "warehouse.threads=2")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_runs", "training_worker")]


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def rows(tmp_path: Path, query: str) -> pa.Table:
    settings = load_settings(overrides=[f"data_root={tmp_path / 'data'}"])
    with Lake.open(settings.warehouse) as lake:
        return lake.sql(query)


def test_first_run_concludes_and_second_run_does_only_new_work(
    newsvane: Newsvane, tmp_path: Path
) -> None:
    first = newsvane(*TINY, *FINAL, *TWO_THREADS, "run")
    assert first.returncode == 0, first.stderr
    assert "fine_tuned" in first.stdout
    assert Path(re.findall(r"report: (\S+)", first.stdout)[0]).is_file()
    stored = "ticker, session, open, high, low, close, volume"
    served = bokeh_market().bars.select([name.strip() for name in stored.split(",")])
    kept = rows(tmp_path, f"SELECT {stored} FROM bars")
    order = [("ticker", "ascending"), ("session", "ascending")]
    assert kept.sort_by(order).to_pylist() == served.sort_by(order).to_pylist()
    assert rows(tmp_path, "SELECT count(*) AS n FROM examples")["n"][0].as_py() > 1000
    assert rows(tmp_path, "SELECT count(*) AS n FROM models")["n"][0].as_py() == 1

    checked = rows(
        tmp_path,
        "SELECT concat_ws(' vs ', metric, baseline) AS metric FROM evaluations "
        "WHERE predictor = 'fine_tuned' AND slice = 'all'",
    )["metric"].to_pylist()
    for metric in ("ece_calibrated", "accuracy_masked vs plain", "illustration_net"):
        assert metric in checked
    assert "Calibrated on 142 validation examples" in re.sub(r"\s+", " ", first.stdout)

    walked = newsvane("evaluate", "--walk-forward")
    assert walked.returncode == 0, walked.stderr
    folds = rows(
        tmp_path,
        "SELECT slice, any_value(n_examples) AS n FROM evaluations WHERE split = 'walk_forward' "
        "AND (slice = 'all' OR slice LIKE 'fold=%') GROUP BY slice ORDER BY slice",
    )
    assert folds.num_rows == 4
    assert sum(folds["n"].to_pylist()[1:]) == folds["n"][0].as_py()

    before = digests(tmp_path / "data" / "datasets")
    tables = ("bars", "headlines", "examples", "datasets", "models", "predictions", "partitions")
    counts = {name: rows(tmp_path, f"SELECT count(*) AS n FROM {name}") for name in tables}
    second = newsvane(*TINY, *FINAL, "run")
    assert second.returncode == 0, second.stderr
    assert "0 requests, 0 bars, 0 actions, 0 headlines" in re.sub(r"\s+", " ", second.stdout)
    assert digests(tmp_path / "data" / "datasets") == before
    assert counts == {name: rows(tmp_path, f"SELECT count(*) AS n FROM {name}") for name in tables}

    seen = "SELECT max(last) AS last FROM (SELECT list_max(sessions) AS last FROM looks WHERE "
    last = rows(tmp_path, f"{seen} split <> 'final')")["last"][0].as_py()
    assert last < date(2012, 12, 3)
    (name,) = rows(tmp_path, "SELECT model_id FROM models")["model_id"].to_pylist()
    opened = newsvane(*TINY, "dataset", "open-final", name)
    assert opened.returncode == 0, opened.stderr
    words = re.sub(r"\s+", " ", opened.stdout)
    assert "Final holdout: the first and only look at its sessions." in words
    assert rows(tmp_path, f"{seen} split = 'final')")["last"][0].as_py() == date(2013, 3, 1)
    again = newsvane(*TINY, "dataset", "open-final", name)
    assert (again.returncode, "one look is all it has" in again.stderr) == (2, True)
    assert newsvane("verify").returncode == 0
    sealed = rows(tmp_path, "SELECT DISTINCT record_id FROM sealed_rows WHERE subject = 'look'")
    assert sealed.num_rows == rows(tmp_path, "FROM looks").num_rows


def test_archives_import_by_declared_columns_and_repeats_count_once(
    newsvane: Newsvane, tmp_path: Path
) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text(
        "ticker,date,open,high,low,close,volume\n"
        "ZZZ,2012-06-04,10,11,9,10.5,1000\nZZZ,2012-06-05,,,,,\nZZZ,2012-06-06,10,12,10,11,900\n"
    )
    headline = {
        "ticker": "ZZZ",
        "created_at": "2012-06-05T12:00:00Z",
        "text": "ZZZ lifts its outlook",
    }
    news = tmp_path / "news.jsonl"
    news.write_text("".join(json.dumps(headline) + "\n" for _ in range(3)))

    words = ("--profile", "stocknet")
    bars = newsvane(*words, "import", "prices", str(prices))
    assert bars.returncode == 2, "the file declares vendor_adj_close, which this one lacks"
    assert "adj_close" in bars.stderr
    mapped = ("--map", "source=own", "--map", "basis=session")
    bars = newsvane("import", "prices", str(prices), *mapped)
    assert bars.returncode == 0, bars.stderr
    mapped = ("--map", "source=own", "--map", "title=text", "--map", "published_at=created_at")
    found = newsvane("import", "headlines", str(news), *mapped, "--map", "ticker=ticker")
    assert found.returncode == 0, found.stderr
    assert rows(tmp_path, "FROM bars").num_rows == 2
    assert rows(tmp_path, "SELECT reason FROM quarantine").num_rows == 1
    assert rows(tmp_path, "SELECT DISTINCT story_id FROM headlines").num_rows == 1
