"""Dependency audit: known vulnerabilities of the pinned releases, by pip-audit, from OSV.

Exit code 1 for a vulnerability. What could not be asked about is said; with --strict it is exit
code 2.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

OSV = "https://api.osv.dev/v1/query"


def main(words: list[str] | None = None) -> int:
    """Ask about every pin of a file with hashes, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pins", type=Path)
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--osv-url", default=OSV)
    given = parser.parse_args(words)
    options = ["--require-hashes", "--disable-pip", "--progress-spinner", "off", "--timeout", "10"]
    service = ["--vulnerability-service", "osv", "--osv-url", given.osv_url, "--format", "json"]
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "pip_audit", "-r", str(given.pins), *options, *service],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        asked: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][-300:]
        print(
            f"dependency audit: NOT DONE, the database of vulnerabilities at {given.osv_url} could "
            f"not be asked ({reason}). Run `make audit` where it can be reached."
        )
        return 2 if given.strict else 0
    skipped = [f"{one['name']}: {one['skip_reason']}" for one in asked if "skip_reason" in one]
    found = [
        f"{one['name']} {one['version']}: {vuln['id']}, corrected in "
        f"{', '.join(vuln['fix_versions']) or 'no release yet'}"
        for one in asked
        for vuln in one.get("vulns", ())
    ]
    for line in (*skipped, *found):
        print(f"dependency audit: {line}")
    print(
        f"dependency audit: {len(asked) - len(skipped)} of {len(asked)} releases asked about, "
        f"{len(found)} known vulnerabilities"
    )
    return 1 if found else 2 if skipped and given.strict else 0


if __name__ == "__main__":
    sys.exit(main())
