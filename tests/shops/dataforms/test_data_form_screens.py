"""The merchant's pages of a data collection form, and the decision of staff."""

import csv
import io
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client

from companies.models import Role
from notifications.models import Delivery
from shops import dataform_content as content
from shops.dataform_content import Amount, FormField
from shops.dataforms import selectors, services
from shops.models import DataCollectionForm, DataFormVersion, Shop
from tests.factories import (
    DataCollectionFormFactory,
    DataFormAnswerFactory,
    DataFormVersionFactory,
    ShopFactory,
    ShopKeyFactory,
    StaffFactory,
    UserFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


@pytest.fixture
def client(shop: Shop, client_for: Callable[..., Client]) -> Client:
    return client_for(UserFactory(company=shop.company))


def url(shop: Shop, end: str = "") -> str:
    return f"/settings/shops/{shop.site_id}/data-form/{end}"


def draft(shop: Shop) -> content.Content:
    return selectors.draft_of(selectors.form_of(shop))


def said(response: Any) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def press(client: Client, shop: Shop, do: str, version: int | str | None = None, **more: Any) -> Any:
    version = selectors.form_of(shop).version if version is None else version
    return client.post(url(shop, "fields/"), {"do": do, "version": version, **more}, follow=True)


# --- The builder ----------------------------------------------------------------------------------


def test_the_buttons_of_the_builder_work_as_plain_forms(client: Client, shop: Shop) -> None:
    assert "« Ville » est ajouté aux champs facultatifs." in said(press(client, shop, "add:city"))
    assert "« Ville » monte d'une place." in said(press(client, shop, "up:city"))
    assert "« Ville » est obligatoire." in said(press(client, shop, "required:city"))
    assert [item.code for item in draft(shop).shown] == ["last_name", "first_name", "email", "city", "reference"]
    assert "« Ville » est retiré du formulaire." in said(press(client, shop, "remove:city"))
    own = press(client, shop, "own:", **{"own-label": "Date souhaitée", "own-kind": "text"})
    assert "« Date souhaitée » est ajouté" in said(own)
    assert draft(shop).find("own1") == FormField("own1", label={"fr": "Date souhaitée"})


def test_htmx_gets_the_builder_alone_with_the_news_and_the_next_version(client: Client, shop: Shop) -> None:
    response = client.post(url(shop, "fields/"), {"do": "add:city", "version": 1}, headers={"HX-Request": "true"})
    text = response.content.decode()
    assert "<html" not in text and 'id="builder"' in text
    assert 'role="status"' in text and "« Ville » est ajouté aux champs facultatifs." in text
    assert 'name="version" value="2"' in text
    stale = client.post(url(shop, "fields/"), {"do": "add:country", "version": 1}, headers={"HX-Request": "true"})
    assert "modifiées par quelqu&#x27;un d&#x27;autre" in stale.content.decode()
    assert draft(shop).find("country") is None


@pytest.mark.parametrize("version", ["", "x", "0", "7", "²"])
def test_a_stale_or_mangled_version_changes_nothing_and_says_so(client: Client, shop: Shop, version: str) -> None:
    assert "modifiées par quelqu'un d'autre" in said(press(client, shop, "add:city", version))
    assert not DataCollectionForm.objects.exists()


@pytest.mark.parametrize("do", ["", "add", "explode:city", "up:nothing", "add:card_number"])
def test_an_unknown_button_changes_nothing(client: Client, shop: Shop, do: str) -> None:
    assert press(client, shop, do).status_code in (200, 404)
    assert not DataCollectionForm.objects.exists()


def test_a_field_of_ones_own_without_a_name_comes_back_with_the_reason(client: Client, shop: Shop) -> None:
    response = press(client, shop, "own:", **{"own-label": " ", "own-kind": "email"})
    assert response.status_code == 200
    assert "Nom du champ" in said(response) and 'value="email" selected' in response.content.decode()


def test_a_field_is_configured_and_errors_keep_what_was_typed(client: Client, shop: Shop) -> None:
    where = url(shop) + "?field=reference"
    typed = {
        "label_fr": "Numéro de facture",
        "label_en": "Invoice number",
        "help_fr": "En haut à droite",
        "help_en": "",
        "min_length": "10",
        "max_length": "8",
        "required": "on",
        "version": "1",
    }
    refused = client.post(where, typed)
    assert "« 10 » dépasse la longueur maximale, 8." in said(refused)
    assert 'value="Numéro de facture"' in refused.content.decode()
    too_long = client.post(where, {**typed, "max_length": "65"})
    assert "« 65 » : ce champ compte au plus 64 caractères." in said(too_long)
    done = client.post(where, {**typed, "min_length": "4", "confirm": "on"}, follow=True)
    assert "Champ « Numéro de facture » enregistré." in said(done)
    assert draft(shop).find("reference") == FormField(
        "reference",
        "text",
        True,
        {"fr": "Numéro de facture", "en": "Invoice number"},
        {"fr": "En haut à droite"},
        4,
        8,
        True,
    )
    stale = client.post(where, typed | {"min_length": "5"})
    assert "modifiées par quelqu'un d'autre" in said(stale)
    assert 'name="version" value="2"' in stale.content.decode(), "a second, informed save goes through"


def test_a_configured_field_that_is_gone_leads_back(client: Client, shop: Shop) -> None:
    assert client.get(url(shop) + "?field=city").status_code == 200
    response = client.post(url(shop) + "?field=city", {"version": "1"}, follow=True)
    assert "n'est plus dans le formulaire" in said(response)


TEXTS = {
    "title_fr": "Réparation",
    "title_en": "Repair",
    "intro_fr": "Bonjour",
    "intro_en": "",
    "amount_kind": "free",
    "currency": "EUR",
    "fixed": "",
    "minimum": "5",
    "maximum": "1 000,50",
    "privacy_url": "https://lumiere.example/donnees",
    "retention_months": "6",
    "version": "1",
}


def test_texts_amount_and_privacy_are_saved(client: Client, shop: Shop) -> None:
    assert "Textes et montant enregistrés." in said(client.post(url(shop, "texts/"), TEXTS, follow=True))
    saved = draft(shop)
    assert saved.title == {"fr": "Réparation", "en": "Repair"} and saved.intro == {"fr": "Bonjour"}
    assert saved.amount == Amount(minimum=500, maximum=100050)
    assert (saved.privacy_url, saved.retention_months) == ("https://lumiere.example/donnees", 6)
    fixed = {**TEXTS, "amount_kind": "fixed", "fixed": "1500", "currency": "JPY", "version": "2"}
    client.post(url(shop, "texts/"), fixed | {"minimum": "", "maximum": ""})
    assert (draft(shop).amount, draft(shop).currency) == (Amount(fixed=1500), "JPY")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"minimum": "abc"}, "« abc » n'est pas un montant"),
        ({"minimum": "9", "maximum": "8"}, "« 9,00 EUR » dépasse le montant maximal, 8,00 EUR."),
        ({"amount_kind": "fixed"}, "Indiquez le montant que l'acheteur doit payer."),
        ({"amount_kind": "fixed", "fixed": "1,5", "currency": "JPY"}, "décimale"),
        ({"privacy_url": "javascript:alert(1)"}, "« javascript:alert(1) » n'est pas une adresse web"),
        ({"privacy_url": "https://exa mple.org"}, "n'est pas une adresse web"),
        ({"privacy_url": "https://[bad"}, "n'est pas une adresse web"),
        ({"retention_months": "5"}, "5"),
        ({"title_fr": "x" * 121}, "120"),
    ],
)
def test_a_refused_setting_names_the_value_and_saves_nothing(
    client: Client, shop: Shop, changes: dict[str, str], sentence: str
) -> None:
    response = client.post(url(shop, "texts/"), {**TEXTS, **changes})
    assert response.status_code == 200
    assert sentence in said(response) and 'value="Repair"' in response.content.decode()
    assert not DataCollectionForm.objects.exists()


