"""Made-up prompts of realistic, uneven lengths: one headline mostly, now and then many."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

TONE = {
    "up": ("record profit", "strong demand", "raised guidance", "an upbeat outlook", "a big order"),
    "down": ("a surprise loss", "weak demand", "cut guidance", "a gloomy outlook", "a recall"),
}
CONTEXT = (
    "",
    " after the third quarter",
    " as traders weigh rates and the dollar firms",
    " despite supply trouble, says a note to clients of a regional broker on Tuesday",
)
HEADLINES = (1, 1, 1, 1, 2, 2, 3, 6)
AGREEMENT = 0.9


def write_dataset(folder: Path, sizes: dict[str, int]) -> Path:
    """Write one Parquet file per split; the tone names the label with probability AGREEMENT."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (split, count) in enumerate(sizes.items()):
        draw = random.Random(seed)
        rows = [_row(draw) for _ in range(count)]
        table = pa.table(
            {
                "example_id": [f"{split}-{i}" for i in range(count)],
                "input": [prompt for prompt, _ in rows],
                "output": [label for _, label in rows],
            }
        )
        pq.write_table(table, folder / f"{split}.parquet")
    return folder


def _row(draw: random.Random) -> tuple[str, str]:
    label = draw.choice(("up", "down"))
    other = "down" if label == "up" else "up"
    tone = label if draw.random() < AGREEMENT else other
    ticker = draw.choice(("AAPL", "MSFT", "IBM", "GOOG"))
    lines = [
        f"- {ticker} sees {draw.choice(TONE[tone])}{draw.choice(CONTEXT)}"
        for _ in range(draw.choice(HEADLINES))
    ]
    return "\n".join([f"{ticker} news:", *lines, "Direction:"]), label
