"""The look-ahead audit: tries to make examples move by changing a future they must not know."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tasks.dataset.spec.dataset import DatasetSpec
from warehouse.lake import Lake
from warehouse.tables.examples import CountTokens, derive_examples

CHECKS = (
    "clock", "features", "stored", "survivorship", "truncated", "restated", "planted", "split",
)  # fmt: skip
HINDSIGHT = "the tickers are one list for all sessions: who is missing from it cannot be told"
AT = "%Y-%m-%d %H:%M UTC"
END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)
Rows = list[dict[str, Any]]


class NothingToAuditError(RuntimeError):
    """There is no example; the message says how to get some."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check. `passed` is None for a fact that is neither good nor bad."""

    check: str
    passed: bool | None
    words: str


@dataclass(frozen=True, slots=True)
class AuditReport:
    """All findings of one audit, in the order they were made."""

    spec_id: str
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(finding.passed is not False for finding in self.findings)

    def words(self) -> str:
        """The report as text: the verdict first, then a line per finding."""
        verdict = (
            "No example knows the future, as far as these checks show."
            if self.passed
            else "LEAK: at least one example depends on what was not known at its decision."
        )
        marks = {True: "passed", False: "FAILED", None: "noted"}
        lines = [f"{marks[item.passed]:>6}  {item.check}: {item.words}" for item in self.findings]
        return "\n".join([f"Look-ahead audit of spec {self.spec_id}. {verdict}", *lines])


def audit_lookahead(
    lake: Lake,
    spec: DatasetSpec,
    *,
    seed: int = 0,
    moments: int = 3,
    plants: int = 50,
    checks: Collection[str] = CHECKS,
    count_tokens: CountTokens | None = None,
    on_check: Callable[[str], None] = lambda _: None,
) -> AuditReport:
    """Derive the examples of `spec` again in altered warehouses and compare every row.

    `truncated`: a warehouse that ends at each of `moments` random decisions gives the same rows up
    to then. `restated`: restating all bars at that moment moves no earlier input. `planted`:
    false news, late edits and near duplicates around `plants` sampled decisions move none of them.
    `clock`: every row keeps the clock's order, checked against sessions and sources directly.
    `features`: every own column is the row that a join of our own finds known at the decision; what
    is suspicious about a column is noted.
    `stored`: stored examples equal the derived ones. `survivorship`: of a dated universe exactly
    the members of the day have examples, those that left or died later among them; of a list
    nothing can be checked, and the finding says so. `split`: the splits do not overlap.
    Writes nothing. `on_check` is called with what comes next. Raises NothingToAuditError where the
    warehouse gives no example at all.
    """
    on_check("deriving the examples")
    audit = ExampleAudit(lake, spec, seed=seed, count_tokens=count_tokens)
    drawn = audit.moments(moments)
    if not drawn:
        raise NothingToAuditError(
            f"Nothing to check: the warehouse gives no example of spec {spec.spec_id}. Expected "
            "bars and headlines of the configured tickers; ingest some with `newsvane run` or "
            "`newsvane backfill`, or name the configuration you mean."
        )
    planned: list[tuple[str, str, Callable[[], Rows]]] = [
        ("clock", "every row keeps the decision clock's order", audit.clock),
        *audit.planned_features(),
        ("stored", "stored examples equal what the warehouse gives", audit.stored),
    ]
    if spec.universe is not None:
        words = "members of the day have the examples, those that left later too, and nobody else"
        planned.append(("survivorship", words, audit.survivorship))
    for at in drawn:
        words = f"known only what was known at {at:{AT}}, every earlier row is the same"
        planned.append(("truncated", words, partial(audit.truncated, at)))
    for at in drawn:
        words = f"with all bars restated at {at:{AT}}, no earlier input moves"
        planned.append(("restated", words, partial(audit.restated, at)))
    words = f"false news, edits and near duplicates at {plants} sampled decisions move none of them"
    planned.append(("planted", words, partial(audit.planted, plants)))
    findings = []
    for check, expected, compare in planned:
        if check in checks:
            on_check(expected)
            findings.append(_finding(check, expected, compare()))
    if "features" in checks:
        findings.extend(Finding("features", None, words) for words in audit.feature_facts())
    if "survivorship" in checks and spec.universe is None:
        findings.append(Finding("survivorship", None, HINDSIGHT))
    if "split" in checks:
        on_check("the splits do not overlap")
        findings.extend(_split_findings(audit.splits()))
    return AuditReport(spec.spec_id, tuple(findings))


