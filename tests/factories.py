"""Objects for tests, made directly in the database: no event, no history, no mail.

Where those matter, call the services instead.
"""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from backoffice.text import addresses
from companies.models import Company, Contact, Membership, MembershipShop, Role, SftpAccount, User
from notifications.models import ApiToken, Delivery, Event, MailRemark, Message, NotificationRule
from shops import dataform_content as data_form_content
from shops.models import (
    BillingDocument,
    Contract,
    DataCollectionForm,
    DataFormAnswer,
    DataFormVersion,
    PaymentOrder,
    Shop,
    ShopKey,
    end_of_day,
)

PASSWORD = "une-phrase-de-passe-2026"


class ContactFactory(DjangoModelFactory[Contact]):
    class Meta:
        model = Contact

    kind = Contact.Kind.MANAGER
    title = "Mme"
    first_name = "Claire"
    last_name = "Morel"
    email = factory.LazyAttribute(lambda contact: f"{contact.kind}@{contact.company.reference}.example")


class CompanyFactory(DjangoModelFactory[Company]):
    """A company with its Contact gestionnaire: `manager__email="…"`, or `manager=None` for none.

    `with_technical=True` adds the Contact technique (`technical__email="…"`).
    """

    class Meta:
        model = Company
        skip_postgeneration_save = True

    class Params:
        with_technical = factory.Trait(
            technical=factory.RelatedFactory(
                ContactFactory, factory_related_name="company", kind=Contact.Kind.TECHNICAL
            )
        )

    reference = factory.Sequence(lambda n: f"societe-{n}")
    name = factory.Sequence(lambda n: f"Société {n}")
    manager = factory.RelatedFactory(ContactFactory, factory_related_name="company", kind=Contact.Kind.MANAGER)


class ShopFactory(DjangoModelFactory[Shop]):
    class Meta:
        model = Shop

    company = factory.SubFactory(CompanyFactory)
    site_id = factory.Sequence(lambda n: f"{10_000_001 + n:08d}")
    name = factory.Sequence(lambda n: f"Boutique {n}")


class BillingDocumentFactory(DjangoModelFactory[BillingDocument]):
    """An invoice of October 2026 over 10.00 EUR and 20 % of tax, with something that is no real PDF."""

    class Meta:
        model = BillingDocument

    shop = factory.SubFactory(ShopFactory)
    company = factory.LazyAttribute(lambda document: document.shop.company)
    source = BillingDocument.Source.EVENTS
    # Of a year in which the product issues nothing: its own series never meets these.
    number = factory.Sequence(lambda n: f"F2001-{n + 1:06d}")
    period_start = date(2026, 10, 1)
    period_end = date(2026, 10, 31)
    language = "fr"
    currency = "EUR"
    tax_rate = Decimal(20)
    net = Decimal("10.00")
    tax = Decimal("2.00")
    gross = Decimal("12.00")
    lines = factory.LazyFunction(
        lambda: [
            {"code": "", "label": "Conseil", "quantity": "2", "unit_price": "5.0000", "amount": "10.00"},
        ]
    )
    customer = factory.LazyAttribute(
        lambda document: {
            "company": document.company.name,
            "shop": document.shop.name,
            "site_id": document.shop.site_id,
        }
    )
    file = b"%PDF-1.4 essai"


class ContractFactory(DjangoModelFactory[Contract]):
    class Meta:
        model = Contract

    shop = factory.SubFactory(ShopFactory)
    number = factory.Sequence(lambda n: f"{5_785_350 + n}")
    network = "CB"


class ShopKeyFactory(DjangoModelFactory[ShopKey]):
    class Meta:
        model = ShopKey

    shop = factory.SubFactory(ShopFactory)
    kind = ShopKey.Kind.TEST
    value = factory.Sequence(lambda n: f"cle-de-test-{n}")


