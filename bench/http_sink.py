"""An HTTP server that takes every POST and keeps nothing; as cheap as it gets.

Listens on many loopback addresses, so that callers see many endpoints. Prints its port, then serves
until killed. Addresses from `--hang` on take the request and never answer.
"""

import argparse
import asyncio
from functools import partial

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nOK"


async def serve(hangs: bool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.partition(b":")[2])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            )
            await reader.readexactly(length)
            if hangs:
                await asyncio.sleep(3600)
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main(endpoints: int, hanging: int) -> None:
    first = await asyncio.start_server(partial(serve, False), "127.0.0.1", 0, backlog=1024)
    port = first.sockets[0].getsockname()[1]
    servers = [first]
    for number in range(2, endpoints + 1):
        hangs = number > endpoints - hanging
        servers.append(await asyncio.start_server(partial(serve, hangs), f"127.0.0.{number}", port, backlog=1024))
    print(port, flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=int, default=20)
    parser.add_argument("--hanging", type=int, default=0)
    chosen = parser.parse_args()
    asyncio.run(main(chosen.endpoints, chosen.hanging))
