"""Where a link is typed, its host stands beside it in its other spelling, so that a twin is seen."""

from collections.abc import Callable
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse

from backoffice.text.web_links import host_on_the_wire
from companies.models import Role
from tests.factories import DataCollectionFormFactory, NotificationRuleFactory, ShopFactory, UserFactory
from tests.html_forms import form_with

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
ClientFor = Callable[..., Client]


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("https://bücher.example/suite?q=é#là", "xn--bcher-kva.example"),
        ("https://BÜCHER.example:8443/", "xn--bcher-kva.example"),
        ("https://аррӏе.example/", "xn--80ak6aa92e.example"),
        ("https://straße.example", "xn--strae-oqa.example"),
        ("https://XN--bcher-kva.example/", "bücher.example"),
        ("  https://例え.example/ipn ", "xn--r8jz45g.example"),
        ("https://boutique.example/été", ""),
        ("https://192.0.2.1/", ""),
        ("https://user@bücher.example/", ""),
        ("bücher.example", ""),
        ("", ""),
    ],
)
def test_the_other_spelling_of_a_host(url: str, other: str) -> None:
    assert host_on_the_wire(url) == other


def test_each_field_for_a_link_shows_it(client_for: ClientFor) -> None:
    shop = ShopFactory(url="https://bücher.example/")
    rule = NotificationRuleFactory(shop=shop, type="ipn_call", reference="r", url_production="https://яндекс.example/i")
    DataCollectionFormFactory(shop=shop)
    client = client_for(UserFactory(company=shop.company, role=Role.ADMINISTRATOR), fresh=True)
    told = "Autre écriture du nom de ce site : "
    configuration = f"/settings/shops/{shop.site_id}/configuration/"
    assert told + "xn--bcher-kva.example" in unescape(client.get(configuration).text)
    page = unescape(client.get(f"/settings/notification-rules/{shop.site_id}/{rule.reference}/").text)
    assert page.count(told) == 1 and told + "xn--d1acpjx3f.example" in page
    texts = reverse("data_form_texts", args=[shop.site_id])
    sent = form_with(client.get(texts), "privacy_url").sent(privacy_url="https://bücher.example/")
    assert told + "xn--bcher-kva.example" in unescape(client.post(texts, sent, follow=True).text)
    # A form that comes back shows it for what was typed.
    sent = form_with(client.get(configuration), "url").sent(url="https://schön.example/", name="")
    assert told + "xn--schn-7qa.example" in unescape(client.post(configuration, sent).text)
