"""Writes of billing: issuing documents, credit notes, uploaded drafts, price lists.

A document takes its number, is drawn, kept and announced in one transaction: a failure anywhere leaves
neither a document nor a hole in the series.
"""

import hashlib
import zoneinfo
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from companies import audit
from companies.audit import Actor
from companies.models import Company, Status
from notifications.attachments import File
from notifications.services import publish
from shops.models import Shop

from . import pdf, pricing, selectors, uploads, words
from .models import BillingDocument, BillingDraft, NumberSeries, PriceItem, PriceList
from .pricing import Bill, Line

_Kind, _Source = BillingDocument.Kind, BillingDocument.Source
PREFIXES = {_Kind.INVOICE: "F", _Kind.CREDIT_NOTE: "A"}
DRAFT_LIFE = timedelta(days=7)


# --- Before issuing -------------------------------------------------------------------------------


def check_period(shop: Shop, start: date, end: date, now: datetime) -> None:
    """Refuse a period that is turned round, too long, or not over yet in the company's time."""
    if end < start:
        raise ValidationError(
            _("La fin de la période (%(end)s) précède son début (%(start)s).")
            % {"start": date_format(start), "end": date_format(end)}
        )
    if (end - start).days > 366:
        raise ValidationError(_("Une période de facturation compte au plus une année."))
    if selectors.bounds(shop.company, start, end)[1] > now:
        raise ValidationError(
            _("La période se termine le %(end)s : elle se facture une fois finie.") % {"end": date_format(end)}
        )


def computed_bill(*, shop: Shop, price_list: PriceList, start: date, end: date, now: datetime | None = None) -> Bill:
    """The figures of a shop's document as it would be issued.

    Raises:
        ValidationError: the period cannot be billed, was billed before, or holds nothing to bill.
    """
    check_period(shop, start, end, now or timezone.now())
    if (earlier := selectors.overlapping(shop, start, end)) is not None:
        raise ValidationError(
            _("%(shop)s : la facture %(number)s couvre déjà une partie de cette période (%(period)s).")
            % {
                "shop": shop.name,
                "number": earlier.number,
                "period": words.period(earlier.period_start, earlier.period_end),
            }
        )
    prices = dict(price_list.items.values_list("code", "unit_price"))
    found = pricing.priced(
        selectors.usage(shop, start, end), prices, currency=price_list.currency, tax_rate=price_list.tax_rate
    )
    if not found.lines:
        raise ValidationError(_("%(shop)s : rien à facturer sur cette période.") % {"shop": shop.name})
    return found


# --- Issuing --------------------------------------------------------------------------------------


@transaction.atomic
def billing_issue(
    *,
    shop: Shop,
    price_list: PriceList,
    start: date,
    end: date,
    actor: Actor,
    now: datetime | None = None,
) -> BillingDocument:
    """Issue a shop's detailed billing, computed from its events. Publishes `detailed_billing`."""
    _lock(shop)
    found = computed_bill(shop=shop, price_list=price_list, start=start, end=end, now=now)
    return _issue(shop=shop, found=found, source=_Source.EVENTS, start=start, end=end, actor=actor, now=now)


@transaction.atomic
def draft_issue(*, draft: BillingDraft, actor: Actor, now: datetime | None = None) -> BillingDocument:
    """Issue what was uploaded and looked at; a PDF goes out as it came, with our figures beside it."""
    # A second click on the button finds no draft left.
    kept = BillingDraft.objects.select_for_update().select_related("shop__company", "price_list").filter(pk=draft.pk)
    draft_now = kept.first()
    if draft_now is None:
        raise ValidationError(_("Ce brouillon a déjà été émis ou abandonné."))
    found = draft_bill(draft_now)
    document = _issue(
        shop=draft_now.shop,
        found=found,
        source=draft_now.source,
        start=draft_now.period_start,
        end=draft_now.period_end,
        actor=actor,
        now=now,
        content=bytes(draft_now.file) if draft_now.source == _Source.PDF else None,
    )
    draft_now.delete()
    return document


