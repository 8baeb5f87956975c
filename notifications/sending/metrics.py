"""The figures of sending for monitoring, read from the database when they are asked for.

They are the same whichever process answers, and whichever one sends.
"""

from django.db import DatabaseError

from backoffice.base.figures import Measured
from notifications.outbox import parts, signs, state

QUEUE = Measured("bom_queue_deliveries", "Open deliveries.", ["channel", "lane", "state"])
OLDEST = Measured("bom_queue_oldest_seconds", "Age of the oldest open delivery.", ["channel", "lane", "state"])
DEAD = Measured("bom_deliveries_dead_24h", "Deliveries given up within 24 hours.")
WORKERS = Measured("bom_workers", "Processes that send and give signs of life.", ["kind"])
TICK = Measured("bom_tick_age_seconds", "Seconds since the clock of the platform moved; -1: never.")
LEASES = Measured("bom_leases", "Leases that are held, and those of them that have ended.", ["state"])
RATE = Measured("bom_deliveries_per_minute", "What workers did, over the last five minutes.", ["result"])
PAUSED = Measured("bom_pauses", "Pauses by hand.")
BREAKER = Measured("bom_relay_open", "1 while sending waits for this server, which refuses us.", ["relay"])
BOOKED = Measured("bom_limit_booked_seconds", "How long mail over a limit of rate is booked ahead.", ["limit"])
CONNECTIONS = Measured("bom_limit_connections", "Connections in use under a limit of connections.", ["limit"])
PROBLEM = Measured("bom_problem", "1 for each part that needs a person.", ["part"])

_ALL = (QUEUE, OLDEST, DEAD, WORKERS, TICK, LEASES, RATE, PAUSED, BREAKER, BOOKED, CONNECTIONS, PROBLEM)


def measure() -> None:
    """Bring all gauges up to date."""
    for gauge in _ALL:
        gauge.clear()
    problems = parts.foundations()
    try:
        stands = state.now_stands()
    except DatabaseError:
        PROBLEM.set(1, "database")
        return
    problems += parts.of_sending(stands)
    for one in stands.queue:
        QUEUE.set(one.count, one.channel, one.lane, one.state)
        OLDEST.set(one.oldest_seconds, one.channel, one.lane, one.state)
    DEAD.set(sum(stands.dead.values()))
    for kind in signs.KINDS:
        WORKERS.set(sum(worker.kind == kind for worker in stands.working), kind)
    TICK.set(-1 if stands.tick_seconds is None else stands.tick_seconds)
    for name, count in stands.leases.items():
        LEASES.set(count, name)
    for result, rate in stands.per_minute.items():
        RATE.set(rate, result)
    PAUSED.set(len(stands.paused))
    for breaker in stands.breakers:
        if breaker.company is None:
            BREAKER.set(int(breaker.is_open), breaker.relay)
    for limit in stands.limits:
        BOOKED.set(limit.backlog_seconds, limit.name)
        CONNECTIONS.set(limit.connections_in_use, limit.name)
    for problem in problems:
        PROBLEM.set(1, problem.part)
