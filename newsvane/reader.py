"""The open warehouse of one data root, for reading."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newsvane.errors import ReadError
from newsvane.moments import Day, Moment, Tickers, day, instant, symbols
from newsvane.results import Dataset, Evaluation, Rows, Split

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.dataset.spec.clock import ClockSpec
    from tasks.evaluation.spec import EvaluationSpec
    from warehouse.lake import Lake
    from warehouse.tables.models import Model


class Reader:
    """Reads one warehouse and the data sets beside it. A context manager; one per thread.

    Methods that take `asof` answer from what was available **strictly before** that moment, as a
    decision taken then would have seen it. Every method raises ReadError once the reader is
    closed, and those that take `tickers` for one that the warehouse knows nothing of.
    """

    def __init__(
        self, lake: Lake, root: Path, clock: ClockSpec, evaluation: EvaluationSpec | None = None
    ) -> None:
        self._opened: Lake | None = lake
        self._clock = clock
        self._evaluation = evaluation
        self.root = root

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._opened is None else f"snapshot {self.snapshot_id}"
        return f"<newsvane.Reader of {self.root}, {state}>"

    def close(self) -> None:
        """Release the connections; safe to call twice. What was read stays."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @property
    def _lake(self) -> Lake:
        if self._opened is None:
            raise ReadError(
                f"The reader of {self.root} is closed; expected an open one. Open another with "
                "newsvane.connect, and read inside its `with` block."
            )
        return self._opened

    @property
    def snapshot_id(self) -> int:
        """The snapshot that is read: the chosen one, or the last committed."""
        return self._lake.snapshot_id()

    def sql(self, query: str, params: Mapping[str, Any] | None = None) -> Rows:
        """The answer to one reading query; `params` fill `$name` placeholders.

        Raises LakeError unless it is one SELECT over the tables of the data dictionary.
        """
        return Rows(self._lake.sql(query, params), "as the query gives them")

    def bars(
        self,
        *,
        asof: Moment,
        tickers: Tickers = None,
        start: Day | None = None,
        end: Day | None = None,
    ) -> Rows:
        """Daily bars as known before `asof`, on the share basis of its UTC date.

        A bar appears `clock.bar_lag` after its session's close; a restated one from when the
        restatement was recorded, and until then as it stood. Splits and dividends after `asof`
        change nothing. `start` and `end` are sessions, inclusive.
        Columns: ticker, session, open, high, low, close, volume, total_return_close, vintage.
        """
        import pyarrow.compute as pc

        moment, first, last = instant(asof), day("start", start), day("end", end)
        world = {"asof": moment, "tickers": self._known(tickers), "exchange": self._clock.exchange}
        known = self._lake.read("bars_known", {**world, "bar_lag": self._clock.bar_lag})
        actions = self._lake.read("actions_known", world)
        table = self._lake.read(
            "bars_asof", {"asof": moment.date(), "known_at": None}, bars=known, actions=actions
        )
        if first is not None:
            table = table.filter(pc.field("session") >= first)
        if last is not None:
            table = table.filter(pc.field("session") <= last)
        return Rows(table, _grain("bars_asof"))

    def headlines(
        self, *, asof: Moment, tickers: Tickers = None, since: Moment | None = None
    ) -> Rows:
        """Headlines available before `asof`, each as it read then, oldest first.

        `since`: only those available from that moment on. Columns: headline_id, story_id, tickers
        (list), source, title, summary, url, published_at, available_at, availability, synthetic,
        revision, payload_id.
        """
        return self._rows(
            "headlines_asof",
            asof=instant(asof),
            tickers=self._known(tickers),
            since=None if since is None else instant(since),
        )

    def examples(
        self, *, spec_id: str | None = None, asof: Moment | None = None, tickers: Tickers = None
    ) -> Rows:
        """The examples of one spec (default: the newest data set's), by session and ticker.

        With `asof`, those decided by then; an outcome shows only if its window was over. Without,
        all of them. `label` is up, down or null, and `label_reason` says why; of a final holdout
        that was not opened it is null, and the reason `set_aside`.
        """
        name = spec_id or self.dataset().spec_id
        return self._rows(
            "examples_asof",
            spec_id=name,
            set_aside=self._set_aside(name),
            asof=None if asof is None else instant(asof),
            tickers=self._known(tickers),
            bar_lag=self._clock.bar_lag,
        )

    def _set_aside(self, spec_id: str) -> list[date]:
        """The sessions of one spec's final holdout while it is closed."""
        if not any("final" in one.manifest.splits for one in self.datasets()):
            return []
        rows = self._lake.read("sessions_set_aside", {"spec_id": spec_id})
        days: list[date] = rows["session"].to_pylist()
        return days

    def datasets(self) -> tuple[Dataset, ...]:
        """All data sets, newest first."""
        from tasks.dataset.spec.manifest import DatasetManifest
        from warehouse.tables.looks import holdout_opened

        return tuple(
            Dataset(
                dataset_id=row["dataset_id"],
                spec_id=row["spec_id"],
                snapshot_id=row["snapshot_id"],
                created_at=row["created_at"].astimezone(UTC),
                folder=self.root / "datasets" / row["dataset_id"],
                manifest=manifest,
                # A snapshot from before looks were recorded has no holdouts either.
                final_opened="final" in manifest.splits
                and holdout_opened(self._lake, manifest.dataset_id),
            )
            for row in self._lake.read("report_datasets").to_pylist()
            for manifest in [DatasetManifest.model_validate(json.loads(row["manifest"]))]
        )

    def dataset(self, dataset_id: str | None = None) -> Dataset:
        """One data set by its id, its name, or a beginning that fits no other id; else the newest.

        Raises ReadError for none, and for a beginning that fits several.
        """
        from warehouse.tables.datasets import fitting_datasets

        rows, ambiguous = fitting_datasets(self._lake, dataset_id)
        if not rows or ambiguous:
            known = ", ".join(one.dataset_id for one in self.datasets()) or "none"
            raise ReadError(
                f"{len(rows)} data sets are called {dataset_id or '(newest)'!r}; there are: "
                f"{known}. Give one of these ids, or build one with `newsvane dataset build`."
            )
        return next(one for one in self.datasets() if one.dataset_id == rows[0]["dataset_id"])

    def models(self) -> tuple[Model, ...]:
        """All fine-tuned models, newest first, with recipe, environment and metrics."""
        from warehouse.tables.models import read_models

        return read_models(self._lake)

    def evaluation(self, dataset_id: str | None = None, split: Split = "test") -> Evaluation:
        """What was found on one split of a data set (default: the newest), latest models only.

        Rows: one per slice, predictor, metric and baseline, with its interval. Raises ReadError
        when nothing was evaluated yet. Verdicts count every look at the split's sessions.
        """
        import pyarrow.compute as pc

        from tasks.evaluation.looks import stored_verdicts

        name = self.dataset(dataset_id).dataset_id
        statement = "report_evaluations"
        table = self._lake.read(statement, {"dataset_id": name}).filter(pc.field("split") == split)
        if not table.num_rows:
            raise ReadError(
                f"No evaluation of data set {name} on its {split} split is stored. Run "
                f"`newsvane {'dataset open-final MODEL' if split == 'final' else 'evaluate'}`, or "
                "name another data set."
            )
        spec = self._evaluation_spec()
        verdicts = stored_verdicts(self._lake, table, spec, dataset_id=name, split=split)
        return Evaluation(name, split, Rows(table, _grain(statement)), verdicts)

    def backtest(self, dataset_id: str | None = None) -> Rows:
        """P(up) of every predictor on the evaluated examples of a data set (default: the newest).

        These were made after the outcome was known; `forward` holds those made before.
        """
        name = self.dataset(dataset_id).dataset_id
        return self._rows("prediction_rows", dataset_id=name, kind="backtest")

    def forward(self, *, asof: Moment) -> Rows:
        """Predictions made before their outcome and by `asof`, with the outcome if known by then.

        `timely` is false for one that came after its label window had opened: it never counts.
        `call` is up, down, or "no call" where P(up) is nearer to one half than the model's
        evaluation asks of a call.
        """
        return self._rows("forward_asof", asof=instant(asof))

    def explanations(self, *, asof: Moment) -> Rows:
        """What each headline did to the forward predictions made by `asof`.

        Columns: prediction_id, predictor, model_id, ticker, session, headline_id, title, p_up,
        p_up_without (the headline left out of the prompt), effect (their difference).
        """
        return self._rows("explanations_asof", asof=instant(asof))

    def scores(self, *, now: Moment) -> Rows:
        """The record of each predictor's forward predictions that are mature at `now`.

        One row per model (`predictor` is its model_id, whatever stage it had when it predicted),
        baseline, and simple rule held against the same examples: counts by state, accuracy with
        its confidence sequence, Brier score. The same numbers as the site and
        `newsvane score`.
        """
        from tasks.prediction.record import ForwardRecord

        record = ForwardRecord.read(self._lake, self._evaluation_spec(), now=instant(now))
        return Rows(record.scores(), _grain("forward_counts"))

    def _evaluation_spec(self) -> EvaluationSpec:
        """As configured; else defaults, with the warehouse's own synthetic news declared."""
        from tasks.evaluation.spec import EvaluationSpec

        if self._evaluation is not None:
            return self._evaluation
        (row,) = self._lake.read("headlines_synthetic").to_pylist()
        return EvaluationSpec(synthetic=row["synthetic"])

    def _known(self, tickers: Tickers) -> list[str] | None:
        """The tickers as a list, None for all. Raises ReadError for one that is nowhere."""
        chosen = symbols(tickers)
        known = self._lake.read("tickers_known")["ticker"].to_pylist() if chosen else []
        if unknown := [ticker for ticker in chosen or () if ticker not in known]:
            like = get_close_matches(unknown[0], known, n=3, cutoff=0.5) or known[:5]
            raise ReadError(
                f"tickers got {', '.join(map(repr, unknown[:5]))}; expected symbols that the "
                f"warehouse holds bars or headlines of, such as {', '.join(like) or 'none yet'}. "
                'reader.sql("from tickers") names those configured.'
            )
        return chosen

    def _rows(self, statement: str, **params: Any) -> Rows:
        table: pa.Table = self._lake.read(statement, params)
        return Rows(table, _grain(statement))


def _grain(statement: str) -> str:
    from warehouse.lake import sql

    return sql.statement(statement).grain
