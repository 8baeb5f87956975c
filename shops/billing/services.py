"""Writes of billing: issuing documents, credit notes, uploaded drafts, price lists.

A document takes its number, is drawn, kept and announced in one transaction: a failure anywhere leaves
neither a document nor a hole in the series.
"""

import hashlib
import zoneinfo
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from backoffice.text import characters, times, zones
from companies import audit
from companies.audit import Actor
from companies.models import Company, Status
from notifications.events.publishing import Particulars, publish
from notifications.mail.attachments import File
from shops.billing import pdf, pricing, selectors, uploads, words
from shops.billing.pricing import Bill, Line
from shops.models import BillingDocument, BillingDraft, NumberSeries, PriceItem, PriceList, Shop

_Kind, _Source = BillingDocument.Kind, BillingDocument.Source
PREFIXES = {_Kind.INVOICE: "F", _Kind.CREDIT_NOTE: "A"}
DRAFT_LIFE = timedelta(days=7)


# --- Before issuing -------------------------------------------------------------------------------


def check_period(shop: Shop, start: date, end: date, now: datetime) -> None:
    """Refuse a period that ends before it starts, is too long, or is not over in the company's time."""
    if end < start:
        raise ValidationError(
            _("La fin de la période (%(end)s) précède son début (%(start)s).")
            % {"start": times.day(start), "end": times.day(end)}
        )
    if (end - start).days > 366:
        raise ValidationError(_("Une période de facturation compte au plus une année."))
    if selectors.bounds(shop.company, start, end)[1] > now:
        raise ValidationError(
            _("La période se termine le %(end)s : elle se facture une fois finie.") % {"end": times.day(end)}
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
    bill = pricing.priced(
        selectors.usage(shop, start, end), prices, currency=price_list.currency, tax_rate=price_list.tax_rate
    )
    if not bill.lines:
        raise ValidationError(_("%(shop)s : rien à facturer sur cette période.") % {"shop": shop.name})
    return bill


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
    bill = computed_bill(shop=shop, price_list=price_list, start=start, end=end, now=now)
    return _issue(_Issue(shop, bill, _Source.EVENTS, start, end), actor=actor, now=now)


@transaction.atomic
def draft_issue(*, draft: BillingDraft, actor: Actor, now: datetime | None = None) -> BillingDocument:
    """Issue what was uploaded and looked at; a PDF goes out as it came, with our figures beside it."""
    # A second click on the button finds no draft left.
    kept = BillingDraft.objects.select_for_update().select_related("shop__company", "price_list").filter(pk=draft.pk)
    draft_now = kept.first()
    if draft_now is None:
        raise ValidationError(_("Ce brouillon a déjà été émis ou abandonné."))
    bill = draft_bill(draft_now)
    issue = _Issue(
        shop=draft_now.shop,
        bill=bill,
        source=draft_now.source,
        start=draft_now.period_start,
        end=draft_now.period_end,
        content=bytes(draft_now.file) if draft_now.source == _Source.PDF else None,
    )
    document = _issue(issue, actor=actor, now=now)
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
    bill = Bill(original.currency, original.tax_rate, lines, original.net, original.tax, original.gross)
    issue = _Issue(
        shop=original.shop,
        bill=pricing.negated(bill),
        source=_Source.CREDIT,
        start=original.period_start,
        end=original.period_end,
        credits=original,
    )
    return _issue(issue, actor=actor, now=now)


def _lock(shop: Shop) -> None:
    """Lock the period: of two users who issue it at once, the second waits, then finds the document of the first."""
    Shop.objects.select_for_update().get(pk=shop.pk)


@dataclass(frozen=True)
class _Issue:
    """A document that is to be issued.

    Attributes:
        content: the PDF as it was uploaded; None: ours is drawn.
        credits: the invoice that a credit note cancels.
    """

    shop: Shop
    bill: Bill
    source: str
    start: date
    end: date
    content: bytes | None = None
    credits: BillingDocument | None = None

    @property
    def kind(self) -> BillingDocument.Kind:
        return _Kind.CREDIT_NOTE if self.credits else _Kind.INVOICE


def _issue(issue: _Issue, *, actor: Actor, now: datetime | None) -> BillingDocument:
    now = now or timezone.now()
    shop, company = issue.shop, issue.shop.company
    if Status.CLOSED in (company.status, shop.status) and issue.credits is None:
        raise ValidationError(_("%(shop)s est fermée : elle ne se facture plus.") % {"shop": shop.name})
    document = _drawn(issue, actor, now)
    document.event_id = _announced(document)
    document.full_clean(exclude=["file", "lines", "customer", "issuer", "credits"])
    document.save(force_insert=True)
    audit.record(
        actor=actor,
        action="billing.credited" if issue.credits else "billing.issued",
        obj=document,
        company=company,
        changes={
            "shop": [None, shop.site_id],
            "period_start": [None, issue.start.isoformat()],
            "period_end": [None, issue.end.isoformat()],
            "gross": [None, f"{pricing.text(issue.bill.gross)} {issue.bill.currency}"],
        },
    )
    return document


def _drawn(issue: _Issue, actor: Actor, now: datetime) -> BillingDocument:
    """The document with its number and its file, not stored."""
    shop, company, bill = issue.shop, issue.shop.company, issue.bill
    document = BillingDocument(
        shop=shop,
        company=company,
        kind=issue.kind,
        source=issue.source,
        number=_next_number(issue.kind, now, company),
        credits=issue.credits,
        period_start=issue.start,
        period_end=issue.end,
        issued_at=now,
        language=shop.language,
        currency=bill.currency,
        tax_rate=bill.tax_rate,
        net=bill.net,
        tax=bill.tax,
        gross=bill.gross,
        lines=_told_lines(bill.lines, shop.language),
        customer=_customer(company, shop),
        issuer={"name": settings.PLATFORM_NAME},
        actor_label=actor.label[:200],
    )
    document.file = issue.content or pdf.render(document, _zone(company))
    document.sha256 = hashlib.sha256(document.file).hexdigest()
    return document


def _announced(document: BillingDocument) -> str:
    """Publish the document; the identity of the event."""
    event = publish(
        type="billing.issued",
        company=document.company,
        shop=document.shop,
        data={
            "kind": document.kind,
            "number": document.number,
            "credits": document.credits.number if document.credits else "",
            "document": str(document.pk),
            "period_start": document.period_start.isoformat(),
            "period_end": document.period_end.isoformat(),
            "currency": document.currency,
            "net": pricing.text(document.net),
            "tax": pricing.text(document.tax),
            "gross": pricing.text(document.gross),
        },
        particulars=Particulars(
            attachments=[File(document.file_name, "application/pdf", bytes(document.file))],
        ),
    )
    return event.event_id


def _next_number(kind: str, now: datetime, company: Company) -> str:
    """The next number of the series of the year, in the company's time; the row is locked until commit."""
    year = now.astimezone(zoneinfo.ZoneInfo(_zone(company))).year
    NumberSeries.objects.get_or_create(kind=kind, year=year)
    series = NumberSeries.objects.select_for_update().get(kind=kind, year=year)
    series.last += 1
    series.save(update_fields=["last"])
    return f"{PREFIXES[_Kind(kind)]}{year}-{series.last:06d}"


def _zone(company: Company) -> str:
    return zones.known(company.time_zone, "UTC")


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


@dataclass(frozen=True)
class Upload:
    """A CSV or PDF with the figures of a bill.

    Attributes:
        net: the net total that a PDF says; a CSV is added up.
    """

    content: bytes
    file_name: str
    net: Decimal | None = None


@transaction.atomic
def draft_create(
    *,
    shop: Shop,
    price_list: PriceList,
    start: date,
    end: date,
    upload: Upload,
    actor: Actor,
    now: datetime | None = None,
) -> BillingDraft:
    """Store an uploaded CSV or PDF as a draft, to be looked at before it is issued.

    Raises:
        ValidationError: by field; what is wrong with the file, by line and column for a CSV.
    """
    now = now or timezone.now()
    content, file_name, net = upload.content, upload.file_name, upload.net
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
    """Attach refusals raised inside the block to one field, with the name of a file."""
    try:
        yield
    except ValidationError as error:
        told = error.messages
        if file_name:
            name = characters.legible(file_name)
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
