"""Healthy when the Prefect server in PREFECT_API_URL answers; exit code 0 or 1."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request


def answers(api_url: str, seconds: float = 10) -> bool:
    """Whether the server says that it is healthy. Its health needs no credentials."""
    if not api_url.startswith(("http://", "https://")):
        return False
    try:
        with urllib.request.urlopen(f"{api_url}/health", timeout=seconds) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError):
        return False


if __name__ == "__main__":
    sys.exit(0 if answers(os.environ.get("PREFECT_API_URL", "http://127.0.0.1:4200/api")) else 1)
