"""Misfortunes of a morning: what befalls a job, and what a supervisor does about it by itself."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from sandbox.faults import Fault, FaultKind
from sandbox.messages import CHART_PATH, Answer, Request
from tests.builders.warehouse import held_by_another_program
from tests.ingest.spoiled import HOSTILE, nodes, replaced
from tests.operations.lives import Circumstances, Life, Spoil
from warehouse.lake.identity import MARK, is_restoring
from warehouse.ops.backup import verify_backup

Misfortune = Callable[[Life, datetime, random.Random], None]

TICKERS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
FEEDS = "feeds.finance.yahoo.com"
SEARCH = "news.google.com"
OF_ANSWERS: tuple[FaultKind, ...] = (
    "rate_limited", "server_error", "reset_mid_body", "html_page", "truncated", "redirect_metadata",
    "redirect_loop", "gzip_bomb",
)  # fmt: skip
OF_BARS: tuple[FaultKind, ...] = (
    "partial_frame", "nan_last_row", "jump_100x", "zero_price", "negative_price", "infinite_price",
    "high_below_low", "empty_frame",
)  # fmt: skip
OF_FEEDS: tuple[FaultKind, ...] = (*OF_ANSWERS, "huge_feed", "entity_bomb", "external_entity")


def backup_killed(life: Life, at: datetime, chance: random.Random) -> None:
    """The backup is killed, and made again; what was there before is whole in between."""
    folder = life.root.with_name(f"{life.root.name}-backup")
    with life.attempt("backup", at, folder) as attempt:
        attempt.work_until(chance.random())
        attempt.kill()
    if (folder / "backup.json").exists():
        verify_backup(folder)
    life.completed("backup", at, folder)


def disk_lost(life: Life, at: datetime, chance: random.Random) -> None:
    """Catalog, data files and payloads are gone; their restore is killed, and goes on."""
    folder = life.root.with_name(f"{life.root.name}-backup")
    life.completed("backup", at, folder)
    for path in (*life.root.glob("catalog.sqlite*"), life.root / "lake", life.root / "landing"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with life.attempt("restore", at, folder) as attempt:
        attempt.work_until(chance.random())
        attempt.kill()
    if not (life.root / "catalog.sqlite").exists() or _is_unfinished(life.root):
        life.completed("restore", at, folder)


def _is_unfinished(root: Path) -> bool:
    marks = ((root / place / MARK).read_text() for place in ("lake", "landing"))
    return any(map(is_restoring, marks))


def server_dies(life: Life, at: datetime, chance: random.Random) -> None:
    """The Prefect server is killed under a run, and started again."""
    with life.attempt("daily", at) as attempt:
        attempt.work_until(chance.random())
        life.server.die()
        life.kills += 1
        life.server.start()
        attempt.ended_well()


def power_cut(life: Life, at: datetime, chance: random.Random) -> None:
    """Run and server are killed at once; the server is started again."""
    with life.attempt("daily", at) as attempt:
        attempt.work_until(chance.random())
        attempt.kill()
        life.server.die()
        life.kills += 1
        life.server.start()


def bars_spoiled(life: Life, at: datetime, chance: random.Random) -> None:
    """One ticker's answer cannot be used, or some of its bars cannot."""
    kind, ticker = chance.choice((*OF_ANSWERS, *OF_BARS)), chance.choice(TICKERS)
    fault = Fault(kind=kind, ticker=ticker, path=CHART_PATH)
    with life.attempt("daily", at, faults=(fault,)) as attempt:
        attempt.finished()


def answer_odd(life: Life, at: datetime, chance: random.Random) -> None:
    """One value of one ticker's answer is of a kind, or a size, that does not belong there."""
    with life.attempt("daily", at, spoil=_odd_value(chance.choice(TICKERS), chance)) as attempt:
        attempt.finished()


def _odd_value(ticker: str, chance: random.Random) -> Spoil:
    seed, name = chance.random(), chance.choice(sorted(HOSTILE))

    def spoil(request: Request, answer: Answer) -> Answer:
        if not request.is_chart or ticker not in request.tickers or answer.status != 200:
            return answer
        document = json.loads(answer.body)
        path = random.Random(seed).choice(list(nodes(document)))
        body = json.dumps(replaced(document, path, HOSTILE[name])).encode()
        return replace(answer, body=body)

    return spoil


def feed_spoiled(life: Life, at: datetime, chance: random.Random) -> None:
    """The answers of one feed cannot be used."""
    fault = Fault(kind=chance.choice(OF_FEEDS), host=chance.choice((FEEDS, SEARCH)))
    with life.attempt("daily", at, faults=(fault,)) as attempt:
        attempt.finished()


def vendors_gone(life: Life, at: datetime, chance: random.Random) -> None:
    """Nobody outside answers."""
    with life.attempt("daily", at, faults=(Fault(kind="server_error"),)) as attempt:
        attempt.ended_well()


def catalog_held(life: Life, at: datetime, chance: random.Random) -> None:
    """Another program holds the catalog for some seconds of the run."""
    with life.attempt("daily", at) as attempt:
        attempt.work_until(chance.random())
        with held_by_another_program(life.root / "catalog.sqlite", chance.uniform(1, 8)):
            attempt.ended_well()


def disk_full(life: Life, at: datetime, chance: random.Random) -> None:
    """No file may grow beyond a size; the run ends, however it does."""
    limits = Circumstances(largest_file=int(10 ** chance.uniform(3, 6.5)))
    with life.attempt("daily", at, circumstances=limits) as attempt:
        attempt.work_until(2.0)
        attempt.kill()  # it would try again after a minute, and the disk would be as full


def surroundings_odd(life: Life, at: datetime, chance: random.Random) -> None:
    """No home, another zone, another language, files for the owner alone."""
    odd: dict[str, str | None] = {
        "HOME": None,
        "TZ": chance.choice(("Pacific/Kiritimati", "America/St_Johns", "Nowhere/Land")),
        "LC_ALL": "C",
        "LANG": "tr_TR.UTF-8",
        "PYTHONUTF8": "0",
    }
    with life.attempt("daily", at, circumstances=Circumstances(odd, umask=0o077)) as attempt:
        attempt.finished()


def clock_back(life: Life, at: datetime, chance: random.Random) -> None:
    """The machine's clock, and with it the job's, goes back a day."""
    with life.attempt("daily", at - timedelta(days=1)) as attempt:
        attempt.ended_well()


OF_THE_MACHINE: tuple[Misfortune, ...] = (
    backup_killed, disk_lost, server_dies, power_cut, catalog_held, disk_full, surroundings_odd,
    clock_back,
)  # fmt: skip
OF_THE_VENDORS: tuple[Misfortune, ...] = (bars_spoiled, answer_odd, feed_spoiled, vendors_gone)
SHORT_SIGHTED = frozenset({*OF_THE_VENDORS, disk_full, catalog_held, clock_back})
"""In their runs less may be known than there is, so that what is predicted may rest on less."""
