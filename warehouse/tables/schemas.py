"""The schema of every warehouse table: columns in order, their Arrow types, and which may be null.

`warehouse/sql/schema/*.sql` declares the same for DuckDB; batches and the expectation suites follow
from it. One test holds them together. Timestamps are UTC, dates are local to the exchange.
"""

from __future__ import annotations

import pyarrow as pa

_TEXT, _REAL, _FLAG = pa.string(), pa.float64(), pa.bool_()
_INT, _LONG = pa.int32(), pa.int64()
_DAY, _AT = pa.date32(), pa.timestamp("us", tz="UTC")
_TEXTS = pa.list_(pa.string())


def _table(nullable: str = "", /, **columns: pa.DataType) -> pa.Schema:
    optional = set(nullable.split())
    return pa.schema(
        [pa.field(name, kind, nullable=name in optional) for name, kind in columns.items()]
    )


def _and(schema: pa.Schema, **columns: pa.DataType) -> pa.Schema:
    return pa.schema([*schema, *_table(**columns)])


BARS = _table(
    "vendor_adj_close",
    ticker=_TEXT, session=_DAY, open=_REAL, high=_REAL, low=_REAL, close=_REAL, volume=_LONG,
    vendor_adj_close=_REAL, basis_date=_DAY, source=_TEXT, payload_id=_TEXT, recorded_at=_AT,
    vintage=_INT,
)  # fmt: skip
BAR_REVISIONS = _and(BARS, superseded_at=_AT)
BAR_READINGS = _table(
    ticker=_TEXT, session=_DAY, open=_REAL, high=_REAL, low=_REAL, close=_REAL, volume=_LONG,
    basis_date=_DAY, source=_TEXT, payload_id=_TEXT, recorded_at=_AT,
)  # fmt: skip
SUBSTITUTIONS = _table(
    ticker=_TEXT, session=_DAY, source=_TEXT, lacking=_TEXT, reason=_TEXT, recorded_at=_AT
)

ACTIONS = _table(
    ticker=_TEXT, ex_date=_DAY, kind=_TEXT, value=_REAL, basis_date=_DAY, source=_TEXT,
    payload_id=_TEXT, recorded_at=_AT, vintage=_INT,
)  # fmt: skip
ACTION_REVISIONS = _and(ACTIONS, superseded_at=_AT)

HEADLINES = _table(
    "summary url guid edited_at",
    headline_id=_TEXT, story_id=_TEXT, source=_TEXT, title=_TEXT, summary=_TEXT, url=_TEXT,
    guid=_TEXT, published_at=_AT, granularity=_TEXT, first_seen_at=_AT, edited_at=_AT,
    available_at=_AT, availability=_TEXT, synthetic=_FLAG, payload_id=_TEXT, revision=_INT,
)  # fmt: skip
HEADLINE_REVISIONS = _table(
    "summary",
    headline_id=_TEXT, revision=_INT, title=_TEXT, summary=_TEXT, published_at=_AT,
    available_at=_AT, payload_id=_TEXT, superseded_at=_AT,
)  # fmt: skip
HEADLINE_TICKERS = _table(headline_id=_TEXT, ticker=_TEXT, method=_TEXT)
TICKERS = _table(
    "valid_to",
    ticker=_TEXT, exchange=_TEXT, alias=_TEXT, kind=_TEXT, valid_from=_DAY, valid_to=_DAY,
)  # fmt: skip
MEMBERSHIPS = _table(
    "member_until",
    universe=_TEXT, ticker=_TEXT, member_from=_DAY, member_until=_DAY,
)  # fmt: skip
SESSIONS = _table(
    "calendar_version",
    exchange=_TEXT, session=_DAY, open_ts=_AT, close_ts=_AT, calendar_version=_TEXT,
)  # fmt: skip

PAYLOADS = _table(
    payload_id=_TEXT, source=_TEXT, url=_TEXT, status=_INT, headers=_TEXT, bytes=_LONG,
    fetched_at=_AT,
)  # fmt: skip
PARTITIONS = _table(
    "expected received missing payload_id error retry_at",
    source=_TEXT, key=_TEXT, range_start=_DAY, range_end=_DAY, state=_TEXT, attempts=_INT,
    rows=_LONG, expected=_LONG, received=_LONG, missing=pa.list_(_DAY), payload_id=_TEXT,
    error=_TEXT, retry_at=_AT, updated_at=_AT,
)  # fmt: skip
QUARANTINE = _table(
    "payload_id",
    quarantine_id=_TEXT, kind=_TEXT, source=_TEXT, key=_TEXT, reason=_TEXT, record=_TEXT,
    payload_id=_TEXT, quarantined_at=_AT,
)  # fmt: skip
CHECKS = _table(
    check_id=_TEXT, suite=_TEXT, batch=_TEXT, expectation=_TEXT, success=_FLAG, observed=_TEXT,
    checked_at=_AT,
)  # fmt: skip

