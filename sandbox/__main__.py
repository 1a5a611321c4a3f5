"""`python -m sandbox`: serve a market on loopback until interrupted."""

from __future__ import annotations

import argparse
import threading
from datetime import UTC, date, datetime

from sandbox.market import bokeh_market, synthetic_market
from sandbox.newswire import NewsSpec
from sandbox.vendor import SandboxVendor


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8765, help="0 picks a free one")
    parser.add_argument("--mode", choices=("null", "planted"), default="null")
    parser.add_argument("--strength", type=float, default=0.6)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--tickers", type=int, default=0, help="a made-up market of this size")
    parser.add_argument("--start", type=date.fromisoformat, default=date(2014, 1, 1))
    parser.add_argument("--end", type=date.fromisoformat, default=date(2023, 12, 31))
    parser.add_argument(
        "--now", type=datetime.fromisoformat, help="freeze the vendor's clock (UTC)"
    )
    args = parser.parse_args()
    market = bokeh_market()
    if args.tickers:
        market = synthetic_market(args.tickers, args.start, args.end, args.seed)
    news = NewsSpec(seed=args.seed, mode=args.mode, strength=args.strength)
    frozen = args.now.replace(tzinfo=args.now.tzinfo or UTC) if args.now else None
    vendor = SandboxVendor(market, news, now=lambda: frozen or datetime.now(UTC), port=args.port)
    try:
        with vendor:
            summary = f"{market.name} market with {args.mode} news (synthetic) on {vendor.base_url}"
            print(summary, flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        print("stopped")
    except OSError as error:
        parser.error(f"cannot listen on 127.0.0.1:{args.port} ({error.strerror}); try --port 0")


if __name__ == "__main__":
    main()
