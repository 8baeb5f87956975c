"""Issuing billing: figures from events, numbers without gaps, documents that never change, mail and pages."""

import csv
import hashlib
import io
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pypdf import PdfReader

from companies.audit import Actor
from companies.models import AuditEntry, Company, Role
from notifications.models import Attachment, Attempt, Delivery
from notifications.outbox.services import delivery_resend
from notifications.worker import loop
from shops.billing import pdf, selectors, services
from shops.models import BillingDocument, BillingDraft, NumberSeries, PriceList, Shop
from tests.factories import (
    BillingDocumentFactory,
    DeliveryFactory,
    EventFactory,
    ShopFactory,
    UserFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standard_prices")]
STAFF = Actor.command("test")
OCTOBER = (date(2026, 10, 1), date(2026, 10, 31))
NOW = datetime(2026, 11, 3, 9, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _has_an_address(company: Company) -> None:
    company.address = "1 rue de la Paix\n75002 Paris"
    company.save()


def paid(shop: Shop, when: str = "2026-10-15T10:00:00+00:00", kind: str = "payment.accepted", **fields: Any) -> None:
    EventFactory(shop=shop, type=kind, occurred_at=datetime.fromisoformat(when), **fields)


def issue(shop: Shop, **fields: Any) -> BillingDocument:
    values = {
        "price_list": PriceList.objects.get(is_default=True),
        "start": OCTOBER[0],
        "end": OCTOBER[1],
        "actor": STAFF,
        "now": NOW,
        **fields,
    }
    return services.billing_issue(shop=shop, **values)


def text_of(content: bytes) -> str:
    reader = PdfReader(io.BytesIO(content))
    return "\n".join(page.extract_text() for page in reader.pages).replace("\xa0", " ")


# --- Figures --------------------------------------------------------------------------------------


def test_usage_counts_production_within_the_companys_days(paris: Shop) -> None:
    inside = ("2026-09-30T22:00:00+00:00", "2026-10-31T22:59:59+00:00")  # midnight in Paris: UTC+2, then UTC+1
    outside = ("2026-09-30T21:59:59+00:00", "2026-10-31T23:00:00+00:00")
    for when in (*inside, *outside):
        paid(paris, when)
    paid(paris, mode="TEST")
    paid(ShopFactory(company=paris.company))
    paid(paris, kind="transaction.refunded")
    paid(paris, kind="form.invalid")
    event = EventFactory(shop=paris)
    moment = datetime(2026, 10, 5, tzinfo=UTC)
    sent = {"event": event, "status": Delivery.Status.SENT, "sent_at": moment}
    for _number in range(3):
        DeliveryFactory(**sent)
    DeliveryFactory(**sent, notification="detailed_billing")
    DeliveryFactory(**sent, is_test=True)
    DeliveryFactory(event=event, status=Delivery.Status.DEAD)
    DeliveryFactory(event=event, status=Delivery.Status.SENT, sent_at=datetime(2026, 11, 5, tzinfo=UTC))
    call = DeliveryFactory(**sent, channel="ipn", notification="ipn_call")
    for number in (1, 2):
        Attempt.objects.create(delivery=call, number=number, started_at=moment, outcome=Attempt.Outcome.SENT)
    assert selectors.usage(paris, *OCTOBER) == {
        "monthly_fee": 1,
        "payment.accepted": 2,
        "transaction.refunded": 1,
        "email": 3,
        "ipn_call": 2,
    }


def test_a_document_has_the_figures_of_its_events_to_the_cent(paris: Shop) -> None:
    for _number in range(7):
        paid(paris)
    paid(paris, kind="payment.refused")
    found = issue(paris)
    assert [(line["label"], line["quantity"], line["unit_price"], line["amount"]) for line in found.lines] == [
        ("Abonnement mensuel de la boutique", "1", "19.0000", "19.00"),
        ("Paiement accepté", "7", "0.0800", "0.56"),
        ("Paiement refusé", "1", "0.0200", "0.02"),
    ]
    assert (found.net, found.tax, found.gross) == (Decimal("19.58"), Decimal("3.92"), Decimal("23.50"))
    assert (found.number, found.currency, found.tax_rate) == ("F2026-000001", "EUR", Decimal("20.00"))


def test_a_changed_price_leaves_issued_documents_alone(paris: Shop) -> None:
    before = issue(paris)
    prices = PriceList.objects.get(is_default=True)
    services.price_list_save(
        price_list=prices, prices={"monthly_fee": Decimal("25.0000")}, actor=STAFF, tax_rate=Decimal(10)
    )
    before.refresh_from_db()
    assert before.net == Decimal("19.00")
    after = issue(ShopFactory(company=paris.company))
    assert (after.net, after.tax) == (Decimal("25.00"), Decimal("2.50"))
    entry = AuditEntry.objects.get(action="price_list.updated")
    assert entry.changes["monthly_fee"] == ["19.0000", "25.0000"]
    assert entry.changes["email"] == ["0.0025", None]


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("2026-10-31", "2026-10-01", "précède son début"),
        ("2025-10-01", "2026-10-31", "au plus une année"),
        ("2026-11-01", "2026-11-03", "elle se facture une fois finie"),
    ],
)
def test_a_period_that_cannot_be_billed_is_refused(paris: Shop, start: str, end: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        issue(paris, start=date.fromisoformat(start), end=date.fromisoformat(end))
    assert NumberSeries.objects.count() == 0


def test_a_period_ends_with_the_companys_day(paris: Shop) -> None:
    paid(paris, "2026-11-02T12:00:00+00:00")
    values = {"start": date(2026, 11, 2), "end": date(2026, 11, 2)}
    with pytest.raises(ValidationError):
        issue(paris, **values, now=datetime(2026, 11, 2, 22, 59, tzinfo=UTC))
    assert issue(paris, **values, now=datetime(2026, 11, 2, 23, 0, tzinfo=UTC)).number == "F2026-000001"


def test_nothing_used_is_nothing_to_bill(paris: Shop) -> None:
    with pytest.raises(ValidationError, match="Paris : rien à facturer"):
        issue(paris, start=date(2026, 10, 2))


def test_a_period_is_not_billed_twice_unless_cancelled(paris: Shop) -> None:
    first = issue(paris)
    paid(paris)
    with pytest.raises(ValidationError, match="F2026-000001 couvre déjà une partie"):
        issue(paris, start=date(2026, 10, 31), end=date(2026, 11, 1))
    services.credit_note_issue(document=first, actor=STAFF, now=NOW)
    assert issue(paris).number == "F2026-000002"


# --- Numbers and documents ------------------------------------------------------------------------


def test_numbers_follow_each_other_without_a_gap_after_a_failure(paris: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert issue(paris).number == "F2026-000001"
    other = ShopFactory(company=paris.company)

    def broken(*args: Any) -> bytes:
        raise RuntimeError("no paper")

    with monkeypatch.context() as patch:
        patch.setattr(pdf, "render", broken)
        with pytest.raises(RuntimeError):
            issue(other)
    assert issue(other).number == "F2026-000002"


def test_each_year_and_kind_has_its_series(paris: Shop) -> None:
    # Midnight of the company, not of the clock: 23:30 UTC is the new year in Paris.
    late = issue(paris, now=datetime(2026, 12, 31, 22, 30, tzinfo=UTC))
    note = services.credit_note_issue(document=late, actor=STAFF, now=datetime(2026, 12, 31, 23, 30, tzinfo=UTC))
    new = issue(paris, now=datetime(2026, 12, 31, 23, 30, tzinfo=UTC))
    assert [late.number, note.number, new.number] == ["F2026-000001", "A2027-000001", "F2027-000001"]


def test_an_issued_document_neither_changes_nor_goes(paris: Shop) -> None:
    found = issue(paris)
    found.net = Decimal(1)
    with pytest.raises(ValidationError, match="ne change plus"):
        found.save()
    with pytest.raises(ValidationError, match="n'est pas supprimé"):
        found.delete()


def test_the_database_refuses_totals_that_do_not_add_up(paris: Shop) -> None:
    with pytest.raises(IntegrityError, match="billing_total_adds_up"), transaction.atomic():
        BillingDocumentFactory(shop=paris, gross=Decimal("12.01"))


def test_a_credit_note_takes_everything_back_once(paris: Shop) -> None:
    paid(paris)
    original = issue(paris)
    note = services.credit_note_issue(document=original, actor=STAFF, now=NOW)
    assert (note.kind, note.number, note.credits) == ("credit_note", "A2026-000001", original)
    assert (note.net, note.tax, note.gross) == (-original.net, -original.tax, -original.gross)
    assert [line["amount"] for line in note.lines] == ["-19.00", "-0.08"]
    assert "Annule la facture F2026-000001" in text_of(note.file)
    for document, message in ((original, "a déjà un avoir"), (note, "ne s'annule pas")):
        with pytest.raises(ValidationError, match=message):
            services.credit_note_issue(document=document, actor=STAFF)


def test_a_closed_shop_is_not_billed_but_its_invoices_can_be_cancelled(paris: Shop) -> None:
    found = issue(paris)
    Shop.objects.filter(pk=paris.pk).update(status="closed")
    note = services.credit_note_issue(document=found, actor=STAFF, now=NOW)
    assert note.number == "A2026-000001"
    with pytest.raises(ValidationError, match="Paris est fermée"):
        issue(Shop.objects.select_related("company").get(pk=paris.pk))


# --- PDF ------------------------------------------------------------------------------------------


def test_the_pdf_says_the_document_in_the_shops_language(paris: Shop) -> None:
    french = text_of(issue(paris).file)
    for part in (
        "Facture F2026-000001",
        "Maison Lumière",
        "75002 Paris",
        "19,00 EUR",
        "TVA 20 %",
        "22,80 EUR",
        "Paris (10000001)",
    ):
        assert part in french
    english = issue(ShopFactory(company=paris.company, language="en"))
    content = text_of(english.file)
    for part in ("Invoice F2026-000002", "Monthly subscription of the shop", "19.00 EUR", "VAT 20 %", "22.80 EUR"):
        assert part in content


def test_the_pdf_has_a_title_and_a_language(paris: Shop) -> None:
    reader = PdfReader(io.BytesIO(issue(paris).file))
    assert reader.metadata is not None
    assert reader.metadata.title == "Facture F2026-000001"
    assert reader.trailer["/Root"]["/Lang"] == "fr-FR"


def test_the_same_document_gives_the_same_bytes(paris: Shop) -> None:
    found = issue(paris)
    again = pdf.render(BillingDocument.objects.select_related("credits").get(pk=found.pk), "Europe/Paris")
    assert hashlib.sha256(again).hexdigest() == found.sha256 == hashlib.sha256(found.file).hexdigest()


@pytest.mark.parametrize(
    "name", ["Łódź Œuvre Ğış ș ț İ ẞ", "Ελληνικό Φως ώΐ", "Привет Київ Ђурђевак", "Crème brûlée « à l’ancienne » – 5 €"]
)
def test_any_latin_greek_or_cyrillic_name_is_drawn(paris: Shop, name: str) -> None:
    assert pdf.drawable(name) == name
    paris.company.name = name
    paris.company.save()
    assert name in text_of(issue(paris).file)


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("1\u202f234", "1\xa0234"),
        ("ḁukkān", "aukkān"),
        ("e\u0301", "é"),
        ("商店 A", "?? A"),
        ("a\x07b", "a b"),
    ],
)
def test_what_the_font_lacks_has_a_twin(text: str, drawn: str) -> None:
    assert pdf.drawable(text) == drawn


