"""The settings of a moment, from the record: the same facts that the tables of that moment were made of."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.db import models
from django.db.models import BigIntegerField, Min, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils.translation import gettext as _

from backoffice.text import times
from companies.models import Company, Contact, Membership, SftpAccount, User
from companies.rights import access
from companies.rights import readers as account_readers
from notifications import settings_facts
from notifications.core.facts import CompanyFacts, RuleFacts
from notifications.models import AddressHealth, NotificationRule, RecordedSetting
from notifications.settings_facts import account_facts, health, rule_facts, shop_facts
from notifications.timeline.moments import MomentInvalid, written
from notifications.timeline.recording import BY_KIND, Kind
from shops.models import Shop

Row = TypeVar("Row", bound=models.Model)


class NotRecorded(MomentInvalid):
    """A moment from before the company existed, or from before the record began."""


def facts_of(company: Company, at: datetime | None, *, why_not: bool = True, also: Iterable[str] = ()) -> CompanyFacts:
    """The facts of a company at a moment, or those of now (arguments as of `company_facts`). Raises NotRecorded."""
    if at is None:
        return settings_facts.company_facts(company, why_not=why_not, also=also)
    return facts_at(company, at, also=also)


def visible_facts_of(
    company: Company,
    membership: Membership | None,
    at: datetime | None,
    *,
    why_not: bool = True,
    also: Iterable[str] = (),
) -> CompanyFacts:
    """The facts at a moment, or those of now (as `facts_of`), as far as a user may see them. Raises NotRecorded."""
    if at is None:
        return settings_facts.visible_facts(company, membership, why_not=why_not, also=also)
    return facts_at(company, at, reader=membership, also=also)


def facts_at(
    company: Company,
    moment: datetime,
    *,
    reader: Membership | None = None,
    shop: Shop | None = None,
    also: Iterable[str] = (),
) -> CompanyFacts:
    """The facts of a company as they were at a moment, in a constant number of queries.

    Args:
        reader: whose eyes it is for: the shops and accounts that they may see today. None for all.
        shop: the only one that is needed.
        also: as in `company_facts`.

    Raises:
        NotRecorded: nobody knows, with the reason.
    """
    then = _held(Kind.COMPANY, Company, company.pk, moment)
    if not then:
        raise NotRecorded(_why_unknown(company, moment))
    held = then[0]
    contacts = {one.kind: one.email for one in _held(Kind.CONTACT, Contact, company.pk, moment)}
    shops = _visible_shops(_held(Kind.SHOP, Shop, company.pk, moment), reader)
    if shop is not None:
        shops = [one for one in shops if one.pk == shop.pk]
    rules = _rules(company, shops, moment)
    users, sftp = _accounts(company, moment, reader)
    facts = settings_facts.of_company(
        held,
        contacts=contacts,
        users=(account_facts(user, held) for user in users),
        sftp_accounts=(account_facts(account, held) for account in sftp),
        shops=(shop_facts(one, rules.get(one.pk, ())) for one in shops),
        reader=reader,
    )
    keys = health.wanted(facts, also)
    known = {one.normalised_address: one.facts for one in _held(Kind.ADDRESS, AddressHealth, company.pk, moment)}
    return replace(facts, health={key: one for key, one in known.items() if key in keys})


def record_begins(company: Company) -> datetime | None:
    """From when on the settings of a company are known; None while nothing is recorded."""
    versions = RecordedSetting.objects.filter(kind=Kind.COMPANY, parent=company.pk)
    begins: datetime | None = versions.aggregate(first=Min("since"))["first"]
    return begins


def _why_unknown(company: Company, moment: datetime) -> str:
    begins = record_begins(company)
    if moment < company.created_at or begins is None:
        told, day = (
            _("« %(value)s » : la société n'existait pas encore, elle a été créée le %(day)s."),
            company.created_at,
        )
    else:
        told, day = _("« %(value)s » : les réglages ne sont conservés que depuis le %(day)s."), begins
    return told % {"value": written(moment), "day": times.exact(day)}


# --- Rows -----------------------------------------------------------------------------------------


def _in_force(kind: Kind, moment: datetime) -> QuerySet[RecordedSetting]:
    versions = RecordedSetting.objects.filter(Q(until=None) | Q(until__gt=moment), kind=kind, since__lte=moment)
    return versions.order_by("pk")


def _held(kind: Kind, model: type[Row], parent: int, moment: datetime) -> list[Row]:
    """The objects of a kind as they were, not to be saved."""
    rows = _in_force(kind, moment).filter(parent=parent)
    return [_object(model, *row) for row in rows.values_list("object_key", "parent", "content").iterator()]


def _object(model: type[Row], key: str, parent: int | None, content: dict[str, Any]) -> Row:
    """What a version held; a column that was not recorded yet has its default."""
    one = BY_KIND[_KIND_OF[model]]
    values: dict[str, Any] = {one.parent: parent}
    for field in one.fields():
        if field.name in content:
            values[field.attname] = _aware(field.to_python(content[field.name]))
    assert model._meta.pk is not None
    values[model._meta.pk.attname] = model._meta.pk.to_python(key)
    return model(**values)


def _aware(value: Any) -> Any:
    """The time with its zone: SQLite stores times without one, in UTC."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


