"""The buyer's page of a data collection form: what it asks, what it refuses, where it leads."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from shops.dataform_content import Amount, FormField
from shops.dataforms import public, selectors
from shops.models import DataFormAnswer, DataFormVersion, PaymentOrder, Shop
from tests.factories import DataCollectionFormFactory, DataFormVersionFactory, UserFactory

pytestmark = pytest.mark.django_db
TYPED = {
    "f_last_name": "Roy",
    "f_first_name": "Jeanne",
    "f_email": "jeanne@acheteur.example",
    "f_email_again": "Jeanne@Acheteur.example",
    "f_reference": "",
    "amount": "49,90",
    "consent": "on",
    "website": "",
}


@pytest.fixture
def version(shop: Shop) -> DataFormVersion:
    return DataFormVersionFactory(form__shop=shop)


def path(version: DataFormVersion) -> str:
    return f"/forms/{version.form.token}/"


def hidden(response: Any) -> str:
    found = re.search(r'name="form" value="([^"]+)"', response.content.decode())
    assert found
    return unescape(found[1])


def said(response: Any) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def send(where: str, *, wait: float = 10, client: Client | None = None, form: str | None = None, **changes: Any) -> Any:
    """Open the page, take `wait` seconds to fill it in, send it. None leaves an entry out."""
    client = client or Client()
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        form = hidden(client.get(where)) if form is None else form
    typed = {key: value for key, value in {**TYPED, "form": form, **changes}.items() if value is not None}
    with time_machine.travel(now + timedelta(seconds=wait), tick=False):
        return client.post(where, typed)


# --- The page -------------------------------------------------------------------------------------


def test_the_page_asks_what_the_live_version_asks(shop: Shop) -> None:
    version = DataFormVersionFactory(
        form__shop=shop,
        form__shape={
            "title": {"fr": "Votre commande"},
            "intro": {"fr": "Bonjour <b>\nà vous"},
            "fields": (
                FormField("info1", label={"fr": "Gravure"}, help={"fr": "Deux lignes au plus"}),
                FormField("title", "title", required=True),
            ),
            "amount": Amount(fixed=2500),
        },
    )
    response = Client().get(path(version))
    text = response.content.decode()
    assert response.status_code == 200
    assert "<h1>Votre commande " in text and "Bonjour &lt;b&gt;<br>" in text and "Deux lignes au plus" in text
    assert text.index("Civilité") < text.index("Gravure"), "required fields first"
    assert "25,00 EUR" in text and 'name="amount"' not in text
    assert 'autocomplete="honorific-prefix"' in text
    assert 'href="https://boutique.example/donnees"' in text and "effacées de cette plateforme après 12 mois" in text
    assert "paris@lumiere.example" in text and "X-Robots-Tag" not in response.headers
    assert "sessionid" not in response.cookies


def test_the_draft_is_not_what_buyers_see(version: DataFormVersion, shop: Shop) -> None:
    version.form.draft["title"] = {"fr": "Brouillon secret"}
    version.form.save()
    assert "Brouillon secret" not in said(Client().get(path(version)))


@pytest.mark.parametrize("token", ["x", "x" * 43, "%00", "..%2f..%2f", "é"])
def test_an_unknown_form_is_a_plain_404(token: str) -> None:
    plain = Client().get("/nothing-here/")
    for where in (f"/forms/{token}/", f"/forms/preview/{token}/"):
        response = Client().get(where)
        assert (response.status_code, response.content) == (404, plain.content)


@pytest.mark.parametrize("state", [None, "requested", "refused", "cancelled"])
def test_a_form_that_was_never_online_is_a_plain_404(shop: Shop, state: str | None) -> None:
    form = DataCollectionFormFactory(shop=shop)
    if state:
        DataFormVersionFactory(form=form, state=state, live_at=None)
    assert Client().get(f"/forms/{form.token}/").status_code == 404
    assert Client().post(f"/forms/{form.token}/", TYPED).status_code == 404


def test_a_withdrawn_form_says_so_and_takes_nothing(version: DataFormVersion) -> None:
    form = hidden(Client().get(path(version)))
    DataFormVersion.objects.update(state="withdrawn")
    for response in (Client().get(path(version)), send(path(version), form=form)):
        assert response.status_code == 410
        assert "Ce formulaire n'est plus en ligne" in said(response) and "paris@lumiere.example" in said(response)
    assert not DataFormAnswer.objects.exists()


@pytest.mark.parametrize("whose", ["shop", "company"])
@pytest.mark.parametrize("status", ["suspended", "closed"])
def test_a_suspended_or_closed_shop_asks_nothing(version: DataFormVersion, whose: str, status: str) -> None:
    form = hidden(Client().get(path(version)))
    target = version.form.shop if whose == "shop" else version.form.shop.company
    target.status = status
    target.save()
    for response in (Client().get(path(version)), send(path(version), form=form)):
        assert "n'est pas en service" in said(response) and b"<form" not in response.content
    assert not DataFormAnswer.objects.exists() and not PaymentOrder.objects.exists()


def test_the_language_is_the_shops_until_the_buyer_switches(version: DataFormVersion) -> None:
    response = Client().get(path(version) + "?lang=en")
    assert response.headers["Content-Language"] == "en" and b'<html lang="en">' in response.content
    assert "Last name" in said(response) and "I have read and accept the privacy policy of Lumière Paris." in said(
        response
    )
    assert Client().get(path(version) + "?lang=de").headers["Content-Language"] == "fr"
    done = send(path(version) + "?lang=en", amount="49.90")
    assert done.headers["Location"].endswith("?lang=en")
    assert PaymentOrder.objects.get().language == "en"


def test_a_logged_in_merchant_sees_what_the_buyer_sees(
    version: DataFormVersion, client_for: Callable[..., Client]
) -> None:
    client = client_for(UserFactory(company=version.form.shop.company))
    assert b"side-menu" not in client.get(path(version)).content


def test_the_page_costs_a_constant_number_of_queries(
    version: DataFormVersion, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(4):
        Client().get(path(version))


# --- Sending --------------------------------------------------------------------------------------


def test_a_filled_form_leads_to_the_order_it_made(version: DataFormVersion) -> None:
    response = send(path(version))
    order = PaymentOrder.objects.get()
    assert response.status_code == 302 and response.headers["Location"] == f"/orders/{order.token}/"
    assert (order.amount, order.recipient, order.source, order.mode) == (
        4990, "jeanne@acheteur.example", "DCF", "PRODUCTION",
    )  # fmt: skip
    assert "49,90" in said(Client().get(response.headers["Location"]))
    answer = DataFormAnswer.objects.get()
    assert (answer.version, answer.order, answer.name) == (version, order, "Jeanne Roy")


def test_a_form_sent_twice_makes_one_order_and_leads_to_it_both_times(version: DataFormVersion) -> None:
    form = hidden(Client().get(path(version)))
    places = {send(path(version), form=form, amount=amount).headers["Location"] for amount in ("10", "20")}
    assert len(places) == 1 and PaymentOrder.objects.get().amount == 1000


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"f_last_name": "  "}, "Nom : ce champ est obligatoire."),
        ({"f_email": "jeanne@", "f_email_again": "jeanne@"}, "jeanne@"),
        (
            {"f_email_again": "other@acheteur.example"},
            "« other@acheteur.example » n'est pas égal à « jeanne@acheteur.example »",
        ),
        ({"f_email_again": ""}, "Adresse e-mail, une seconde fois : ce champ est obligatoire."),
        ({"f_last_name": "x" * 64}, "Nom compte au plus 63 caractères, pas 64."),
        ({"f_last_name": "a\u200b"}, "Nom tient sur une ligne"),
        ({"amount": "dix"}, "« dix » n'est pas un montant"),
        ({"amount": "0"}, "supérieur à zéro"),
        ({"amount": "1,999"}, "« 1,999 »"),
        ({"amount": None}, "Montant (EUR) : ce champ est obligatoire."),
        ({"consent": None}, "acceptez la politique de protection des données"),
        ({"website": "http://spam.example"}, "Un champ invisible a été rempli"),
    ],
)
def test_a_refused_entry_names_field_and_value_and_keeps_what_was_typed(
    version: DataFormVersion, changes: dict[str, Any], sentence: str
) -> None:
    response = send(path(version), f_reference="DEVIS-9", **changes)
    assert response.status_code == 200
    assert sentence in said(response)
    assert 'value="DEVIS-9"' in response.content.decode() and 'value="Jeanne"' in response.content.decode()
    assert not DataFormAnswer.objects.exists() and not PaymentOrder.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        (FormField("city", required=True, min_length=4), "Pau", "« Pau » : Ville compte au moins 4 caractères, pas 3."),
        (FormField("city", max_length=2), "Pau", "« Pau » : Ville compte au plus 2 caractères, pas 3."),
        (FormField("phone", "phone"), "appelez", "« appelez » n'est pas un numéro de téléphone"),
        (FormField("title", "title"), "king", "king"),
        (FormField("own1", "long", label={"fr": "Message"}), "a\x07b", "Message contient un caractère de contrôle"),
        (FormField("own1", confirm=True, label={"fr": "Code"}), "abc", "« » n'est pas égal à « abc »"),
    ],
)
def test_the_options_of_a_field_bind(shop: Shop, field: FormField, value: str, sentence: str) -> None:
    version = DataFormVersionFactory(form__shop=shop, form__shape={"fields": (field,)})
    assert sentence in said(send(path(version), **{f"f_{field.code}": value})).replace("« »", "« »")
    assert not DataFormAnswer.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        (FormField("city", min_length=3, max_length=3), "Pau", "Pau"),
        (FormField("phone", "phone"), "+33 1 02 03 04 05", "+33 1 02 03 04 05"),
        (FormField("title", "title"), "mrs", "Mme"),
        (FormField("own1", "long", label={"fr": "Message"}), "un\r\ndeux", "un\r\ndeux"),
        (FormField("own1", label={"fr": "Message"}), "=1+1 <b>", "=1+1 <b>"),
    ],
)
def test_what_fits_is_kept_as_typed(shop: Shop, field: FormField, value: str, kept: str) -> None:
    version = DataFormVersionFactory(form__shop=shop, form__shape={"fields": (field,)})
    assert send(path(version), **{f"f_{field.code}": value}).status_code == 302
    assert DataFormAnswer.objects.get().value(field.code) == kept


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("4,99", "« 4,99 EUR » : le montant est d'au moins 5,00 EUR."),
        ("10,01", "d'au plus 10,00 EUR."),
        ("5", ""),
        ("10", ""),
    ],
)
def test_a_free_amount_keeps_within_its_bounds(shop: Shop, typed: str, sentence: str) -> None:
    version = DataFormVersionFactory(form__shop=shop, form__shape={"amount": Amount(minimum=500, maximum=1000)})
    response = send(path(version), amount=typed)
    assert (response.status_code, PaymentOrder.objects.count()) == ((200, 0) if sentence else (302, 1))
    if sentence:
        assert sentence in said(response).replace("\xa0", " ")


def test_a_fixed_amount_is_not_the_buyers_to_choose(shop: Shop) -> None:
    version = DataFormVersionFactory(form__shop=shop, form__shape={"amount": Amount(fixed=2500), "currency": "CAD"})
    assert send(path(version), amount="1").status_code == 302
    assert (PaymentOrder.objects.get().amount, PaymentOrder.objects.get().currency) == (2500, "CAD")


# --- Machines -------------------------------------------------------------------------------------


def test_a_form_sent_too_fast_comes_back_and_goes_through_the_next_time(version: DataFormVersion) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        form = hidden(Client().get(path(version)))
        early = Client().post(path(version), {**TYPED, "form": form})
    assert "parti trop vite" in said(early) and 'value="Roy"' in early.content.decode()
    assert send(path(version), form=hidden(early)).status_code == 302


@pytest.mark.parametrize("form", ["", "x", "forged:signature:value", "old", "other"])
def test_an_old_or_forged_page_comes_back_with_a_new_one(version: DataFormVersion, form: str) -> None:
    wait = 10.0
    if form == "old":
        form, wait = hidden(Client().get(path(version))), public.OLDEST_SECONDS + 1
    elif form == "other":
        form = hidden(Client().get(path(DataFormVersionFactory())))
    response = send(path(version), form=form, wait=wait)
    assert response.status_code == 200 and "ouverte trop longtemps" in said(response)
    assert 'value="Roy"' in response.content.decode() and not DataFormAnswer.objects.exists()
    renewed = hidden(response)
    with time_machine.travel(timezone.now() + timedelta(seconds=wait + 10), tick=False):
        assert Client().post(path(version), {**TYPED, "form": renewed}).status_code == 302


def test_one_address_sends_so_many_an_hour_and_then_waits(
    version: DataFormVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public, "ANSWERS_PER_ADDRESS", 2)
    with time_machine.travel("2026-11-24T10:00:00Z", tick=False):
        assert [send(path(version)).status_code for _number in range(3)] == [302, 302, 429]
        other = Client(REMOTE_ADDR="192.0.2.9")
        assert send(path(version), client=other).status_code == 302
    assert DataFormAnswer.objects.count() == 3


def test_one_form_takes_so_many_within_minutes_and_keeps_what_was_typed(
    version: DataFormVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public, "ANSWERS_PER_FORM", 1)
    with time_machine.travel("2026-11-24T10:00:00Z", tick=False):
        form = hidden(Client().get(path(version)))
        assert send(path(version), form=form).status_code == 302
        late = send(path(version), client=Client(REMOTE_ADDR="192.0.2.9"))
        assert late.status_code == 429 and late.headers["Retry-After"] == "300"
        assert "beaucoup de fois" in said(late) and 'value="Roy"' in late.content.decode()
        assert send(path(version), form=form).status_code == 302, "a repeated form is answered, not counted"
    assert DataFormAnswer.objects.count() == 1


def test_opening_and_head_change_nothing(version: DataFormVersion) -> None:
    assert Client().head(path(version)).status_code == 200
    assert Client().get(path(version)).status_code == 200
    assert not DataFormAnswer.objects.exists()


# --- The preview ----------------------------------------------------------------------------------


def preview(form: Any, version: DataFormVersion | None = None) -> str:
    return f"/forms/preview/{selectors.preview_token(form, version)}/"


def test_the_preview_shows_the_draft_and_makes_orders_in_test_mode(version: DataFormVersion) -> None:
    version.form.draft["title"] = {"fr": "Nouveau titre"}
    version.form.save()
    where = preview(version.form)
    response = Client().get(where)
    assert "Nouveau titre TEST" in said(response) and "vos clients ne voient pas cette page" in said(response)
    assert response.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert send(where).status_code == 302
    assert (PaymentOrder.objects.get().mode, DataFormAnswer.objects.get().version) == ("TEST", None)


def test_an_incomplete_draft_is_shown_but_not_sent(shop: Shop) -> None:
    form = DataCollectionFormFactory(shop=shop, shape={"privacy_url": ""})
    response = Client().get(preview(form))
    assert "Indiquez l'adresse de votre politique" in said(response) and b'type="submit"' not in response.content
    Client().post(preview(form), TYPED)
    assert not DataFormAnswer.objects.exists()


def test_the_preview_of_a_version_is_to_look_at(shop: Shop) -> None:
    asked = DataFormVersionFactory(form__shop=shop, state="requested", live_at=None)
    where = preview(asked.form, asked)
    assert b'type="submit"' not in Client().get(where).content
    assert send(where).status_code == 200
    assert not DataFormAnswer.objects.exists()


def test_a_preview_link_stops_after_a_week(version: DataFormVersion) -> None:
    where = preview(version.form)
    week = timedelta(days=7)
    with time_machine.travel(timezone.now() + week - timedelta(minutes=1), tick=False):
        assert Client().get(where).status_code == 200
    with time_machine.travel(timezone.now() + week + timedelta(minutes=1), tick=False):
        assert Client().get(where).status_code == 404