def test_a_viewer_looks_and_changes_nothing(shop: Shop, client_for: Callable[..., Client]) -> None:
    viewer = client_for(UserFactory(company=shop.company, role=Role.VIEWER))
    DataFormVersionFactory(form__shop=shop)
    for end in ("", "texts/", "answers/", "versions/"):
        response = viewer.get(url(shop, end))
        assert response.status_code == 200
        assert 'name="do"' not in response.content.decode() and "go-live" not in response.content.decode()
    assert viewer.post(url(shop) + "?field=email", {"version": 1}).status_code == 403
    assert viewer.post(url(shop, "go-live/"), {"version": 1}).status_code == 403


# --- Online ---------------------------------------------------------------------------------------


def test_the_button_says_request_in_test_and_publish_in_production(client: Client, shop: Shop) -> None:
    DataCollectionFormFactory(shop=shop)
    assert "Demander la mise en ligne" in said(client.get(url(shop)))
    assert "encore en TEST" in said(client.get(url(shop)))
    ShopKeyFactory(shop=shop, kind="production")
    text = said(client.get(url(shop)))
    assert "Mettre en ligne" in text and "Demander la mise en ligne" not in text and "encore en TEST" not in text


def test_a_form_that_is_not_complete_offers_no_button_and_says_what_is_missing(client: Client, shop: Shop) -> None:
    text = said(client.get(url(shop)))
    assert "Indiquez l'adresse de votre politique de protection des données." in text
    assert "Demander la mise en ligne" not in text
    sent = client.post(url(shop, "go-live/"), {"version": 1}, follow=True)
    assert "Indiquez l'adresse de votre politique" in said(sent)
    assert not DataFormVersion.objects.exists()


