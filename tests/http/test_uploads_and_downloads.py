"""Files that come in and files that go out: every place that takes or gives one, and what it refuses."""

import ast
import zlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import FileField
from django.test import Client
from django.utils import timezone

from companies.models import User
from notifications.models import Attachment
from shops.billing import uploads
from shops.models import BillingDocument, BillingDraft, PriceList, Shop
from tests.factories import (
    BillingDocumentFactory,
    DeliveryFactory,
    EventFactory,
    ShopFactory,
    StaffFactory,
    UserFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standard_prices"), pytest.mark.one_database]
ROOT = Path(settings.BASE_DIR)
APPS = ("backoffice", "companies", "notifications", "shops")
UPLOAD = "/admin/shops/billingdocument/upload/"
DRAFTS = "/admin/shops/billingdocument/drafts/"
CSV = b"description,quantity,unit_price\nConseil,2,5\n"
POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n%%EOF\n"


# --- Guards: a place that is not tested here fails here --------------------------------------------


def _sources() -> Iterator[tuple[str, str]]:
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text()


def test_two_forms_take_a_file() -> None:
    """Billing, of the team; the shops of a merchant."""
    fields = {
        f"{path}:{node.attr}"
        for path, source in _sources()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and node.attr in ("FileField", "ImageField", "MultipleFileField")
    }
    assert fields == {"shops/billing/forms.py:FileField", "shops/bulk/forms.py:FileField"}
    # The newsletter's form is given the files of a request, too, and has no field for any.
    reading = {path for path, source in _sources() if "request.FILES" in source}
    assert reading == {
        "shops/billing/admin.py",
        "notifications/broadcasts/admin.py",
        "shops/bulk/views.py",
        "companies/submissions.py",  # what makes two submissions the same
    }
    folders = [ROOT / "templates", *(ROOT / app for app in APPS)]
    pages = [path for folder in folders for path in folder.rglob("*.html")]
    templates = {str(path.relative_to(ROOT)) for path in pages if "multipart" in path.read_text()}
    assert templates == {"templates/admin/shops/billing/upload.html", "templates/shops/bulk/bulk.html"}


def test_no_file_lies_on_a_disk_where_a_web_server_could_find_it() -> None:
    """Files are rows: they go out through a view that asks whose they are, and with the backup of the rest."""
    models = [model for model in apps.get_models() if model._meta.app_label in ("companies", "notifications", "shops")]
    assert not [field for model in models for field in model._meta.get_fields() if isinstance(field, FileField)]
    assert settings.MEDIA_ROOT == ""


def test_every_place_that_gives_a_file_is_known() -> None:
    marks = ("isposition", "FileResponse", "file_response(")
    giving = {path for path, source in _sources() if any(mark in source for mark in marks)}
    assert giving == {
        "backoffice/base/files.py",
        "backoffice/base/csv_files.py",  # CSV: test_csv_files
        "companies/submissions.py",  # a file is not given twice
        "notifications/privacy/support_admin.py",
        "notifications/admin/deliveries.py",
        "notifications/journal/views.py",
        "shops/billing/admin.py",
        "shops/billing/views.py",
    }


# --- Files that go out ----------------------------------------------------------------------------


def _document(shop: Shop) -> str:
    return f"/billing/{BillingDocumentFactory(shop=shop).pk}/download/"


def _attachment(shop: Shop) -> str:
    delivery = DeliveryFactory(event=EventFactory(shop=shop))
    file = Attachment.objects.create(
        message=delivery.message, name="F2001-000001.pdf", content_type="application/pdf", content=PDF, size=len(PDF)
    )
    return f"/notifications/journal/{delivery.pk}/attachments/{file.pk}/"


@pytest.mark.parametrize("make", [_document, _attachment])
def test_a_file_is_saved_not_shown_and_by_nobody_else(
    make: Callable[[Shop], str], shop: Shop, client_for: Callable[..., Client]
) -> None:
    path = make(shop)
    response = client_for(UserFactory(company=shop.company)).get(path)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/pdf"
    assert response.headers["Content-Disposition"].startswith('attachment; filename="F2001-')
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"] == POLICY
    assert "no-store" in response.headers["Cache-Control"]
    elsewhere = ShopFactory(company=shop.company)
    strangers = [
        UserFactory(),
        UserFactory(company=shop.company, shops=[elsewhere]),
        StaffFactory(),
    ]
    assert [client_for(user).get(path).status_code for user in strangers] == [404, 404, 404]
    assert Client().get(path).status_code == 302


@pytest.mark.parametrize("name", ["{}pdf/", "draft"])
def test_a_file_of_the_team_is_saved_not_shown(name: str, shop: Shop, client_for: Callable[..., Client]) -> None:
    staff = client_for(StaffFactory())
    if name == "draft":
        _post(staff, PDF, net="5")
        path = f"{DRAFTS}{BillingDraft.objects.get().pk}/pdf/"
    else:
        path = f"/admin/shops/billingdocument/{BillingDocumentFactory(shop=shop).pk}/pdf/"
    response = staff.get(path)
    assert response.headers["Content-Type"] == "application/pdf"
    assert response.headers["Content-Disposition"].startswith("attachment; filename=")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"] == POLICY
    assert client_for(UserFactory(company=shop.company)).get(path).status_code in (302, 403, 404)
    assert client_for(StaffFactory(is_superuser=False)).get(path).status_code == 403


# --- Files that come in ---------------------------------------------------------------------------


@pytest.fixture
def staff(client_for: Callable[[User], Client]) -> Client:
    return client_for(StaffFactory(language="fr"))


@pytest.fixture
def english(client_for: Callable[[User], Client]) -> Client:
    return client_for(StaffFactory(language="en"))


def _post(client: Client, content: bytes, name: str = "facture", **fields: Any) -> Any:
    today = timezone.localdate()
    values = {
        "site_id": "10000001",
        "file": SimpleUploadedFile(name, content, content_type="application/octet-stream"),
        "start": (today - timedelta(days=20)).isoformat(),
        "end": (today - timedelta(days=2)).isoformat(),
        "price_list": PriceList.objects.get(is_default=True).pk,
        **fields,
    }
    return client.post(UPLOAD, values)


def _errors(page: Any) -> dict[str, list[str]]:
    assert page.status_code == 200, page.status_code
    assert BillingDraft.objects.count() == 0
    return {name: list(messages) for name, messages in page.context["form"].errors.items()}


def _packed(said: bytes, dictionary: bytes = b"/Type /ObjStm /Filter /FlateDecode") -> bytes:
    return (
        b"%PDF-1.5\n1 0 obj\n<<" + dictionary + b">>\nstream\n" + zlib.compress(said) + b"\nendstream\nendobj\n%%EOF\n"
    )


HEADER = b"description,quantity,unit_price\n"
REFUSED = [
    # content, name, French, English
    (b"", "vide.csv", "vide", "empty"),
    (b"%PDF-1.4\nMZ\n%%EOF", "a.csv", "Ce fichier se dit CSV mais contient un PDF.", "says it is a CSV"),
    (CSV, "a.pdf", "Ce fichier se dit PDF mais n'en est pas un.", "says it is a PDF"),
    (b"PK\x03\x04" + b"\0" * 99, "a.xlsx", "Ce fichier n'est ni un CSV ni un PDF.", "neither a CSV nor a PDF"),
    (b"\x1f\x8b\x08\x00" + b"\xff" * 99, "a.gz", "Ce fichier n'est ni un CSV ni un PDF.", "neither a CSV nor a PDF"),
    (HEADER + b"a" * 5000 + b"\0,1,1\n", "a.csv", "Ce fichier n'est ni un CSV ni un PDF.", "neither a CSV nor a PDF"),
    (HEADER + b"Caf\x81,1,1\n", "a.csv", "n'est pas en UTF-8 (octet 36)", "not in UTF-8 (byte 36)"),
    (CSV.decode().encode("utf-16"), "a.csv", "n'est pas en UTF-8 (octet 1)", "not in UTF-8 (byte 1)"),
    (HEADER + b'"' + b"a" * 200_000 + b'",1,1\n', "a.csv", "une cellule dépasse 131072 caractères", "131072 characters"),
    (HEADER + b'"Conseil,1,1\n', "a.csv", "un guillemet est mal placé", "quotation mark"),
    (HEADER + b"a,999999999999,999999999999\n", "a.csv", "est trop grand", "too large"),
    (HEADER + b"a,1,99999999999\n" * 3, "a.csv", "est trop grand", "too large"),
    ("description,quantity,unit_price\n＝A1,1,1\n".encode(), "a.csv", "« ＝A1 » commence comme une formule", "formula"),
    (HEADER + b"x" * (1024 * 1024), "a.csv", "Le fichier CSV dépasse 1 Mio.", "exceeds 1 MiB"),
    (b"%PDF-1.4\n", "a.pdf", "Le fichier PDF est incomplet", "incomplete"),
    (b"%PDF-1.4\n<</J#61vaScript (x)>>\n%%EOF", "a.pdf", "élément actif (/JavaScript)", "/JavaScript"),
    (b"%PDF-1.4\n<</EmbeddedFiles 2 0 R>>\n%%EOF", "a.pdf", "élément actif (/EmbeddedFiles)", "/EmbeddedFiles"),
    (_packed(b"<</OpenAction 2 0 R>>"), "a.pdf", "élément actif (/OpenAction)", "/OpenAction"),
    (_packed(b"<</AA 2 0 R>>", b"/Type /Obj#53tm"), "a.pdf", "élément actif (/AA)", "/AA"),
    (_packed(b"\0" * 32 * 1024 * 1024), "a.pdf", "est démesuré une fois décompressé", "once unpacked"),
    (
        b"%PDF-1.5\n1 0 obj\n<</Type /ObjStm /Filter /LZWDecode>>\nstream\n\x80\x0b\nendstream\n%%EOF",
        "a.pdf",
        "d'une façon qui ne se vérifie pas",
        "cannot be checked",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("content", "name", "french", "_english"), REFUSED)
def test_a_file_that_is_not_what_it_should_be_is_refused_on_its_field(
    content: bytes, name: str, french: str, _english: str, staff: Client, shop: Shop
) -> None:
    net = "5" if content.startswith(b"%PDF") else ""
    page = _post(staff, content, name, net=net, end="2026-10-31", start="2026-10-01")
    (message, *_more) = _errors(page)["file"]
    assert set(_errors(page)) == {"file"}
    assert french in message
    if content:
        assert message.startswith(f"« {name} » : ")
    # What else was typed is still there.
    html = unescape(page.text)
    for typed in ('value="10000001"', 'value="2026-10-31"', 'value="2026-10-01"'):
        assert typed in html


@pytest.mark.parametrize(("content", "name", "_french", "told"), REFUSED)
def test_the_same_is_told_in_english(
    content: bytes, name: str, _french: str, told: str, english: Client, shop: Shop
) -> None:
    net = "5" if content.startswith(b"%PDF") else ""
    page = _post(english, content, name, net=net)
    assert set(_errors(page)) == {"file"}
    assert told in unescape(page.text)


def test_what_is_too_large_is_refused_before_it_is_read(
    staff: Client, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "kind_of", lambda *_all: pytest.fail("the file was read"))
    page = _post(staff, b"%PDF-" + b"x" * uploads.MAX_PDF, "grand.pdf", net="5")
    assert _errors(page) == {"file": ["Le fichier dépasse 8 Mio."]}


def test_a_form_over_the_limit_is_not_even_taken_whoever_sends_it(
    staff: Client, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a page without any file, too, and before the log-in: nothing of it reaches the disk."""
    from django.core.files import uploadhandler

    monkeypatch.setattr(
        uploadhandler.TemporaryFileUploadHandler, "new_file", lambda *_all, **_named: pytest.fail("a file was written")
    )
    large = b"x" * (settings.FORM_MAX_BODY_BYTES + 1)
    for client, path in ((staff, UPLOAD), (Client(), "/accounts/login/")):
        answer = client.post(path, {"login": "claire", "file": SimpleUploadedFile("a.pdf", large)})
        assert answer.status_code == 400
        assert "Traceback" not in answer.text
    assert Client().get("/accounts/login/").status_code == 200


def test_a_pdf_made_to_keep_the_check_busy_is_judged_in_one_pass() -> None:
    """Openings of streams without an end: each used to be searched for it, up to the end of the file."""
    sought = 0

    class Counting(bytes):
        def find(self, *asked: Any) -> int:  # type: ignore[override]
            nonlocal sought
            sought += 1
            return super().find(*asked)

    content = Counting(b"%PDF-1.4\n" + b">>stream\n" * 800_000 + b"%%EOF")
    with pytest.raises(uploads.ValidationError, match="incomplet"):
        uploads.check_pdf(content)
    assert sought == 1


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\facture.txt", "facture.txt"),
        ("fac\x00ture\r\n\x1b[2J.txt", None),
        ("é" * 300 + ".txt", None),
        ("facture\u202etxt.exe", None),
        ("<script>alert(1)</script>.txt", None),
    ],
)
def test_the_name_of_a_file_is_only_shown_and_can_do_nothing(
    sent: str, kept: str | None, staff: Client, shop: Shop
) -> None:
    boundary = "limite"
    today = timezone.localdate()
    fields = {
        "site_id": "10000001",
        "start": f"{today - timedelta(days=20)}",
        "end": f"{today - timedelta(days=2)}",
        "price_list": f"{PriceList.objects.get(is_default=True).pk}",
    }
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    # By hand: what a browser would never send.
    name = sent.replace("\\", "\\\\").replace("\r\n", "%0D%0A")
    parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n')
    body = "".join(parts).encode() + CSV + f"\r\n--{boundary}--\r\n".encode()
    page = staff.post(UPLOAD, body, content_type=f"multipart/form-data; boundary={boundary}", follow=True)
    draft = BillingDraft.objects.get()
    assert page.status_code == 200
    assert len(draft.file_name) <= 200
    assert all(character.isprintable() for character in draft.file_name)
    assert "/" not in draft.file_name and "\\" not in draft.file_name
    if kept is not None:
        assert draft.file_name == kept
    assert "<script>alert" not in page.text
    issued = staff.post(f"{DRAFTS}{draft.pk}/", {"issue": "1"}, follow=True)
    # The file that goes out has a name of ours.
    document = BillingDocument.objects.get()
    assert document.file_name == f"{document.number}.pdf"
    assert sent not in issued.text


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + CSV,
        CSV.replace(b",", b";").replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + "libellé;quantité;prix_unitaire\r\nCafé;2,5;1 000,50\r\n".encode(),
        "libellé;quantité;prix_unitaire\r\nCafé à 2 €;2,5;10,50\r\n".encode("cp1252"),
        "description,quantity,unit_price\r\nCafé,2.5,10\r\n".encode("cp1252"),
        HEADER + '"Conseil ""à la carte"",\nsuite",2,5\n'.encode(),
    ],
)
def test_what_spreadsheets_write_is_taken(content: bytes, staff: Client, shop: Shop) -> None:
    assert _post(staff, content, "facture.csv").status_code == 302
    (line,) = BillingDraft.objects.get().lines
    assert BillingDraft.objects.get().source == "csv"
    assert line["label"].startswith(("Conseil", "Café"))
    assert "\ufffd" not in line["label"] and "Ã" not in line["label"]


def test_a_modern_pdf_with_packed_objects_is_taken(staff: Client, shop: Shop) -> None:
    content = _packed(b"1 0 <</Type /Catalog /Pages 2 0 R>>") + _packed(b"/JS /AA", b"/Filter /FlateDecode")
    assert _post(staff, content, "facture.pdf", net="12.50").status_code == 302
    assert bytes(BillingDraft.objects.get().file) == content


def test_each_other_error_stands_on_its_own_field(staff: Client, shop: Shop) -> None:
    assert set(_errors(_post(staff, CSV, net="5"))) == {"net"}
    assert set(_errors(_post(staff, PDF))) == {"net"}
    assert set(_errors(_post(staff, PDF, net="999999999999"))) == {"net"}
    assert set(_errors(_post(staff, CSV, start="2026-10-31", end="2026-10-01"))) == {"end"}
    assert _errors(_post(staff, CSV, site_id="99999999")) == {
        "site_id": ["« 99999999 » n'est pas une boutique ouverte."]
    }


def test_a_draft_is_reached_by_those_who_issue_only(
    staff: Client, shop: Shop, client_for: Callable[..., Client]
) -> None:
    _post(staff, PDF, net="5")
    path = f"{DRAFTS}{BillingDraft.objects.get().pk}/"
    merchant = client_for(UserFactory(company=shop.company))
    reader = client_for(StaffFactory(is_superuser=False))
    for client in (Client(), merchant, reader):
        for address in (path, f"{path}pdf/", UPLOAD):
            assert client.get(address).status_code in (302, 403, 404)
        assert client.post(path, {"drop": "1"}).status_code in (302, 403, 404)
    assert BillingDraft.objects.count() == 1
