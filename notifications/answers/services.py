"""Writes about the coverage: accepting a gap until a day, taking that back; remarks of readers of mail."""

from datetime import date, timedelta

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from companies import audit
from companies.audit import Actor
from companies.models import Company
from companies.status import ensure_open
from notifications import settings_facts
from notifications.answers import selectors
from notifications.core import coverage
from notifications.models import AcknowledgedGap, Delivery, MailRemark
from shops.models import Shop

# A gap is looked at again at least once a year.
LONGEST = timedelta(days=366)


@transaction.atomic
def gap_acknowledge(
    *, company: Company, shop: Shop | None, notification: str, until: date, actor: Actor
) -> AcknowledgedGap:
    """Accept that a notification reaches nobody, until a day, that day included; again to choose another day.

    Raises:
        ValidationError: the day is past or too far away, or somebody is told.
        Closed: the company or the shop is closed.
    """
    company = Company.objects.select_for_update().get(pk=company.pk)
    ensure_open(actor=actor, company=company, shop=shop)
    today = timezone.localdate()
    if until < today:
        raise ValidationError({"until": _("Cette date est déjà passée.")})
    if until > today + LONGEST:
        raise ValidationError({"until": _("Choisissez une date dans l'année qui vient.")})
    if not is_gap(company=company, shop=shop, notification=notification):
        raise ValidationError(_("Cette notification atteint quelqu'un, ou est désactivée : il n'y a pas de manque."))
    gap = AcknowledgedGap.objects.filter(company=company, shop=shop, notification=notification).first()
    before = gap.until if gap else None
    if gap is None:
        gap = AcknowledgedGap(company=company, shop=shop, notification=notification)
    elif gap.until == until:
        return gap
    gap.until, gap.acknowledged_by, gap.acknowledged_at = until, actor.label[:200], timezone.now()
    gap.full_clean()
    gap.save()
    changes = {"until": [audit.plain(before), until.isoformat()]}
    audit.record(actor=actor, action="gap.acknowledged", obj=gap, company=company, changes=changes)
    return gap


@transaction.atomic
def gap_reopen(*, company: Company, shop: Shop | None, notification: str, actor: Actor) -> bool:
    """Take an acknowledgement back; False where there is none."""
    company = Company.objects.select_for_update().get(pk=company.pk)
    ensure_open(actor=actor, company=company, shop=shop)
    gap = AcknowledgedGap.objects.filter(company=company, shop=shop, notification=notification).first()
    if gap is None:
        return False
    changes = {"until": [gap.until.isoformat(), None]}
    audit.record(actor=actor, action="gap.reopened", obj=gap, company=company, changes=changes)
    gap.delete()
    return True


def is_gap(*, company: Company, shop: Shop | None, notification: str) -> bool:
    """Whether nobody is told of this now."""
    facts = settings_facts.company_facts(company, shops=[shop] if shop else [], accounts=False)
    key = (notification, shop.site_id if shop else None)
    return any(cell.key == key and cell.is_gap for cell in coverage.coverage(facts).cells)


# --- Remarks of readers ---------------------------------------------------------------------------


def remark_make(*, delivery: Delivery) -> bool:
    """Record that the reader of a mail should not get such messages; False if it was recorded before."""
    if delivery.company_id is None:
        return False
    remark = MailRemark(
        company_id=delivery.company_id,
        shop_id=delivery.shop_id,
        rule_id=delivery.rule_id,
        notification=delivery.notification,
        account=delivery.account,
        source=delivery.resolution.get("source", ""),
        address=delivery.address,
        normalised_address=delivery.normalised_address,
        line_key=selectors.line_key(delivery),
    )
    try:
        # Of two that come at once, the unique key lets one in.
        with transaction.atomic():
            remark.save(force_insert=True)
    except IntegrityError:
        return False
    return True


@transaction.atomic
def remark_close(*, remark: MailRemark, actor: Actor) -> bool:
    """Mark a remark as dealt with; False where it was already."""
    remark = MailRemark.objects.select_for_update().get(pk=remark.pk)
    if remark.closed_at is not None:
        return False
    ensure_open(actor=actor, company=remark.company, shop=remark.shop)
    remark.closed_at, remark.closed_by = timezone.now(), actor.label[:200]
    remark.save(update_fields=["closed_at", "closed_by"])
    audit.record(actor=actor, action="remark.closed", obj=remark, company=remark.company)
    return True
