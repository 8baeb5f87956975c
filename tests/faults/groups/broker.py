"""The message broker: a doorbell, whose silence may delay and must not lose. Sent by Celery workers."""

import signal
import socket
import time

from tests.faults.laboratory import Laboratory, Running
from tests.faults.registry import fault

KILLED = "a worker dies between the server's answer and its record; at most 32 mails are out"


def _celery(lab: Laboratory) -> Running:
    return lab.start("celery", "--quiet", "-A", "backoffice", "worker", "--concurrency", "1", "--pool", "prefork")


def _broker(lab: Laboratory):  # type: ignore[no-untyped-def]
    return lab.services[lab.broker_kind], lab.gates[lab.broker_kind]


def _restart(lab: Laboratory, seconds: float) -> None:
    """The broker dies while mails wait, and comes back: the clock of workers goes on by itself."""
    broker, _gate = _broker(lab)
    lab.publish(5)
    _celery(lab)
    lab.settled()
    broker.kill()
    time.sleep(seconds)
    lab.publish(5)
    broker.start()
    lab.settled(60)
    lab.publish(3)
    lab.settled(60)


@fault("RabbitMQ is killed and started again at once", broker="rabbitmq")
def _rabbit_short(lab: Laboratory) -> None:
    _restart(lab, 0)


@fault("RabbitMQ is away for 25 seconds", broker="rabbitmq")
def _rabbit_long(lab: Laboratory) -> None:
    _restart(lab, 25)


@fault("Redis as broker is killed and started again", broker="redis")
def _redis_restart(lab: Laboratory) -> None:
    _restart(lab, 5)


@fault("the network to the broker is cut", broker="redis")
def _cut(lab: Laboratory) -> None:
    _broker_kind, gate = _broker(lab)
    lab.publish(3)
    _celery(lab)
    lab.settled()
    gate.is_open = False
    gate.cut()
    lab.publish(3)
    assert "broker" in lab.problems() or gate.connections, "nobody is told"
    gate.is_open = True
    lab.settled(60)


@fault("the broker takes connections and says nothing: accepting is not held up", broker="redis", quick=True)
def _silent(lab: Laboratory) -> None:
    broker, _gate = _broker(lab)
    _web, port = lab.web()
    broker.freeze()
    began = time.monotonic()
    for event in lab.events(3):
        assert 200 <= lab.post_event(port, event) < 300
    assert time.monotonic() - began < 60, "events wait for the broker"
    broker.thaw()
    _celery(lab)
    lab.settled(60)


@fault("the broker is gone: health and status name it", broker="redis")
def _gone(lab: Laboratory) -> None:
    broker, gate = _broker(lab)
    _web, port = lab.web()
    lab.publish(2)
    broker.kill()
    gate.refuse()
    status, body = lab.get(port, "/readyz")
    assert status == 200 and "broker" in body, body
    assert "broker" in lab.problems()
    broker.start()
    gate.behave()
    lab.worker()
    lab.settled()


@fault("every task is purged from the queue", broker="redis")
def _purged(lab: Laboratory) -> None:
    broker, _gate = _broker(lab)
    lab.publish(5)
    with socket.create_connection(("127.0.0.1", broker.port)) as link:
        link.sendall(b"FLUSHALL\r\n")
        link.recv(16)
    _celery(lab)
    lab.settled(60)


@fault("kill -9 of a Celery worker and its processes while mails are out", broker="redis", window=KILLED)
def _kill_celery(lab: Laboratory) -> None:
    lab.smtp.after = {"END": 0.05}
    lab.publish(40)
    celery = _celery(lab)
    lab.arrived(5)
    celery.kill_all()
    _celery(lab)
    lab.settled(60)


@fault("SIGTERM to a Celery worker: the mails in hand, not the queue", broker="redis")
def _term_celery(lab: Laboratory) -> None:
    lab.smtp.after = {"END": 0.2}
    lab.publish(100)
    celery = _celery(lab)
    lab.arrived(5)
    celery.send(signal.SIGTERM)
    celery.wait()
    assert len(lab.smtp.mails) < 100, "it went through the whole queue"
    lab.worker()
    lab.settled()


@fault("one of two Celery workers is killed: the other keeps the clock", broker="redis")
def _clock(lab: Laboratory) -> None:
    first, _second = _celery(lab), _celery(lab)
    lab.until(lambda: lab.sql("SELECT 1 FROM notifications_tick"), "no clock ticks")
    first.kill_all()
    lab.publish(5)
    lab.settled(60)
    lab.until(lambda: "tick" not in lab.problems(), "the clock stands still")
