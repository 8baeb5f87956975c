"""An SMTP server that takes everything, keeps nothing and counts; as cheap as it gets.

Prints its port, then serves until killed. `HELP` answers the count.
"""

import argparse
import asyncio

TAKEN = 0
# How long it thinks about each mail.
SECONDS = 0.0


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    global TAKEN
    writer.write(b"220 sink ESMTP\r\n")
    while line := await reader.readline():
        verb = line[:4].upper()
        if verb == b"EHLO":
            writer.write(b"250-sink\r\n250 8BITMIME\r\n")
        elif verb == b"DATA":
            writer.write(b"354 go on\r\n")
            await reader.readuntil(b"\r\n.\r\n")
            if SECONDS:
                await asyncio.sleep(SECONDS)
            TAKEN += 1
            writer.write(b"250 2.0.0 OK queued as S%07d\r\n" % TAKEN)
        elif verb == b"HELP":
            writer.write(b"214 %d\r\n" % TAKEN)
        elif verb == b"QUIT":
            writer.write(b"221 bye\r\n")
            break
        else:
            writer.write(b"250 OK\r\n")
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**24)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.0)
    SECONDS = parser.parse_args().seconds
    asyncio.run(main())