class ExampleAudit:
    """Compares the examples of one spec in the real warehouse with those of altered ones.

    The alterations are temporary tables of this connection; the warehouse is never written.
    Every answer is a list of plain rows, empty where nothing is amiss.
    """

    def __init__(
        self, lake: Lake, spec: DatasetSpec, *, seed: int, count_tokens: CountTokens | None = None
    ) -> None:
        self._lake = lake
        self._count_tokens = count_tokens
        self._parameters = {**spec.sql_parameters(), "seed": str(seed)}
        derive_examples(lake, self._parameters, count_tokens)
        lake.read("audit_full")

    def moments(self, count: int) -> list[datetime]:
        """`count` distinct decision moments (UTC), drawn by the seed."""
        rows = self._lake.read("audit_moments", {**self._parameters, "moments": count})
        return [moment.astimezone(UTC) for moment in rows["decision_ts"].to_pylist()]

    def stored(self) -> Rows:
        """Stored examples that the warehouse would not give today: what, rows, first_example."""
        return [row for row in self._read("audit_stored", self._parameters) if row["rows"]]

    def clock(self) -> Rows:
        """Rules of the decision clock that examples break, as `what`, rows and first_example."""
        return self._read("audit_clock", self._parameters)

    def planned_features(self) -> list[tuple[str, str, Callable[[], Rows]]]:
        """The check of own columns, where the specification has some."""
        if not self._parameters["uses_features"]:
            return []
        return [("features", "every own column is as it was known at the decision", self.features)]

    def features(self) -> Rows:
        """Rules of own columns that examples break, as `what`, rows and first_example."""
        return self._read("audit_features", self._parameters)

    def feature_facts(self) -> list[str]:
        """What is suspicious about own columns, one sentence a fact."""
        if not self._parameters["uses_features"]:
            return []
        rows = self._read("audit_feature_facts", self._parameters)
        return [f"{row['name']}: {row['fact']}" for row in rows]

    def survivorship(self) -> Rows:
        """Examples of non-members, and those that members who left lack, as `what` and rows."""
        return self._read("audit_survivorship", self._parameters)

    def up_shares(self) -> tuple[float, float]:
        """The share of up among the labels of all members, and of those still members at the end.

        NaN where there is no label.
        """
        self._lake.read("audit_survivors", self._parameters)
        (found,) = self._read("audit_up_share", self._parameters)
        return (
            _share(found["up"], found["labelled"]),
            _share(found["survivors_up"], found["survivors_labelled"]),
        )

    def survivors(self) -> tuple[str, ...]:
        """The tickers that still are members on the last session with a bar."""
        rows = self._lake.read("audit_survivors", self._parameters)
        return tuple(rows["ticker"].to_pylist())

    def truncated(self, moment: datetime) -> Rows:
        """Columns that differ, for decisions up to `moment`, had nothing later been known."""
        with self._altered("audit_world_truncated", moment=moment):
            return self._moved(until=moment, compare_labels=True)

    def restated(self, moment: datetime) -> Rows:
        """Columns that differ, for decisions up to `moment`, had all bars been restated then."""
        with self._altered("audit_world_restated", moment=moment):
            return self._moved(until=moment)

    def planted(self, plants: int) -> Rows:
        """Columns that differ in examples decided before the planted news was available."""
        with self._altered("audit_world_planted", plants=plants):
            self._lake.read("audit_disturbed")
            return self._moved(until=END_OF_TIME)

    def splits(self) -> Rows:
        """Rules (is_rule) and facts about the splits, with the number of rows each concerns."""
        self._lake.read("split_rows", self._parameters)
        return self._read("audit_split", self._parameters)

    @contextmanager
    def _altered(self, name: str, **values: object) -> Iterator[None]:
        try:
            self._lake.read(name, {**self._parameters, **values})
            derive_examples(self._lake, self._parameters, self._count_tokens)
            yield
        finally:
            self._lake.read("audit_world_drop")

    def _moved(self, *, until: datetime, compare_labels: bool = False) -> Rows:
        return self._read("audit_moved", {"until": until, "compare_labels": compare_labels})

    def _read(self, name: str, parameters: dict[str, Any]) -> Rows:
        rows: Rows = self._lake.read(name, parameters).to_pylist()
        return rows


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _finding(check: str, expected: str, rows: Rows) -> Finding:
    if not rows:
        return Finding(check, True, expected)
    details = "; ".join(
        f"{row['what']} in {row['rows']} rows, first {row['first_example']}" for row in rows
    )
    return Finding(check, False, f"expected that {expected}, but not so: {details}")


def _split_findings(rows: Rows) -> Iterable[Finding]:
    for row in rows:
        if row["is_rule"]:
            yield Finding("split", not row["rows"], f"{row['rule']} ({row['rows']} exceptions)")
        else:
            yield Finding("split", None, f"{row['rule']}: {row['rows']}")