@transaction.atomic
def credit_note_issue(*, document: BillingDocument, actor: Actor, now: datetime | None = None) -> BillingDocument:
    """Cancel an invoice by a document of its own with the opposite figures."""
    original = (
        BillingDocument.objects.select_for_update(of=("self",))
        .select_related("shop__company")
        .filter(pk=document.pk)
        .get()
    )
    if original.kind != _Kind.INVOICE:
        raise ValidationError(_("Un avoir ne s'annule pas : émettez une nouvelle facture."))
    if BillingDocument.objects.filter(credits=original).exists():
        raise ValidationError(_("La facture %(number)s a déjà un avoir.") % {"number": original.number})
    lines = tuple(Line.from_json(item) for item in original.lines)
    found = Bill(original.currency, original.tax_rate, lines, original.net, original.tax, original.gross)
    return _issue(
        shop=original.shop,
        found=pricing.negated(found),
        source=_Source.CREDIT,
        start=original.period_start,
        end=original.period_end,
        actor=actor,
        now=now,
        credits=original,
    )


def _lock(shop: Shop) -> None:
    """Two people issuing the same period: the second one waits, then finds the document of the first."""
    Shop.objects.select_for_update().get(pk=shop.pk)


def _issue(
    *,
    shop: Shop,
    found: Bill,
    source: str,
    start: date,
    end: date,
    actor: Actor,
    now: datetime | None,
    content: bytes | None = None,
    credits: BillingDocument | None = None,
) -> BillingDocument:
    now = now or timezone.now()
    company = shop.company
    if Status.CLOSED in (company.status, shop.status) and credits is None:
        raise ValidationError(_("%(shop)s est fermée : elle ne se facture plus.") % {"shop": shop.name})
    kind = _Kind.CREDIT_NOTE if credits else _Kind.INVOICE
    document = BillingDocument(
        shop=shop,
        company=company,
        kind=kind,
        source=source,
        number=_next_number(kind, now, company),
        credits=credits,
        period_start=start,
        period_end=end,
        issued_at=now,
        language=shop.language,
        currency=found.currency,
        tax_rate=found.tax_rate,
        net=found.net,
        tax=found.tax,
        gross=found.gross,
        lines=_told_lines(found.lines, shop.language),
        customer=_customer(company, shop),
        issuer={"name": settings.PLATFORM_NAME},
        actor_label=actor.label[:200],
    )
    document.file = content or pdf.render(document, _zone(company))
    document.sha256 = hashlib.sha256(document.file).hexdigest()
    event = publish(
        type="billing.issued",
        company=company,
        shop=shop,
        data={
            "kind": kind,
            "number": document.number,
            "credits": credits.number if credits else "",
            "document": str(document.pk),
            "period_start": start.isoformat(),
            "period_end": end.isoformat(),
            "currency": found.currency,
            "net": pricing.text(found.net),
            "tax": pricing.text(found.tax),
            "gross": pricing.text(found.gross),
        },
        attachments=[File(document.file_name, "application/pdf", document.file)],
    )
    document.event_id = event.event_id
    document.full_clean(exclude=["file", "lines", "customer", "issuer", "credits"])
    document.save(force_insert=True)
    audit.record(
        actor=actor,
        action="billing.credited" if credits else "billing.issued",
        obj=document,
        company=company,
        changes={
            "shop": [None, shop.site_id],
            "period_start": [None, start.isoformat()],
            "period_end": [None, end.isoformat()],
            "gross": [None, f"{pricing.text(found.gross)} {found.currency}"],
        },
    )
    return document


def _next_number(kind: str, now: datetime, company: Company) -> str:
    """The next number of the series of the year, in the company's time; the row is locked until commit."""
    year = now.astimezone(zoneinfo.ZoneInfo(_zone(company))).year
    NumberSeries.objects.get_or_create(kind=kind, year=year)
    series = NumberSeries.objects.select_for_update().get(kind=kind, year=year)
    series.last += 1
    series.save(update_fields=["last"])
    return f"{PREFIXES[_Kind(kind)]}{year}-{series.last:06d}"


def _zone(company: Company) -> str:
    return company.time_zone if company.time_zone in zoneinfo.available_timezones() else "UTC"


def _told_lines(lines: Iterable[Line], language: str) -> list[dict[str, str]]:
    """The lines with the words that stand on the document, so that a renamed service changes none."""
    with translation.override(language):
        return [{**item.as_json(), "label": words.label(item)} for item in lines]


def _customer(company: Company, shop: Shop) -> dict[str, str]:
    return {
        "company": company.name,
        "reference": company.reference,
        "registration_number": company.registration_number,
        "address": company.address,
        "country": company.country,
        "shop": shop.name,
        "site_id": shop.site_id,
    }


# --- Uploads --------------------------------------------------------------------------------------


