"""Notices about mails of ours: which delivery one is about, whether it is to be believed, what it changes."""

import uuid
from collections.abc import Iterator

from django.db.models import QuerySet

from notifications.core import bounce_notices
from notifications.core.bounce_notices import Action, Notice, Report
from notifications.core.catalogue import Channel
from notifications.health import recording
from notifications.health.recording import Noted, Refusal
from notifications.mail import emails, return_paths
from notifications.models import AddressSign, Delivery


def note(raw: bytes, *, recipient: str = "") -> Noted:
    """Read one notice and record what it says; garbage and any other mail is ignored.

    Args:
        recipient: the envelope address it was sent to, where the server tells it.
    """
    notice = bounce_notices.read(raw)
    noted = Noted()
    for delivery, report in _believed(notice, recipient):
        refusal = Refusal(
            delivery,
            delivery.sent_at or delivery.created_at,
            report.code,
            report.words,
            AddressSign.Via.NOTICE,
            is_delay=report.action == Action.DELAYED,
        )
        noted.add(recording.note_refusal(refusal))
    if not noted.deliveries:
        noted.ignored = 1
    return noted


def _believed(notice: Notice, recipient: str) -> Iterator[tuple[Delivery, Report]]:
    """The authenticated deliveries that a notice reports a problem of, one report each.

    With `BOUNCE_ADDRESS` only a return path that we signed counts; without it, an identifier of ours counts where the
    notice names the recipient of that mail.
    """
    troubles = [report for report in notice.reports if report.action in bounce_notices.TROUBLES]
    if not troubles:
        return
    for delivery in _deliveries(_keys(notice, recipient)):
        mine = [report for report in troubles if delivery.normalised_address in report.recipients]
        if return_paths.is_on():
            # A mailbox that forwards names where it forwarded to.
            mine = mine or troubles
        if mine:
            yield delivery, _gravest(mine)


def _keys(notice: Notice, recipient: str) -> set[uuid.UUID]:
    if return_paths.is_on():
        signed = map(return_paths.read, [recipient, *notice.envelope])
        return {key for key in signed if key is not None}
    host = emails.domain().lower()
    ours = [key for key, at in notice.message_ids if at == host]
    return {uuid.UUID(hex=key) for key in (*notice.deliveries, *ours)}


def _deliveries(keys: set[uuid.UUID]) -> QuerySet[Delivery]:
    return Delivery.objects.filter(pk__in=keys, channel=Channel.EMAIL).order_by("created_at", "pk")


def _gravest(reports: list[Report]) -> Report:
    return min(reports, key=lambda report: report.action == Action.DELAYED)
