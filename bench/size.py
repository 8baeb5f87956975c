"""A platform of the size that it is meant for: companies, shops, rules, deliveries, in minutes.

Rows go in by COPY on PostgreSQL and by one prepared INSERT on SQLite, made of one prototype row each. One company,
`geant`, has a large part of it all; what is written is what the services would write, without their checks.
"""

import random
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

GIANT = "geant"
LOGIN = "grand"
STAFF = "equipe"
FIRST_SITE = 20_000_000


@dataclass(frozen=True)
class Size:
    """How much of everything; the giant has `giant_shops` shops and one delivery in `giant_share`."""

    companies: int = 1000
    shops_each: int = 9
    giant_shops: int = 500
    deliveries: int = 100_000
    giant_share: int = 5
    days: int = 90
    entries: int = 20_000


def load(model: Any, rows: Iterable[Sequence[Any]], names: Sequence[str], **same: Any) -> None:
    """Insert rows of a model.

    Args:
        names: the attributes that differ from row to row, in the order of `rows`.
        same: values that all rows share; other columns have their defaults.
    """
    from django.db import connection, transaction

    prototype = model(**same)
    fields = [field for field in model._meta.concrete_fields if not (field.primary_key and field.name not in names)]
    given = [field for field in fields if field.attname in names or field.name in names]
    fixed = [field for field in fields if field not in given]
    order = [next(i for i, name in enumerate(names) if name in (field.attname, field.name)) for field in given]
    constant = [_stored(field, field.pre_save(prototype, True), connection) for field in fixed]
    columns = ", ".join(connection.ops.quote_name(field.column) for field in (*given, *fixed))
    table = connection.ops.quote_name(model._meta.db_table)
    lines = ([*(_stored(given[i], row[place], connection) for i, place in enumerate(order)), *constant] for row in rows)
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for line in lines:
                    copy.write_row(line)
        else:
            marks = ", ".join(["?"] * (len(given) + len(fixed)))
            cursor.cursor.connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", lines)


def _stored(field: Any, value: Any, connection: Any) -> Any:
    """A value as the driver takes it without the framework."""
    if field.get_internal_type() == "JSONField":
        import json

        return json.dumps(value)
    if isinstance(value, datetime) and connection.vendor == "sqlite":
        return connection.ops.adapt_datetimefield_value(value)
    if isinstance(value, uuid.UUID) and connection.vendor == "sqlite":
        return value.hex
    return value


def settings_rows(size: Size) -> None:
    """Companies with their contacts, shops and documented default rules, and who logs in."""
    from companies.models import Company, Contact, Membership, Role, User
    from notifications.core.catalogue import DEFAULT_RULES
    from notifications.models import NotificationRule
    from shops.models import Shop

    load(
        Company,
        ((GIANT if n == 0 else f"societe-{n:05d}", f"Société {n}") for n in range(size.companies)),
        ("reference", "name"),
        incident_emails=["astreinte@geant.example"],
    )
    companies = list(Company.objects.order_by("reference").values_list("pk", "reference"))
    kinds = ((Contact.Kind.MANAGER, "gestion"), (Contact.Kind.TECHNICAL, "technique"))
    load(
        Contact,
        ((pk, kind, f"{name}@{reference}.example") for pk, reference in companies for kind, name in kinds),
        ("company_id", "kind", "email"),
    )
    load(Shop, _shops(companies, size), ("company_id", "site_id", "name", "manager_email"))
    shops = list(Shop.objects.order_by("pk").values_list("pk", flat=True))
    load(
        NotificationRule,
        ((shop, *rule) for shop in shops for rule in map(_rule, DEFAULT_RULES)),
        ("shop_id", "reference", "type", "label", "enabled", "triggers", "conditions", "recipients"),
    )
    giant = Company.objects.get(reference=GIANT)
    user = User.objects.create(login=LOGIN, email="grand@geant.example", company=giant)
    Membership.objects.create(user=user, company=giant, role=Role.ADMINISTRATOR)
    User.objects.create(login=STAFF, email="equipe@plateforme.example", is_staff=True, is_superuser=True)


@cache
def _rule(rule: Any) -> tuple[Any, ...]:
    conditions = [
        {"variable": name, "operator": operator, "value": list(value) if isinstance(value, tuple) else value}
        for name, operator, value in rule.conditions
    ]
    recipients = [] if rule.type == "buyer_email" else ["@shop_manager"]
    triggers = list(rule.triggers)
    return rule.reference, rule.type, str(rule.label), rule.enabled, triggers, conditions, recipients