@transaction.atomic
def draft_create(
    *,
    shop: Shop,
    price_list: PriceList,
    start: date,
    end: date,
    content: bytes,
    file_name: str,
    actor: Actor,
    net: Decimal | None = None,
    now: datetime | None = None,
) -> BillingDraft:
    """Keep an uploaded CSV or PDF until somebody has looked at what it would give.

    Args:
        net: the net total that a PDF says; a CSV is added up.

    Raises:
        ValidationError: by field; what is wrong with the file, by line and column for a CSV.
    """
    now = now or timezone.now()
    with _on("end"):
        check_period(shop, start, end, now)
    lines: list[Line] = []
    with _on("file", file_name):
        uploads.check_size(len(content))
        kind = uploads.kind_of(content, file_name)
        if kind == "csv":
            lines = uploads.parse_csv(content, price_list.currency)
        else:
            uploads.check_pdf(content)
    with _on("net"):
        if kind == "csv" and net is not None:
            raise ValidationError(_("Le total d'un CSV se calcule : laissez le montant hors taxes vide."))
        if kind == "pdf" and net is None:
            raise ValidationError(_("Indiquez le montant hors taxes qui figure sur le PDF."))
    with _on("file", file_name) if kind == "csv" else _on("net"):
        total = net if net is not None else sum((item.amount for item in lines), Decimal(0))
        if total >= uploads.MAX_TOTAL:
            raise ValidationError(_("Le total %(amount)s est trop grand.") % {"amount": pricing.text(total)})
    BillingDraft.objects.filter(created_at__lt=now - DRAFT_LIFE).delete()
    return BillingDraft.objects.create(
        shop=shop,
        price_list=price_list,
        source=_Source.CSV if kind == "csv" else _Source.PDF,
        period_start=start,
        period_end=end,
        lines=[item.as_json() for item in lines],
        net=net,
        file=content,
        file_name=file_name[:200],
        actor_label=actor.label[:200],
        created_at=now,
    )


@contextmanager
def _on(field: str, file_name: str = "") -> Iterator[None]:
    """Whatever is refused within is the fault of one field; of a file, its name is told."""
    try:
        yield
    except ValidationError as error:
        told = error.messages
        if file_name:
            name = "".join(character if character.isprintable() else " " for character in file_name)
            name = name if len(name) <= 60 else f"{name[:30]}…{name[-25:]}"
            told = [_("« %(name)s » : %(why)s") % {"name": name, "why": why} for why in told]
        raise ValidationError({field: told}) from error


def draft_bill(draft: BillingDraft) -> Bill:
    """The figures a draft would be issued with."""
    prices = draft.price_list
    if draft.source == _Source.CSV:
        lines = [Line.from_json(item) for item in draft.lines]
        return pricing.bill(lines, currency=prices.currency, tax_rate=prices.tax_rate)
    return pricing.total(draft.net or Decimal(0), currency=prices.currency, tax_rate=prices.tax_rate)


# --- Price lists ----------------------------------------------------------------------------------


@transaction.atomic
def price_list_save(*, price_list: PriceList, prices: dict[str, Decimal], actor: Actor, **fields: Any) -> PriceList:
    """Write a price list and its prices; a code without price is not billed.

    Issued documents keep theirs.
    """
    created = price_list._state.adding
    changes = audit.apply(price_list, fields)
    if price_list.is_default:
        PriceList.objects.filter(is_default=True).exclude(pk=price_list.pk).update(is_default=False)
    price_list.full_clean()
    price_list.save()
    known = dict(price_list.items.values_list("code", "unit_price"))
    for code, price in prices.items():
        if code not in pricing.BY_CODE:
            raise ValidationError(_("« %(code)s » n'est pas une prestation connue.") % {"code": code})
        if known.get(code) != price:
            changes[code] = [pricing.text(known[code]) if code in known else None, pricing.text(price)]
            item = PriceItem(price_list=price_list, code=code, unit_price=price)
            item.clean_fields()
            PriceItem.objects.update_or_create(
                price_list=price_list, code=code, defaults={"unit_price": item.unit_price}
            )
    for code in set(known) - set(prices):
        changes[code] = [pricing.text(known[code]), None]
        price_list.items.filter(code=code).delete()
    if changes:
        audit.record(
            actor=actor,
            action="price_list.created" if created else "price_list.updated",
            obj=price_list,
            company=None,
            changes={name: [_plain(value) for value in pair] for name, pair in changes.items()},
        )
    return price_list


def _plain(value: Any) -> Any:
    return pricing.text(value) if isinstance(value, Decimal) else value
