"""Mail servers that refuse, hang up, dawdle and talk nonsense."""

from tests.faults.laboratory import Laboratory
from tests.faults.registry import fault
from tests.odd_smtp import DROP, SILENCE
from tests.ports import free_port

UNKNOWN = "connection lost or time-out after the message had left whole"


def _mails(lab: Laboratory, count: int = 8) -> None:
    lab.publish(count)


def _over(lab: Laboratory, step: str, times: int = 2) -> None:
    """Wait until the fault was met, end it, and wait for what follows."""
    lab.until(lambda: lab.smtp.steps[step] >= times, f"{step} was not reached {times} times")
    lab.smtp.replies.clear()
    lab.smtp.after.clear()
    lab.settled()


@fault("451 to RCPT for a while", quick=True)
def _rcpt_451(lab: Laboratory) -> None:
    lab.smtp.replies = {"RCPT": "451 4.3.0 later"}
    _mails(lab)
    lab.worker()
    _over(lab, "RCPT", 8)


@fault("550 to RCPT: the recipient is unknown", may_die=True, quick=True)
def _rcpt_550(lab: Laboratory) -> None:
    lab.smtp.replies = {"RCPT": "550 5.1.1 unknown"}
    _mails(lab)
    lab.worker()
    lab.settled()
    assert not lab.smtp.mails
    assert "5.1.1 unknown" in lab.errors()


@fault("552 after the final dot: the message is refused", may_die=True)
def _end_552(lab: Laboratory) -> None:
    lab.smtp.choose = lambda step, line: "552 5.3.4 too big" if step == "END" else None
    _mails(lab, 4)
    lab.worker()
    lab.settled()
    assert "5.3.4 too big" in lab.errors()
    # What the server read and refused has not arrived.
    lab.smtp.mails.clear()


@fault("452 after the final dot for a while")
def _end_452(lab: Laboratory) -> None:
    # What the server refused it has not taken: only the copies that come later count.
    lab.smtp.replies = {"END": "452 4.2.2 full"}
    _mails(lab)
    lab.worker()
    lab.until(lambda: lab.smtp.steps["END"] >= 4, "no message was refused")
    lab.smtp.replies.clear()
    refused = lab.smtp.steps["END"]
    lab.settled()
    del lab.smtp.mails[:refused]
    if lab.count().arrived < 8:
        # One more was under way when the server changed its mind.
        raise AssertionError("a message was refused and not sent again")


@fault("554 as greeting", quick=True)
def _greeting_554(lab: Laboratory) -> None:
    lab.smtp.replies = {"GREETING": "554 5.7.1 no"}
    _mails(lab)
    lab.worker()
    lab.until(lambda: "breaker" in lab.problems() or "settings" in lab.problems(), "nobody is told")
    _over(lab, "GREETING")


@fault("550 to EHLO and HELO")
def _ehlo_550(lab: Laboratory) -> None:
    lab.smtp.replies = {"EHLO": "550 5.5.4 go away"}
    _mails(lab)
    lab.worker()
    _over(lab, "EHLO", 3)


@fault("550 to MAIL FROM: our sender is refused", quick=True)
def _mail_550(lab: Laboratory) -> None:
    lab.smtp.replies = {"MAIL": "550 5.1.8 sender refused"}
    _mails(lab)
    lab.worker()
    _over(lab, "MAIL", 6)


@fault("421 to every second MAIL")
def _mail_421(lab: Laboratory) -> None:
    lab.smtp.choose = lambda step, line: "421 4.7.0 enough" if step == "MAIL" and lab.smtp.steps["MAIL"] % 2 else None
    _mails(lab)
    lab.worker()
    lab.settled()


@fault("421 as greeting beyond one connection")
def _one_connection(lab: Laboratory) -> None:
    lab.smtp.choose = lambda step, line: "421 4.7.0 too many" if step == "GREETING" and lab.smtp._open > 1 else None
    lab.smtp.after = {"END": 0.05}
    _mails(lab, 24)
    lab.worker()
    lab.settled()


@fault("the connection is lost at MAIL")
def _drop_mail(lab: Laboratory) -> None:
    lab.smtp.replies = {"MAIL": DROP}
    _mails(lab)
    lab.worker()
    _over(lab, "MAIL", 3)


@fault("the connection is lost at DATA")
def _drop_data(lab: Laboratory) -> None:
    lab.smtp.replies = {"DATA": DROP}
    _mails(lab)
    lab.worker()
    _over(lab, "DATA", 3)


@fault("the connection is lost after the final dot", window=UNKNOWN, quick=True)
def _drop_end(lab: Laboratory) -> None:
    lab.smtp.replies = {"END": [DROP] * 4 + ["250 2.0.0 ok"]}
    _mails(lab)
    lab.worker()
    lab.settled()
    assert "no answer to the message" in lab.replies(), lab.replies()


@fault("no answer after the final dot", window=UNKNOWN)
def _silent_end(lab: Laboratory) -> None:
    lab.smtp.replies = {"END": [SILENCE, SILENCE, "250 2.0.0 ok"]}
    _mails(lab, 4)
    lab.worker()
    lab.settled()


