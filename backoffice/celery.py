"""Celery as doorbell and clock: it says *when* to look at the outbox, never *what* to send.

No result, no eta and no retry of its own; a lost or doubled task changes nothing, because the
outbox rows are the truth and a claim is exclusive. Start a worker with its clock by
`celery -A backoffice worker --beat`; further machines go without `--beat`.
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backoffice.settings")

from django.conf import settings

CLOCK_SECONDS = 15

app = Celery("backoffice", broker=settings.CELERY_BROKER_URL or None)
app.conf.update(
    broker_connection_timeout=1.5,
    # A worker waits for its broker as long as it takes, a web request not at all.
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={"max_retries": 0, "socket_connect_timeout": 1.5, "socket_timeout": 5},
    task_publish_retry=False,
    task_ignore_result=True,
    task_default_queue="backoffice-outbox",
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
    worker_prefetch_multiplier=1,
    timezone=settings.TIME_ZONE,
    beat_schedule_filename=str(settings.VAR_DIR / "celerybeat-schedule"),
    beat_schedule={
        "look-at-the-outbox": {
            "task": "notifications.tasks.deliver_due",
            "schedule": CLOCK_SECONDS,
            "options": {"expires": CLOCK_SECONDS},
        },
        "look-at-the-calls": {
            "task": "notifications.tasks.call_due",
            "schedule": CLOCK_SECONDS,
            "options": {"expires": CLOCK_SECONDS},
        },
    },
)
app.autodiscover_tasks(["notifications"])
