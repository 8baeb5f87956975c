"""A process that has loaded the product and forks its commands, so that each of hundreds starts at once.

Orders come as JSON lines on standard input, answers go out the same way:
    {"run": ["deliver", "--watch"], "stdout": PATH, "stderr": PATH, "stdin": PATH?, "settings": {…}?, "die": {…}?} → {"pid": 12}
    {"poll": 12} → {"code": null | number}

A command is a `manage.py` command, or `gunicorn …`, or `celery …`.
"""

import ctypes
import importlib
import json
import os
import signal
import sys
from datetime import timedelta
from typing import Any, NoReturn

# module → name → value: times that are constants of the product.
SHORTENED: dict[str, dict[str, Any]] = {
    "notifications.outbox.mail_results": {"UNKNOWN_WAIT": timedelta(seconds=2)},
    "notifications.outbox.breakers": {"PROBE_SECONDS": 1},
    "notifications.outbox.transports.smtp": {
        "COMMAND_SECONDS": 3.0, "DATA_SECONDS": 3.0, "CONTENT_SECONDS": 3.0, "ANSWER_SECONDS": 4.0,
    },
    "notifications.outbox.mail_worker": {"REOPEN_SECONDS": 2.0, "GRACE_SECONDS": 6.0},
    "notifications.worker.loop": {"NOTICE_SECONDS": 1.0, "DATABASE_SECONDS": 1.0},
    "notifications.worker.clock": {"RING_SECONDS": 2.0},
    "notifications.worker.supervisor": {"RESTART_SECONDS": 0.5},
    "notifications.outbox.signs": {"BEAT_SECONDS": 1.0, "SILENT_SECONDS": 8},
}  # fmt: skip


def _load() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.faults.settings"
    import django

    django.setup()
    for name in ("backoffice.urls", "notifications.worker.tasks", "backoffice.wsgi", "gunicorn.app.wsgiapp"):
        importlib.import_module(name)
    for name, values in SHORTENED.items():
        module = importlib.import_module(name)
        for key, value in values.items():
            assert hasattr(module, key), f"{name}.{key}"
            setattr(module, key, value)
    from django.db import connections

    connections.close_all()


def _run(order: dict[str, Any]) -> NoReturn:
    """The child: it is the command, until its end."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 = PR_SET_PDEATHSIG: nothing outlives the laboratory
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stdin = os.open(order.get("stdin") or os.devnull, os.O_RDONLY)
    os.dup2(stdin, 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), number)
    # The orders of the laboratory are none of the command's business.
    sys.stdin = os.fdopen(0, "r")
    code = 1
    try:
        _prepare(order)
        code = _command(order["run"])
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _prepare(order: dict[str, Any]) -> None:
    from django.conf import settings

    for name, value in order.get("settings", {}).items():
        setattr(settings, name, value)
    if order.get("die"):
        from tests.faults import dying

        dying.install(**order["die"])


def _command(words: list[str]) -> int:
    if words[0] == "gunicorn":
        from gunicorn.app.wsgiapp import run

        sys.argv = words
        run()
        return 0
    if words[0] == "celery":
        from celery.bin.celery import main

        sys.argv = words
        main()
        return 0
    from django.core.management import execute_from_command_line

    sys.argv = ["manage.py", *words]
    execute_from_command_line(sys.argv)
    return 0


def main() -> None:
    _load()
    answers = os.fdopen(os.dup(1), "w")
    codes: dict[int, int] = {}

    def answer(document: dict[str, Any]) -> None:
        answers.write(json.dumps(document) + "\n")
        answers.flush()

    answer({"ready": True})
    for line in sys.stdin:
        order = json.loads(line)
        if "run" in order:
            pid = os.fork()
            if pid == 0:
                _run(order)
            answer({"pid": pid})
            continue
        pid = order["poll"]
        if pid not in codes:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                codes[pid] = os.waitstatus_to_exitcode(status)
        answer({"code": codes.get(pid)})


if __name__ == "__main__":
    main()
