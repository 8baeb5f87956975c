"""Data collection forms of the demonstration: one online with answers, one that waits for staff, one refused."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from companies.audit import Actor
from notifications.events.intake import validate_event
from notifications.events.publishing import accept_event
from shops import dataform_content as content
from shops.dataform_content import Amount, Content, FormField
from shops.dataforms import selectors, services
from shops.models import (
    DataCollectionForm,
    DataFormAnswer,
    DataFormVersion,
    PaymentOrder,
    PaymentOrderEntry,
    Shop,
    end_of_day,
)

At = Callable[..., AbstractContextManager[datetime]]

_ANSWERS: tuple[tuple[float, str, str, str, str, int, bool], ...] = (
    (13.2, "Roy", "Jeanne", "jeanne.roy@acheteur.example", "Gravure : J & M, 12 juin", 18000, True),
    (10.6, "Lopez", "Miguel", "m.lopez@acheteur.example", "Restauration d'une lampe de 1930", 9500, True),
    (8.1, "Benali", "Karim", "karim.b@acheteur.example", "Acompte salon, devis 2026-118", 45000, True),
    (4.4, "Nguyen", "Hélène", "h.nguyen@acheteur.example", "Retouche d'un abat-jour", 6500, False),
    (1.7, "Martin", "Léa", "lea.martin@acheteur.example", "Lampadaire sur mesure, devis 2026-131", 32000, True),
    (0.2, "Perrin", "Odile", "odile.perrin@acheteur.example", "", 12000, False),
)
_PARIS_FIELDS = (
    FormField("title", "title"),
    FormField("last_name", required=True),
    FormField("first_name", required=True),
    FormField("email", "email", required=True, confirm=True),
    FormField(
        "info1",
        label={"fr": "Votre commande", "en": "Your order"},
        help={
            "fr": "Numéro de devis, objet à réparer, texte à graver…",
            "en": "Number of the quote, object to repair, text to engrave…",
        },
        max_length=120,
    ),
    FormField("phone", "phone"),
)
_TRADE_FIELDS = (
    FormField("company", required=True),
    FormField("email", "email", required=True, confirm=True),
    FormField(
        "reference",
        required=True,
        label={"fr": "Numéro de facture", "en": "Invoice number"},
        min_length=4,
        max_length=20,
    ),
)


@dataclass(frozen=True)
class _FormStory:
    """Who acts, and how their acts are moved into the past (see `tell`)."""

    at: At
    merchant: Actor
    staff: Actor

    def change(self, shop: Shop, days: float, make: Callable[[Content], Content]) -> None:
        with self.at(days=days):
            version = selectors.form_of(shop).version
            services.draft_change(shop=shop, actor=self.merchant, seen=version, change=make)

    def ask(self, shop: Shop, days: float) -> DataFormVersion:
        """Ask for the form to go live."""
        with self.at(days=days) as moment:
            made = services.go_live(shop=shop, actor=self.merchant, seen=selectors.form_of(shop).version)
        _moved(made, moment)
        return made


def tell(*, at: At, claire: Actor, staff: Actor, shops: dict[str, Shop]) -> None:
    """Build the forms, put them online, answer them.

    Args:
        at: moves what its block writes of history, events and deliveries to that long before now.
        shops: by the names paris, trade, boreal.
    """
    story = _FormStory(at, claire, staff)
    _online_with_answers(story, shops["paris"])
    _waiting_for_staff(story, shops["trade"])
    _refused(replace(story, merchant=Actor("Nora Tremblay", None, "198.51.100.7")), shops["boreal"])


def _online_with_answers(story: _FormStory, shop: Shop) -> None:
    story.change(
        shop,
        15.3,
        lambda draft: replace(
            draft,
            title={"fr": "Votre commande à l'atelier de Paris", "en": "Your order at the Paris workshop"},
            intro={
                "fr": "Réglez ici un acompte ou une réparation convenue avec nous.\n"
                "Le montant est celui de votre devis.",
                "en": "Pay here a deposit or a repair that we agreed on.\nThe amount is that of your quote.",
            },
            amount=Amount(minimum=500, maximum=500000),
            privacy_url="https://paris.lumiere.example/donnees-personnelles",
            fields=_PARIS_FIELDS,
        ),
    )
    live = story.ask(shop, 15.1)
    for number, (days, last_name, first_name, email, info, amount, paid) in enumerate(_ANSWERS):
        with story.at(days=days) as moment:
            answer = services.answer_take(
                form=live.form,
                version=live,
                values={"last_name": last_name, "first_name": first_name, "email": email, "info1": info},
                amount=amount,
                language="fr",
                nonce=f"demo-answer-{number}",
            )
        _answered(answer, moment)
        if paid:
            _paid(answer, story.at, days - 0.01, number)
    wished = FormField("own1", label={"fr": "Date souhaitée", "en": "Wished date"}, max_length=40)
    story.change(shop, 0.9, lambda draft: content.with_field(draft, wished))


def _waiting_for_staff(story: _FormStory, shop: Shop) -> None:
    story.change(
        shop,
        1.4,
        lambda draft: replace(
            draft,
            title={"fr": "Règlement de facture, clients professionnels", "en": "Invoice payment, trade customers"},
            privacy_url="https://pro.lumiere.example/donnees-personnelles",
            fields=_TRADE_FIELDS,
        ),
    )
    story.ask(shop, 1.2)


def _refused(story: _FormStory, shop: Shop) -> None:
    story.change(
        shop,
        6.3,
        lambda draft: replace(
            draft,
            currency="CAD",
            amount=Amount(fixed=2500),
            privacy_url="https://www.boreal.example/privacy",
            title={"en": "Workshop visit", "fr": "Visite de l'atelier"},
        ),
    )
    asked = story.ask(shop, 6.1)
    with story.at(days=5.8) as moment:
        services.request_refuse(
            version=asked,
            actor=story.staff,
            reason="The privacy page linked in the form does not open. Please publish it, then ask again.",
        )
    DataFormVersion.objects.filter(pk=asked.pk).update(decided_at=moment)


def _moved(version: DataFormVersion, moment: datetime) -> None:
    fields: dict[str, Any] = {"asked_at": moment}
    if version.live_at:
        fields |= {"live_at": moment, "decided_at": moment}
    DataFormVersion.objects.filter(pk=version.pk).update(**fields)
    DataCollectionForm.objects.filter(pk=version.form_id).update(created_at=moment)


def _answered(answer: DataFormAnswer, moment: datetime) -> None:
    """The services take today's time; the demonstration has a past."""
    order = answer.order
    last_day = timezone.localtime(moment).date() + timedelta(days=30)
    order.reference = f"FC-{moment:%y%m%d}{order.reference[9:]}"
    PaymentOrder.objects.filter(pk=order.pk).update(
        reference=order.reference,
        created_at=moment,
        valid_until=last_day,
        expires_at=end_of_day(last_day, answer.form.shop.company.time_zone),
    )
    PaymentOrderEntry.objects.filter(order=order).update(at=moment)
    late = timezone.now() - moment
    DataFormAnswer.objects.filter(pk=answer.pk).update(created_at=moment, erase_at=(answer.erase_at or moment) - late)


def _paid(answer: DataFormAnswer, at: At, days: float, number: int) -> None:
    order = answer.order
    with at(days=days) as moment:
        body = {
            "id": f"demo-form-{number}",
            "type": "payment.accepted",
            "site_id": order.shop.site_id,
            "mode": "PRODUCTION",
            "occurred_at": moment.isoformat(),
            "data": {
                "source": "DCF",
                "order_id": order.reference,
                "transaction_id": f"dcf{number:03d}",
                "amount": order.amount,
                "currency": order.currency,
                "network": "CB",
                "instalments": False,
                "buyer_email": order.recipient,
            },
        }
        accept_event(valid=validate_event(body))
