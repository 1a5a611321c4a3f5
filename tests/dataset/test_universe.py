"""A dated universe: who is a member on the day has an example, and nobody is dropped unseen."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.checks.lookahead import audit_lookahead
from tasks.dataset.build import assemble_dataset, refresh_examples
from tasks.dataset.rebuild import diff_datasets, read_manifest, rebuild_dataset
from tasks.dataset.spec.clock import exchange_sessions
from tasks.dataset.spec.dataset import DatasetSpec, LabelSpec
from tasks.dataset.spec.manifest import DatasetManifest
from tasks.dataset.spec.split import SplitSpec
from tasks.ingest.universe import MEMBERS
from warehouse.lake import Lake
from warehouse.tables import schemas
from warehouse.tables.batches import REJECTS
from warehouse.tables.examples import UniverseError
from warehouse.tables.memberships import publish_memberships

NOW = datetime(2019, 6, 1, tzinfo=UTC)
CALENDAR = exchange_sessions("XNYS", date(2019, 3, 4), date(2019, 4, 26)).to_pylist()
DAYS = [row["session"] for row in CALENDAR]
CUT = SplitSpec(train_until=date(2019, 4, 1), validation_until=date(2019, 4, 10))
Membership = tuple[str, date, date | None]


def spec_of(**changes: Any) -> DatasetSpec:
    return DatasetSpec(**{"universe": "index", "split": CUT} | changes)


def known(lake: Lake, *members: Membership, renamed: pa.Table | None = None) -> bool:
    """Publish the memberships of the universe."""
    names = MEMBERS.names
    rows = [dict(zip(names, member, strict=True)) for member in sorted(members)]
    return publish_memberships(
        lake,
        "index",
        pa.Table.from_pylist(rows, schema=MEMBERS),
        renamed=schemas.TICKERS.empty_table() if renamed is None else renamed,
        rejects=REJECTS.empty_table(),
        now=NOW,
    )


def renaming(former: str, ticker: str, on: date) -> pa.Table:
    row = {"ticker": ticker, "exchange": "XNYS", "alias": former, "kind": "former_symbol"}
    return pa.Table.from_pylist([row | {"valid_from": on}], schema=schemas.TICKERS)


def bars(fill: Any, ticker: str, days: list[date], level: float = 100.0) -> None:
    rows = [(day, level, level + (1 if DAYS.index(day) % 2 else -1)) for day in days]
    fill.bars(ticker, rows)


def news(fill: Any, ticker: str, days: list[date]) -> None:
    opens = {row["session"]: row["open_ts"] for row in CALENDAR}
    fill.news(ticker, [(opens[day] - timedelta(hours=2), f"{ticker} on {day}") for day in days])


def sessions_of(lake: Lake, spec: DatasetSpec, ticker: str) -> list[date]:
    query = "select session from examples where spec_id = $id and ticker = $t order by session"
    found: list[date] = lake.sql(query, {"id": spec.spec_id, "t": ticker})["session"].to_pylist()
    return found


def build(lake: Lake, root: Path, **spec: Any) -> DatasetManifest:
    return assemble_dataset(lake, spec_of(**spec), root, now=NOW)


def test_a_member_has_examples_from_its_first_day_until_the_day_it_is_none(lake, fill) -> None:
    """`to` is exclusive: the session on that day is decided without the ticker."""
    for ticker in ("AAA", "BBB", "CCC"):
        bars(fill, ticker, DAYS)
        news(fill, ticker, DAYS)
    known(lake, ("AAA", DAYS[3], DAYS[8]), ("AAA", DAYS[20], None), ("BBB", DAYS[0], None))
    refresh_examples(lake, spec_of(), now=NOW)
    assert sessions_of(lake, spec_of(), "AAA") == DAYS[3:8] + DAYS[20:]
    assert sessions_of(lake, spec_of(), "BBB") == DAYS
    assert sessions_of(lake, spec_of(), "CCC") == []
    every = spec_of(min_headlines=0)
    refresh_examples(lake, every, now=NOW)
    found = sessions_of(lake, every, "AAA")
    assert [day for day in found if day <= DAYS[-1]] == DAYS[3:8] + DAYS[20:]


def test_a_membership_between_two_sessions_is_nobodys(lake, fill) -> None:
    """From a Saturday to the Monday after: no session is decided in between."""
    bars(fill, "AAA", DAYS)
    news(fill, "AAA", DAYS)
    known(lake, ("AAA", date(2019, 3, 9), date(2019, 3, 11)))
    refresh_examples(lake, spec_of(), now=NOW)
    assert sessions_of(lake, spec_of(), "AAA") == []


def test_a_name_that_dies_in_the_label_window_is_counted_and_not_paid_out(
    lake, fill, tmp_path
) -> None:
    for ticker, days in (("AAA", DAYS), ("DED", DAYS[:15])):
        bars(fill, ticker, days)
        news(fill, ticker, DAYS)
    known(lake, ("AAA", DAYS[0], None), ("DED", DAYS[0], DAYS[17]))
    manifest = build(lake, tmp_path, label=LabelSpec(horizon=3))
    # Windows of three sessions: two that it died in, and two decided when it traded no more.
    assert manifest.dropped["delisted"] == 4
    assert "missing_bar" not in manifest.dropped
    spec_id = {"id": manifest.spec_id}
    query = "select label, label_return from examples where spec_id = $id and ticker = 'DED'"
    rows = lake.sql(f"{query} order by session", spec_id).to_pylist()
    assert len(rows) == 17
    assert [row["label"] is None for row in rows] == [False] * 13 + [True] * 4
    assert all(row["label_return"] is None for row in rows[13:])
    assert "4 examples have no label because trading ended" in manifest.universe_in_words
    card = (tmp_path / manifest.dataset_id / "README.md").read_text()
    assert "as of the day" in card
    assert "- delisted: 4" in card


def test_a_bar_that_is_late_is_no_death(lake, fill, tmp_path) -> None:
    bars(fill, "AAA", DAYS)
    bars(fill, "LATE", DAYS[:-3])
    for ticker in ("AAA", "LATE"):
        news(fill, ticker, DAYS)
    known(lake, ("AAA", DAYS[0], None), ("LATE", DAYS[0], None))
    assert build(lake, tmp_path).dropped["missing_bar"] == 3


def test_a_member_without_any_bar_is_named_in_the_manifest(lake, fill, tmp_path) -> None:
    bars(fill, "AAA", DAYS)
    news(fill, "AAA", DAYS)
    known(
        lake, ("AAA", DAYS[0], None), ("GONE", DAYS[0], DAYS[9]), ("OLD", date(1999, 1, 4), DAYS[0])
    )
    chosen = build(lake, tmp_path, split=CUT.model_copy(update={"start": DAYS[0]})).universe
    assert (chosen.chosen, chosen.name, chosen.members, chosen.without_bars) == (
        "dated", "index", 2, 1,
    )  # fmt: skip


@pytest.fixture
def renamed(lake, fill) -> Lake:
    """FB until the twentieth session, META from then on; the vendor gives bars as META alone."""
    bars(fill, "FB", DAYS[:5], level=50.0)
    bars(fill, "META", DAYS[3:], level=200.0)
    news(fill, "FB", DAYS[:20])
    news(fill, "META", DAYS[20:])
    # Another company takes the symbol later.
    bars(fill, "FB", DAYS[30:], level=7.0)
    news(fill, "FB", DAYS[30:])
    known(
        lake, ("FB", DAYS[0], DAYS[20]), ("META", DAYS[20], None),
        renamed=renaming("FB", "META", DAYS[20]),
    )  # fmt: skip
    return lake


def test_a_renamed_share_is_one_with_the_name_of_the_day(renamed) -> None:
    spec = spec_of(label=LabelSpec(horizon=2))
    refresh_examples(renamed, spec, now=NOW)
    assert sessions_of(renamed, spec, "FB") == DAYS[:20]
    assert sessions_of(renamed, spec, "META") == DAYS[20:]
    query = "select session, label_return from examples where spec_id = $id and ticker = 'FB'"
    rows = renamed.sql(query, {"id": spec.spec_id}).to_pylist()
    returns = {row["session"]: row["label_return"] for row in rows}
    # By its own bars, by META's, and in a window that reaches across the renaming.
    assert returns[DAYS[0]] == pytest.approx(51 / 50 - 1)
    assert returns[DAYS[10]] == pytest.approx(201 / 200 - 1)
    assert returns[DAYS[19]] == pytest.approx(199 / 200 - 1)


def test_a_list_with_the_later_name_gets_the_news_of_the_earlier(lake, fill) -> None:
    bars(fill, "META", DAYS)
    news(fill, "FB", DAYS[:20])
    news(fill, "META", DAYS[20:])
    news(fill, "FB", DAYS[30:])  # another company's
    known(lake, ("META", DAYS[0], None), renamed=renaming("FB", "META", DAYS[20]))
    refresh_examples(lake, spec_of(), now=NOW)
    query = "select session, len(headline_ids) as n from examples where spec_id = $id"
    rows = lake.sql(f"{query} order by session", {"id": spec_of().spec_id}).to_pylist()
    assert [(row["session"], row["n"]) for row in rows] == [(day, 1) for day in DAYS]


def test_an_index_that_changes_moves_what_it_touches_and_no_more(lake, fill, tmp_path) -> None:
    for ticker in ("AAA", "BBB"):
        bars(fill, ticker, DAYS)
        news(fill, ticker, DAYS)
    known(lake, ("AAA", DAYS[0], None), ("BBB", DAYS[0], None))
    first = build(lake, tmp_path)
    assert not known(lake, ("AAA", DAYS[0], None), ("BBB", DAYS[0], None))
    assert build(lake, tmp_path).dataset_id == first.dataset_id
    assert known(lake, ("AAA", DAYS[0], None), ("BBB", DAYS[0], DAYS[10]), ("BBB", DAYS[30], None))
    second = build(lake, tmp_path)
    assert sessions_of(lake, spec_of(), "BBB") == DAYS[:10] + DAYS[30:]
    assert second.spec_id == first.spec_id, "a model of the spec goes on predicting"
    assert second.dataset_id != first.dataset_id
    report = audit_lookahead(lake, spec_of(), checks=("stored", "survivorship"))
    assert report.passed, report.words()
    rebuilt = rebuild_dataset(lake.spec, first)
    assert rebuilt.identical, "the memberships of its snapshot are those of its day"
    assert rebuilt.manifest.universe == first.universe


def test_the_memberships_are_part_of_the_identity(lake, fill, tmp_path) -> None:
    """Two files that happen to give the same examples are two universes all the same."""
    bars(fill, "AAA", DAYS)
    news(fill, "AAA", DAYS)
    known(lake, ("AAA", DAYS[0], None))
    first = build(lake, tmp_path)
    known(lake, ("AAA", DAYS[0], None), ("ZZZ", DAYS[0], None))
    second = build(lake, tmp_path)
    names = {file.name: file.sha256 for split in first.splits.values() for file in split.files}
    assert names == {
        file.name: file.sha256 for split in second.splits.values() for file in split.files
    }
    assert first.dataset_id != second.dataset_id
    known(lake, ("AAA", DAYS[0], None))
    assert build(lake, tmp_path).dataset_id == first.dataset_id


def test_a_list_of_tickers_says_that_it_was_chosen_with_hindsight(lake, fill, tmp_path) -> None:
    bars(fill, "AAA", DAYS)
    news(fill, "AAA", DAYS)
    known(lake, ("AAA", DAYS[0], None))
    dated = build(lake, tmp_path)
    plain = build(lake, tmp_path, universe=None)
    assert plain.universe.chosen == "hindsight"
    assert "chosen with hindsight" in plain.universe_in_words
    text = (tmp_path / plain.dataset_id / "manifest.json").read_text()
    assert '"chosen": "hindsight"' in text
    former = text.replace(text[text.index('  "universe": {') - 2 :], "\n}\n")
    (tmp_path / "former.json").write_text(former)
    assert read_manifest(tmp_path / "former.json").universe.chosen == "hindsight"
    diff = diff_datasets(lake, tmp_path / dated.dataset_id, tmp_path / plain.dataset_id)
    assert diff.settings == {"universe": ("index", None)}


def test_specs_from_before_universes_had_dates_keep_their_identity() -> None:
    spec = DatasetSpec()
    assert (spec.spec_id, spec.digest) == ("e5373257a3d07c57", "a512f03ece6364a8")
    assert "universe" not in spec.model_dump_json().split('"clock"')[0]
    assert spec_of().spec_id != spec.spec_id


def test_a_universe_that_the_warehouse_lacks_is_a_plain_error(lake, tmp_path) -> None:
    with pytest.raises(UniverseError, match=r"no memberships of 'index'.*nothing was built"):
        build(lake, tmp_path)
