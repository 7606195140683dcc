# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A forward proxy for HTTP and HTTPS that prints the host and port of each request.

logging_proxy.py PORT
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from urllib.parse import urlsplit


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, version = head.split(b"\r\n")[0].decode().split(" ")
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        port = parts.port or 80
        print(method, f"{parts.hostname}:{port}", flush=True)
        there = await asyncio.open_connection(parts.hostname, port)
    except (OSError, ValueError, asyncio.IncompleteReadError) as error:
        print("refused:", error, flush=True)
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()
        return
    if method == "CONNECT":
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    else:
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        rest = head.partition(b"\r\n")[2]
        # One request for each connection.
        there[1].write(f"{method} {path} {version}\r\nConnection: close\r\n".encode() + rest)
    await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    async with server:
        await server.serve_forever()


asyncio.run(main())
