"""Endpoints of merchants that refuse, hang, lie and vanish.

A call that was answered by a failure has not arrived: it is made again, on the next quarters of an hour, which are walked here
with `deliver --once --at`.
"""

from datetime import UTC, datetime, timedelta

from tests.endpoints import Behaviour, answers, drips, says
from tests.faults.laboratory import CALL_SHOP, Laboratory
from tests.faults.registry import fault


def _calls(lab: Laboratory, behaviour: Behaviour, count: int = 4) -> None:
    """Let calls meet this endpoint, then mend it, and walk on until they are made again."""
    lab.endpoint.at("/call", behaviour)
    lab.publish(count, CALL_SHOP)
    worker = lab.worker()
    lab.until(_all_tried(lab, count), "not every call was tried")
    worker.kill_all()
    lab.endpoint.behaviours.clear()
    lab.endpoint.requests.clear()
    _walk(lab)


def _all_tried(lab: Laboratory, count: int):  # type: ignore[no-untyped-def]
    return lambda: lab.sql("SELECT COUNT(*) FROM notifications_attempt")[0][0] >= count


def _walk(lab: Laboratory, steps: int = 2) -> None:
    moment = datetime.now(tz=UTC)
    for _step in range(steps):
        moment += timedelta(minutes=25)
        lab.run("deliver", "--once", "--at", moment.isoformat())


@fault("500 for a while", quick=True)
def _500(lab: Laboratory) -> None:
    _calls(lab, answers(500))


@fault("404 for a while")
def _404(lab: Laboratory) -> None:
    _calls(lab, answers(404))


@fault("no answer within the time limit", quick=True)
def _hangs(lab: Laboratory) -> None:
    _calls(lab, says(b"", then="hang"))


@fault("an answer of one byte every ten milliseconds, without end")
def _drips(lab: Laboratory) -> None:
    _calls(lab, drips(b"HTTP/1.1 200 OK\r\n\r\n", b"x"), 2)


@fault("headers without end")
def _headers(lab: Laboratory) -> None:
    _calls(lab, drips(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"b" * 1000 + b"\r\n", every=0), 2)


@fault("the connection is reset in the middle of the answer")
def _reset(lab: Laboratory) -> None:
    _calls(lab, says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", then="reset"))


@fault("the connection is closed without an answer")
def _closed(lab: Laboratory) -> None:
    _calls(lab, says(b""))


@fault("something that is no HTTP answers")
def _no_http(lab: Laboratory) -> None:
    _calls(lab, says(b"220 smtp.example ESMTP\r\n"))


@fault("a redirection to an address inside our network is not followed")
def _redirect(lab: Laboratory) -> None:
    # Under the profile of this rule it is an answer like any other.
    lab.endpoint.at("/call", answers(307, headers={"Location": lab.endpoint.url("/inside")}))
    lab.publish(2, CALL_SHOP)
    lab.worker()
    lab.settled()
    assert not [request for request in lab.endpoint.requests if request.path == "/inside"]


@fault("an answer of 5 MB, compressed into a few bytes")
def _bomb(lab: Laboratory) -> None:
    import gzip

    body = gzip.compress(b"0" * 5_000_000)
    lab.endpoint.at("/call", answers(200, body, headers={"Content-Encoding": "gzip"}))
    lab.publish(3, CALL_SHOP)
    lab.worker()
    lab.settled()


@fault("an endpoint that hangs does not hold up mail")
def _mail_goes_on(lab: Laboratory) -> None:
    lab.endpoint.at("/call", says(b"", then="hang"))
    lab.publish(10, CALL_SHOP)
    worker = lab.worker()
    lab.publish(3)
    lab.arrived(3, 5)
    lab.until(_all_tried(lab, 13), "not every call was tried")
    worker.kill_all()
    lab.endpoint.behaviours.clear()
    lab.endpoint.requests.clear()
    _walk(lab)


@fault("it fails for good: given up after five attempts, with the reason", may_die=True)
def _for_good(lab: Laboratory) -> None:
    lab.endpoint.at("/call", answers(503))
    lab.publish(2, CALL_SHOP)
    _walk(lab, 7)
    assert len(lab.endpoint.requests) == 10, f"{len(lab.endpoint.requests)} calls instead of ten"
    lab.endpoint.requests.clear()
    assert lab.count().dead == 2


@fault(
    "kill -9 of the worker while calls are out",
    window="a worker dies between the endpoint's answer and its record",
    quick=True,
)
def _killed(lab: Laboratory) -> None:
    lab.endpoint.at("/call", answers(200, after=0.3))
    lab.publish(15, CALL_SHOP)
    worker = lab.worker()
    lab.until(lambda: len(lab.endpoint.requests) >= 3, "no call came")
    worker.kill()
    lab.worker()
    lab.settled()
