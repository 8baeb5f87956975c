"""« Modifier en masse »: the file down and up, errors row by row, what it changes, one save, « Annuler »."""

import html
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from companies.models import AuditEntry, Company, Role
from shops.models import Shop
from tests.factories import ShopFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _two_shops(company: Company, paris: Shop) -> None:
    """The name of the second is one that a spreadsheet would run."""
    ShopFactory(company=company, site_id="10000002", name="=Évry", url="https://evry.example")


@pytest.fixture
def client(company: Company) -> Client:
    return logged_in(company, Role.MANAGER)


def logged_in(company: Company, role: str) -> Client:
    client = Client()
    client.force_login(UserFactory(company=company, role=role))
    return client


def url() -> str:
    return reverse("shops_bulk")


def down(client: Client, language: str = "fr") -> bytes:
    client.cookies["django_language"] = language
    response = client.get(url(), {"format": "csv"})
    return b"".join(response.streaming_content)  # type: ignore[attr-defined]


def up(client: Client, content: bytes) -> Any:
    return client.post(url(), {"file": SimpleUploadedFile("boutiques.csv", content, "text/csv")})


def text_of(response: Any) -> str:
    page = response.content.decode().replace('<wbr><span class="domain">', "")
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def carried(response: Any) -> dict[str, str]:
    """What the page with the effect sends to be saved."""
    page = response.content.decode()
    values = {name: re.search(rf'name="{name}" value="([^"]*)"', page) for name in ("content", "seen")}
    return {name: html.unescape(found[1]) for name, found in values.items() if found}


def test_the_file_comes_back_unchanged(client: Client) -> None:
    content = down(client)
    assert content.startswith("\ufeffsite_id;name;url;manager_email;language\r\n".encode())
    assert "Le fichier ne change rien" in text_of(up(client, content))
    assert not AuditEntry.objects.exists()


def test_how_far_a_save_is_can_be_asked_by_whoever_saves(client: Client, company: Company) -> None:
    asked = {"progress": "abc"}
    assert client.get(url(), asked).json() == {"done": 0, "total": 0}
    page = up(client, b"site_id,name\n10000001,Un\n10000002,Deux\n")
    assert 'data-total="2"' in page.content.decode() and 'name="progress"' in page.content.decode()
    client.post(url(), carried(page) | asked)
    assert client.get(url(), asked).json() == {"done": 2, "total": 2}
    assert logged_in(company, Role.MANAGER).get(url(), asked).json() == {"done": 0, "total": 0}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("delimiter", [";", ","])
def test_either_separator_and_either_encoding(client: Client, encoding: str, delimiter: str) -> None:
    rows = [["site_id", "name", "manager_email"], ["10000002", "Évry – été", "evry@x.example"]]
    page = up(client, "\n".join(delimiter.join(row) for row in rows).encode(encoding))
    assert "1 boutique change" in text_of(page)
    done = client.post(url(), carried(page), follow=True)
    assert "1 boutique modifiée" in text_of(done)
    shop = Shop.objects.get(site_id="10000002")
    assert (shop.name, shop.manager_email, shop.url) == ("Évry – été", "evry@x.example", "https://evry.example")


def test_what_changes_is_shown_before_and_saved_once(client: Client, company: Company) -> None:
    content = down(client).decode("utf-8-sig").replace("paris@lumiere.example", "").encode()
    page = up(client, content)
    text = text_of(page)
    assert "paris@lumiere.example ne recevra plus" in text and "Création de la boutique" in text
    assert text.index("paris@lumiere.example ne recevra plus") < text.index("claire@lumiere.example recevra")
    assert not AuditEntry.objects.exists()
    client.post(url(), carried(page))
    assert Shop.objects.get(site_id="10000001").manager_email == ""
    assert AuditEntry.objects.filter(action="shop.updated").count() == 1
    # The same again was decided on shops that are no longer so.
    again = client.post(url(), carried(page))
    assert "ne change rien" in text_of(again)
    assert AuditEntry.objects.filter(action="shop.updated").count() == 1


