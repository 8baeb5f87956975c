"""Settings that are wrong, and were right before."""

import base64
import subprocess
import sys

from tests.faults.laboratory import ROOT, Laboratory
from tests.faults.registry import fault


def _command(lab: Laboratory, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command as an operator starts it, with other settings."""
    return subprocess.run(
        [sys.executable, "manage.py", *words], env={**lab.environment, **variables}, cwd=ROOT, capture_output=True, text=True
    )  # fmt: skip


# 32 bytes, in base64.
OTHER_KEY = "other:" + base64.b64encode(b"another-field-key-of-32-bytes-00").decode()


@fault("the field key is another one: `status`, readiness and the check say so", quick=True)
def _field_key(lab: Laboratory) -> None:
    lab.publish(2)
    told = _command(lab, "status", FIELD_ENCRYPTION_KEYS=OTHER_KEY)
    assert told.returncode == 1 and "field_key" in told.stdout, told.stdout + told.stderr
    checked = _command(lab, "check", "--deploy", FIELD_ENCRYPTION_KEYS=OTHER_KEY)
    assert checked.returncode != 0 and "backoffice.field_key" in checked.stderr, checked.stderr
    lab.worker()
    lab.settled()


@fault("the sender is no address: the worker does not start, and says why")
def _sender(lab: Laboratory) -> None:
    lab.publish(4)
    refused = lab.run("deliver", "--watch", settings={"DEFAULT_FROM_EMAIL": "Lumière, SAS <team@lab.example>"})
    assert refused.poll() and "DEFAULT_FROM_EMAIL" in refused.log
    lab.worker()
    lab.settled()


@fault("the mail server has no such name, then is mended")
def _no_host(lab: Laboratory) -> None:
    lab.publish(4)
    wrong = lab.worker(settings={"EMAIL_HOST": "no-such-host.invalid"})
    lab.until(lambda: lab.errors(), "not told")
    wrong.kill_all()
    lab.worker()
    lab.settled()


@fault("a mail backend that is no module, then is mended")
def _no_backend(lab: Laboratory) -> None:
    lab.publish(4)
    wrong = lab.worker(settings={"EMAIL_BACKEND": "no.such.Backend"})
    lab.until(lambda: lab.errors(), "not told")
    wrong.kill_all()
    lab.worker()
    lab.settled()


@fault("BASE_URL is no address: the start is refused by name")
def _base_url(lab: Laboratory) -> None:
    refused = _command(lab, "check", BASE_URL="backoffice")
    assert refused.returncode != 0 and "BASE_URL" in refused.stderr
    lab.publish(1)
    lab.worker()
    lab.settled()


@fault("EMAIL_URL is no address: the start is refused by name")
def _email_url(lab: Laboratory) -> None:
    refused = _command(lab, "check", EMAIL_URL="smtp://127.0.0.1:no")
    assert refused.returncode != 0 and "EMAIL_URL" in refused.stderr, refused.stderr[-300:]
    lab.publish(1)
    lab.worker()
    lab.settled()


@fault("SMTP_CONNECTIONS beyond what the server takes")
def _connections(lab: Laboratory) -> None:
    lab.smtp.choose = lambda step, line: "421 4.7.0 too many" if step == "GREETING" and lab.smtp._open > 2 else None
    lab.smtp.after = {"END": 0.02}
    lab.publish(60)
    lab.worker(settings={"SMTP_CONNECTIONS": 50})
    lab.settled(60)


@fault("the broker of the settings does not exist: accepting and sending go on", quick=True)
def _no_broker(lab: Laboratory) -> None:
    lab.publish(2)
    process = lab.run("status", "--format", "json", settings={"CELERY_BROKER_URL": "amqp://guest@127.0.0.1:9//"})
    assert '"broker"' in process.output
    lab.worker(settings={"CELERY_BROKER_URL": "amqp://guest@127.0.0.1:9//"})
    lab.settled()


@fault("everything is paused by hand: it waits, is told, and goes on")
def _paused(lab: Laboratory) -> None:
    lab.worker()
    lab.run("pause", "--reason", "laboratory")
    lab.publish(5)
    lab.until(lambda: lab.count().waiting == 5, "it does not wait")
    assert not lab.smtp.mails
    lab.run("resume", "--all")
    lab.settled()
