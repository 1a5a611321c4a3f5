"""Read what Newsvane holds, in a notebook or a script. Nothing here can write.

    import newsvane

    with newsvane.connect("data") as reader:
        train = reader.dataset().split("train").to_pandas()
        news = reader.headlines(asof="2012-06-04T13:25:00Z", tickers=["AAPL"])

Every answer is a `Rows`: one Arrow table, with the grain of its rows, that turns into pandas,
polars or a Hugging Face data set. Instants are UTC. Errors are `ReadError` (what was asked cannot
be answered) or the warehouse's `LakeError`; both say what to do next.
"""

from __future__ import annotations

from newsvane.connection import connect
from newsvane.reader import Reader
from newsvane.results import Dataset, Evaluation, ReadError, Rows

__all__ = ["Dataset", "Evaluation", "ReadError", "Reader", "Rows", "connect"]
