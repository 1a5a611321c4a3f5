"""Explanations of a prediction: what P(up) becomes when one headline is left out of the prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.dataset.spec.manifest import DatasetManifest
from tasks.dataset.spec.render import RenderSpec
from tasks.evaluation.baselines import Baselines, fit_baselines
from tasks.evaluation.neighbours import nearest
from tasks.evaluation.spec import TFIDF_LOGISTIC
from tasks.prediction.predictors import LanguageModel, Scorer
from warehouse.lake import Lake
from warehouse.tables.explanations import OFFERED, example_of_session, headline_titles

Score = Callable[[pa.Table], Mapping[str, Any]]
"""Gives each predictor's P(up) on rows with example_id and input, in their order."""


class ExplanationError(ValueError):
    """There is no prediction to explain; the message says what there is."""


def text_scores(scorer: Scorer, models: Mapping[str, LanguageModel], baselines: Baselines) -> Score:
    """Asks those that read the prompt: the language models, and the reference model if fitted."""
    reference = baselines.fitted.get(TFIDF_LOGISTIC)

    def score(rows: pa.Table) -> dict[str, Any]:
        found: dict[str, Any] = dict(scorer.upcoming(rows, models)) if models else {}
        return found if reference is None else {**found, TFIDF_LOGISTIC: reference(rows)}

    return score


def left_out(frame: pa.Table, render: RenderSpec) -> pa.Table:
    """One row per example and headline: the prompt without it, worded as the example is.

    `frame`: spec_id, example_id, headline_ids, input. The example_id is that of the example and
    the position of the headline, from 1. Raises TemplateError where a prompt cannot be parted.
    """
    rows = [
        {
            "spec_id": row["spec_id"],
            "of": row["example_id"],
            "headline_ids": row["headline_ids"],
            "headline_id": row["headline_ids"][position],
            "position": position + 1,
            "example_id": f"{row['example_id']} without {position + 1}",
            "input": text,
        }
        for row in frame.to_pylist()
        for position, text in enumerate(
            render.leave_one_out(row["input"], len(row["headline_ids"]))
        )
    ]
    return pa.Table.from_pylist(rows, schema=_LEFT_OUT)


_LEFT_OUT = pa.schema(
    [
        ("spec_id", pa.string()),
        ("of", pa.string()),
        ("headline_ids", pa.list_(pa.string())),
        ("headline_id", pa.string()),
        ("position", pa.int64()),
        ("example_id", pa.string()),
        ("input", pa.string()),
    ]
)


def explained(
    frame: pa.Table,
    predictions: Mapping[str, Any],
    score: Score,
    render: RenderSpec,
    *,
    model_ids: Mapping[str, str],
) -> pa.Table:
    """What each headline did to each prediction: rows of `OFFERED`.

    `frame` as for `left_out`; `predictions`: P(up) with all headlines, aligned to it, of those
    predictors that `score` answers for. Exact for any predictor that reads the prompt: it is asked
    again, nothing is approximated. Effects of several headlines need not add up.
    """
    prompts = left_out(frame, render)
    if not prompts.num_rows:
        return OFFERED.empty_table()
    place = {name: row for row, name in enumerate(frame["example_id"].to_pylist())}
    of = [place[name] for name in prompts["of"].to_pylist()]
    shared = prompts.select(["spec_id", "headline_ids", "headline_id", "position"])
    shared = shared.append_column("example_id", prompts["of"])
    parts = []
    for name, without in score(prompts.select(["example_id", "input"])).items():
        whole = pa.array([float(predictions[name][row]) for row in of], pa.float64())
        own = {
            "predictor": pa.array([name] * prompts.num_rows, pa.string()),
            "model_id": pa.array([model_ids.get(name)] * prompts.num_rows, pa.string()),
            "p_up": whole,
            "p_up_without": pa.array([float(value) for value in without], pa.float64()),
        }
        part = shared
        for column, values in own.items():
            part = part.append_column(column, values)
        parts.append(part.select(OFFERED.names))
    return pa.concat_tables(parts)


def explain_example(
    lake: Lake,
    scorer: Scorer,
    manifest: DatasetManifest,
    train: pa.Table,
    models: Mapping[str, LanguageModel],
    *,
    ticker: str,
    session: date,
) -> tuple[pa.Table, pa.Table]:
    """One example explained by language `models` and by the reference model fitted on `train`.

    First table: predictor, p_up, headline, without (P(up) then), effect; of each predictor the
    largest effect first. Second, by `nearest`: ticker, session, label, similarity, input. Raises
    ExplanationError where the spec has no such example, or one without headlines.
    """
    frame = example_of_session(lake, manifest.spec_id, ticker, session)
    if not frame.num_rows or not frame["headline_ids"][0].as_py():
        raise ExplanationError(
            f"There is no example of {ticker} on {session} with news under data set "
            f"{manifest.dataset_id}: nothing was predicted from headlines. `newsvane sql` on the "
            "table examples shows which sessions of a ticker there are."
        )
    score = text_scores(scorer, models, fit_baselines(train))
    whole = score(frame)
    rows = explained(frame, whole, score, manifest.spec.render, model_ids={})
    titles = headline_titles(lake, rows["headline_id"])
    shown = [
        {
            "predictor": row["predictor"],
            "p_up": row["p_up"],
            "effect": row["p_up"] - row["p_up_without"],
            "without": row["p_up_without"],
            "headline": titles.get(row["headline_id"], row["headline_id"]),
        }
        for row in rows.to_pylist()
    ]
    order = list(whole)
    shown.sort(key=lambda row: (order.index(row["predictor"]), -abs(row["effect"])))
    others = train.filter(pc.field("example_id") != frame["example_id"][0].as_py())
    (alike,) = nearest(others, frame["input"].to_pylist())
    alike = alike.select(["similarity", "ticker", "session", "label_up", "input"])
    return pa.Table.from_pylist(shown), alike
