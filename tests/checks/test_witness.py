"""Hazard of a record its owner can rewrite: predictions made better, and the chain made anew.

NEWSVANE_REWRITES=100 tries a hundred rewrites instead of ten.
"""

from __future__ import annotations

import copy
import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tasks.checks.integrity import seal, verify
from tasks.checks.witness.git import GitWitness
from tasks.checks.witness.spec import Witness, WitnessError, WitnessSpec
from tasks.checks.witness.web import HttpWitness
from tasks.checks.witness.witnesses import compare, deposit, witness_of
from tests.builders.command_line import Newsvane
from tests.builders.rows import append
from tests.builders.warehouse import OpenLake
from tests.builders.witnesses import (
    Endpoint,
    appending_endpoint,
    bare_repository,
    git,
    time_stamping,
)
from warehouse.lake import Lake
from warehouse.storage.landing import Landing

REWRITES = int(os.environ.get("NEWSVANE_REWRITES", "10"))
FIRST = datetime(2024, 1, 8, 12, tzinfo=UTC)
DAYS, A_DAY = 4, 3
EVER = 100_000.0
"""Days: the authority of the tests signs the machine's time, and their days lie in the past."""

History = list[list[dict[str, Any]]]


def _history() -> History:
    return [[_prediction(f"p{day}{n}", day, 0.4 + n / 10) for n in range(A_DAY)]
            for day in range(DAYS)]  # fmt: skip


def _prediction(name: str, day: int, p_up: float) -> dict[str, Any]:
    at = FIRST + timedelta(days=day)
    return {
        "prediction_id": name, "kind": "forward", "predictor": "fine_tuned", "model_id": "m1",
        "spec_id": "s1", "example_id": f"e-{name}", "ticker": "AAPL", "session": at.date(),
        "decision_ts": at, "p_up": p_up, "predicted_at": at, "headline_ids": ["h1"],
        "input_sha256": "ab",
    }  # fmt: skip


def _sealed_at(day: int) -> datetime:
    return FIRST + timedelta(days=day, hours=1)


def _live(lake: Lake, history: History, witnesses: dict[str, Witness] | None = None) -> None:
    """Days as the daily job leaves them: predictions, a seal over them, a deposit."""
    for day, rows in enumerate(history):
        append(lake, "predictions", rows)
        seal(lake, now=_sealed_at(day))
        for one in deposit(lake, witnesses or {}, now=_sealed_at(day)):
            assert one.sound, one.words


@dataclass(frozen=True)
class Deposited:
    """A history that was lived, in its warehouse, and the witnesses that have copies of it."""

    lake: Lake
    witnesses: dict[str, Witness]


@pytest.fixture(scope="module")
def deposited(tmp_path_factory: pytest.TempPathFactory, open_lake: OpenLake) -> Iterator[Deposited]:
    """Four days deposited with a git remote, an endpoint and a time-stamping authority."""
    pytest.importorskip("rfc3161_client", reason="needs `make install` after the last lock")
    root = tmp_path_factory.mktemp("witnessed")
    with ExitStack() as stack:
        endpoint = stack.enter_context(appending_endpoint())
        authority = stack.enter_context(time_stamping(root / "tsa"))
        specs = {
            "remote": WitnessSpec(kind="git", url=str(bare_repository(root))),
            "endpoint": WitnessSpec(kind="http", url=endpoint.url),
            "stamps": WitnessSpec(
                kind="rfc3161", url=authority.url, certificates=authority.root, latest=EVER
            ),
        }
        witnesses = {name: witness_of(name, spec, root) for name, spec in specs.items()}
        lake = stack.enter_context(open_lake(root / "own"))
        _live(lake, _history(), witnesses)
        yield Deposited(lake, witnesses)


def _changed(history: History, rng: np.random.Generator) -> int:
    """A call that went wrong made right."""
    day, place = int(rng.integers(DAYS)), int(rng.integers(A_DAY))
    history[day][place]["p_up"] = float(rng.random())
    return day


def _deleted(history: History, rng: np.random.Generator) -> int:
    day = int(rng.integers(DAYS))
    del history[day][int(rng.integers(A_DAY))]
    return day


def _inserted(history: History, rng: np.random.Generator) -> int:
    """A prediction that nobody made, with a date from before its outcome."""
    day = int(rng.integers(DAYS))
    history[day].append(_prediction(f"new{rng.integers(10**6)}", day, float(rng.random())))
    return day


def _backdated(history: History, rng: np.random.Generator) -> int:
    day, place = int(rng.integers(DAYS)), int(rng.integers(A_DAY))
    history[day][place]["predicted_at"] -= timedelta(minutes=int(rng.integers(1, 50)))
    return day