class PaymentOrderFactory(DjangoModelFactory[PaymentOrder]):
    """An order of 49,90 EUR by e-mail that was never sent, valid for thirty days."""

    class Meta:
        model = PaymentOrder

    shop = factory.SubFactory(ShopFactory)
    mode = "PRODUCTION"
    reference = factory.Sequence(lambda n: f"CMD-{n:04d}")
    amount = 4990
    currency = "EUR"
    channel = "email"
    recipient = "jeanne@acheteur.example"
    subject = "Votre ordre de paiement"
    body = "Bonjour,\n\n%url%"
    valid_until = factory.LazyFunction(lambda: timezone.localdate() + timedelta(days=30))
    expires_at = factory.LazyAttribute(lambda order: end_of_day(order.valid_until, order.shop.company.time_zone))


class DataCollectionFormFactory(DjangoModelFactory[DataCollectionForm]):
    """A form that may go online: name, first name and e-mail address to confirm, a free amount in euros.

    `shape={…}` replaces parts of its content.
    """

    class Meta:
        model = DataCollectionForm

    class Params:
        shape = factory.LazyFunction(dict)

    shop = factory.SubFactory(ShopFactory)
    draft = factory.LazyAttribute(
        lambda form: data_form_content.to_json(
            replace(
                data_form_content.default(form.shop.name),
                **{"privacy_url": "https://boutique.example/donnees", **form.shape},
            )
        )
    )


class DataFormVersionFactory(DjangoModelFactory[DataFormVersion]):
    """The live version of a form, equal to its draft."""

    class Meta:
        model = DataFormVersion

    form = factory.SubFactory(DataCollectionFormFactory)
    number = 1
    state = DataFormVersion.State.LIVE
    content = factory.LazyAttribute(lambda version: version.form.draft)
    live_at = factory.LazyFunction(timezone.now)
    asked_by = "Claire Morel"


class DataFormAnswerFactory(DjangoModelFactory[DataFormAnswer]):
    """An answer to a live version, with its order."""

    class Meta:
        model = DataFormAnswer

    version = factory.SubFactory(DataFormVersionFactory)
    form = factory.LazyAttribute(lambda answer: answer.version.form)
    mode = "PRODUCTION"
    order = factory.SubFactory(
        PaymentOrderFactory, shop=factory.SelfAttribute("..form.shop"), source="DCF", channel="url"
    )
    nonce = factory.Sequence(lambda n: f"nonce-{n}")
    values = factory.LazyFunction(
        lambda: [
            {"code": "last_name", "label": "Nom", "value": "Roy"},
            {"code": "first_name", "label": "Prénom", "value": "Jeanne"},
            {"code": "email", "label": "Adresse e-mail", "value": "jeanne@acheteur.example"},
        ]
    )
    search = factory.LazyAttribute(lambda answer: " ".join(item["value"] for item in answer.values).lower())
    language = "fr"
    privacy_url = "https://boutique.example/donnees"


class UserFactory(DjangoModelFactory[User]):
    """A user who logs in with PASSWORD.

    With `company=…` (default: a new one) and `role=…`, `shops=[…]` it gets the membership;
    `grants={shop: {"view", …}}` gives permissions of its own on single shops (with `shops=[]`: on these only).
    `company=None` makes a user without any.
    """

    class Meta:
        model = User

    company = factory.SubFactory(CompanyFactory)
    login = factory.Sequence(lambda n: f"utilisateur{n}")
    email = factory.LazyAttribute(lambda user: f"{user.login}@compte.example")
    first_name = "Alice"
    last_name = "Durand"

    @classmethod
    def _create(cls, model_class: type[User], *args: Any, **kwargs: Any) -> User:
        role = kwargs.pop("role", Role.ADMINISTRATOR)
        shops = kwargs.pop("shops", None)
        grants = kwargs.pop("grants", {})
        user = model_class.objects.create_user(password=kwargs.pop("password", PASSWORD), **kwargs)
        if user.company:
            membership = Membership.objects.create(user=user, company=user.company, role=role, all_shops=shops is None)
            membership.shops.set(shops or [])
            for shop, codes in grants.items():
                MembershipShop.objects.create(membership=membership, shop=shop, permissions=frozenset(codes))
        return user


class StaffFactory(UserFactory):
    """A member of the platform's team."""

    company = None
    login = factory.Sequence(lambda n: f"equipe{n}")
    is_staff = True
    is_superuser = True