_KIND_OF: dict[type[models.Model], Kind] = {one.model: one.kind for one in BY_KIND.values()}


def _visible_shops(shops: list[Shop], reader: Membership | None) -> list[Shop]:
    """By identifier, as far as the reader sees them today."""
    if reader is not None and not access.sees_all_shops(reader):
        mine = set(access.shops_of(reader).order_by().values_list("pk", flat=True))
        shops = [shop for shop in shops if shop.pk in mine]
    return sorted(shops, key=lambda shop: shop.site_id)


def _rules(company: Company, shops: list[Shop], moment: datetime) -> dict[int, list[RuleFacts]]:
    """Shop → the facts of its rules, by reference."""
    wanted = {shop.pk for shop in shops}
    by_shop: dict[int, list[RuleFacts]] = {}
    # A short list of shops is named in the query; a long one is not, SQLite bounds its parameters.
    rows = _in_force(Kind.RULE, moment).filter(
        parent__in=wanted if len(wanted) <= 100 else _shops_that_ever_were(company)
    )
    # Most rules of a large company say the same as others: each text is taken apart once.
    alike: dict[str, RuleFacts | None] = {}
    texts = rows.annotate(text=Cast("content", TextField())).values_list("parent", "text")
    for shop, text in texts.iterator(chunk_size=5000):
        if text not in alike:
            content = json.loads(text)
            is_live = content["archived_at"] is None
            alike[text] = rule_facts(_object(NotificationRule, "0", shop, content)) if is_live else None
        facts = alike[text]
        if shop in wanted and facts is not None:
            by_shop.setdefault(shop, []).append(facts)
    for listed in by_shop.values():
        listed.sort(key=lambda rule: rule.reference)
    return by_shop


def _shops_that_ever_were(company: Company) -> QuerySet[Any, Any]:
    versions = RecordedSetting.objects.filter(kind=Kind.SHOP, parent=company.pk)
    return versions.annotate(shop=Cast("object_key", BigIntegerField())).values("shop")


def _accounts(
    company: Company, moment: datetime, reader: Membership | None
) -> tuple[Iterable[User], Iterable[SftpAccount]]:
    """The accounts as they were, as far as the reader may know of them today."""
    users = _held(Kind.USER, User, company.pk, moment)
    sftp = _held(Kind.SFTP_ACCOUNT, SftpAccount, company.pk, moment)
    if reader is not None and not account_readers.sees_everything(reader):
        known = set(account_readers.users_for(reader).order_by().values_list("pk", flat=True))
        users = [user for user in users if user.pk in known]
    if reader is not None and not account_readers.manages_accounts(reader):
        sftp = []
    return sorted(users, key=lambda user: user.login), sorted(sftp, key=lambda account: account.login)
