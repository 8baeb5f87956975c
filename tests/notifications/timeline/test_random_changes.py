"""Random changes in random ways: the tables of each past moment are those that were printed then."""

import json
import random
from collections.abc import Callable
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from companies import services as company_services
from companies import status
from companies.audit import Actor
from companies.models import Company, Contact, SftpAccount, User
from notifications.core.address_health import Cause
from notifications.health import recording
from notifications.models import AddressSign, NotificationRule
from notifications.rules import services as rule_services
from shops import services as shop_services
from shops.models import Shop
from tests.factories import DeliveryFactory, SftpAccountFactory, UserFactory

pytestmark = pytest.mark.django_db
ACTOR = Actor.command("test")
REFERENCE = "hasard"


def document(seed: random.Random, sites: list[str]) -> dict[str, Any]:
    """A provisioning file with values at random."""
    return {
        "companies": [
            {
                "reference": REFERENCE,
                "name": f"Hasard {seed.randrange(9)}",
                "manager_contact": {"email": address(seed)},
                "technical_contact": seed.choice([None, {"email": address(seed)}]),
                "incident_emails": [address(seed) for _ in range(seed.randrange(3))],
                "verify_addresses": seed.random() < 0.5,
                "shops": [
                    {
                        "site_id": site_id,
                        "name": f"Boutique {seed.randrange(9)}",
                        "manager_email": seed.choice([None, address(seed)]),
                        "rules": [rule(seed, f"r{number}") for number in range(seed.randrange(3))],
                    }
                    for site_id in sites
                ],
                "users": [{"login": f"u{n}", "email": address(seed), "role": "administrator"} for n in (1, 2)],
            }
        ]
    }


def address(seed: random.Random) -> str:
    return f"{seed.choice(['claire', 'Claire', 'dev', 'hugo', 'lyon'])}@lumiere.example"


def rule(seed: random.Random, reference: str) -> dict[str, Any]:
    if reference == "r1":
        return {
            "reference": reference,
            "type": "merchant_email",
            "label": f"Règle {seed.randrange(9)}",
            "triggers": ["payment.silence"],
            "recipients": ["@shop_manager", address(seed)],
            "digest": seed.choice(["each", "hourly", "daily"]),
        }
    return {
        "reference": reference,
        "type": "ipn_call",
        "label": f"Règle {seed.randrange(9)}",
        "triggers": seed.sample(["payment.accepted", "payment.refused", "token.created"], 2),
        "enabled": seed.random() < 0.7,
        "recipients": seed.choice([[], ["@shop_manager"], ["@shop_manager", address(seed)]]),
        "conditions": seed.choice([[], [{"variable": "amount", "operator": "gt", "value": seed.randrange(1, 900)}]]),
    }


