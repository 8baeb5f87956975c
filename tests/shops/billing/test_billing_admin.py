"""Staff issue billing: look first, ask before many are written to, from events or from a file."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from companies.models import User
from notifications.broadcasts import mass_mail
from notifications.models import Delivery
from shops.models import BillingDocument, BillingDraft, PriceList, Shop
from tests.factories import BillingDocumentFactory, CompanyFactory, EventFactory, ShopFactory, StaffFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standard_prices")]
LIST = "/admin/shops/billingdocument/"


@pytest.fixture
def staff(client_for: Callable[[User], Client]) -> Client:
    return client_for(StaffFactory(language="fr"))


@pytest.fixture(autouse=True)
def _has_an_event(paris: Shop) -> None:
    EventFactory(shop=paris, occurred_at=timezone.now() - timedelta(days=10))


def form(**fields: Any) -> dict[str, Any]:
    today = timezone.localdate()
    return {
        "start": (today - timedelta(days=20)).isoformat(),
        "end": (today - timedelta(days=2)).isoformat(),
        "price_list": PriceList.objects.get(is_default=True).pk,
        **fields,
    }


def test_the_preview_shows_the_figures_and_issues_nothing(staff: Client, paris: Shop) -> None:
    assert staff.get(f"{LIST}issue/").status_code == 200
    html = staff.post(f"{LIST}issue/", form(site_ids="10000001", preview="1")).text.replace("\xa0", " ")
    assert "0,08 EUR" in html
    assert "0,10 EUR" in html
    assert "Rien n&#x27;est encore parti" in html or "Rien n'est encore parti" in html
    assert BillingDocument.objects.count() == 0


def test_issuing_makes_the_documents_of_all_shops_and_tells_what_was_left_out(staff: Client, paris: Shop) -> None:
    lyon = ShopFactory(company=paris.company, site_id="10000002", name="Lyon")
    EventFactory(shop=lyon, occurred_at=timezone.now() - timedelta(days=5))
    ShopFactory(company=paris.company, site_id="10000003", name="Vide")
    values = form(references="lumiere")
    html = staff.post(f"{LIST}issue/", {**values, "preview": "1"}).text
    assert "Vide : rien à facturer sur cette période." in html
    assert "<strong>2 documents</strong>" in html
    response = staff.post(f"{LIST}issue/", {**values, "issue": "1"}, follow=True)
    assert "2 documents sont émis et partent par e-mail." in response.text
    assert [item.shop.name for item in BillingDocument.objects.order_by("number")] == ["Lumière Paris", "Lyon"]
    assert Delivery.objects.filter(notification="detailed_billing").count() == 2


def test_a_second_click_issues_nothing_again(staff: Client, paris: Shop) -> None:
    values = form(site_ids="10000001", issue="1")
    staff.post(f"{LIST}issue/", values)
    html = staff.post(f"{LIST}issue/", values).text
    assert "couvre déjà une partie de cette période" in html
    assert BillingDocument.objects.count() == 1


def test_many_addresses_are_asked_about_first(staff: Client, paris: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mass_mail.THRESHOLD == 100
    monkeypatch.setattr(mass_mail, "THRESHOLD", 10)
    shops = [paris]
    for number in range(11):
        shops.append(ShopFactory(company=CompanyFactory(), site_id=f"2{number:07d}"))
        EventFactory(shop=shops[-1], occurred_at=timezone.now() - timedelta(days=5))
    values = form(site_ids=" ".join(shop.site_id for shop in shops), issue="1")
    html = staff.post(f"{LIST}issue/", values).text
    assert "<strong>12 adresses</strong>" in html
    assert BillingDocument.objects.count() == 0
    staff.post(f"{LIST}issue/", {**values, mass_mail.FIELD: "12"})
    assert BillingDocument.objects.count() == 12
    numbers = sorted(BillingDocument.objects.values_list("number", flat=True))
    year = timezone.localdate().year
    assert numbers == [f"F{year}-{number:06d}" for number in range(1, 13)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Indiquez au moins une boutique ou une société."),
        ({"site_ids": "99999999"}, "« 99999999 » n'est pas une boutique ouverte."),
        ({"references": "inconnue"}, "« inconnue » n'a pas de boutique ouverte."),
    ],
)
def test_what_is_unknown_is_named(staff: Client, paris: Shop, fields: dict[str, str], message: str) -> None:
    html = staff.post(f"{LIST}issue/", form(**fields, preview="1")).text
    assert message in html.replace("&#x27;", "'")


def upload(client: Client, content: bytes, **fields: Any) -> Any:
    values = form(site_id="10000001", file=SimpleUploadedFile("facture.txt", content), **fields)
    return client.post(f"{LIST}upload/", values, follow=True)


def test_a_csv_is_looked_at_then_issued(staff: Client, paris: Shop) -> None:
    page = upload(staff, b"description,quantity,unit_price\nConseil,3,33.3333\n")
    assert "Conseil" in page.text
    assert "120,00 EUR" in page.text.replace("\xa0", " ")
    assert BillingDocument.objects.count() == 0
    waiting = BillingDraft.objects.get()
    done = staff.post(f"{LIST}drafts/{waiting.pk}/", {"issue": "1"}, follow=True)
    found = BillingDocument.objects.get()
    assert (found.source, found.net, found.gross) == ("csv", Decimal("100.00"), Decimal("120.00"))
    assert f"{found.number} est émis et part par e-mail." in done.text
    assert staff.get(f"{LIST}drafts/{waiting.pk}/").status_code == 404


def test_the_errors_of_a_csv_are_told_on_the_form(staff: Client, paris: Shop) -> None:
    page = upload(staff, b"description,quantity,unit_price\nConseil,trois,1\n")
    assert "Ligne 2, colonne « quantity » : « trois »" in page.text
    assert BillingDraft.objects.count() == 0


def test_an_uploaded_pdf_is_read_again_and_dropped(staff: Client, paris: Shop) -> None:
    content = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n%%EOF\n"
    upload(staff, content, net="50.00")
    waiting = BillingDraft.objects.get()
    assert staff.get(f"{LIST}drafts/{waiting.pk}/pdf/").content == content
    staff.post(f"{LIST}drafts/{waiting.pk}/", {"drop": "1"})
    assert (BillingDraft.objects.count(), BillingDocument.objects.count()) == (0, 0)


def test_an_invoice_is_cancelled_after_a_question(staff: Client, paris: Shop) -> None:
    found = BillingDocumentFactory(shop=paris)
    page = staff.get(f"{LIST}{found.pk}/change/")
    assert f"{LIST}{found.pk}/credit/" in page.text
    assert "12,00 EUR" in staff.get(f"{LIST}{found.pk}/credit/").text.replace("\xa0", " ")
    staff.post(f"{LIST}{found.pk}/credit/")
    note = BillingDocument.objects.get(kind="credit_note")
    assert note.gross == Decimal("-12.00")
    assert f"{LIST}{found.pk}/credit/" not in staff.get(f"{LIST}{found.pk}/change/").text
    assert staff.get(f"{LIST}{note.pk}/pdf/").content.startswith(b"%PDF-")


def test_who_may_only_look_issues_nothing(client_for: Callable[[User], Client], paris: Shop) -> None:
    found = BillingDocumentFactory(shop=paris)
    reader = StaffFactory(is_superuser=False)
    reader.user_permissions.add(Permission.objects.get(codename="view_billingdocument"))
    client = client_for(reader)
    assert "issue/" not in client.get(LIST).text
    assert client.get(f"{LIST}{found.pk}/pdf/").status_code == 200
    for path in ("issue/", "upload/", f"{found.pk}/credit/"):
        assert client.get(f"{LIST}{path}").status_code == 403
        assert client.post(f"{LIST}{path}").status_code == 403


def test_a_price_list_is_written_with_its_prices(staff: Client) -> None:
    values = {
        "name": "Grands comptes",
        "currency": "EUR",
        "tax_rate": "8.50",
        "is_default": "on",
        "items-TOTAL_FORMS": "2",
        "items-INITIAL_FORMS": "0",
        "items-MIN_NUM_FORMS": "1",
        "items-MAX_NUM_FORMS": "1000",
        "items-0-code": "payment.accepted",
        "items-0-unit_price": "0.0450",
        "items-1-code": "monthly_fee",
        "items-1-unit_price": "99.9",
    }
    staff.post("/admin/shops/pricelist/add/", values)
    found = PriceList.objects.get(name="Grands comptes")
    assert dict(found.items.values_list("code", "unit_price")) == {
        "payment.accepted": Decimal("0.0450"),
        "monthly_fee": Decimal("99.9000"),
    }
    assert list(PriceList.objects.filter(is_default=True)) == [found]
    page = staff.get(f"/admin/shops/pricelist/{found.pk}/change/")
    assert page.status_code == 200
    items = list(found.items.order_by("pk"))
    change = {**values, "items-INITIAL_FORMS": "2", "items-1-DELETE": "on", "items-0-unit_price": "0.05"}
    for number, item in enumerate(items):
        change |= {f"items-{number}-id": str(item.pk), f"items-{number}-price_list": str(found.pk)}
    staff.post(f"/admin/shops/pricelist/{found.pk}/change/", change)
    assert dict(found.items.values_list("code", "unit_price")) == {"payment.accepted": Decimal("0.0500")}


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_billing_issued_in_the_admin_arrives_by_mail_and_is_downloaded(
    claire: User, page: Any, log_in_browser: Callable[[User], None], smtp_server: Any, tmp_path: Any
) -> None:
    import io

    from pypdf import PdfReader

    from notifications.worker import loop
    from shops.billing import services

    prices, _created = PriceList.objects.get_or_create(name="Standard", defaults={"is_default": True})
    from companies.audit import Actor

    services.price_list_save(
        price_list=prices, prices={"payment.accepted": Decimal("0.0800")}, actor=Actor.command("test"), is_default=True
    )
    log_in_browser(StaffFactory(language="fr"))
    page.goto(f"{LIST}issue/")
    page.get_by_label("boutiques", exact=False).first.fill("10000001")
    page.get_by_label("du", exact=False).first.fill((timezone.localdate() - timedelta(days=20)).isoformat())
    page.get_by_label("au (compris)").fill((timezone.localdate() - timedelta(days=1)).isoformat())
    page.get_by_role("button", name="Voir l'aperçu").click()
    page.get_by_role("button", name="Émettre et envoyer").click()
    page.get_by_text("1 document est émis et part par e-mail.").wait_for()
    loop.deliver_until_idle()
    (received,) = smtp_server.received
    assert received.rcpt_tos == ("claire@lumiere.example",)
    (attached,) = received.message.iter_attachments()
    mailed = attached.get_content()
    number = BillingDocument.objects.get().number
    assert f"Facture {number}" in PdfReader(io.BytesIO(mailed)).pages[0].extract_text()
    log_in_browser(claire)
    page.goto("/billing/")
    page.get_by_role("link", name=number, exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Télécharger le PDF").click()
    target = tmp_path / "facture.pdf"
    download.value.save_as(target)
    assert target.read_bytes() == mailed
