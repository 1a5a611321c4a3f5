"""Data-set card: what a reader must know before using a data set, in the hub's format."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from tasks.dataset.spec.manifest import HOLDOUT, DatasetManifest, FeatureEntry
from tasks.dataset.spec.split import FINAL

CARD = "README.md"
"""The file's name, which is where the hub looks for it."""
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
          (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"))  # fmt: skip
_MOST_CHARACTERS = 600
_MARKS = re.compile(r"([\\`*_{}\[\]<>|#~!&$])")


def card(
    manifest: DatasetManifest,
    *,
    synthetic: Mapping[str, float] | None = None,
    samples: Iterable[Mapping[str, Any]] = (),
) -> str:
    """The card in Markdown, with a YAML header; the same arguments give the same text.

    `synthetic`: the share of made-up headlines of each source, from 0 to 1, None where it is not
    known. `samples`: rows of the training split to be shown. Neither is part of the identity.
    """
    made_up = _made_up(synthetic or {})
    parts = [
        f"---\n{yaml.safe_dump(_header(manifest, made_up=bool(made_up)), sort_keys=False)}---",
        f"# Data set {manifest.dataset_id}",
        *([made_up] if made_up else []),
        "One row per ticker and trading session: the headlines that were available before the "
        "decision, and whether the price then rose or fell.",
        "\n".join(_facts(manifest)),
        "\n".join(_table(manifest)),
        *([HOLDOUT] if FINAL in manifest.splits else []),
        "Examples in no split, by reason:",
        "\n".join(f"- {reason}: {rows}" for reason, rows in manifest.dropped.items()) or "- none",
        *_sources(manifest),
        *(_feature_in_words(name, entry) for name, entry in manifest.features.items()),
        "Template of the input:",
        fenced(manifest.spec.render.template),
        *_samples(samples),
        "## Intended use",
        "Fine-tuning and evaluating text classifiers that say how a price moved after the news, "
        "with the splits as they are: they are cut by time, and shuffling them leaks.",
        "## Limits",
        "Whether anything can be predicted from these rows is for an evaluation: this card is "
        "written before any and holds no verdict. The language is declared, not detected. Nothing "
        "here is investment advice.",
        "## Rights",
        _rights(manifest, made_up=bool(made_up)),
    ]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """A foreign text on one line, with every mark of Markdown and HTML taken for itself."""
    plain = "".join(" " if unicodedata.category(one)[0] == "C" else one for one in text)
    return _MARKS.sub(r"\\\1", " ".join(plain.split()))


def fenced(text: str, language: str = "") -> str:
    """A text as a block of code that none of its own lines can end."""
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _header(manifest: DatasetManifest, *, made_up: bool) -> dict[str, Any]:
    name = manifest.spec.name or manifest.dataset_id
    rows = sum(split.rows for split in manifest.splits.values())
    size = next((name for limit, name in _SIZES if rows < limit), "n>100M")
    shown = [
        {"split": part, "path": [one.name for one in split.files if one.name.endswith(".parquet")]}
        for part, split in manifest.splits.items()
        if part != FINAL and split.rows
    ]
    return {
        "pretty_name": f"Stock direction from headlines ({name})",
        "license": "other",
        "license_name": "rights-of-the-sources",
        "language": ["en"],
        "task_categories": ["text-classification", "text-generation"],
        "size_categories": [size],
        "tags": [*(["synthetic"] if made_up else []), "newsvane", "finance", "stock-direction"],
        **({"configs": [{"config_name": "default", "data_files": shown}]} if shown else {}),
    }


def _made_up(shares: Mapping[str, float]) -> str:
    found = {source: share for source, share in sorted(shares.items()) if share > 0}
    if not found:
        return ""
    names = ", ".join(
        escaped(source) + ("" if share == 1 else f" ({share:.1%} of them)")
        for source, share in found.items()
    )
    return (
        f"**Synthetic.** Headlines of {names} are made up: what is found on them says nothing of a "
        "real market."
    )


def _facts(manifest: DatasetManifest) -> list[str]:
    clock, label = manifest.spec.clock, manifest.spec.label
    at = "open of the session." if clock.at == "open" else "close of the session before."
    tradable = (
        "yes, the entry price is struck after the decision."
        if manifest.tradable
        else "**no**, the entry price was struck before the decision."
    )
    return [
        f"- Decision: {clock.lead} before the {at}",
        f"- Label: {label.entry.replace('_', ' ')} to close, {label.horizon} session(s), dead band "
        f"{label.dead_band[0]:+.2%} to {label.dead_band[1]:+.2%}, prices "
        f"{label.basis.replace('_', ' ')}.",
        f"- Tradable: {tradable}",
        f"- {manifest.universe_in_words}",
        f"- Warehouse snapshot {manifest.snapshot_id}, newsvane {manifest.code_version}.",
    ]


def _table(manifest: DatasetManifest) -> list[str]:
    lines = [
        "| split | rows | up | down | share up | sessions | tickers | from | to |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, split in manifest.splits.items():
        share = f"{split.up / split.rows:.1%}" if split.rows and split.up is not None else "-"
        up, down = ("-" if count is None else count for count in (split.up, split.down))
        lines.append(
            f"| {name} | {split.rows} | {up} | {down} | {share} | {split.sessions} "
            f"| {split.tickers} | {split.first_session or '-'} | {split.last_session or '-'} |"
        )
    return lines


def _sources(manifest: DatasetManifest) -> list[str]:
    return [
        f"Headlines of {escaped(source)} are dated: "
        + ", ".join(f"{count:,} to the {name}" for name, count in found.items())
        + "."
        for source, found in manifest.granularity.items()
    ]


def _feature_in_words(name: str, entry: FeatureEntry) -> str:
    share = entry.known / entry.examples if entry.examples else 0.0
    words = (
        f"Own column {name}: known in {share:.1%} of {entry.examples:,} examples; "
        f"{entry.observed:,} rest on rows imported before their decision, {entry.asserted:,} on "
        "rows imported after it, whose time is what the file asserts."
    )
    if entry.asserted and not entry.observed:
        words += " **Its whole history is asserted**: nobody watched any of it arrive."
    return words


def _samples(samples: Iterable[Mapping[str, Any]]) -> list[str]:
    shown = [json.dumps(_cut(row), ensure_ascii=True) for row in samples]
    if not shown:
        return []
    return ["The first rows of the training split:", fenced("\n".join(shown), "json")]


def _cut(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value[:_MOST_CHARACTERS] + "…"
        if isinstance(value, str) and len(value) > _MOST_CHARACTERS
        else value
        for key, value in row.items()
    }


def _rights(manifest: DatasetManifest, *, made_up: bool) -> str:
    names = ", ".join(escaped(source) for source in manifest.granularity) or "its sources"
    words = (
        f"The texts of headlines belong to those who wrote them ({names}), prices and own columns "
        "to those they came from. Newsvane gives no right to any of them: whoever passes these "
        "rows on needs theirs."
    )
    return words + (" Made-up headlines are Newsvane's own." if made_up else "")