@fault("an answer after the final dot that takes longer than a lease", quick=True)
def _slow_end(lab: Laboratory) -> None:
    # Leases of the laboratory last six seconds, and the answer is awaited for four: here the lease is the shorter one.
    lab.smtp.after = {"END": 2.6}
    _mails(lab, 3)
    lab.worker(settings={"DELIVERY_LEASE_SECONDS": 2})
    lab.worker(settings={"DELIVERY_LEASE_SECONDS": 2})
    lab.settled()


@fault("every answer of the dialogue takes a second")
def _slow_all(lab: Laboratory) -> None:
    lab.smtp.after = dict.fromkeys(("GREETING", "EHLO", "MAIL", "RCPT", "DATA", "END"), 1.0)
    _mails(lab, 3)
    lab.worker(settings={"DELIVERY_LEASE_SECONDS": 2})
    lab.worker(settings={"DELIVERY_LEASE_SECONDS": 2})
    lab.settled()


@fault("connections are taken and no word is said")
def _silent_greeting(lab: Laboratory) -> None:
    lab.smtp.replies = {"GREETING": SILENCE}
    _mails(lab, 4)
    lab.worker()
    _over(lab, "GREETING", 2)


@fault("no answer to RCPT")
def _silent_rcpt(lab: Laboratory) -> None:
    lab.smtp.replies = {"RCPT": SILENCE}
    _mails(lab, 4)
    lab.worker()
    _over(lab, "RCPT", 2)


@fault("a web server listens at EMAIL_URL")
def _http(lab: Laboratory) -> None:
    lab.smtp.replies = {"GREETING": "HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n<html>"}
    _mails(lab)
    lab.worker()
    _over(lab, "GREETING")


@fault("nonsense in answer to RCPT")
def _nonsense_rcpt(lab: Laboratory) -> None:
    lab.smtp.replies = {"RCPT": "what?"}
    _mails(lab)
    lab.worker()
    _over(lab, "RCPT", 2)


@fault("nonsense and NUL in answer to the message", window=UNKNOWN)
def _nonsense_end(lab: Laboratory) -> None:
    lab.smtp.replies = {"END": ["\x00\x01 yes", "999 maybe", "250 2.0.0 ok"]}
    _mails(lab, 4)
    lab.worker()
    lab.settled()


@fault("nobody listens for a while", quick=True)
def _nobody(lab: Laboratory) -> None:
    _mails(lab)
    closed = lab.worker(settings={"EMAIL_PORT": free_port()})
    lab.until(lambda: "EMAIL_URL" in lab.errors() or "refused" in lab.errors(), "the refusal is not recorded")
    assert lab.problems() & {"settings", "breaker"}, "nobody is told"
    closed.kill_all()
    lab.worker()
    lab.settled()


@fault("every new connection is closed at once, for a while")
def _deaf(lab: Laboratory) -> None:
    lab.smtp.is_deaf = True
    _mails(lab)
    lab.worker()
    lab.until(lambda: lab.smtp.connections >= 3, "no connection was tried")
    lab.smtp.is_deaf = False
    lab.settled()


@fault("the log-in is refused")
def _auth_535(lab: Laboratory) -> None:
    lab.smtp.replies = {"EHLO": "250-odd\r\n250 AUTH PLAIN", "AUTH": "535 5.7.8 wrong"}
    _mails(lab)
    lab.worker(settings={"EMAIL_HOST_USER": "lab", "EMAIL_HOST_PASSWORD": "lab"})
    lab.until(lambda: lab.smtp.steps["AUTH"] >= 2, "no log-in was tried")
    lab.smtp.replies = {"EHLO": "250-odd\r\n250 AUTH PLAIN"}
    lab.settled()


@fault("STARTTLS is offered and fails")
def _starttls(lab: Laboratory) -> None:
    lab.smtp.replies = {"EHLO": "250-odd\r\n250 STARTTLS", "STAR": "454 4.7.0 not now"}
    _mails(lab, 4)
    broken = lab.worker(settings={"EMAIL_USE_TLS": True})
    lab.until(lambda: lab.smtp.steps["STAR"] >= 2, "STARTTLS was not tried")
    broken.kill_all()
    lab.smtp.replies.clear()
    lab.worker()
    lab.settled()


@fault("a server without PIPELINING and 8BITMIME")
def _plain_server(lab: Laboratory) -> None:
    lab.smtp.replies = {"EHLO": "250 odd"}
    _mails(lab)
    lab.worker()
    lab.settled()


@fault("20,000 bytes of answer, in hundreds of lines")
def _long_answer(lab: Laboratory) -> None:
    lab.smtp.replies = {"END": "\r\n".join(["250-" + "x" * 60] * 300 + ["250 2.0.0 ok"])}
    _mails(lab, 4)
    lab.worker()
    lab.settled()


@fault("the connection is lost at every RSET, QUIT and after every message")
def _drop_between(lab: Laboratory) -> None:
    lab.smtp.choose = lambda step, line: (
        DROP if step in ("RSET", "QUIT") or step == "MAIL" and lab.smtp.steps[step] % 3 == 0 else None
    )
    _mails(lab, 12)
    lab.worker()
    lab.settled()