FEATURES = _table(
    "number text",
    feature_set=_TEXT, ticker=_TEXT, known_at=_AT, granularity=_TEXT, name=_TEXT, number=_REAL,
    text=_TEXT, available_at=_AT, first_seen_at=_AT, payload_id=_TEXT, revision=_INT,
)  # fmt: skip
EXAMPLES = _table(
    "label label_return previous_return features",
    spec_id=_TEXT, example_id=_TEXT, ticker=_TEXT, session=_DAY, decision_ts=_AT,
    max_input_available_at=_AT, label_start_ts=_AT, label_end_ts=_AT, label=_TEXT,
    label_reason=_TEXT, label_return=_REAL, previous_return=_REAL, availability=_TEXT,
    headline_ids=_TEXTS, story_ids=_TEXTS, input=_TEXT,
    features=pa.list_(
        pa.struct(
            {
                "feature_set": _TEXT, "name": _TEXT, "ticker": _TEXT, "known_at": _AT,
                "revision": _INT, "number": _REAL, "text": _TEXT,
            }
        )
    ),
)  # fmt: skip
EXAMPLE_BUILDS = _table(spec_id=_TEXT, snapshot_id=_LONG, logic=_TEXT)
DATASETS = _table(
    "spec_digest",
    dataset_id=_TEXT, spec_id=_TEXT, spec_digest=_TEXT, snapshot_id=_LONG, created_at=_AT,
    path=_TEXT, manifest=_TEXT,
)  # fmt: skip
DATASET_NAMES = _table(name=_TEXT, dataset_id=_TEXT, named_at=_AT)

MODELS = _table(
    model_id=_TEXT, dataset_id=_TEXT, recipe_name=_TEXT, base_model=_TEXT, adapter_sha256=_TEXT,
    path=_TEXT, seed=_INT, recipe=_TEXT, environment=_TEXT, metrics=_TEXT, stage=_TEXT,
    created_at=_AT,
)  # fmt: skip
PREDICTIONS = _table(
    "model_id dataset_id headline_ids input_sha256",
    prediction_id=_TEXT, kind=_TEXT, predictor=_TEXT, model_id=_TEXT, dataset_id=_TEXT,
    spec_id=_TEXT, example_id=_TEXT, ticker=_TEXT, session=_DAY, decision_ts=_AT, p_up=_REAL,
    predicted_at=_AT, headline_ids=_TEXTS, input_sha256=_TEXT,
)  # fmt: skip
EXPLANATIONS = _table(
    prediction_id=_TEXT, headline_id=_TEXT, position=_INT, p_up_without=_REAL, explained_at=_AT,
)  # fmt: skip
EVALUATIONS = _table(
    "model_id baseline value ci_low ci_high",
    dataset_id=_TEXT, split=_TEXT, slice=_TEXT, predictor=_TEXT, model_id=_TEXT, metric=_TEXT,
    baseline=_TEXT, value=_REAL, ci_low=_REAL, ci_high=_REAL, n_examples=_LONG, n_sessions=_LONG,
    evaluated_at=_AT,
)  # fmt: skip
LOOKS = _table(
    "model_id",
    look_id=_TEXT, dataset_id=_TEXT, split=_TEXT, predictor=_TEXT, model_id=_TEXT, spec_id=_TEXT,
    sessions=pa.list_(_DAY), n_examples=_LONG, predictions_sha256=_TEXT, looked_at=_AT,
)  # fmt: skip
PROMOTION_TESTS = _table(test_no=_LONG, challenger=_TEXT, champion=_TEXT)

SEALS = _table(
    seal_no=_LONG, rows=_LONG, content_hash=_TEXT, prev_hash=_TEXT, hash=_TEXT, sealed_at=_AT
)
SEALED_ROWS = _table(seal_no=_LONG, subject=_TEXT, record_id=_TEXT, row_hash=_TEXT)
DEPOSITS = _table(witness=_TEXT, seal_no=_LONG, hash=_TEXT, deposited_at=_AT)
SCHEMA_VERSIONS = _table(version=_INT, name=_TEXT, sha256=_TEXT)


def without(schema: pa.Schema, *columns: str) -> pa.Schema:
    """The schema less some columns, such as those that publishing assigns.

    Raises KeyError when it lacks one of them.
    """
    if unknown := set(columns) - set(schema.names):
        raise KeyError(f"The schema has no column {', '.join(sorted(unknown))}.")
    return pa.schema([column for column in schema if column.name not in columns])