def _attributed(history: History, rng: np.random.Generator) -> int:
    """A good day given to another model."""
    day = int(rng.integers(DAYS))
    for row in history[day]:
        row["model_id"] = "m2"
    return day


def _shortened(history: History, rng: np.random.Generator) -> int:
    """The bad end of it left out."""
    day = int(rng.integers(1, DAYS))
    del history[day:]
    return day


def _renewed(history: History, rng: np.random.Generator) -> int:
    """Everything anew."""
    for row in (row for rows in history for row in rows):
        row["p_up"] = float(rng.random())
    return 0


KINDS = (_changed, _deleted, _inserted, _backdated, _attributed, _shortened, _renewed)


@pytest.mark.parametrize("number", range(REWRITES))
def test_rewritten_warehouse_is_caught_from_every_witness_copy(
    deposited: Deposited, open_lake: OpenLake, tmp_path: Path, number: int
) -> None:
    """Whoever rewrites all of it, chain included, has a sound warehouse and no witness for it."""
    rng, history = np.random.default_rng(number), copy.deepcopy(_history())
    day = KINDS[number % len(KINDS)](history, rng)
    with open_lake(tmp_path) as lake:
        _live(lake, history)
        report = verify(lake, Landing(tmp_path / "landing"))
        assert report.sound, report.words  # the chain was recomputed with our own code
        for one in compare(lake, deposited.witnesses):
            assert not one.sound, one.words
            assert f"link {day + 1}: from this link on the chain is not the one deposi" in one.words


def test_nothing_more_is_deposited_with_a_witness_of_another_chain(
    deposited: Deposited, open_lake: OpenLake, tmp_path: Path
) -> None:
    """Its copies are the evidence."""
    history = _history()
    history[1][0]["p_up"] = 0.99
    with open_lake(tmp_path) as lake:
        _live(lake, [*history, [_prediction("p40", DAYS, 0.5)]])
        for one in deposit(lake, deposited.witnesses, now=_sealed_at(DAYS + 1)):
            assert not one.sound
            assert "Nothing more is deposited" in one.words
            assert "prediction p10: is not as it was deposited" in one.words
        assert lake.sql("FROM deposits").num_rows == 0
    assert {len(one.kept().copies) for one in deposited.witnesses.values()} == {DAYS}


def test_the_same_history_lived_again_is_no_alarm(
    deposited: Deposited, open_lake: OpenLake, tmp_path: Path
) -> None:
    with open_lake(tmp_path) as lake:
        _live(lake, _history())
        for one in compare(lake, deposited.witnesses):
            assert one.sound, one.words
            assert f"up to link {DAYS}, sealed 2024-01-11 13:00 UTC, with 12 predic" in one.words


def test_deposits_are_recorded_and_nothing_is_deposited_twice(deposited: Deposited) -> None:
    lake = deposited.lake
    counted = lake.sql("SELECT witness, count(*) AS n FROM deposits GROUP BY ALL ORDER BY ALL")
    assert counted.to_pylist() == [
        {"witness": name, "n": DAYS} for name in ("endpoint", "remote", "stamps")
    ]
    snapshot = lake.snapshot_id()
    for one in deposit(lake, deposited.witnesses, now=_sealed_at(DAYS)):
        assert one.words.endswith(f"holds the chain up to link {DAYS} already.")
    assert lake.snapshot_id() == snapshot
    stamps = deposited.witnesses["stamps"].kept().copies
    assert all(one.at is not None and one.at.year >= 2026 for one in stamps)


def test_a_prediction_altered_behind_the_chain_is_named_too(
    deposited: Deposited, open_lake: OpenLake, tmp_path: Path
) -> None:
    with open_lake(tmp_path) as lake:
        _live(lake, _history())
        table = lake.sql("FROM predictions WHERE prediction_id = 'p11'")
        place = table.column_names.index("p_up")
        altered = table.set_column(place, "p_up", [[0.99]])
        lake.transact(lambda tx: tx.upsert("predictions", altered, ("prediction_id",)))
        for one in compare(lake, deposited.witnesses):
            assert "prediction p11: is not as it was deposited" in one.words


def test_silent_witness_keeps_nobody_else_from_a_deposit_and_gets_all_next_time(
    lake: Lake, tmp_path: Path, endpoint: Endpoint
) -> None:
    witnesses: dict[str, Witness] = {
        "endpoint": HttpWitness(WitnessSpec(kind="http", url=endpoint.url)),
        "remote": GitWitness(WitnessSpec(kind="git", url=str(bare_repository(tmp_path)))),
    }
    for one in compare(lake, witnesses):
        assert not one.sound
        assert "Nothing is deposited with" in one.words
    endpoint.status = 503
    for day, rows in enumerate(_history()[:2]):
        append(lake, "predictions", rows)
        seal(lake, now=_sealed_at(day))
        failed, done = deposit(lake, witnesses, now=_sealed_at(day))
        assert (failed.sound, done.sound) == (False, True)
        assert "answered with status 503" in failed.words
    assert "could not be asked" in compare(lake, witnesses)[0].words
    endpoint.status = None
    assert all(one.sound for one in deposit(lake, witnesses, now=_sealed_at(2)))
    (document,) = map(json.loads, endpoint.documents)
    assert [link["seal_no"] for link in document["links"]] == [1, 2]
    assert all(one.sound for one in compare(lake, witnesses))
    endpoint.documents.clear()
    assert "copies are missing there" in compare(lake, witnesses)[0].words