def test_a_request_from_a_stale_page_is_refused(client: Client, shop: Shop) -> None:
    DataCollectionFormFactory(shop=shop, version=4)
    for version in ("3", "", "x"):
        answer = client.post(url(shop, "go-live/"), {"version": version}, follow=True)
        assert "modifiées par quelqu'un d'autre" in said(answer)
    assert not DataFormVersion.objects.exists()


def test_staff_refuse_with_a_reason_that_the_merchant_reads_then_confirm(
    client: Client, shop: Shop, client_for: Callable[..., Client]
) -> None:
    DataCollectionFormFactory(shop=shop)
    assert "l'équipe de la plateforme la relit" in said(client.post(url(shop, "go-live/"), {"version": 1}, follow=True))
    first = DataFormVersion.objects.get()
    staff = client_for(StaffFactory(first_name="Zoé", last_name="Petit"))
    listing = staff.get("/admin/shops/dataformversion/?state__exact=requested")
    assert "Lumière Paris" in said(listing)
    page = f"/admin/shops/dataformversion/{first.pk}/change/"
    shown = staff.get(page)
    assert "claire@lumiere.example" in said(shown) and "Adresse e-mail (obligatoire)" in said(shown)
    preview = re.search(r'href="(/forms/preview/[^"]+)"', shown.content.decode())
    assert preview and Client().get(preview[1]).status_code == 200

    assert "Choisissez : mettre en ligne, ou refuser." in said(staff.post(page, {"reason": "x"}))
    without = staff.post(page, {"decision": "refuse", "reason": " "})
    assert "Indiquez au marchand pourquoi" in said(without)
    first.refresh_from_db()
    assert first.state == "requested"
    staff.post(page, {"decision": "refuse", "reason": "La politique ne s'ouvre pas <b>."})
    first.refresh_from_db()
    assert (first.state, first.decided_by) == ("refused", "Zoé Petit")
    merchant = client.get(url(shop))
    assert "La politique ne s&#x27;ouvre pas &lt;b&gt;." in merchant.content.decode()
    assert staff.post(page, {"decision": "approve"}).status_code == 403, "decided once"

    client.post(url(shop, "go-live/"), {"version": 1})
    second = DataFormVersion.objects.get(state="requested")
    page = f"/admin/shops/dataformversion/{second.pk}/change/"
    assert "Le formulaire est en ligne" in said(staff.post(page, {"decision": "approve", "reason": ""}, follow=True))
    second.refresh_from_db()
    assert second.state == "live"
    assert sorted(Delivery.objects.values_list("notification", flat=True)) == [
        "data_form_go_live",
        "data_form_go_live",
        "data_form_go_live_confirmation",
    ]
    text = said(client.get(url(shop)))
    assert "En ligne" in text and "La politique ne s'ouvre pas" not in text


