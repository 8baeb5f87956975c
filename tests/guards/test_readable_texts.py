"""What people type and others read: nothing unseen in it, no link that misleads, whichever way it comes."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.test import Client
from django.urls import reverse

from backoffice.base.fields import LineField, LinesField, LinkField, OneEmailField, ReadableJSONField
from backoffice.base.forms import PlainForm, is_text
from backoffice.provisioning.applying import provision
from backoffice.provisioning.work import ProvisioningError
from backoffice.text import addresses, web_links
from companies.audit import Actor
from notifications.core.facts import Occasion
from notifications.events import publishing
from notifications.mail import emails
from notifications.models import Newsletter, NotificationRule
from shops import dataform_content as content
from shops.dataforms import services as data_form_services
from shops.models import Shop
from shops.orders import services as order_services
from shops.services import shop_create, shop_update
from tests import walk
from tests.factories import (
    DataCollectionFormFactory,
    DataFormVersionFactory,
    NotificationRuleFactory,
    PaymentOrderFactory,
    ShopFactory,
    StaffFactory,
    UserFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
ClientFor = Callable[..., Client]
ACTOR = Actor.command("test")
OURS = ("companies", "shops", "notifications")

# Text columns that nobody types and others read: why each needs no look at its characters.
OTHER_COLUMNS = {
    "companies.User": {"password": "a hash", "time_zone": "one of a list"},
    "companies.Company": {"time_zone": "one of a list"},
    "companies.LoginRecord": {"user_agent": "of a browser, shown escaped"},
    "companies.Session": {"user_agent": "of a browser, shown escaped"},
    "companies.AuditEntry": {"actor_label": "copied", "action": "ours", "object_type": "ours", "object_id": "ours",
                             "object_label": "copied", "changes": "copied"},
    "companies.HistorySeal": None,
    "companies.SealedEntry": None,
    "companies.HistoryErasure": None,
    "notifications.NotificationRule": {
        "triggers": "codes", "conditions": "checked by `condition_error`", "recipients": "addresses",
        "email_fields": "codes", "url_test": "`url_rules`", "url_production": "`url_rules`",
        "rest_url_test": "`url_rules`", "rest_url_production": "`url_rules`",
    },
    "notifications.Event": None, "notifications.Message": None, "notifications.Attachment": None,
    "notifications.Delivery": None, "notifications.Attempt": None, "notifications.ConsistencyReport": None,
    "notifications.Newsletter": {"audience": "codes and references"},
    "notifications.Broadcast": None,
    "notifications.AcknowledgedGap": {"acknowledged_by": "copied"},
    "notifications.Hold": {"endpoint": "of a URL that `url_rules` takes", "created_by": "copied"},
    "notifications.Worker": None, "notifications.Tick": None, "notifications.Breaker": None,
    "notifications.StaffAlert": None,
    "notifications.AddressHealth": None, "notifications.AddressSign": None,
    "notifications.MailRemark": {"account": "copied", "address": "copied", "closed_by": "copied"},
    "shops.ShopKey": {"value": "a secret"},
    "shops.PaymentOrderEntry": None,
    "shops.BillingDocument": {"number": "ours", "actor_label": "copied"},
    "shops.BillingDraft": None,
    "shops.PriceItem": {"code": "one of a list"},
    "shops.NumberSeries": None,
    "shops.DataFormAnswer": {"values": "`_problem` of its form", "privacy_url": "copied from the form"},
}  # fmt: skip
CHECKED = (LineField, LinesField, LinkField, ReadableJSONField, OneEmailField)


def text_columns(model: type[models.Model]) -> Iterator[Any]:
    for field in model._meta.local_fields:
        is_choice = bool(field.choices) or isinstance(field, models.UUIDField | models.GenericIPAddressField)
        if (
            field.editable
            and not is_choice
            and isinstance(field, models.CharField | models.TextField | models.JSONField)
        ):
            yield field


def test_every_column_that_people_type_into_judges_its_characters() -> None:
    """A new text column is a `LineField`, `LinesField`, `LinkField` or `ReadableJSONField`, has a pattern, or a reason."""
    bare = []
    for model in (model for app in OURS for model in apps.get_app_config(app).get_models()):
        excused = OTHER_COLUMNS.get(model._meta.label, {})
        if excused is None:
            continue
        for field in text_columns(model):
            patterned = any(isinstance(one, RegexValidator) for one in field._validators)
            special = isinstance(field, CHECKED)
            known = type(field).__name__ in ("CodeSetField", "EmailListField")
            if not (patterned or special or known or field.name in excused):
                bare.append(f"{model._meta.label}.{field.name}")
    assert bare == []


READERS = [
    (model, field)
    for app in OURS
    for model in apps.get_app_config(app).get_models()
    for field in model._meta.local_fields
    if isinstance(field, LineField | LinesField | LinkField | ReadableJSONField)
]
UNSEEN = ["\u202e", "\u2066", "\u200b", "\xad", "\u3164", "\ufeff", "\x1b", "\ue000", "\U000e0061", "\u200d", "\u200f"]


@pytest.mark.parametrize(
    ("model", "field"), READERS, ids=[f"{model._meta.label}.{field.name}" for model, field in READERS]
)
def test_a_column_refuses_what_hides_or_reorders_by_name(model: type[models.Model], field: Any) -> None:
    def value(text: str) -> Any:
        if isinstance(field, LinkField):
            return f"https://boutique.example/{text}"
        return {"title": {"fr": text}} if isinstance(field, ReadableJSONField) else text

    for character in UNSEEN:
        with pytest.raises(ValidationError) as refused:
            field.clean(value(f"Ab{character}cd"), None)
        assert f"U+{ord(character):04X}" in " ".join(refused.value.messages)
        if not isinstance(field, LinkField):
            assert str(field.verbose_name).lower() in " ".join(refused.value.messages).lower()
    for misleading in ("ftp://boutique.example", "https://boutique.example@autre.example/", "javascript://x/%0a"):
        with pytest.raises(ValidationError):
            field.clean(misleading if isinstance(field, LinkField) else value(f"Voir {misleading} vite"), None)
    if not isinstance(field, LinkField):
        limit = field.max_length or 100
        for text in ("متجر النور", "חנות האור", "نامه\u200cای", "👩\u200d👧", "L’été à 1\u202f000 €"):
            assert field.clean(value(text[:limit]), None) == value(text[:limit])


def all_forms() -> list[type[PlainForm]]:
    # Every page is known once the addresses are read, and with it its forms.
    list(walk.routes())
    found, open_ = [], [PlainForm]
    while open_:
        for one in open_.pop().__subclasses__():
            open_.append(one)
            if one.__module__.split(".")[0] in (*OURS, "backoffice"):
                found.append(one)
    return sorted(found, key=lambda one: one.__qualname__)


def test_every_field_of_a_form_that_takes_a_text_refuses_the_same() -> None:
    looked_at = 0
    for form in all_forms():
        for name, field in form.base_fields.items():
            if not is_text(field) or not form.checks_characters:
                continue
            looked_at += 1

            class Alone(PlainForm):
                pass

            Alone.base_fields = {name: field}
            alone = Alone({name: "Ab\u202ecd"})
            said = str(alone.errors)
            patterned = any(isinstance(one, RegexValidator) for one in field.validators)
            assert ("U+202E" in said and str(field.label or name)[:1].upper() in said) or (patterned and said), (
                form,
                name,
            )
    assert looked_at > 40


# --- Every way in ---------------------------------------------------------------------------------

LINKS = {
    "ftp://boutique.example/": "https:// ou http://",
    "javascript:alert(1)": "https:// ou http://",
    "https://user@boutique.example/": "ni identifiant ni mot de passe",
    "https://boutique.example:secret@autre.example/": "ni identifiant ni mot de passe",
    "https://bou\u202etique.example/": "U+202E",
    "https://boutique.example/\u200bx": "U+200B",
    "https://boutique.example/#a\u2066": "U+2066",
    "https://ﬁn.example/": "U+FB01",
    "https://boutique/": "pas une URL valide",
    "boutique.example": "https:// ou http://",
    "//boutique.example/": "https:// ou http://",
}


@pytest.mark.parametrize(("link", "said"), LINKS.items())
def test_a_link_that_misleads_is_refused_wherever_it_is_typed(link: str, said: str, client_for: ClientFor) -> None:
    shop = ShopFactory()
    client = client_for(UserFactory(company=shop.company))
    page = client.post(
        f"/settings/shops/{shop.site_id}/configuration/",
        {"name": shop.name, "url": link, "language": "fr", "manager_email": "", "version": shop.version},
    )
    assert page.status_code == 200
    html = page.content.decode()
    assert said in html or said.replace("'", "&#x27;") in html
    staff = client_for(StaffFactory(is_superuser=True)).post(
        f"/admin/shops/shop/{shop.pk}/change/", {"name": shop.name, "url": link, "language": "fr", "manager_email": ""}
    )
    assert staff.status_code == 200
    document = {"companies": [{"reference": shop.company.reference, "shops": [{"site_id": shop.site_id, "url": link}]}]}
    with pytest.raises(ProvisioningError) as refused:
        provision(document)
    assert "shops[0].url" in str(refused.value) and said in str(refused.value)
    with pytest.raises(ValidationError):
        shop_update(shop=Shop.objects.get(pk=shop.pk), actor=ACTOR, url=link)
    with pytest.raises(ValidationError):
        shop_create(company=shop.company, actor=ACTOR, site_id="12345678", name="Neuve", url=link)
    assert Shop.objects.get(pk=shop.pk).url == ""
    form = DataCollectionFormFactory(shop=shop)
    with pytest.raises(ValidationError):
        data_form_services.draft_change(
            shop=shop,
            actor=ACTOR,
            seen=form.version,
            change=lambda draft: content.from_json({**content.to_json(draft), "privacy_url": link}),
        )


@pytest.mark.parametrize(
    "link",
    [
        "https://boutique.example", "http://boutique.example/a?b=c#d", "https://bücher.example/é", "HTTPS://Boutique.Example:8443/",
        "https://xn--bcher-kva.example/", "http://localhost:8000/", "https://متجر.example/", "https://خانه\u200cای.example/",
    ],
)  # fmt: skip
def test_an_honest_link_is_kept_as_it_was_typed(link: str) -> None:
    shop = ShopFactory()
    shop_update(shop=shop, actor=ACTOR, url=f" {link} ")
    assert Shop.objects.get(pk=shop.pk).url == link


def test_a_name_with_an_unseen_character_is_refused_by_screens_admin_and_files(client_for: ClientFor) -> None:
    shop = ShopFactory()
    bad = "Lumière \u202eParis"
    client = client_for(UserFactory(company=shop.company))
    page = client.post(
        f"/settings/shops/{shop.site_id}/configuration/",
        {"name": bad, "url": "", "language": "fr", "manager_email": "", "version": shop.version},
    ).content.decode()
    assert "« Nom de la boutique » contient" in page and "U+202E" in page
    document: dict[str, Any] = {
        "companies": [{
            "reference": shop.company.reference, "name": bad, "address": bad, "manager_contact": {"last_name": bad},
        }]
    }  # fmt: skip
    with pytest.raises(ProvisioningError) as refused:
        provision(document)
    assert refused.value.errors and all("U+202E" in line for line in refused.value.errors)
    document = {
        "companies": [{
            "reference": shop.company.reference,
            "shops": [{
                "site_id": shop.site_id,
                "rules": [{
                    "reference": "a", "type": "buyer_email", "trigger": "payment.accepted", "label": bad, "recipients": [],
                    "email_texts": {"fr": {"subject": bad, "body": bad}},
                }],
            }],
        }]
    }  # fmt: skip
    with pytest.raises(ProvisioningError, match=r"email_texts: .*U\+202E"):
        provision(document)
    assert not NotificationRule.objects.filter(reference="a").exists()


@pytest.mark.parametrize("name", ["subject", "body", "buyer_reference"])
def test_the_texts_of_an_order_are_refused_with_what_hides_or_misleads(name: str) -> None:
    shop = ShopFactory()
    order = {"mode": "TEST", "channel": "email", "amount": 100, "currency": "EUR", "recipients": ["a@x.example"]}
    for text in (
        "Payez \u202e09,99",
        "Payez \u200bici",
        "Suivez ftp://x.example/",
        "https://banque.example@pirate.example/",
    ):
        with pytest.raises(ValidationError) as refused:
            order_services.payment_order_create(
                shop=shop, actor=ACTOR, new=order_services.NewOrder(**{**order, name: text})
            )
        assert set(refused.value.message_dict) == {name}


# --- Look-alikes ----------------------------------------------------------------------------------

LOOKALIKES = {
    "https://pаypal.example/pay": "https://xn--pypal-4ve.example/pay",
    "https://аррӏе.example/": "https://xn--80ak6aa92e.example/",
    "https://gıthub.example/": "https://xn--gthub-n4a.example/",
    "https://xn--pypal-4ve.example/": "https://xn--pypal-4ve.example/",
}
HONEST = [
    "https://bücher.example/",
    "https://почта.рф/",
    "https://例え.example/",
    "https://متجر.example/",
    "https://groß.example",
]


@pytest.mark.parametrize(("link", "shown"), LOOKALIKES.items())
def test_a_host_that_looks_like_another_is_shown_as_it_is_on_the_wire(link: str, shown: str) -> None:
    shop = ShopFactory(url=link, manager_email=f"a@{link.split('/')[2]}")
    order = PaymentOrderFactory(
        shop=shop, channel="email", recipient="a@x.example", body="Voir %shop_url%\n%shop_contact%"
    )
    public = Client().get(f"/orders/{order.token}/").content.decode()
    assert shown in public and shown.split("/")[2] in public
    assert link == shown or link not in public
    version = DataFormVersionFactory(form__shop=shop, form__shape={"privacy_url": link})
    page = Client().get(reverse("data_form_public", args=[version.form.token])).content.decode()
    assert f"({shown})" in page or link == shown
    data = order_services.sending_data(order, shop.manager_email)
    event = publishing.publish(
        type="payment_order.sent",
        company=shop.company,
        shop=shop,
        data=data,
        occasion={"payment_order": Occasion(address="a@x.example", language="fr")},
    )
    message = event.messages.get()
    for part in (message.text, message.html):
        assert shown.split("/")[2] in part and (link == shown or link.split("/")[2] not in part)


@pytest.mark.parametrize("link", HONEST)
def test_a_host_of_one_script_is_shown_as_it_is_written(link: str) -> None:
    assert web_links.for_display(link) == link
    assert addresses.for_display(f"a@{link.split('/')[2]}") == f"a@{link.split('/')[2]}"


def test_a_look_alike_that_a_merchant_writes_into_a_text_is_shown_as_it_is_on_the_wire() -> None:
    rule = NotificationRuleFactory(
        buyer=True,
        email_texts={"fr": {"subject": "Merci", "body": "Voir https://pаypal.example/x ou www.pаypal.example."}},
    )
    event = publishing.publish(
        type="payment.accepted",
        company=rule.shop.company,
        shop=rule.shop,
        data={"buyer_email": "a@x.example", "amount": 100, "currency": "EUR"},
    )
    message = event.messages.get()
    assert "https://xn--pypal-4ve.example/x" in message.text and "www.xn--pypal-4ve.example" in message.text
    assert "pаypal" not in message.text + message.html
    assert emails.MASKED_LINK not in message.text


def test_subjects_keep_joiners_and_lose_what_reorders() -> None:
    rule = NotificationRuleFactory(buyer=True, email_texts={"fr": {"subject": "نامه\u200cای 👩\u200d👧 %order_id%"}})
    event = publishing.publish(
        type="payment.accepted",
        company=rule.shop.company,
        shop=rule.shop,
        data={"buyer_email": "a@x.example", "order_id": "A\u202eB ශ්\u200dරී"},
    )
    assert event.messages.get().subject == "نامه\u200cای 👩\u200d👧 A B ශ්\u200dරී"


def test_models_that_staff_write_refuse_the_same() -> None:
    with pytest.raises(ValidationError) as refused:
        Newsletter(title_fr="a\u202e", text_fr="b\u200b", title_en="c", text_en="d").full_clean()
    assert {"title_fr", "text_fr"} <= set(refused.value.message_dict)


def test_the_excuses_name_columns_that_exist() -> None:
    known = {model._meta.label: model for app in OURS for model in apps.get_app_config(app).get_models()}
    assert set(OTHER_COLUMNS) <= set(known)
    for label, names in OTHER_COLUMNS.items():
        for name in names or ():
            known[label]._meta.get_field(name)
