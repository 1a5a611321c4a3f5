"""Own columns are joined as of the decision: hazards of the join, of rendering, of identity."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tasks.dataset.build import assemble_dataset, refresh_examples
from tasks.dataset.rebuild import diff_datasets, read_manifest, rebuild_dataset
from tasks.dataset.spec.clock import exchange_sessions
from tasks.dataset.spec.dataset import DatasetSpec
from tasks.dataset.spec.features import FeatureSpec
from tasks.dataset.spec.render import RenderSpec
from tasks.dataset.spec.split import SplitSpec
from tasks.report.site.site import write_site
from tests.builders.warehouse import LONG_AFTER, Filler
from warehouse.lake import Lake
from warehouse.tables.batches import PublishError
from warehouse.tables.examples import UnknownFeatureError, build_examples

NOW = datetime(2019, 5, 1, tzinfo=UTC)
CALENDAR = exchange_sessions("XNYS", date(2019, 3, 1), date(2019, 3, 29)).to_pylist()
OPENS = [row["open_ts"] for row in CALENDAR]
LEAD = timedelta(minutes=5)
CUT = SplitSpec(train_until=date(2019, 3, 15), validation_until=date(2019, 3, 22))


def spec_of(template: str, *features: FeatureSpec, **render: Any) -> DatasetSpec:
    """A data set of every session whose inputs are `template` alone."""
    rendered = RenderSpec(template=template, **render)
    return DatasetSpec(min_headlines=0, render=rendered, split=CUT, features=features)


PE = FeatureSpec(name="own", columns=("pe",))


@pytest.fixture
def market(lake: Lake, fill: Filler) -> Filler:
    """Two tickers with a bar in each of twenty sessions."""
    for step, ticker in enumerate(("AAA", "BBB")):
        fill.bars(ticker, [(row["session"], 100.0, 101.0 + (n + step) % 3)
                           for n, row in enumerate(CALENDAR)])  # fmt: skip
    return fill


def inputs(lake: Lake, spec: DatasetSpec, ticker: str = "AAA") -> list[str]:
    """What the ticker's examples read, session by session."""
    refresh_examples(lake, spec, now=NOW)
    query = "select input from examples where spec_id = $id and ticker = $ticker order by session"
    return lake.sql(query, {"id": spec.spec_id, "ticker": ticker})["input"].to_pylist()


def test_a_specification_without_own_columns_keeps_its_identity() -> None:
    plain = DatasetSpec()
    assert plain.spec_id == "e5373257a3d07c57"
    assert "features" not in plain.model_dump_json()
    one, other = (DatasetSpec(features=(PE.model_copy(update={"digits": n}),)) for n in (1, 2))
    assert len({plain.spec_id, one.spec_id, other.spec_id}) == 3


def test_what_is_known_at_the_very_decision_counts_for_the_next_one(market, lake) -> None:
    market.features("own", [
        ("AAA", OPENS[2] - LEAD - timedelta(microseconds=1), {"pe": 1.0}),
        ("AAA", OPENS[4] - LEAD, {"pe": 2.0}),
    ])  # fmt: skip
    assert inputs(lake, spec_of("{feature.pe}", PE))[:6] == [
        "?",
        "?",
        "1.00",
        "1.00",
        "1.00",
        "2.00",
    ]
    assert set(inputs(lake, spec_of("{feature.pe}", PE), "BBB")) == {"?"}


def test_a_day_counts_when_it_is_over(market, lake) -> None:
    day = datetime.combine(CALENDAR[3]["session"], datetime.min.time(), UTC)
    market.features("own", [("AAA", day, {"pe": 1.0})], granularity="day")
    found = inputs(lake, spec_of("{feature.pe}", PE))
    assert found[2:6] == ["?", "?", "1.00", "1.00"]


def test_a_value_counts_as_it_was_known_and_a_late_revision_of_an_old_row_never(
    market, lake
) -> None:
    old, new = OPENS[1] - timedelta(hours=1), OPENS[4] - timedelta(hours=1)
    market.features("own", [("AAA", old, {"pe": 1.0}), ("AAA", new, {"pe": 2.0})])
    market.features("own", [("AAA", old, {"pe": 1.5})], seen=OPENS[2])
    market.features("own", [("AAA", old, {"pe": 1.75})], seen=OPENS[6])
    market.features("own", [("AAA", new, {"pe": 2.5})], seen=OPENS[7])
    assert inputs(lake, spec_of("{feature.pe}", PE))[:10] == [
        "?", "1.00", "1.00", "1.50", "2.00", "2.00", "2.00", "2.00", "2.50", "2.50",
    ]  # fmt: skip


