"""Build the same data set in several ways, compare the outputs, print a table and draw it.

    python benchmarks/dataset/run.py --rows 1000000 --out benchmarks/out

Each way runs in a process of its own, one after the other, on the same rows. CPU seconds are
printed beside wall seconds: on a machine with other work, only the former say much.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import contest
import market
import polars as pl

HERE = Path(__file__).parent
WAYS = ("newsvane", "polars join_asof", "pandas merge_asof", "row loop", "filter loop",
        "raw write", "newsvane, whole", "one more session")  # fmt: skip
Turn = dict[str, Any]


def main() -> None:
    """Prepare, run every way, compare, report. Exits 1 if two outputs differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--tickers", type=int, default=500)
    parser.add_argument("--skip", nargs="*", default=[], choices=WAYS)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        market.prepare(folder, contest.lake_spec(folder), options.rows, options.tickers)
        turns = {way: turn(way, folder) for way in WAYS if way not in options.skip}
        different = differences(folder, turns)
        if "filter loop" in turns:
            extrapolate(folder, turns)
    print(table(options.rows, turns))
    print("\n".join(targets(turns)))
    print("Outputs compared: " + ("; ".join(different) or "all equal."))
    stem = options.out / f"dataset-{options.rows}"
    stem.with_suffix(".json").write_text(json.dumps(turns, indent=2) + "\n")
    draw(turns, options.rows, stem.with_suffix(".svg"))
    sys.exit(1 if different else 0)


def turn(way: str, folder: Path) -> Turn:
    """One competitor's figures, from a process of its own."""
    paths = os.pathsep.join([str(HERE.parents[1]), str(HERE)])
    done = subprocess.run(
        [sys.executable, str(HERE / "contest.py"), way, str(folder)],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    figures: Turn = json.loads(done.stdout.splitlines()[-1])
    return figures


def differences(folder: Path, turns: dict[str, Turn]) -> list[str]:
    """Ways whose rows are not those of polars. Returns are compared to nine decimals.

    Libraries round halves and print small numbers differently, so the bytes need not be equal.
    """

    def rows(way: str) -> pl.DataFrame:
        name = f"out-{way.replace(' ', '-').replace(',', '')}.jsonl"
        flat = pl.read_ndjson(folder / name).unnest("meta").sort("example_id")
        return flat.with_columns((pl.col("label_return") * 1e9).round().cast(pl.Int64) // 10)

    apart = ("raw write", "one more session", "filter loop")
    compared = [way for way in turns if way not in apart]
    if "polars join_asof" not in compared:
        return []
    expected = rows("polars join_asof")
    found = [f"{way} differs" for way in compared if not rows(way).equals(expected)]
    if "filter loop" in turns:
        some = rows("filter loop")
        same = expected.filter(pl.col("example_id").is_in(some["example_id"].to_list()))
        found += [] if some.equals(same) else ["filter loop differs"]
    return found


def extrapolate(folder: Path, turns: dict[str, Turn]) -> None:
    """Scale the loop that was run on some examples to all of them, and say so in its name."""

    def lines(name: str) -> int:
        with (folder / f"out-{name}.jsonl").open("rb") as stream:
            return sum(1 for _ in stream)

    figures = turns.pop("filter loop")
    scale = lines("polars-join_asof") / lines("filter-loop")
    figures |= {name: figures[name] * scale for name in ("seconds", "cpu_seconds")}
    turns["filter loop (extrapolated)"] = figures


def table(rows: int, turns: dict[str, Turn]) -> str:
    """The figures as text."""
    head = f"{rows:,} headlines" + " " * 12 + "wall s    cpu s  peak MB   MB out"
    lines = [
        f"{way:<26}{t['seconds']:>8.2f} {t['cpu_seconds']:>8.2f} {t['peak_mb']:>8.0f} "
        f"{t['bytes'] / 1e6:>8.0f}"
        for way, t in turns.items()
    ]
    return "\n".join([head, *lines])


def targets(turns: dict[str, Turn]) -> list[str]:
    """Each target beside what was measured, in CPU seconds where two programs are compared."""

    def ratio(way: str, base: str, figure: str) -> float | None:
        if way not in turns or base not in turns:
            return None
        return float(turns[way][figure] / turns[base][figure])

    wanted = [
        ("row loop", "newsvane", "cpu_seconds", ">=", 100),
        ("filter loop (extrapolated)", "newsvane", "cpu_seconds", ">=", 100),
        ("pandas merge_asof", "newsvane", "cpu_seconds", ">=", 8),
        ("newsvane", "polars join_asof", "cpu_seconds", "<=", 1),
        ("newsvane", "raw write", "seconds", "<=", 5),
        ("newsvane", "pandas merge_asof", "peak_mb", "<=", 0.25),
        ("one more session", "newsvane, whole", "cpu_seconds", "<=", 0.03),
    ]
    lines = []
    for way, base, figure, sign, bound in wanted:
        found, name = ratio(way, base, figure), f"{way} / {base}, {figure}"
        if found is None:
            continue
        met = found >= bound if sign == ">=" else found <= bound
        lines.append(
            f"{name:<45} {found:8.3f}  target {sign} {bound}: {'met' if met else 'NOT met'}"
        )
    return lines


def draw(turns: dict[str, Turn], rows: int, path: Path) -> None:
    """Bars of CPU seconds and of peak memory, side by side."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
    for axis, key, unit in zip(axes, ("cpu_seconds", "peak_mb"), ("CPU s", "peak MB"), strict=True):
        ways = [way for way in turns if way != "raw write" and "filter" not in way]
        values = [turns[way][key] for way in ways]
        axis.barh(ways[::-1], values[::-1], color="#4477aa")
        axis.bar_label(axis.containers[0], fmt="%.1f", padding=3)
        axis.set_xlabel(unit)
        axis.spines[["top", "right"]].set_visible(False)
        axis.margins(x=0.15)
    figure.suptitle(f"One data set from {rows:,} headlines")
    figure.savefig(path)


if __name__ == "__main__":
    main()
