"""The look-ahead audit: tries to make examples move by changing a future they must not know."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial

from tasks.dataset.build import example_request, split_request
from tasks.dataset.spec.dataset import DatasetSpec
from warehouse.lake import Lake
from warehouse.tables.examples import CountTokens
from warehouse.tables.lookahead import ExampleAudit, Rows

CHECKS = ("gate", "stored", "truncated", "restated", "planted", "split")
AT = "%Y-%m-%d %H:%M UTC"


@dataclass(frozen=True, slots=True)
class _Check:
    """What is to be asked, and the words for the answer hoped for; no rows is that answer."""

    name: str
    good: str
    ask: Callable[[], Rows]


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
            "No example knows the future, as far as these checks can tell."
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
    false news, late edits and retellings around `plants` sampled decisions move none of them.
    `gate`: every row keeps the clock's order, judged from sessions and sources directly.
    `stored`: stored examples equal the derived ones. `split`: the splits do not overlap.
    Writes nothing. `on_check` is told what comes next.
    """
    on_check("deriving the examples")
    audit = ExampleAudit(lake, example_request(spec), seed=seed, count_tokens=count_tokens)
    drawn = audit.moments(moments)
    planned = [
        _Check("gate", "every row keeps the decision clock's order", audit.gate),
        _Check("stored", "stored examples equal what the warehouse gives", audit.stored),
        *(
            _Check(
                "truncated",
                f"known only what was known at {at:{AT}}, every earlier row is the same",
                partial(audit.truncated, at),
            )
            for at in drawn
        ),
        *(
            _Check(
                "restated",
                f"with all bars restated at {at:{AT}}, no earlier input moves",
                partial(audit.restated, at),
            )
            for at in drawn
        ),
        _Check(
            "planted",
            f"false news, edits and retellings at {plants} sampled decisions move none of them",
            partial(audit.planted, plants),
        ),
    ]
    findings = []
    for check in planned:
        if check.name in checks:
            on_check(check.good)
            findings.append(_finding(check.name, check.good, check.ask()))
    if "split" in checks:
        on_check("the splits do not overlap")
        findings.extend(_split_findings(audit.splits(split_request(spec))))
    return AuditReport(spec.spec_id, tuple(findings))


def _finding(check: str, good: str, rows: Rows) -> Finding:
    if not rows:
        return Finding(check, True, good)
    details = "; ".join(
        f"{row['what']} in {row['rows']} rows, first {row['first_example']}" for row in rows
    )
    return Finding(check, False, f"expected that {good}, but not so: {details}")


def _split_findings(rows: Rows) -> Iterable[Finding]:
    for row in rows:
        if row["is_rule"]:
            yield Finding("split", not row["rows"], f"{row['rule']} ({row['rows']} exceptions)")
        else:
            yield Finding("split", None, f"{row['rule']}: {row['rows']}")
