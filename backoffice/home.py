"""What the home page adds to its three answers: what fails now, what is wrong in the settings, what is left to do.

Each answer costs the same number of queries whatever the size of the company, and says only what
the user may see.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from companies import access, permissions
from companies.models import Membership, Status
from notifications import consistency, consistency_reports, selectors
from notifications.models import CallHealth, Incident
from shops.models import Shop, ShopKey
from shops.orders import selectors as order_selectors

# As many as a card of the page shows; the links lead to all of them.
SHOWN = 4


@dataclass(frozen=True)
class FailingUrl:
    """A notification URL whose every automatic call has failed since a moment."""

    label: str
    shop: str
    mode: str
    since: datetime
    url: str


@dataclass(frozen=True)
class Findings:
    """Errors of the newest consistency report, and when it was made."""

    errors: int
    checked_at: datetime


def failing_urls(membership: Membership) -> list[FailingUrl]:
    """The enabled rules whose calls fail, longest first."""
    rows = (
        CallHealth.objects.filter(
            rule__in=selectors.rules_in(membership).filter(enabled=True).order_by().values("pk"),
            failing_since__isnull=False,
        )
        .select_related("rule__shop")
        .order_by("failing_since", "pk")[:SHOWN]
    )
    found = []
    for row in rows:
        assert row.failing_since
        found.append(
            FailingUrl(
                label=row.rule.display_label,
                shop=row.rule.shop.name,
                mode=row.mode,
                since=row.failing_since,
                url=f"/settings/notification-rules/{row.rule.shop.site_id}/{row.rule.reference}/",
            )
        )
    return found


def unsent_orders(membership: Membership) -> int:
    """How many payment orders wait for a buyer whom their message did not reach."""
    return order_selectors.unsent(membership).count()


def settings_errors(membership: Membership) -> Findings | None:
    """What the newest consistency report holds against the settings; None without errors."""
    report = consistency_reports.latest(membership.company)
    if report is None:
        return None
    seen = consistency_reports.visible(consistency_reports.findings_of(report), membership)
    errors = len(consistency.errors_of(seen))
    return Findings(errors, report.last_checked_at) if errors else None


def running_incidents() -> Sequence[Incident]:
    """The incidents and maintenance of the platform that are not over, newest first."""
    return list(Incident.objects.filter(resolved_at__isnull=True).order_by("-started_at", "-pk")[:SHOWN])


def shops_to_open(membership: Membership) -> list[Shop]:
    """Active shops that do not take real payments yet, for whoever may set them up."""
    keys = ShopKey.objects.filter(kind=ShopKey.Kind.PRODUCTION)
    found = access.shops_of(membership, permissions.EDIT_SETTINGS)
    return list(found.filter(status=Status.ACTIVE).exclude(pk__in=keys.values("shop"))[:SHOWN])
