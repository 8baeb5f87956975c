"""Who may read the content of a message: its text, its HTML, its files.

A message about a shop is read by whoever sees the shop. A message of the company as a whole may name any shop
or account; it is read in full only by those who see all that it names. The others have its line in the journal, with
a sentence instead of the content.
"""

from collections.abc import Iterable

from companies.models import Membership
from companies.rights import access
from companies.rights import readers as account_readers
from notifications.checks.findings import Finding
from notifications.consistency import reports as consistency_reports
from notifications.models import Delivery

# Written by the platform for all companies at once: it knows nothing of any.
_FOR_EVERYBODY = ("platform_incident", "newsletter")


def may_read(membership: Membership, delivery: Delivery) -> bool:
    """Whether a user who sees a delivery may read what its message says, and send it again.

    Args:
        delivery: one of `readers.deliveries_for`, with `message` and `event` loaded.
    """
    return bool(readable(membership, [delivery]))


def readable(membership: Membership, deliveries: Iterable[Delivery]) -> list[Delivery]:
    """Those of many that a user may read, as `may_read`; what is hidden from the user is asked for once."""
    hidden: list[tuple[str, str]] | None = None
    kept = []
    for delivery in deliveries:
        verdict = _by_itself(membership, delivery)
        if verdict is None:
            hidden = _hidden_shops(membership) if hidden is None else hidden
            verdict = not _names_any(delivery, hidden)
        if verdict:
            kept.append(delivery)
    return kept


def _by_itself(membership: Membership, delivery: Delivery) -> bool | None:
    """The answer where it does not depend on the content of the message; None where it does."""
    if delivery.shop_id is not None or delivery.message_id is None or delivery.notification in _FOR_EVERYBODY:
        return True
    if delivery.notification == "consistency_report":
        told = delivery.event.data.get("errors")
        if not isinstance(told, list):
            return account_readers.sees_everything(membership)
        return consistency_reports.may_be_read_whole(map(Finding.from_json, told), membership)
    return True if access.sees_all_shops(membership) else None


def _hidden_shops(membership: Membership) -> list[tuple[str, str]]:
    """Identifier and name of the shops that the user does not see."""
    hidden = account_readers.shops_named(membership.company).exclude(pk__in=access.shops_of(membership).values("pk"))
    return list(hidden.values_list("site_id", "name"))


def _names_any(delivery: Delivery, shops: list[tuple[str, str]]) -> bool:
    """Whether one of the shops stands in the message, by name or identifier."""
    assert delivery.message
    said = "\n".join((delivery.message.subject, delivery.message.text, delivery.message.html))
    return any(site_id in said or name in said for site_id, name in shops)
