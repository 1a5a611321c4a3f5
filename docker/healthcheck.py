"""Healthy when a part answers for itself; exit code 0 or 1.

    healthcheck.py URL              the address answers with 200
    healthcheck.py URL --auth       so it does to the credentials in PREFECT_API_AUTH_STRING, or in
                                    PREFECT_SERVER_API_AUTH_STRING
    healthcheck.py ... --end-after N    at the Nth failure in a row end the container's processes

Docker restarts a container that ends, not one that is unhealthy: hence the last.
"""

from __future__ import annotations

import argparse
import base64
import os
import signal
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

DEFAULT = os.environ.get("PREFECT_API_URL", "http://127.0.0.1:4200/api") + "/health"
FAILURES = Path(tempfile.gettempdir()) / "newsvane-healthcheck"


def answers(url: str, credentials: str = "", seconds: float = 10) -> bool:
    """Whether the address answers with 200, to USER:PASSWORD if given."""
    if not url.startswith(("http://", "https://")):
        return False
    request = urllib.request.Request(url)  # noqa: S310 - http alone, see above
    if credentials:
        token = base64.b64encode(credentials.encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def failures_in_a_row(healthy: bool, file: Path = FAILURES) -> int:
    """How many times in a row it has failed, this time included; counted in a file."""
    if healthy:
        file.unlink(missing_ok=True)
        return 0
    before = file.read_text(encoding="ascii") if file.exists() else "0"
    count = int(before) + 1 if before.isdigit() else 1
    file.write_text(str(count), encoding="ascii")
    return count


def in_container(first: Path = Path("/proc/1/comm")) -> bool:
    """Whether this runs in a container of ours, whose first process is tini."""
    return first.is_file() and first.read_text(encoding="utf-8").strip() == "tini"


def main() -> int:
    """Ask, count, and end the container when it has failed too often."""
    parser = argparse.ArgumentParser(description="Whether a part of Newsvane answers for itself.")
    parser.add_argument("url", nargs="?", default=DEFAULT)
    parser.add_argument("--auth", action="store_true")
    parser.add_argument("--end-after", type=int, default=0, metavar="N")
    given = parser.parse_args()
    names = ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING")
    credentials = next(filter(None, map(os.environ.get, names)), "") if given.auth else ""
    healthy = answers(given.url, credentials)
    failures = failures_in_a_row(healthy)
    if given.end_after and failures >= given.end_after and in_container():
        FAILURES.unlink(missing_ok=True)
        # All but the container's first process, which ends when what it started has.
        os.kill(-1, signal.SIGKILL)
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