def test_an_empty_cell_ends_a_value_and_so_does_its_time_to_live(market, lake) -> None:
    at = [OPENS[n] - timedelta(hours=1) for n in (1, 3)]
    market.features("own", [("AAA", at[0], {"pe": 1.0}), ("AAA", at[1], {"pe": None})])
    assert inputs(lake, spec_of("{feature.pe}", PE))[:5] == ["?", "1.00", "1.00", "?", "?"]
    market.features("own", [("BBB", at[0], {"pe": 1.0})])
    brief = PE.model_copy(update={"time_to_live": timedelta(minutes=55)})
    assert inputs(lake, spec_of("{feature.pe}", brief), "BBB")[:3] == ["?", "1.00", "?"]
    briefer = PE.model_copy(update={"time_to_live": timedelta(minutes=54)})
    assert set(inputs(lake, spec_of("{feature.pe}", briefer), "BBB")) == {"?"}


def test_every_kind_of_place_is_worded_by_the_specification(market, lake) -> None:
    at = OPENS[1] - timedelta(hours=30)
    market.features(
        "own", [("AAA", at, {"pe": -0.001, "big": 1234567.875, "rating": "Buy {0} AAA\n"})]
    )
    market.features("macro", [("*", at, {"vix": 17.0})])
    own = FeatureSpec(name="own", columns=("pe", "big", "rating"), digits=2)
    macro = FeatureSpec(
        name="macro", columns=("vix",), digits=0, template="{name}={value}, {age} d"
    )
    spec = spec_of(
        "{{x}} {ticker} {feature.pe} {feature.big} {feature.rating} {feature.vix.age}|{features}",
        own, macro, mask="ACME",
    )  # fmt: skip
    market.listed("AAA", "XNYS")
    assert inputs(lake, spec)[1] == (
        "{x} ACME 0.00 1234567.88 Buy {0} ACME 1"
        "|pe 0.00; big 1234567.88; rating Buy {0} ACME; vix=17, 1 d"
    )
    assert inputs(lake, spec)[0].endswith("|pe ?; big ?; rating ?; vix=?, ? d")
    assert inputs(lake, spec, "BBB")[1].endswith("pe ?; big ?; rating ?; vix=17, 1 d")


def test_an_example_names_its_rows_and_is_as_late_as_the_latest_of_them(market, lake) -> None:
    at = OPENS[2] - timedelta(minutes=6)
    market.features("own", [("AAA", at, {"pe": 3.0})])
    spec = spec_of("{ticker}", PE)
    inputs(lake, spec)
    query = """
        select f.first_seen_at, f.payload_id, f.known_at, e.max_input_available_at
        from (select *, unnest(features) as own from examples where spec_id = $id) as e
        join features as f on f.feature_set = own.feature_set and f.name = own.name
            and f.ticker = own.ticker and f.known_at = own.known_at and f.revision = own.revision
        where e.ticker = 'AAA' order by session
    """
    rows = lake.sql(query, {"id": spec.spec_id}).to_pylist()
    assert len(rows) == len(CALENDAR) - 2 + 1  # and the session after the last bar
    assert rows[0] == {
        "first_seen_at": LONG_AFTER, "payload_id": "f" * 64, "known_at": at,
        "max_input_available_at": at,
    }  # fmt: skip


@pytest.mark.parametrize("wrong", ["{feature.eps}", "{feature.pe.days}", "{feature.pe:.2f}"])
def test_a_place_that_nothing_fills_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="place"):
        spec_of(wrong, PE)
    with pytest.raises(ValueError, match="place"):
        spec_of(wrong)


def test_a_column_never_imported_is_refused_and_so_is_a_set_of_two_kinds(market, lake) -> None:
    with pytest.raises(UnknownFeatureError, match=r"own\.pe.*newsvane import features own"):
        refresh_examples(lake, spec_of("{feature.pe}", PE), now=NOW)
    market.features("own", [("AAA", OPENS[1], {"pe": 1.0})])
    with pytest.raises(PublishError, match="of the whole market"):
        market.features("own", [("*", OPENS[1], {"pe": 1.0})])
    with pytest.raises(ValueError, match="named twice"):
        spec_of("x", PE, FeatureSpec(name="other", columns=("pe",)))


