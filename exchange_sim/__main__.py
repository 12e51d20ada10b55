"""Runs the simulated exchange as a process: `python -m exchange_sim --port 8099`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import ssl
import sys
from contextlib import suppress
from pathlib import Path

import orjson
import uvloop

from exchange_sim.catalogue import STANDARD_MARKETS, open_markets
from exchange_sim.exchange import Exchange
from exchange_sim.frames import Playback
from exchange_sim.market_life import MarketLife
from exchange_sim.rate_limits import DEFAULT_POINTS_PER_MINUTE, RateLimits
from exchange_sim.recording import frames_of, read_recording
from exchange_sim.server import SimServer

DEFAULT_PORT = 8099
# The ledger only grows and holds no cycles: collecting rarely keeps pauses out of what a bench measures.
GARBAGE_THRESHOLDS = (50_000, 50, 100)


def main() -> None:
    """Parse the command line and serve until SIGTERM or SIGINT."""
    arguments = read_arguments(sys.argv[1:])
    with suppress(KeyboardInterrupt):
        uvloop.run(serve(arguments))


def read_arguments(words: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="exchange_sim", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 takes any free port")
    parser.add_argument("--recording", type=Path, help="start this recording's market from it")
    parser.add_argument("--speed", type=float, default=1.0, help="how many times as fast frames and life go")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--points-per-minute", type=int, default=DEFAULT_POINTS_PER_MINUTE)
    parser.add_argument("--markets", type=int, default=STANDARD_MARKETS)
    parser.add_argument("--ready-file", type=Path, help="gets the address once the exchange listens")
    parser.add_argument("--tls-cert", type=Path, help="serve https and wss with this certificate, PEM")
    parser.add_argument("--tls-key", type=Path, help="its private key, PEM")
    parser.add_argument(
        "--accounts", type=Path, help="open these accounts: a JSON list of what POST /_sim/accounts takes"
    )
    parser.add_argument("--still", action="store_true", help="no trades and no moves but those of clients")
    arguments = parser.parse_args(words)
    if (arguments.tls_cert is None) != (arguments.tls_key is None):
        parser.error("--tls-cert and --tls-key: expected both or neither")
    return arguments


async def serve(arguments: argparse.Namespace) -> None:
    """Open the markets, listen, say so, and wait for a signal."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    exchange = Exchange(seed=arguments.seed)
    open_markets(exchange, arguments.markets, arguments.recording)
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    server = SimServer(exchange, RateLimits(arguments.points_per_minute))
    if arguments.accounts is not None:
        for account in orjson.loads(arguments.accounts.read_bytes()):
            server.admin.add_account(account)
    tls = tls_context(arguments)
    port = await server.start(arguments.host, arguments.port, tls)
    announce(f"http{'s' if tls else ''}://{arguments.host}:{port}", arguments.ready_file)
    lives = start_lives(exchange, arguments)
    await stopped.wait()
    for life in lives:
        life.cancel()
    await server.stop()


def tls_context(arguments: argparse.Namespace) -> ssl.SSLContext | None:
    """Return what to serve TLS with, or None for plaintext."""
    if arguments.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.tls_cert, arguments.tls_key)
    return context


def start_lives(exchange: Exchange, arguments: argparse.Namespace) -> list[asyncio.Task[None]]:
    """Play the recording's frames into its market, and let the other markets live, unless they are to be still."""
    recording = {} if arguments.recording is None else read_recording(arguments.recording)
    frames = frames_of(recording)
    spared = [str(recording["market"])] if frames else []
    lives = [asyncio.create_task(Playback(exchange, frames, arguments.speed).run())] if frames else []
    if not arguments.still:
        lives.append(asyncio.create_task(MarketLife(exchange, arguments.seed, spared).run(arguments.speed)))
    return lives


def announce(address: str, ready_file: Path | None) -> None:
    """Tell on standard output, and in a file that appears whole, where the exchange listens."""
    if ready_file is not None:
        partial = ready_file.with_suffix(".partial")
        partial.write_text(address + "\n")
        partial.replace(ready_file)
    sys.stdout.write(f"exchange_sim listening on {address}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