def test_what_staff_may_not_confirm_is_told_and_stays_a_request(shop: Shop, client_for: Callable[..., Client]) -> None:
    asked = DataFormVersionFactory(form__shop=shop, state="requested", live_at=None)
    shop.status = "suspended"
    shop.save()
    staff = client_for(StaffFactory())
    page = f"/admin/shops/dataformversion/{asked.pk}/change/"
    assert "suspendue" in said(staff.post(page, {"decision": "approve"}, follow=True))
    asked.refresh_from_db()
    assert asked.state == "requested"
    assert staff.get("/admin/shops/dataformversion/add/").status_code == 403


@pytest.mark.parametrize(
    ("end", "sentence", "state"),
    [("withdraw/", "Le formulaire n'est plus en ligne.", "withdrawn"), ("copy-live/", "de nouveau la copie", "live")],
)
def test_what_cannot_be_undone_asks_first(client: Client, shop: Shop, end: str, sentence: str, state: str) -> None:
    version = DataFormVersionFactory(form__shop=shop)
    press(client, shop, "add:city")
    asked = client.get(url(shop, end))
    version.refresh_from_db()
    assert "Lumière Paris" in said(asked) and version.state == "live" and draft(shop).find("city")
    assert sentence in said(client.post(url(shop, end), follow=True))
    version.refresh_from_db()
    assert version.state == state
    assert (draft(shop).find("city") is None) == (end == "copy-live/")
    assert "Rien n'a changé." in said(client.post(url(shop, end), follow=True))


def test_a_request_is_cancelled_and_its_button_returns(client: Client, shop: Shop) -> None:
    DataCollectionFormFactory(shop=shop)
    client.post(url(shop, "go-live/"), {"version": 1})
    assert "Demander la mise en ligne" not in said(client.get(url(shop)))
    client.post(url(shop, "cancel-request/"))
    assert DataFormVersion.objects.get().state == "cancelled"
    assert "Demander la mise en ligne" in said(client.get(url(shop)))
    assert "Demande annulée" in said(client.get(url(shop, "versions/")))


def test_the_history_tells_it_to_those_who_see_the_shop(shop: Shop, client: Client, client_for: Any) -> None:
    press(client, shop, "add:city")
    blind = client_for(UserFactory(company=shop.company, shops=[ShopFactory(company=shop.company)]))
    seeing = client_for(UserFactory(company=shop.company, shops=[shop]))
    for one, sees in ((client, True), (seeing, True), (blind, False)):
        text = said(one.get("/settings/company/history/"))
        assert ("Formulaire de collecte de données modifié" in text) == sees
        assert ("Champ Ville" in text) == sees


# --- Answers --------------------------------------------------------------------------------------


