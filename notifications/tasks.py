"""The one task of the Celery worker."""

from backoffice.celery import app

from . import dispatch


@app.task(name="notifications.tasks.deliver_due")
def deliver_due() -> None:
    """Send whatever is due now; several workers may do so at the same time."""
    dispatch.deliver_until_idle()
