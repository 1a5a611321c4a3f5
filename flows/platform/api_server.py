"""Prefect's server behind a list of names: `python -m flows.platform.api_server`.

Prefect asks for credentials by itself and knows which origins it answers (environment.py). It does
not look at the name it is called by, so that a page whose own name was pointed at this machine
(DNS rebinding) would share its origin.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


def serve_api(host: str, port: int, names: Sequence[str]) -> None:
    """Serve Prefect's API and UI to requests that call the server by one of `names`."""
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    settings = get_current_settings().server
    uvicorn.run(
        # Around Prefect's application, not in it: its services call it by a name of their own.
        TrustedHostMiddleware(_Unframed(create_app(final=True)), list(names), www_redirect=False),
        host=host,
        port=port,
        log_level=settings.logging_level.lower(),
        timeout_keep_alive=settings.api.keepalive_timeout,
        ws_ping_interval=settings.api.websocket_ping_interval,
        ws_ping_timeout=settings.api.websocket_ping_timeout,
    )


class _Unframed:
    """Forbids other pages to show the UI in a frame, where a click meant for them would hit it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.datastructures import MutableHeaders

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Frame-Options"] = "DENY"
            await send(message)

        await self._app(scope, receive, answer)


def main() -> None:
    """Read the command line and serve until interrupted."""
    parser = argparse.ArgumentParser(description="Prefect's server, for requests by these names.")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--name", action="append", required=True, help="May be given repeatedly.")
    given = parser.parse_args()
    serve_api(given.host, given.port, given.name)


if __name__ == "__main__":
    main()