def test_a_long_document_takes_several_pages(paris: Shop) -> None:
    text = "description,quantity,unit_price\n" + "".join(f"Prestation {n},1,1.00\n" for n in range(1, 121))
    document = services.draft_issue(draft=draft(paris, text.encode()), actor=STAFF, now=NOW)
    reader = PdfReader(io.BytesIO(document.file))
    assert len(reader.pages) > 2
    assert "Page 2 sur" in reader.pages[1].extract_text()
    assert "Prestation 120" in text_of(document.file)
    assert document.net == Decimal("120.00")


# --- Uploads --------------------------------------------------------------------------------------


def draft(shop: Shop, content: bytes, *, net: Decimal | None = None, **fields: Any) -> BillingDraft:
    values = {"price_list": PriceList.objects.get(is_default=True), "start": OCTOBER[0], "end": OCTOBER[1], **fields}
    upload = services.Upload(content, "x", net)
    return services.draft_create(shop=shop, upload=upload, actor=STAFF, now=NOW, **values)


PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n%%EOF\n"


def test_an_uploaded_pdf_goes_out_byte_for_byte(paris: Shop) -> None:
    found = services.draft_issue(draft=draft(paris, PDF, net=Decimal("100.00")), actor=STAFF, now=NOW)
    assert bytes(found.file) == PDF
    assert (found.source, found.net, found.tax, found.gross) == ("pdf", 100, 20, 120)
    assert bytes(Attachment.objects.get().content) == PDF
    assert BillingDraft.objects.count() == 0


