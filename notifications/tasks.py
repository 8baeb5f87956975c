"""The tasks of the Celery worker: mail and calls apart, so that neither waits for the other."""

from backoffice.celery import app

from . import dispatch


@app.task(name="notifications.tasks.deliver_due")
def deliver_due() -> None:
    """Send the mail that is due now; several workers may do so at the same time."""
    dispatch.deliver_mail(dispatch.Tally(), routines=True)


@app.task(name="notifications.tasks.call_due")
def call_due() -> None:
    """Make the calls that are due now, and announce failures whose mail is due."""
    dispatch.deliver_calls(dispatch.Tally())
