"""Pages of the team show words of one language, not codes: every list and every object, in both languages."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from companies.audit import Actor
from companies.history import sentences
from companies.history.entries import OBJECTS
from notifications.core import catalogue, wording
from notifications.models import Delivery
from shops import services as shop_services
from shops.models import Shop
from tests.factories import DeliveryFactory, EventFactory, NotificationRuleFactory, StaffFactory
from tests.walk import objects_of_the_admin

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
ClientFor = Callable[..., Client]

EVENTS = {*catalogue.TRIGGER_ORDER, *catalogue.EXTERNAL_TYPES, *catalogue.EVENT_LABELS}
# One word that is the same in both is none that could be told from a code.
CODES = {
    code
    for code in (*EVENTS, *catalogue.BY_CODE, *wording.REASONS, *sentences.ACTIONS, *OBJECTS, *Delivery.Status.values)
    if re.search(r"[._]", code)
} | {
    "notificationrule",
    "paymentorder",
    "sftpaccount",
    "billingdocument",
    "auditentry",
    "not_sent",
    "NO_URL",
    "gaierror",
}
# Words of one language that the other has not; two of them in one text are none that stands in both.
FRENCH = re.compile(
    r"\b(?:les?|une|est|vous|votre|dans|pour|avec|aucune?|cette|sont|par|sur|des|ne|pas|du|au|qui)\b", re.I
)
ENGLISH = re.compile(r"\b(?:the|and|your|with|is|of|this|are|from|not|has|was|have|been|by)\b", re.I)
# What people typed, or wanted to see as it is stored, stands in these.
AS_STORED = {"script", "style", "textarea", "pre", "code"}
VOID = {"input", "br", "img", "link", "meta", "hr", "col"}


class Words(HTMLParser):
    """The texts that a page shows, what stands as stored excepted."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._kept = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._kept += tag in AS_STORED

    def handle_endtag(self, tag: str) -> None:
        self._kept -= tag in AS_STORED

    def handle_data(self, data: str) -> None:
        if not self._kept and data.strip():
            self.texts.append(data)


def codes_in(html: str) -> set[str]:
    return codes_among(Words(html).texts)


def codes_among(texts: list[str]) -> set[str]:
    return {word.strip(".,:;()«»") for text in texts for word in text.split()} & CODES


def foreign_among(texts: list[str], language: str) -> set[str]:
    """Those that are in the other language."""
    other = ENGLISH if language == "fr" else FRENCH
    return {" ".join(text.split()) for text in texts if len(other.findall(text)) > 1}


def _rows(shop: Shop) -> None:
    """Events and deliveries of every type, with errors of both channels, and a price list that was renamed."""
    rule = NotificationRuleFactory(shop=shop, reference="ma-regle")
    for type_ in sorted(EVENTS):
        event = EventFactory(shop=shop, type=type_)
        DeliveryFactory(event=event, status="not_sent", error="gaierror: [Errno -2] Name or service not known")
        DeliveryFactory(
            event=event,
            rule=rule,
            channel="ipn",
            notification="ipn_call",
            status="not_sent",
            error="NO_URL",
            message=None,
        )
    shop_services.shop_update(shop=shop, actor=Actor.command("test"), name="Autre nom")


@pytest.mark.parametrize("language", ["fr", "en"])
def test_no_page_of_the_team_shows_a_code(language: str, shop: Shop, client_for: ClientFor) -> None:
    _rows(shop)
    client, wrong = client_for(StaffFactory(language=language), fresh=True), []
    objects = objects_of_the_admin(shop)
    for model, page in admin.site._registry.items():
        name = f"admin:{page.opts.app_label}_{page.opts.model_name}"
        if model in objects:
            objects[model]()
        urls = [reverse(f"{name}_changelist")]
        urls += [reverse(f"{name}_change", args=[obj.pk]) for obj in model._default_manager.order_by("-pk")[:40]]
        for url in urls:
            answer = client.get(url, follow=True)
            assert answer.status_code == 200, url
            texts = Words(answer.content.decode()).texts
            wrong += [f"{url}: {found}" for found in sorted(codes_among(texts) | foreign_among(texts, language))]
    assert not wrong, "\n".join(wrong)
