"""Prefect's server behind a list of names: `python -m flows.platform.api_server`.

Prefect asks for credentials by itself and knows which origins it answers (environment.py). It does
not look at the name it is called by, so that a page whose own name was pointed at this machine
(DNS rebinding) would share its origin.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
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


class _Temporary(subprocess.Popen[bytes]):
    """The server of one command. It hears no SIGTERM, but the end of the command, by its stdin.

    A service manager sends SIGTERM to all processes of a command at once. Without its server the
    command would try for minutes to tell of its own end; and one that was killed left its server.
    """

    def terminate(self) -> None:
        """Ask it to end, as its command does when it ends itself."""
        self.send_signal(signal.SIGINT)


def guard_temporary_server() -> None:
    """Have the server that Prefect starts for the length of a command check its names, too.

    Prefect offers no way to choose that command, so its private method is replaced; a test holds
    the pinned release to it.
    """
    from prefect.server.api.server import SubprocessASGIServer
    from prefect.settings import get_current_settings

    def start(server: SubprocessASGIServer) -> subprocess.Popen[bytes]:
        current = get_current_settings()
        chosen = current.to_environment_variables(exclude_unset=True)
        own = {
            "PREFECT_UI_ENABLED": "0",
            "PREFECT__SERVER_EPHEMERAL": "1",
            "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
        }
        words = ["--host", "127.0.0.1", "--port", str(server.port), "--of-a-command"]
        current.home.mkdir(parents=True, exist_ok=True)
        # Not the command's terminal, which may be somebody else's before the server has ended.
        with (current.home / COMMAND_LOG).open("ab") as log:
            return _Temporary(
                [sys.executable, "-m", "flows.platform.api_server", *words, *_LOOPBACK],
                env={**os.environ, **chosen, **own},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the command alone
            )

    SubprocessASGIServer._run_uvicorn_command = start  # type: ignore[method-assign, assignment]


COMMAND_LOG = "command-server.log"
"""Below Prefect's home: what the servers of single commands had to say."""
_LOOPBACK = ("--name=127.0.0.1", "--name=localhost")


def _end_with_command() -> None:
    """Hear no SIGTERM from now on, and end when the command that holds our stdin does."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def wait() -> None:
        while os.read(0, 64):  # not sys.stdin: its lock would be held when Python ends
            pass
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    """Read the command line and serve until interrupted."""
    parser = argparse.ArgumentParser(description="Prefect's server, for requests by these names.")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--name", action="append", required=True, help="May be given repeatedly.")
    parser.add_argument("--of-a-command", action="store_true", help="End with what started it.")
    given = parser.parse_args()
    if given.of_a_command:
        _end_with_command()
    serve_api(given.host, given.port, given.name)


if __name__ == "__main__":
    main()