class MembershipFactory(DjangoModelFactory[Membership]):
    """A further company of an existing user."""

    class Meta:
        model = Membership

    user = factory.SubFactory(UserFactory)
    company = factory.SubFactory(CompanyFactory)
    role = Role.ADMINISTRATOR


class SftpAccountFactory(DjangoModelFactory[SftpAccount]):
    class Meta:
        model = SftpAccount

    company = factory.SubFactory(CompanyFactory)
    login = factory.Sequence(lambda n: f"sftp-{n}")
    email = factory.LazyAttribute(lambda account: f"{account.login}@compte.example")


class NotificationRuleFactory(DjangoModelFactory[NotificationRule]):
    """An enabled rule that writes to the shop manager when a payment is accepted."""

    class Meta:
        model = NotificationRule

    class Params:
        ipn = factory.Trait(
            type=NotificationRule.Type.IPN_CALL,
            label="URL de notification à la fin du paiement",
            url_test="https://boutique.example/ipn-test",
            url_production="https://boutique.example/ipn",
        )
        buyer = factory.Trait(type=NotificationRule.Type.BUYER_EMAIL, recipients=[])

    shop = factory.SubFactory(ShopFactory)
    reference = factory.Sequence(lambda n: f"regle-{n}")
    type = NotificationRule.Type.MERCHANT_EMAIL
    label = factory.Sequence(lambda n: f"Règle {n}")
    triggers = factory.LazyFunction(lambda: ["payment.accepted"])
    recipients = factory.LazyFunction(lambda: ["@shop_manager"])


class EventFactory(DjangoModelFactory[Event]):
    class Meta:
        model = Event

    shop = factory.SubFactory(ShopFactory)
    company = factory.LazyAttribute(lambda event: event.shop.company)
    event_id = factory.Sequence(lambda n: f"evt-{n:04d}")
    type = "payment.accepted"
    mode = "PRODUCTION"
    occurred_at = factory.LazyFunction(lambda: timezone.now() - timedelta(minutes=1))
    external = True


class MessageFactory(DjangoModelFactory[Message]):
    class Meta:
        model = Message

    event = factory.SubFactory(EventFactory)
    language = "fr"
    subject = "Paiement accepté"
    text = "Un paiement a été accepté."
    html = "<p>Un paiement a été accepté.</p>"


class DeliveryFactory(DjangoModelFactory[Delivery]):
    """A queued mail of an event, to one address."""

    class Meta:
        model = Delivery

    event = factory.SubFactory(EventFactory)
    company = factory.LazyAttribute(lambda delivery: delivery.event.company)
    shop = factory.LazyAttribute(lambda delivery: delivery.event.shop)
    message = factory.SubFactory(MessageFactory, event=factory.SelfAttribute("..event"))
    notification = "merchant_email"
    mode = factory.LazyAttribute(lambda delivery: delivery.event.mode)
    address = factory.Sequence(lambda n: f"destinataire{n}@lumiere.example")
    normalised_address = factory.LazyAttribute(lambda delivery: addresses.normalise(delivery.address))
    to_addresses = factory.LazyAttribute(lambda delivery: [delivery.address])
    dedupe_key = factory.Sequence(lambda n: f"factory-{n}")


class MailRemarkFactory(DjangoModelFactory[MailRemark]):
    """An open remark of a reader about the mail of a shop that opened."""

    class Meta:
        model = MailRemark

    shop = factory.SubFactory(ShopFactory)
    company = factory.LazyAttribute(lambda remark: remark.shop.company)
    notification = "shop_created"
    source = "shop_manager"
    address = factory.Sequence(lambda n: f"lecteur{n}@lumiere.example")
    normalised_address = factory.LazyAttribute(lambda remark: addresses.normalise(remark.address))
    line_key = factory.Sequence(lambda n: f"{n:064x}")


class ApiTokenFactory(DjangoModelFactory[ApiToken]):
    class Meta:
        model = ApiToken

    name = factory.Sequence(lambda n: f"jeton {n}")
    token_hash = factory.Sequence(lambda n: f"{n:064x}")
    prefix = "bom_test"