def test_the_manifest_counts_what_is_known_and_a_rebuild_gives_the_same_bytes(
    market, lake, tmp_path
) -> None:
    seen = OPENS[6]
    market.features(
        "own", [("AAA", OPENS[1], {"pe": 1.0}), ("AAA", OPENS[8], {"pe": 2.0})], seen=seen
    )
    spec = spec_of("{ticker} {feature.pe}\nDirection:", PE)
    manifest = assemble_dataset(lake, spec, tmp_path / "a", now=NOW)
    entry = manifest.features["own.pe"]
    assert entry.examples == sum(split.rows for split in manifest.splits.values())
    assert entry.known == entry.observed + entry.asserted
    assert 0 < entry.asserted < entry.observed
    folder = tmp_path / "a" / manifest.dataset_id
    assert "Own column own.pe: known in" in (folder / "README.md").read_text()
    write_site(lake, tmp_path / "site", NOW)
    page = (tmp_path / "site" / "data.html").read_text()
    assert f'own.pe</th><td class="n">{entry.examples}</td><td class="n">{entry.known}</td>' in page
    market.features("own", [("AAA", OPENS[3], {"pe": 9.0})])
    again = assemble_dataset(lake, spec, tmp_path / "a", now=NOW)
    assert again.dataset_id != manifest.dataset_id
    rebuilt = rebuild_dataset(lake.spec, read_manifest(folder))
    assert rebuilt.identical, rebuilt.differences
    plain = assemble_dataset(lake, spec_of("{ticker}\nDirection:"), tmp_path / "a", now=NOW)
    assert not plain.features
    assert '"features"' not in (tmp_path / "a" / plain.dataset_id / "manifest.json").read_text()
    diff = diff_datasets(lake, folder, tmp_path / "a" / plain.dataset_id)
    assert diff.settings["features"][1] is None


@pytest.fixture
def twin(open_lake, tmp_path) -> Iterator[Lake]:
    with open_lake(tmp_path / "twin") as lake:
        yield lake


def test_changed_rows_make_the_affected_sessions_stale_and_no_others(
    market, lake, twin, filler_of
) -> None:
    """Whatever comes in which order, an incremental build is a full one."""
    chance = random.Random(0)
    brief = FeatureSpec(name="own", columns=("pe",), time_to_live=timedelta(days=4))
    spec = spec_of("{feature.pe} {feature.pe.age} {feature.vix}", brief,
                   FeatureSpec(name="macro", columns=("vix",)))  # fmt: skip
    steps = [("own", "AAA", OPENS[0], "pe"), ("macro", "*", OPENS[0], "vix")]
    for _ in range(5):
        at = chance.choice(OPENS) - chance.choice([timedelta(0), LEAD, timedelta(hours=20)])
        of = chance.choice([("own", "AAA", "pe"), ("own", "BBB", "pe"), ("macro", "*", "vix")])
        steps.append((of[0], of[1], at, of[2]))
    moments = [OPENS[5], OPENS[5], *(chance.choice([OPENS[9], NOW]) for _ in range(5))]
    values = [chance.choice([None, 1.0, 2.0, 3.0]) for _ in steps]
    moments.sort()
    query = "select * from examples order by session, ticker"
    for number, ((name, ticker, at, column), seen, value) in enumerate(
        zip(steps, moments, values, strict=True)
    ):
        before = lake.sql(query)
        market.features(name, [(ticker, at, {column: value})], seen=seen)
        if number:
            refresh_examples(lake, spec, now=NOW)
        if number > 1:
            stored = {row["example_id"]: row for row in before.to_pylist()}
            moved = [r for r in lake.sql(query).to_pylist() if stored[r["example_id"]] != r]
            assert all(row["decision_ts"] > at for row in moved)
            assert ticker == "*" or {row["ticker"] for row in moved} <= {ticker}
    whole = filler_of(twin)
    for step, ticker in enumerate(("AAA", "BBB")):
        whole.bars(ticker, [(row["session"], 100.0, 101.0 + (n + step) % 3)
                            for n, row in enumerate(CALENDAR)])  # fmt: skip
    for (name, ticker, at, column), seen, value in zip(steps, moments, values, strict=True):
        whole.features(name, [(ticker, at, {column: value})], seen=seen)
    name, ticker, at, column = steps[0]
    for one in (market, whole):  # a stamp that turns out to be a day moves what it was known by
        day = one.features(name, [(ticker, at, {column: values[0]})], granularity="day")
        assert day.redated
    before = lake.sql(query)
    refresh_examples(lake, spec, now=NOW)
    assert not before.equals(lake.sql(query))
    refresh_examples(twin, spec, now=NOW)
    assert lake.sql(query).equals(twin.sql(query))
    assert build_examples(lake, spec.sql_parameters(), batch=7) == 0
