"""Workers, web servers and commands that are killed, frozen, stopped and orphaned."""

import json
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.faults.laboratory import OTHER_SHOP, Laboratory
from tests.faults.registry import fault

KILLED = "a worker dies between the server's answer and its record; at most 32 mails are out"


@fault("kill -9 of the worker while mails are out, another one goes on", window=KILLED, quick=True)
def _kill_worker(lab: Laboratory) -> None:
    lab.smtp.after = {"END": 0.05}
    lab.publish(40)
    worker = lab.worker()
    lab.worker()
    lab.arrived(5)
    worker.kill()
    lab.settled()


@fault("kill -9 of the only worker, started again", window=KILLED)
def _kill_only(lab: Laboratory) -> None:
    lab.smtp.after = {"END": 0.05}
    lab.publish(40)
    worker = lab.worker()
    lab.arrived(5)
    worker.kill()
    lab.until(lambda: worker.poll() is not None, "it lives")
    lab.worker()
    lab.settled(20)


@fault("SIGTERM while mails are out", quick=True)
def _term(lab: Laboratory) -> None:
    # Slow, so that the signal comes in the middle, however late it is sent.
    lab.smtp.after = {"END": 1.0}
    lab.publish(40)
    worker = lab.worker()
    lab.arrived(5)
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    lab.smtp.after = {}
    left = len(lab.smtp.mails)
    assert left < 40, "it went through the whole queue"
    assert not lab.sql("SELECT 1 FROM notifications_delivery WHERE status = 'sending'"), "something is still leased"
    lab.worker()
    lab.settled()


@fault("a worker is frozen beyond its lease and wakes up again", window=KILLED, quick=True)
def _frozen(lab: Laboratory) -> None:
    lab.smtp.after = {"END": 0.1}
    lab.publish(40)
    frozen = lab.worker(settings={"DELIVERY_LEASE_SECONDS": 2})
    lab.arrived(3)
    frozen.send(signal.SIGSTOP)
    lab.worker(settings={"DELIVERY_LEASE_SECONDS": 2})
    lab.until(lambda: lab.count().waiting == 0, "what it held is not taken over")
    frozen.send(signal.SIGCONT)
    lab.settled()


@fault("kill -9 of one of two processes under one: it is started again", window=KILLED)
def _kill_child(lab: Laboratory) -> None:
    lab.smtp.after = {"END": 0.05}
    lab.publish(40)
    worker = lab.worker("--processes", "2")
    lab.until(lambda: len(lab.sql("SELECT 1 FROM notifications_worker")) >= 4, "two processes do not show themselves")
    names = [str(row[0]) for row in lab.sql("SELECT name FROM notifications_worker WHERE kind = 'mail'")]
    os.kill(int(names[0].rpartition(":")[2].partition("/")[0]), signal.SIGKILL)
    lab.until(lambda: "worker_process_ended" in worker.log, "the end of a process is not logged")
    lab.settled()


@fault("kill -9 of the parent of several worker processes: none is left behind")
def _kill_parent(lab: Laboratory) -> None:
    lab.publish(4)
    worker = lab.worker("--processes", "2")
    lab.until(lambda: len(lab.sql("SELECT 1 FROM notifications_worker")) >= 4, "two processes do not show themselves")
    names = {str(row[0]) for row in lab.sql("SELECT name FROM notifications_worker")}
    pids = {int(name.rpartition(":")[2].partition("/")[0]) for name in names}
    worker.kill()
    lab.until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "a process was left behind")
    lab.worker()
    lab.settled()


@fault("kill -9 of `publish` in the middle of a file")
def _kill_publish(lab: Laboratory) -> None:
    events = lab.events(600)
    file = lab.folder / "many.jsonl"
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    first = lab.start("publish", str(file))
    lab.until(
        lambda: lab.sql("SELECT 1 FROM notifications_delivery LIMIT 1") or first.poll() is not None,
        "nothing is accepted",
    )
    first.kill()
    lab.until(lambda: first.poll() is not None, "it lives")
    again = lab.run("publish", str(file), seconds=120)
    assert "rejected=0" in again.output, again.output
    lab.accepted += [event["id"] for event in events]
    lab.worker()
    lab.settled(180)


@fault("kill -9 of the web server's master: the next one starts on the same port", quick=True)
def _kill_master(lab: Laboratory) -> None:
    master, port = lab.web()
    for event in lab.events(3):
        assert lab.post_event(port, event) in (200, 201, 202)
    master.kill()
    lab.until(lambda: master.poll() is not None, "it lives")
    lab.web(port)
    for event in lab.events(3):
        assert lab.post_event(port, event) in (200, 201, 202)
    lab.worker()
    lab.settled()


@fault("kill -9 of web processes while events come in")
def _kill_web(lab: Laboratory) -> None:
    master, port = lab.web()
    events = lab.events(60)

    def send(some: list[dict[str, object]]) -> None:
        for event in some:
            for _again in range(20):
                if lab.post_event(port, event):
                    break

    threads = [threading.Thread(target=send, args=(events[n::3],)) for n in range(3)]
    for thread in threads:
        thread.start()
    for _time in range(3):
        time.sleep(0.4)
        children = Path(f"/proc/{master.pid}/task/{master.pid}/children").read_text().split()
        with suppress(ProcessLookupError, IndexError):
            os.kill(int(children[0]), signal.SIGKILL)
    for thread in threads:
        thread.join()
    assert len(set(lab.accepted)) == 60, "an event was not accepted in twenty tries"
    lab.worker()
    lab.settled()


@fault("two workers and a hundred mails: none is sent twice", quick=True)
def _two_workers(lab: Laboratory) -> None:
    lab.publish(100)
    for _number in range(2):
        lab.worker()
    lab.settled()


@fault("no worker runs: health and status say so", waits=True)
def _no_worker(lab: Laboratory) -> None:
    lab.publish(2)
    worker = lab.worker(settings={"EMAIL_PORT": 9})
    lab.until(lambda: not lab.problems() & {"worker", "tick"}, "a worker that runs is not seen")
    worker.kill()
    lab.until(lambda: {"worker", "tick"} <= lab.problems(), "nobody is told")


@fault("a mail that makes the composer crash, between others", may_die=True)
def _crashing_mail(lab: Laboratory) -> None:
    lab.publish(3)
    lab.execute(
        "UPDATE notifications_delivery SET address = 'x' WHERE event_id IN"
        " (SELECT id FROM notifications_event WHERE event_id = 'LAB-000002')"
    )
    lab.worker()
    lab.settled(60)
    assert lab.count().arrived >= 2, "a mail that cannot be made stopped the others"


@fault("1,500 mails of a neighbour wait: a single mail goes out before nearly all of them")
def _neighbour(lab: Laboratory) -> None:
    lab.smtp.after = {"END": 0.01}
    lab.publish(1500, OTHER_SHOP)
    lab.worker()
    lab.arrived(20)
    (mine,) = lab.publish(1)
    before = len(lab.smtp.mails)
    lab.until(lambda: any(mine.encode() in raw for raw in list(lab.smtp.mails)), "a single mail does not go out")
    place = next(place for place, raw in enumerate(list(lab.smtp.mails)) if mine.encode() in raw)
    # What had been claimed before it goes before it: a batch or two.
    assert place < before + 450, f"it came as number {place}, after {before}"
    lab.settled(600)