def test_a_save_can_be_taken_back(client: Client) -> None:
    done = client.post(url(), carried(up(client, b"site_id;name\n10000001;Lyon\n10000002;Nice\n")), follow=True)
    link = re.search(r'class="undo-link" href="([^"]+)"', done.content.decode())
    assert link is not None and "2 boutiques modifiées" in text_of(done)
    client.post(html.unescape(link[1]))
    assert [shop.name for shop in Shop.objects.order_by("site_id")] == ["Lumière Paris", "=Évry"]


def test_errors_name_line_and_column_and_nothing_is_saved(client: Client, company: Company) -> None:
    ShopFactory(company=company, site_id="10000003", status="closed")
    ShopFactory(site_id="20000001")
    rows = (
        b"site_id;name;manager_email;language\n"
        b"10000001;;pas une adresse;de\n"
        b"10000003;Close;;fr\n"
        b"20000001;Voisine;;fr\n"
        b"99999999;Inconnue;;fr\n"
        b"10000002;ok\n"
        b"10000002;ok;;fr\n"
        b"10000002;ok;;fr\n"
    )
    text = text_of(up(client, rows))
    for told in (
        "Ligne 2, colonne « name »",
        "Ligne 2, colonne « manager_email »",
        "Ligne 2, colonne « language »",
        "Ligne 3 : la boutique 10000003 est fermée",
        "Ligne 4 : aucune de vos boutiques ne porte l'identifiant « 20000001 »",
        "Ligne 5 : aucune de vos boutiques ne porte l'identifiant « 99999999 »",
        "Ligne 6 : 2 cellules au lieu de 4",
        "Ligne 8 : la boutique 10000002 est déjà à la ligne 7",
    ):
        assert told in text
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"name\nParis\n", "colonne « site_id » doit figurer une fois"),
        (b"site_id;couleur\n10000001;bleu\n", "« couleur » est inconnue"),
        (b"PK\x03\x04", "n'est pas un CSV"),
        (b'site_id;name\n10000001;"a\n', "mal form"),
        (b" \n", "vide"),
        (b"site_id;name\n10000001;\x81\n", "n'est pas en UTF-8"),
    ],
)
def test_a_file_that_is_none_is_refused(client: Client, content: bytes, told: str) -> None:
    assert told in text_of(up(client, content))


def test_a_spreadsheet_may_drop_leading_zeros(client: Client, company: Company) -> None:
    ShopFactory(company=company, site_id="00000042", name="Zéro")
    client.post(url(), carried(up(client, b"site_id,name\n42,Une\n")))
    assert Shop.objects.get(site_id="00000042").name == "Une"


def test_whoever_changed_a_shop_meanwhile_is_not_overwritten(client: Client) -> None:
    page = up(client, b"site_id;name\n10000001;Lyon\n")
    Shop.objects.filter(site_id="10000001").update(name="Nantes", version=7)
    again = client.post(url(), carried(page))
    assert "modifiées entre-temps" in text_of(again) and Shop.objects.get(site_id="10000001").name == "Nantes"
    client.post(url(), carried(again))
    assert Shop.objects.get(site_id="10000001").name == "Lyon"


def test_only_shops_of_ones_own_right(company: Company) -> None:
    assert logged_in(company, Role.VIEWER).get(url()).status_code == 403
    user = UserFactory(company=company, role=Role.MANAGER)
    membership = user.memberships.get()
    membership.all_shops = False
    membership.save()
    membership.grants.create(shop=Shop.objects.get(site_id="10000001"))
    client = Client()
    client.force_login(user)
    assert b"10000002" not in down(client)
    assert "aucune de vos boutiques" in text_of(up(client, b"site_id;name\n10000002;Prise\n"))


def test_500_shops_in_seconds(client: Client, company: Company) -> None:
    Shop.objects.bulk_create(
        Shop(company=company, site_id=f"{30_000_000 + n}", name=f"Boutique {n}", manager_email=f"b{n}@x.example")
        for n in range(500)
    )

    def cost(of: range) -> int:
        rows = "".join(f"{30_000_000 + n};nouveau{n}@x.example\n" for n in of)
        with CaptureQueriesContext(connection) as asked:
            page = up(client, f"site_id;manager_email\n{rows}".encode())
            done = client.post(url(), carried(page), follow=True)
        assert f"{len(of)} boutiques modifiées" in text_of(done)
        return len(asked)

    few = cost(range(40))
    assert cost(range(40, 500)) <= few * 460 / 40, "a shop costs no more because it comes with others"