def _shops(companies: list[tuple[int, str]], size: Size) -> Iterator[tuple[int, str, str, str]]:
    number = FIRST_SITE
    for pk, reference in companies:
        for place in range(size.giant_shops if reference == GIANT else size.shops_each):
            number += 1
            # Every second shop inherits; in pairs the others share a manager.
            own = f"boutique{place // 4}@{reference}.example" if place % 2 else ""
            yield pk, f"{number:08d}", f"Boutique {number}", own


def history_rows(size: Size) -> None:
    """What happened: events, their messages, deliveries with attempts, and the history of changes."""
    from django.db.models import Max
    from django.utils import timezone

    from companies.models import AuditEntry, Company
    from notifications.models import Attempt, Delivery, Event, Message, NotificationRule
    from shops.models import Shop

    numbers = random.Random(12)
    now = timezone.now()
    giant = Company.objects.get(reference=GIANT).pk
    own = list(Shop.objects.filter(company=giant).values_list("pk", "company_id"))
    others = list(Shop.objects.exclude(company=giant).values_list("pk", "company_id")) or own
    rules = dict(NotificationRule.objects.filter(reference="ipn-end").values_list("shop_id", "pk"))
    step = timedelta(days=size.days) / size.deliveries
    chosen = [numbers.choice(own if n % size.giant_share == 0 else others) for n in range(size.deliveries)]
    moments = [now - step * (size.deliveries - n) for n in range(size.deliveries)]
    load(
        Event,
        ((company, shop, f"evt-{n:08d}", moments[n], moments[n]) for n, (shop, company) in enumerate(chosen)),
        ("company_id", "shop_id", "event_id", "occurred_at", "accepted_at"),
        type="payment.accepted",
        mode="PRODUCTION",
        external=True,
        data={"amount": 1990, "currency": "EUR", "order_id": "C-1", "transaction_id": "abc123"},
    )
    first_event = (Event.objects.aggregate(last=Max("pk"))["last"] or 0) - size.deliveries + 1
    text = "Un paiement a été accepté.\n" * 20
    load(
        Message,
        ((first_event + n, f"Paiement accepté : commande C-{n:07d}") for n in range(size.deliveries)),
        ("event_id", "subject"),
        language="fr",
        text=text,
        html=f"<p>{text}</p>",
    )
    first_message = (Message.objects.aggregate(last=Max("pk"))["last"] or 0) - size.deliveries + 1
    keys = [uuid.UUID(int=numbers.getrandbits(128), version=4) for _n in range(size.deliveries)]
    load(
        Delivery,
        (
            (
                keys[n],
                first_event + n,
                first_message + n,
                company,
                shop,
                rules[shop],
                *_addressed(n, shop),
                _status(n),
                f"{n:064d}",
                moments[n],
                moments[n],
            )
            for n, (shop, company) in enumerate(chosen)
        ),
        (
            *("id", "event_id", "message_id", "company_id", "shop_id", "rule_id"),
            *("notification", "address", "normalised_address", "status", "dedupe_key", "created_at", "sent_at"),
        ),
        mode="PRODUCTION",
        attempt_count=1,
        resolution={"source": "shop_manager", "reason": "rule_shop_manager", "params": {}},
    )
    load(
        Attempt,
        ((keys[n], moments[n], "sent" if _status(n) == "sent" else "permanent") for n in range(size.deliveries)),
        ("delivery_id", "started_at", "outcome"),
        number=1,
        code=250,
        reply="2.0.0 Ok: queued",
    )
    load(
        AuditEntry,
        (
            (company, shop, str(shop), now - timedelta(minutes=n), {"manager_email": [f"a{n}@x.example", f"b{n}@x.example"]})
            for n, (shop, company) in enumerate(chosen[: size.entries])
        ),
        ("company_id", "shop_id", "object_id", "at", "changes"),
        actor_label="Provision",
        action="shop.updated",
        object_type="shop",
        object_label="Boutique",
    )  # fmt: skip


def _addressed(number: int, shop: int) -> tuple[str, str, str]:
    """(notification, address as typed, as compared): one in three goes to a buyer of its own."""
    if number % 3 == 0:
        address = f"acheteur{number}@client.example"
        return "buyer_email", address, address
    address = f"boutique{shop}@marchand.example"
    return "merchant_email", address, address


def _status(number: int) -> str:
    return {0: "dead", 1: "retry", 2: "not_sent"}.get(number % 1000, "sent")


def fill(size: Size) -> None:
    """All of it, and the planner's figures."""
    from django.db import connection

    settings_rows(size)
    history_rows(size)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