def test_a_draft_is_issued_once(paris: Shop) -> None:
    waiting = draft(paris, PDF, net=Decimal(1))
    services.draft_issue(draft=waiting, actor=STAFF, now=NOW)
    with pytest.raises(ValidationError, match="déjà été émis"):
        services.draft_issue(draft=waiting, actor=STAFF, now=NOW)
    assert BillingDocument.objects.count() == 1


@pytest.mark.parametrize(
    ("content", "net", "message"),
    [
        (PDF, None, "Indiquez le montant hors taxes"),
        (b"description,quantity,unit_price\na,1,1\n", Decimal(1), "laissez le montant hors taxes vide"),
    ],
)
def test_the_net_amount_belongs_to_a_pdf(paris: Shop, content: bytes, net: Decimal | None, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        draft(paris, content, net=net)


# --- Mail -----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_document_reaches_the_company_manager_attached(paris: Shop, smtp_server: Any) -> None:
    PriceList.objects.get_or_create(name="Standard", defaults={"is_default": True})
    prices = services.price_list_save(
        price_list=PriceList.objects.get(name="Standard"), prices={"monthly_fee": Decimal("19.0000")}, actor=STAFF
    )
    found = issue(paris, price_list=prices)
    assert str(loop.deliver_until_idle()) == "sent=1 retry=0 dead=0"
    (received,) = smtp_server.received
    # The company manager, not the shop's own manager.
    assert received.rcpt_tos == ("claire@lumiere.example",)
    assert received.message["X-BOM-Notification"] == "detailed_billing"
    assert received.message["X-BOM-Shop"] == "10000001"
    (attached,) = received.message.iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == ("F2026-000001.pdf", "application/pdf")
    assert attached.get_content() == bytes(found.file)
    assert "Facture F2026-000001" in text_of(attached.get_content())
    assert "22,80 EUR" in received.text.replace("\xa0", " ")
    assert f"/billing/{found.pk}/" in received.text
    # Sent again, it is the same file.
    delivery_resend(delivery=Delivery.objects.get(), actor=STAFF)
    loop.deliver_until_idle()
    (again,) = smtp_server.received[1].message.iter_attachments()
    assert again.get_content() == attached.get_content()


def test_a_suspended_company_is_billed_and_not_written_to(paris: Shop) -> None:
    paris.company.status = "suspended"
    paris.company.save()
    assert issue(paris).number == "F2026-000001"
    assert Delivery.objects.count() == 0


# --- Pages ----------------------------------------------------------------------------------------

Log = Callable[..., Client]


def test_the_list_shows_filters_and_totals(paris: Shop, client_for: Log) -> None:
    lyon = ShopFactory(company=paris.company, site_id="10000002", name="Lyon")
    BillingDocumentFactory(shop=paris, number="F2026-000001")
    BillingDocumentFactory(
        shop=lyon, number="F2026-000002", period_start=date(2026, 9, 1), period_end=date(2026, 9, 30)
    )
    BillingDocumentFactory(shop=lyon, number="F2026-000003", currency="CAD")
    BillingDocumentFactory(number="F2026-000004")
    client = client_for(UserFactory(company=paris.company, role=Role.VIEWER))

    def numbers(**query: str) -> list[str]:
        content = client.get("/billing/", {**query, "format": "csv", "plain": "1"}).getvalue().decode()
        return [row["number"] for row in csv.DictReader(io.StringIO(content))]

    assert sorted(numbers()) == ["F2026-000001", "F2026-000002", "F2026-000003"]
    assert numbers(shop="10000001") == ["F2026-000001"]
    assert numbers(q="f2026-000002") == ["F2026-000002"]
    assert numbers(q="lyon", since="2026-10-01") == ["F2026-000003"]
    assert numbers(until="2026-09-30") == ["F2026-000002"]
    assert numbers(kind="credit_note") == []
    assert len(numbers(kind="nonsense", since="nonsense")) == 3
    html = client.get("/billing/").text.replace("\xa0", " ")
    assert "Total des 2 documents en EUR" in html
    assert "24,00 EUR" in html
    assert "Total de 1 document en CAD" in html


def test_documents_of_shops_one_does_not_see_are_not_there(paris: Shop, client_for: Log) -> None:
    lyon = ShopFactory(company=paris.company, site_id="10000002", name="Lyon")
    hidden, shown = BillingDocumentFactory(shop=paris), BillingDocumentFactory(shop=lyon)
    client = client_for(UserFactory(company=paris.company, role=Role.MANAGER, shops=[lyon]))
    html = client.get("/billing/").text
    assert shown.number in html
    assert hidden.number not in html
    for path in ("", "download/"):
        assert client.get(f"/billing/{hidden.pk}/{path}").status_code == 404
        assert client.get(f"/billing/{shown.pk}/{path}").status_code == 200


def test_a_document_is_read_and_downloaded(paris: Shop, client_for: Log) -> None:
    found = issue(paris)
    client = client_for(UserFactory(company=paris.company, role=Role.VIEWER))
    html = client.get(f"/billing/{found.pk}/").text.replace("\xa0", " ")
    for part in ("Facture F2026-000001", "Abonnement mensuel", "TVA 20 %", "22,80 EUR", "claire@", "75002 Paris"):
        assert part in html
    response = client.get(f"/billing/{found.pk}/download/")
    assert response.content == bytes(found.file)
    assert response.headers["Content-Type"] == "application/pdf"
    assert response.headers["Content-Disposition"] == 'attachment; filename="F2026-000001.pdf"'
    lines = client.get(f"/billing/{found.pk}/", {"format": "csv", "plain": "1"}).getvalue().decode().splitlines()
    assert lines[1] == "F2026-000001,Abonnement mensuel de la boutique,1,19.0000,19.00,EUR"


def test_formulas_are_neutralised_and_negative_amounts_stay_numbers(paris: Shop, client_for: Log) -> None:
    line = {"code": "", "label": "=HYPERLINK(1)", "quantity": "-2", "unit_price": "5.0000", "amount": "-10.00"}
    found = BillingDocumentFactory(shop=paris, lines=[line])
    client = client_for(UserFactory(company=paris.company))
    lines = client.get(f"/billing/{found.pk}/", {"format": "csv", "plain": "1"}).getvalue().decode().splitlines()
    assert lines[1] == f"{found.number},'=HYPERLINK(1),-2,5.0000,-10.00,EUR"


def test_the_journal_shows_the_attachment_to_who_sees_the_mail(paris: Shop, client_for: Log) -> None:
    found = issue(paris)
    delivery = Delivery.objects.get()
    file = Attachment.objects.get()
    client = client_for(UserFactory(company=paris.company, role=Role.VIEWER))
    path = f"/notifications/journal/{delivery.pk}/attachments/{file.pk}/"
    html = client.get(f"/notifications/journal/{delivery.pk}/").text
    assert path in html
    assert "F2026-000001.pdf" in html
    response = client.get(path)
    assert response.content == bytes(found.file)
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; sandbox;")
    other = DeliveryFactory(event=EventFactory(shop=paris))
    assert client.get(f"/notifications/journal/{other.pk}/attachments/{file.pk}/").status_code == 404
    elsewhere = client_for(UserFactory(company=paris.company, shops=[], role=Role.VIEWER))
    assert elsewhere.get(path).status_code == 404


def test_an_empty_list_says_what_comes(paris: Shop, client_for: Log) -> None:
    html = client_for(UserFactory(company=paris.company)).get("/billing/").text
    assert "Aucune facture n&#x27;a encore été émise" in html or "Aucune facture n'a encore été émise" in html


def test_the_list_costs_the_same_with_many_documents(paris: Shop, client_for: Log) -> None:
    client = client_for(UserFactory(company=paris.company))
    BillingDocumentFactory(shop=paris)

    def count() -> int:
        with CaptureQueriesContext(connection) as found:
            client.get("/billing/")
        return len(found)

    count()
    before = count()
    for number in range(6):
        BillingDocumentFactory(shop=ShopFactory(company=paris.company), period_start=date(2026, 10, 1 + number))
    assert count() == before


def test_an_old_draft_goes_with_the_next_one(paris: Shop) -> None:
    old = draft(paris, PDF, net=Decimal(1))
    BillingDraft.objects.filter(pk=old.pk).update(created_at=NOW - timedelta(days=8))
    new = draft(paris, PDF, net=Decimal(1))
    assert list(BillingDraft.objects.all()) == [new]


def test_the_history_tells_of_a_document_to_who_sees_its_shop(paris: Shop, client_for: Log) -> None:
    lyon = ShopFactory(company=paris.company, site_id="10000002", name="Lyon")
    issue(paris)
    path = "/settings/company/history/"
    assert "F2026-000001" in client_for(UserFactory(company=paris.company, role=Role.VIEWER)).get(path).text
    elsewhere = UserFactory(company=paris.company, role=Role.VIEWER, shops=[lyon])
    assert "F2026-000001" not in client_for(elsewhere).get(path).text
