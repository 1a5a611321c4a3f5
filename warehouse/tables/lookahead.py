"""Questions an audit puts to the warehouse: what would the examples be, had it held other rows?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from warehouse.lake import Lake
from warehouse.tables.datasets import SplitRequest
from warehouse.tables.examples import CountTokens, ExampleRequest, derive_examples

END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)
Rows = list[dict[str, Any]]


class ExampleAudit:
    """Compares the examples of one request in the real warehouse with those of altered ones.

    The alterations are temporary tables of this connection; the warehouse is never written.
    Every answer is a list of plain rows, empty where nothing is amiss.
    """

    def __init__(
        self,
        lake: Lake,
        request: ExampleRequest,
        *,
        seed: int,
        count_tokens: CountTokens | None = None,
    ) -> None:
        self._lake = lake
        self._request = request
        self._count_tokens = count_tokens
        self._parameters: Mapping[str, object] = {**request.parameters(), "seed": str(seed)}
        derive_examples(lake, request, count_tokens)
        lake.read("audit_full")

    def moments(self, count: int) -> list[datetime]:
        """`count` distinct decision moments, drawn by the seed."""
        rows = self._lake.read("audit_moments", {**self._parameters, "moments": count})
        return [moment.astimezone(UTC) for moment in rows["decision_ts"].to_pylist()]

    def stored(self) -> Rows:
        """Stored examples that the warehouse would not give today: what, rows, first_example."""
        rows = self._lake.read("audit_stored", self._parameters).to_pylist()
        return [row for row in rows if row["rows"]]

    def gate(self) -> Rows:
        """Rules of the decision clock that examples break, as `what`, rows and first_example."""
        rows: Rows = self._lake.read("audit_gate", self._parameters).to_pylist()
        return rows

    def truncated(self, moment: datetime) -> Rows:
        """Columns that differ, for decisions up to `moment`, had nothing later been known."""
        with self._world("audit_world_truncated", moment=moment):
            return self._moved(until=moment, compare_labels=True)

    def restated(self, moment: datetime) -> Rows:
        """Columns that differ, for decisions up to `moment`, had all bars been restated then."""
        with self._world("audit_world_restated", moment=moment):
            return self._moved(until=moment)

    def planted(self, plants: int) -> Rows:
        """Columns that differ in examples decided before the planted news was available."""
        with self._world("audit_world_planted", plants=plants):
            self._lake.read("audit_disturbed")
            return self._moved(until=END_OF_TIME)

    def splits(self, request: SplitRequest) -> Rows:
        """Rules (is_rule) and facts about the splits, with the number of rows each concerns."""
        parameters = request.parameters()
        self._lake.read("split_rows", parameters)
        rows: Rows = self._lake.read("audit_split", parameters).to_pylist()
        return rows

    @contextmanager
    def _world(self, name: str, **facts: object) -> Iterator[None]:
        try:
            self._lake.read(name, {**self._parameters, **facts})
            derive_examples(self._lake, self._request, self._count_tokens)
            yield
        finally:
            self._lake.read("audit_world_drop")

    def _moved(self, *, until: datetime, compare_labels: bool = False) -> Rows:
        asked = {"until": until, "compare_labels": compare_labels}
        rows: Rows = self._lake.read("audit_moved", asked).to_pylist()
        return rows