class Changes:
    """Ways to change the settings of one company."""

    def __init__(self, seed: random.Random, folder: Path) -> None:
        self.seed, self.folder = seed, folder
        self.sites = ["77000001", "77000002"]

    @property
    def company(self) -> Company:
        return Company.objects.get(reference=REFERENCE)

    def one(self, model: Any, **wanted: Any) -> Any:
        return self.seed.choice(list(model.objects.filter(**wanted).order_by("pk")) or [None])

    def provision(self) -> None:
        path = self.folder / "file.json"
        path.write_text(json.dumps(document(self.seed, self.sites)), encoding="utf-8")
        call_command("provision", str(path), stdout=StringIO())

    def another_shop(self) -> None:
        if len(self.sites) < 4:
            self.sites.append(f"7700000{len(self.sites) + 1}")
            self.provision()

    def contact(self) -> None:
        kind = self.seed.choice(Contact.Kind.values)
        company_services.contact_save(company=self.company, kind=kind, actor=ACTOR, email=address(self.seed))

    def no_technical_contact(self) -> None:
        company_services.technical_contact_remove(company=self.company, actor=ACTOR)

    def state(self) -> None:
        state = self.seed.choice(["active", "suspended"])
        company_services.company_set_status(company=self.company, actor=ACTOR, state=state, reason="essai")
        shop = self.one(Shop, company=self.company)
        shop_services.shop_set_status(shop=shop, actor=ACTOR, state=state, reason="essai")

    def shop(self) -> None:
        shop = self.one(Shop, company=self.company)
        if status.closed_sentence(self.company, shop):
            return
        shop_services.shop_update(shop=shop, actor=ACTOR, manager_email=self.seed.choice(["", address(self.seed)]))

    def rule(self) -> None:
        changed = self.one(NotificationRule, shop__company=self.company, archived_at=None)
        if changed is not None and changed.type == "merchant_email":
            digest = self.seed.choice(["each", "hourly", "daily"])
            rule_services.rule_update(rule=changed, actor=ACTOR, digest=digest)
        elif changed is not None:
            fields = {name: rule(self.seed, "x")[name] for name in ("enabled", "recipients", "conditions")}
            rule_services.rule_update(rule=changed, actor=ACTOR, **fields)

    def rule_removed(self) -> None:
        removed = self.one(NotificationRule, shop__company=self.company, archived_at=None)
        if removed is not None:
            rule_services.rule_archive(rule=removed, actor=ACTOR)

    def accounts(self) -> None:
        account = self.one(User, company=self.company)
        account.is_active, account.email = self.seed.random() < 0.5, address(self.seed)
        account.save()
        SftpAccount.objects.filter(company=self.company).update(email=address(self.seed))

    def new_accounts(self) -> None:
        UserFactory(company=self.company, email=address(self.seed))
        SftpAccountFactory(company=self.company, email=address(self.seed))

    def many_rows(self) -> None:
        NotificationRule.objects.filter(shop__company=self.company).update(label=f"Lot {self.seed.randrange(9)}")
        Company.objects.filter(reference=REFERENCE).update(newsletter_opt_out=self.seed.random() < 0.5)

    def health(self) -> None:
        one = address(self.seed).lower()
        match self.seed.randrange(3):
            case 0:
                event = {"event__company": self.company, "event__type": "form.invalid"}
                refused = DeliveryFactory(**event, company=self.company, address=one, status="sent")
                code = self.seed.choice(["5.1.1", "4.2.2"])
                recording.note_refusal(recording.Refusal(refused, timezone.now(), code, "Non", AddressSign.Via.SMTP))
            case 1:
                recording.address_reactivate(company=self.company, normalised=one, actor=ACTOR)
            case _:
                recording.address_verified(company=self.company, normalised=one, cause=Cause.LINK, actor=ACTOR)

    def ways(self) -> list[Callable[[], None]]:
        return [
            self.provision,
            self.another_shop,
            self.contact,
            self.no_technical_contact,
            self.state,
            self.shop,
            self.rule,
            self.rule_removed,
            self.accounts,
            self.new_accounts,
            self.many_rows,
            self.health,
        ]


def printed(*options: str) -> dict[str, Any]:
    out = StringIO()
    call_command("delivery_tables", REFERENCE, "--format", "json", *options, stdout=out)
    document: dict[str, Any] = json.loads(out.getvalue())
    return document


@pytest.mark.parametrize("number", range(4))
def test_tables_of_each_past_moment_are_those_printed_then(number: int, tmp_path: Path) -> None:
    seed = random.Random(number)
    changes = Changes(seed, tmp_path)
    changes.provision()
    kept: list[tuple[datetime, dict[str, Any]]] = []
    for _change in range(20):
        before = timezone.now()
        tables = printed("--language", "en")
        # The moment before the tables were printed, or the one right after: nothing changed between.
        kept.append((seed.choice([before, timezone.now()]), tables))
        seed.choice(changes.ways())()
    # An address that is in the state already, or in no table, leaves them as they are.
    assert len({json.dumps(tables) for _moment, tables in kept}) > 6, "the changes change something"
    for moment, tables in kept:
        then = printed("--language", "en", "--at", moment.isoformat())
        assert then.pop("at")
        assert then == tables
