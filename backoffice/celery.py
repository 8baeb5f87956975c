"""Celery as doorbell: its tasks make workers look at the outbox and carry no content.

No result, no eta and no retry of its own; a lost or doubled task changes nothing, because the
outbox rows are the truth and a claim is exclusive. Start workers by `celery -A backoffice worker`; every one of them
keeps the clock (`notifications/worker/clock.py`), so Celery's own is not needed.
"""

import logging.config
import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backoffice.settings")

from django.conf import settings

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
    worker_redirect_stdouts=False,
    worker_prefetch_multiplier=1,
    timezone=settings.TIME_ZONE,
    # Workers once were started with `--beat`: that goes on working, and has nothing to do.
    beat_schedule_filename=str(settings.VAR_DIR / "celerybeat-schedule"),
)
app.autodiscover_tasks(["notifications.worker"])


@setup_logging.connect  # type: ignore[untyped-decorator]
def _log_like_the_others(**_options: Any) -> None:
    """Keep Celery from installing its own log handlers and format."""
    logging.captureWarnings(True)
    logging.config.dictConfig(settings.LOGGING)