def test_endpoint_that_takes_and_does_not_keep_is_no_witness(
    lake: Lake, endpoint: Endpoint
) -> None:
    endpoint.forgetful = True
    append(lake, "predictions", _history()[0])
    seal(lake, now=_sealed_at(0))
    witnesses = {"endpoint": HttpWitness(WitnessSpec(kind="http", url=endpoint.url))}
    (one,) = deposit(lake, witnesses, now=_sealed_at(0))
    assert "does not give it back" in one.words
    for foreign in (b"17", b'{"format":"other"}'):
        endpoint.documents[:] = [foreign]
        assert "is no deposit of this program" in compare(lake, witnesses)[0].words


def test_copies_changed_at_the_remote_are_named(lake: Lake, tmp_path: Path) -> None:
    """Who may push may also add commits; what a file was first stays in the history."""
    remote = bare_repository(tmp_path)
    witnesses = {"remote": GitWitness(WitnessSpec(kind="git", url=str(remote)))}
    _live(lake, _history()[:2], dict(witnesses))
    git(tmp_path, "clone", "--quiet", "--branch", "main", str(remote), "other")
    path = tmp_path / "other" / "deposits" / "00000001.json"
    path.write_text(path.read_text().replace('"p_up":0.4', '"p_up":0.9'))
    git(path.parent, "commit", "--quiet", "-a", "-m", "better")
    git(path.parent, "push", "--quiet", "origin", "HEAD:main")
    (one,) = compare(lake, witnesses)
    assert "deposits/00000001.json was changed or removed there by commit" in one.words
    assert "is not as it was deposited" not in one.words


def test_time_stamp_holds_for_its_document_its_roots_and_its_time_alone(
    lake: Lake, tmp_path: Path
) -> None:
    pytest.importorskip("rfc3161_client", reason="needs `make install` after the last lock")
    with time_stamping(tmp_path / "tsa") as authority, time_stamping(tmp_path / "other") as other:
        spec = WitnessSpec(
            kind="rfc3161", url=authority.url, certificates=authority.root, latest=EVER
        )
        _live(lake, _history()[:1], {"stamps": witness_of("stamps", spec, tmp_path)})

        def said(*, sound: bool = False, **changes: Any) -> str:
            changed = spec.model_copy(update=changes)
            (one,) = compare(lake, {"stamps": witness_of("stamps", changed, tmp_path)})
            assert one.sound is sound
            return one.words

        assert "the first of them since" in said(sound=True)
        assert "days after its head says it was sealed" in said(latest=7.0)
        assert "the time stamp does not hold" in said(certificates=other.root)
        foreign = spec.model_copy(update={"url": other.url})
        append(lake, "predictions", _history()[1])
        seal(lake, now=_sealed_at(1))
        (one,) = deposit(lake, {"stamps": witness_of("stamps", foreign, tmp_path)}, now=FIRST)
        assert "took no deposit: the time stamp does not hold" in one.words
        path = tmp_path / "witness" / "stamps" / "00000001.json"
        path.write_bytes(path.read_bytes().replace(b'"p_up":0.4', b'"p_up":0.9'))
        assert "Mismatch between messages" in said()


def test_remote_that_hangs_is_left_after_its_time(lake: Lake) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"git://127.0.0.1:{silent.getsockname()[1]}/chain"
        spec = WitnessSpec(kind="git", url=url, timeout=0.5)
        with pytest.raises(WitnessError, match=r"did not end within 0\.5 s"):
            GitWitness(spec).kept()


