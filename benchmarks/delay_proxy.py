"""A TCP proxy that lets every byte travel for half a round trip, in both directions.

Usage: ``python benchmarks/delay_proxy.py LISTEN_PORT TARGET_PORT ROUND_TRIP_MS``, on loopback only. Bandwidth is not
limited, and bytes that are under way do not wait for each other. A connection is opened at once, which is half a round
trip too early: the first request of a connection pays one round trip, not two.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

_BACKLOG = 1024
_PIECE = 65536


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """Carry bytes from one side to the other; the end of the stream travels as long as they do."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def arrive() -> None:
        with suppress(OSError):
            while True:
                due, data = await under_way.get()
                if due > loop.time():
                    await asyncio.sleep(due - loop.time())
                if not data:
                    break
                writer.write(data)
        writer.close()

    arriving = asyncio.create_task(arrive())
    data = b" "
    while data:
        try:
            data = await reader.read(_PIECE)
        except OSError:
            data = b""
        under_way.put_nowait((loop.time() + seconds, data))
    await arriving


async def proxy(listen: int, target: int, round_trip: float) -> None:
    """Serve until cancelled; ``round_trip`` in seconds."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(
            _carry(reader, far_writer, round_trip / 2), _carry(far_reader, writer, round_trip / 2)
        )

    server = await asyncio.start_server(accept, "127.0.0.1", listen, backlog=_BACKLOG)
    async with server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(proxy(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000))
