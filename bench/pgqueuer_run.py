"""PgQueuer alone, as its documentation has it, in a process of its own; prints jobs a second: enqueued, and worked off.

Run by `bench.jobs`, with the rivals' folder first on the path.
"""

import asyncio
import sys
import time

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.types import QueueExecutionMode

BATCH = 1000


async def main(url: str, count: int) -> None:
    connection = await asyncpg.connect(url)
    worker = PgQueuer(AsyncpgDriver(connection))
    await worker.qm.queries.install()
    done = 0

    @worker.entrypoint("job")
    async def job(one: Job) -> None:
        nonlocal done
        done += 1

    started = time.perf_counter()
    for _n in range(0, count, BATCH):
        await worker.qm.queries.enqueue(["job"] * BATCH, [None] * BATCH, [0] * BATCH)
    enqueued = time.perf_counter() - started
    started = time.perf_counter()
    await worker.qm.run(batch_size=100, mode=QueueExecutionMode.drain)
    worked = time.perf_counter() - started
    assert done == count, done
    print(count / enqueued, count / worked, flush=True)
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