def test_the_list_is_searched_paged_and_kept_apart_by_mode(client: Client, shop: Shop) -> None:
    version = DataFormVersionFactory(form__shop=shop)
    answers = [DataFormAnswerFactory(version=version) for _number in range(30)]
    trial = DataFormAnswerFactory(version=version, mode="TEST", order__mode="TEST")
    wanted = answers[3]
    wanted.values = [{"code": "last_name", "label": "Nom", "value": "Benali"}]
    wanted.search = "benali"
    wanted.save()
    page = said(client.get(url(shop, "answers/?size=25")))
    assert "1 à 25 sur 30 réponses" in page and trial.order.reference not in page
    assert trial.order.reference in said(client.get(url(shop, "answers/?mode=TEST")))
    found = said(client.get(url(shop, "answers/?q=BENALI")))
    assert wanted.order.reference in found and answers[4].order.reference not in found
    assert "Aucune réponse ne correspond" in said(client.get(url(shop, "answers/?q=nobody")))


def test_the_list_costs_the_same_for_one_answer_and_for_many(
    client: Client, shop: Shop, django_assert_max_num_queries: Any
) -> None:
    version = DataFormVersionFactory(form__shop=shop)
    for count in (1, 24):
        for _number in range(count):
            DataFormAnswerFactory(version=version)
        with django_assert_max_num_queries(22):
            client.get(url(shop, "answers/"))


def test_the_csv_has_a_column_a_field_and_runs_no_formula(client: Client, shop: Shop) -> None:
    version = DataFormVersionFactory(form__shop=shop)
    DataFormAnswerFactory(
        version=version,
        values=[
            {"code": "last_name", "label": "Nom", "value": '=HYPERLINK("http://x")'},
            {"code": "reference", "label": "Référence", "value": "R;1"},
        ],
    )
    response = client.get(url(shop, "answers/?format=csv&plain=1"))
    assert "attachment" in response.headers["Content-Disposition"]
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 1
    row = rows[0]
    assert row["Nom"] == '\'=HYPERLINK("http://x")' and row["Référence"] == "R;1" and row["Prénom"] == ""
    assert (row["amount"], row["currency"], row["version"], row["mode"]) == ("49.90", "EUR", "1", "PRODUCTION")


def test_one_answer_is_read_and_erased_after_a_question(client: Client, shop: Shop) -> None:
    answer = DataFormAnswerFactory(version__form__shop=shop, values=[{"code": "info1", "label": "X", "value": "<i>"}])
    page = url(shop, f"answers/{answer.pk}/")
    order = client.get(f"/payment-orders/{answer.order_id}/").content.decode()
    assert f'href="{page}"' in order, "the order leads to what the buyer entered"
    assert "&lt;i&gt;" in client.get(page).content.decode()
    assert answer.order.reference in said(client.get(page + "erase/"))
    answer.refresh_from_db()
    assert answer.values
    assert "Ces données ont été effacées le" in said(client.post(page + "erase/", follow=True))


def test_an_answer_of_another_shop_or_company_is_a_plain_404(
    client: Client, shop: Shop, client_for: Callable[..., Client]
) -> None:
    answer = DataFormAnswerFactory(version__form__shop=shop)
    sister = ShopFactory(company=shop.company)
    assert client.get(url(sister, f"answers/{answer.pk}/")).status_code == 404
    stranger = client_for(UserFactory())
    for end in ("", "answers/", f"answers/{answer.pk}/", f"answers/{answer.pk}/erase/", "preview/?version=1"):
        assert stranger.get(url(shop, end)).status_code == 404


def test_the_preview_link_is_signed_for_this_form_and_this_version(client: Client, shop: Shop) -> None:
    version = DataFormVersionFactory(form__shop=shop)
    other = DataFormVersionFactory()
    target = client.get(url(shop, "preview/")).headers["Location"]
    assert selectors.by_preview_token(target.split("/")[3]) == (version.form, None)
    target = client.get(url(shop, "preview/?version=1")).headers["Location"]
    assert selectors.by_preview_token(target.split("/")[3]) == (version.form, version)
    assert client.get(url(shop, "preview/?version=9")).status_code == 404
    foreign = selectors.preview_token(version.form, other)
    assert selectors.by_preview_token(foreign) is None
    assert services.public_url(version.form).endswith(f"/forms/{version.form.token}/")
