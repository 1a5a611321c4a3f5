"""A git remote as witness: one file a deposit, each added by a commit of its own, never changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.checks.witness.spec import Copy, Kept, WitnessError, WitnessSpec
from tasks.ingest.http.redaction import redacted

FOLDER = "deposits"
_SETTINGS = (
    "user.name=newsvane",
    "user.email=newsvane@localhost",
    "commit.gpgsign=false",
    "core.hooksPath=/dev/null",
    "core.autocrlf=false",
)
_OWN = tuple(word for setting in _SETTINGS for word in ("-c", setting))


class GitWitness:
    """Clones the remote anew each time: nothing that lies here is taken for a witness's copy."""

    def __init__(self, spec: WitnessSpec) -> None:
        self._spec = spec

    def kept(self) -> Kept:
        """The files as their first commits added them; later changes of them are problems."""
        with self._clone() as clone:
            return self._of(clone)

    def store(self, name: str, document: bytes) -> None:
        """Commit one file and push it, without force."""
        with self._clone() as clone:
            path = clone / FOLDER / name
            if path.exists():
                raise WitnessError(f"it already holds {FOLDER}/{name}; deposits are never replaced")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(document)
            self._git(clone, "add", "--", f"{FOLDER}/{name}")
            self._git(clone, "commit", "--quiet", "-m", f"Chain up to link {int(path.stem)}")
            self._git(clone, "push", "--quiet", "origin", f"HEAD:refs/heads/{self._spec.branch}")

    def _of(self, clone: Path) -> Kept:
        if not self._git(clone, "rev-parse", "--verify", "--quiet", "HEAD", allowed=(0, 1)):
            return Kept(())
        log = self._git(
            clone, "log", "--reverse", "--no-renames", "--name-status", "--format=%H", "--", FOLDER
        )
        copies: list[Copy] = []
        problems: list[str] = []
        commit = ""
        for line in log.decode("utf-8", "replace").splitlines():
            status, separator, name = line.partition("\t")
            if not separator:
                commit = line or commit
            elif status == "A" and name not in {copy.name for copy in copies}:
                copies.append(Copy(name, self._git(clone, "show", f"{commit}:{name}")))
            else:
                problems.append(f"{name} was changed or removed there by commit {commit[:12]}")
        return Kept(copies, problems)

    @contextmanager
    def _clone(self) -> Iterator[Path]:
        if shutil.which("git") is None:
            raise WitnessError("there is no program git here; install it, or take another witness")
        with tempfile.TemporaryDirectory(prefix="newsvane-witness-") as folder:
            clone = Path(folder) / "clone"
            self._git(Path(folder), "clone", "--quiet", "--no-tags", "--", self._spec.url, "clone")
            branch, remote = self._spec.branch, f"origin/{self._spec.branch}"
            if self._git(clone, "rev-parse", "--verify", "--quiet", remote, allowed=(0, 1)):
                self._git(clone, "checkout", "--quiet", "-B", branch, remote)
            else:
                self._git(clone, "checkout", "--quiet", "--orphan", branch)
                self._git(clone, "rm", "-r", "-f", "--quiet", "--ignore-unmatch", ".")
            yield clone

    def _git(self, folder: Path, *words: str, allowed: tuple[int, ...] = (0,)) -> bytes:
        try:
            done = subprocess.run(  # noqa: S603 - no shell; the url was checked
                ["git", *_OWN, *words],  # noqa: S607 - the git of the path
                cwd=folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=self._spec.timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise WitnessError(
                f"git {words[0]} did not end within {self._spec.timeout:g} s; expected the remote "
                "to answer. Check that it is up, or raise the witness's timeout."
            ) from error
        if done.returncode not in allowed:
            said = redacted(" ".join(done.stderr.decode("utf-8", "replace").split()))[-300:]
            raise WitnessError(f"git {words[0]} failed: {said or f'exit {done.returncode}'}")
        return done.stdout


def _environment() -> dict[str, str]:
    """The environment less what points git at another repository; it never asks for a password."""
    own = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    ssh = os.environ.get("GIT_SSH_COMMAND", "ssh")
    return own | {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
        "GIT_SSH_COMMAND": f"{ssh} -o BatchMode=yes",
        "LC_ALL": "C",
    }