@pytest.mark.parametrize("url", ["ssh://git@git.example/chain.git", "git@git.example:chain.git"])
def test_user_of_an_ssh_address_is_no_secret(url: str) -> None:
    assert WitnessSpec(kind="git", url=url).url == url


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"kind": "git", "url": "https://me:hunter2hunter2@git.example/chain"}, "spells a secret"),
        ({"kind": "git", "url": "ssh://me:hunter2hunter2@git.example/chain"}, "spells a secret"),
        ({"kind": "git", "url": "https://hunter2hunter2@git.example/chain"}, "spells a secret"),
        ({"kind": "git", "url": "https://${TOKEN}@git.example/chain"}, "credential helper"),
        ({"kind": "git", "url": "--upload-pack=touch /tmp/x"}, "git clone"),
        ({"kind": "git", "url": "x", "branch": "--force"}, "branch"),
        ({"kind": "http", "url": "ftp://host/chain"}, "http or https"),
        ({"kind": "http", "url": "https://host/?token=hunter2hunter2"}, "spells a secret"),
        ({"kind": "http", "url": "https://host/", "token": "hunter2hunter2"}, "reference"),
        ({"kind": "rfc3161", "url": "https://tsa.example"}, "certificates"),
    ],
)
def test_unusable_witness_is_refused_without_its_secret(wrong: dict[str, str], why: str) -> None:
    with pytest.raises(ValidationError, match=why) as refused:
        WitnessSpec.model_validate(wrong)
    told = "; ".join(error["msg"] for error in refused.value.errors())
    assert "hunter2" not in told


def test_dangerous_transport_is_refused(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    spec = WitnessSpec(kind="git", url=f"ext::sh -c touch% {touched}")
    with pytest.raises(WitnessError, match="transport 'ext' not allowed"):
        GitWitness(spec).kept()
    assert not touched.exists()


def test_token_is_sent_and_never_said(
    lake: Lake, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = WitnessSpec(
        kind="http", url=f"{endpoint.url}?key=${{WITNESS_KEY}}", token="${WITNESS_TOKEN}"
    )
    assert "WITNESS_KEY" in _said(lake, spec)
    monkeypatch.setenv("WITNESS_KEY", "first-secret-value")
    assert "WITNESS_TOKEN" in _said(lake, spec)
    monkeypatch.setenv("WITNESS_TOKEN", "second-secret-value")
    endpoint.status = 500
    words = _said(lake, spec)
    assert "status 500" in words
    assert "secret-value" not in words
    assert endpoint.tokens[-1] == "Bearer second-secret-value"
    endpoint.shutdown()
    endpoint.server_close()
    assert "secret-value" not in _said(lake, spec)


def _said(lake: Lake, spec: WitnessSpec) -> str:
    (one,) = compare(lake, {"endpoint": HttpWitness(spec)})
    assert not one.sound
    return one.words


def test_command_says_what_is_wrong_by_its_exit_code(
    newsvane: Newsvane, tmp_path: Path, endpoint: Endpoint, open_lake: OpenLake
) -> None:
    with open_lake(tmp_path / "data") as lake:
        _live(lake, _history()[:1])
    none = newsvane("verify", "--witness")
    assert none.returncode == 2
    assert "No witness is configured" in none.stderr
    configured = ("--set", "witness.far.kind=http", "--set", f"witness.far.url={endpoint.url}")
    nothing = newsvane(*configured, "verify", "--witness")
    assert (nothing.returncode, "Nothing is deposited with far" in nothing.stdout) == (1, True)
    with open_lake(tmp_path / "data") as lake:
        far = {"far": HttpWitness(WitnessSpec(kind="http", url=endpoint.url))}
        assert all(one.sound for one in deposit(lake, far, now=_sealed_at(1)))
    sound = newsvane(*configured, "verify", "--witness")
    assert sound.returncode == 0, sound.stdout + sound.stderr
    assert "far holds the same chain up to link 1" in sound.stdout
    endpoint.status = 503
    silent = newsvane(*configured, "verify", "--witness")
    assert (silent.returncode, "far could not be asked" in silent.stdout) == (1, True)
    assert newsvane("verify").returncode == 0


@pytest.mark.usefixtures("prefect_runs")
def test_failed_deposit_is_an_alarm_and_spoils_no_run(
    tmp_path: Path, endpoint: Endpoint, open_lake: OpenLake
) -> None:
    from prefect import flow
    from prefect.client.orchestration import get_client

    from flows.operations import deposit_without_delay
    from flows.platform.notifications import TAG
    from flows.settings import load_settings

    with open_lake(tmp_path / "data") as lake:
        _live(lake, _history()[:1])
    overrides = (f"data_root={tmp_path / 'data'}", "witness.far.kind=http")
    settings = load_settings(overrides=(*overrides, f"witness.far.url={endpoint.url}"))

    @flow(name="day")
    def day() -> date:
        deposit_without_delay(settings)
        return FIRST.date()

    endpoint.status = 503
    assert day() == FIRST.date()
    with get_client(sync_client=True) as client:
        (failed,) = [run for run in client.read_flow_runs() if TAG in run.tags]
    assert failed.state_name == "Failed"
    assert "status 503" in str(failed.state and failed.state.message)
    endpoint.status = None
    assert day() == FIRST.date()
    assert len(endpoint.documents) == 1
