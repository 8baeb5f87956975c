"""The history of a company: which entries a user sees, and what they say in words."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.apps import apps
from django.db.models import Model, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.encoding import force_str
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from backoffice.base import endless
from companies.history import sentences as wording
from companies.history.values import OBJECTS, field_label, value_words
from companies.models import AuditEntry, Membership
from companies.rights import access
from companies.rights import readers as account_readers
from shops.models import Shop

# Programs that write history in nobody's name.
_PROGRAMS = {
    "provision": gettext_lazy("Chargement d'un fichier (provision)"),
    "address_replace": gettext_lazy("Exploitation (address_replace)"),
    "address_reactivate": gettext_lazy("Exploitation (address_reactivate)"),
    "login_link": gettext_lazy("Exploitation (login_link)"),
    "consistency_reports": gettext_lazy("Contrôle de chaque matin"),
    "api_token": gettext_lazy("Exploitation (api_token)"),
    "pause": gettext_lazy("Exploitation (pause)"),
    "resume": gettext_lazy("Exploitation (resume)"),
    "requeue": gettext_lazy("Exploitation (requeue)"),
    "cancel": gettext_lazy("Exploitation (cancel)"),
    "limit": gettext_lazy("Exploitation (limit)"),
    "deliver": gettext_lazy("Envoi des notifications"),
    "Équipe plateforme": gettext_lazy("Équipe plateforme"),
    "Lien de désabonnement": gettext_lazy("Lien de désabonnement"),
    "Connexion": gettext_lazy("Connexion"),
    "Formulaire de collecte de données": gettext_lazy("Formulaire de collecte de données"),
}
# code in the URL → label, names under which changes are stored
FIELD_GROUPS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "email": (gettext_lazy("adresse e-mail"), ("email", "manager_email", "verified_email")),
    "incident_emails": (gettext_lazy("adresses d'incident"), ("incident_emails",)),
    "recipients": (gettext_lazy("destinataires d'une règle"), ("recipients",)),
    "enabled": (gettext_lazy("règle activée ou désactivée"), ("enabled",)),
    "triggers": (gettext_lazy("événements d'une règle"), ("triggers",)),
    "urls": (
        gettext_lazy("URL de notification"),
        ("url_test", "url_production", "rest_url_test", "rest_url_production"),
    ),
    "role": (gettext_lazy("rôle et droits"), ("role", "rights", "shops", "access", "all_shops")),
    "password": (gettext_lazy("mot de passe"), ("password",)),
    "key": (gettext_lazy("clé"), ("value", "algorithm_test", "algorithm_production")),
    "status": (gettext_lazy("état"), ("status", "is_active")),
    "three_d_secure": (gettext_lazy("3D Secure"), ("three_d_secure",)),
    "name": (pgettext_lazy("of a thing", "nom"), ("name", "first_name", "last_name", "label")),
}
# What is noted about an object without changing it.
NO_CHANGES = (
    "address.exported",
    "consistency.asked",
    "consistency.checked",
    "remark.closed",
    "key.shown",
    "mail.sampled",
    "newsletter.tried",
    "payment_order.resent",
    "rule.tested",
    "sftp_account.revealed",
    "user.invited",
    "user.locked",
    "user.login_link",
    "user.sessions_ended",
    "user.view_as_ended",
    "user.viewed_as",
)
# Objects of daily work, which are no settings.
NO_SETTINGS = ("delivery", "paymentorder", "billingdocument")
# Objects whose entries tell of rights on shops: of any, whatever the reader sees.
_NAMING_SHOPS = ("user",)


def entries(membership: Membership) -> QuerySet[AuditEntry]:
    """The entries a user may see, newest first."""
    return account_readers.history_for(membership)


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a history is narrowed to; what is empty does not narrow.

    Attributes:
        q: text in the author, the object or any value.
        kind: a key of OBJECTS.
        who: the exact author, as shown.
        field: a key of FIELD_GROUPS; entries that changed it.
        shop: identifier of a shop.
        since, until: days, both included, in the active time zone.
        about: objects as `type.key`, or `type` for all of a kind: what a page of settings is about.
    """

    q: str = ""
    kind: str = ""
    who: str = ""
    field: str = ""
    shop: str = ""
    since: date | None = None
    until: date | None = None
    about: Sequence[str] = ()


def filtered(rows: QuerySet[AuditEntry], search: Search, *, reader: Membership | None = None) -> QuerySet[AuditEntry]:
    """Narrow a history.

    Args:
        reader: who looks; no search answers what `changes_in_words` does not show them. None for staff.
    """
    rows = rows.filter(_about(search.about))
    if search.q or search.field:
        rows = rows.annotate(text=Cast("changes", TextField()))
    if search.q:
        rows = rows.filter(_holds(search.q, reader))
    if search.kind in OBJECTS:
        rows = rows.filter(object_type=search.kind)
    if search.who:
        rows = rows.filter(actor_label=search.who)
    if search.field in FIELD_GROUPS:
        rows = rows.filter(_changes_any(FIELD_GROUPS[search.field][1]))
    if search.shop:
        rows = rows.filter(shop__site_id=search.shop)
    if search.since:
        rows = rows.filter(at__gte=timezone.make_aware(datetime.combine(search.since, time.min)))
    if search.until:
        end = search.until + timedelta(days=1)
        rows = rows.filter(at__lt=timezone.make_aware(datetime.combine(end, time.min)))
    return rows


def shown(rows: QuerySet[AuditEntry], search: Search, *, reader: Membership | None = None) -> QuerySet[AuditEntry]:
    """`filtered` for a page: a text and a field, which no index finds, are looked for among the newest rows left."""
    rows = filtered(rows, replace(search, q="", field=""), reader=reader)
    if not (search.q or search.field):
        return rows
    recent = endless.newest(rows, by="at")
    return filtered(recent, Search(q=search.q, field=search.field), reader=reader)


def _about(objects: Iterable[str]) -> Q:
    these = Q()
    for item in objects:
        object_type, _dot, key = item.partition(".")
        these |= Q(object_type=object_type, object_id=key) if key else Q(object_type=object_type)
    return these


def _holds(text: str, reader: Membership | None) -> Q:
    """Entries with a text in the author, the object or a value; needs the annotation `text`."""
    # Values are stored as JSON, which may escape what is not ASCII.
    escaped = json.dumps(text)[1:-1]
    values = Q(text__icontains=text) | Q(text__icontains=escaped)
    if reader is not None and not access.sees_all_shops(reader):
        values &= ~Q(object_type__in=_NAMING_SHOPS)
    return Q(actor_label__icontains=text) | Q(object_label__icontains=text) | values


def _changes_any(names: Iterable[str]) -> Q:
    """Entries that changed a field of these names; needs the annotation `text`."""
    changed = Q()
    for name in names:
        # A key of the JSON object, whole or as the last part of « manager.email ».
        changed |= Q(text__contains=f'"{name}": ') | Q(text__contains=f'.{name}": ')
    return changed


def authors(membership: Membership) -> list[str]:
    """Who stands in the history that a user sees, for its filter."""
    labels = endless.newest_values(entries(membership), "actor_label", by="at")
    return sorted(filter(None, labels), key=str.casefold)[:200]


def newest(*objects: tuple[str, Any]) -> AuditEntry | None:
    """The newest change of the given (object type, key) pairs, over all companies."""
    return _changes(AuditEntry.objects.filter(_of_objects(objects))).first()


def _of_objects(objects: Iterable[tuple[str, Any]]) -> Q:
    wanted = Q()
    for kind, key in objects:
        wanted |= Q(object_type=kind, object_id=str(key))
    return wanted


def newest_among(company_id: int, *kinds: str) -> AuditEntry | None:
    """The newest change of any object of these kinds that a company has."""
    return _changes(AuditEntry.objects.filter(company_id=company_id, object_type__in=kinds)).first()


def newest_on(shop: Shop, *kinds: str) -> AuditEntry | None:
    """The newest change of any object of these kinds that a shop has."""
    return _changes(AuditEntry.objects.filter(company_id=shop.company_id, shop=shop, object_type__in=kinds)).first()


@dataclass(frozen=True)
class LastChange:
    """« modifié par … le … » of a settings page, with the way to the history of what it shows.

    Attributes:
        query: the query string of the history, narrowed to the objects the page is about.
    """

    entry: AuditEntry
    query: str

    # It is one of several objects that the page shows, and is to be named.
    is_of_list: bool = False

    @property
    def is_creation(self) -> bool:
        return not self.is_of_list and self.entry.action.endswith((".created", ".default_created"))

    @property
    def who(self) -> str:
        return actor_words(self.entry)

    @property
    def sentence(self) -> str:
        return wording.entry_sentence(self.entry) if self.is_of_list else ""


def last_change(company_id: int | None, *objects: tuple[str, Any]) -> LastChange | None:
    """Of any of the (object type, key) given."""
    mine = Q(company=company_id) if company_id is not None else Q(company__isnull=True)
    entry = _changes(AuditEntry.objects.filter(_of_objects(objects), mine)).first()
    return LastChange(entry, urlencode([("about", f"{kind}.{key}") for kind, key in objects])) if entry else None


def about_labels(membership: Membership, about: Iterable[str]) -> list[str]:
    """The designations of the objects a history is narrowed to, as the newest entries have them."""
    labels = []
    for item in about:
        object_type, _dot, key = item.partition(".")
        label = force_str(OBJECTS[object_type])
        if key:
            entry = entries(membership).filter(object_type=object_type, object_id=key).first()
            if entry is not None:
                label = _("%(kind)s : %(name)s") % {
                    "kind": label,
                    "name": wording.object_label(object_type, entry.object_label),
                }
        labels.append(label)
    return labels


# Columns of a shop that its page of keys shows, and not its configuration.
KEY_COLUMNS = ("algorithm_test", "algorithm_production")
KEY_ACTIONS = ("shop.tests_done",)


def _of_keys() -> Q:
    about = Q(action__in=KEY_ACTIONS)
    for name in KEY_COLUMNS:
        about |= Q(changes__has_key=name)
    return Q(object_type="shop", action__in=("shop.updated", *KEY_ACTIONS)) & about


def last_change_of_keys(shop: Shop) -> LastChange | None:
    """Of the keys of a shop and of how they sign: what else the shop has is shown elsewhere."""
    mine = AuditEntry.objects.filter(Q(object_type="shopkey") | _of_keys(), company_id=shop.company_id, shop=shop)
    entry = _changes(mine).first()
    query = [("shop", shop.site_id), *_of_kinds(("shop", "shopkey"))]
    return LastChange(entry, urlencode(query), True) if entry else None


def last_change_of_configuration(shop: Shop) -> LastChange | None:
    """Of the shop itself, its keys and how they sign left out."""
    mine = AuditEntry.objects.filter(object_type="shop", object_id=str(shop.pk), company_id=shop.company_id)
    # Those of keys are few; behind more of them than are read here, the page says nothing of who changed it last.
    newest = _changes(mine.exclude(action__in=KEY_ACTIONS))[:200]
    entry = next(
        (
            entry
            for entry in newest.iterator(chunk_size=10)
            if not entry.changes or not set(entry.changes) <= set(KEY_COLUMNS)
        ),
        None,
    )
    return LastChange(entry, urlencode([("about", f"shop.{shop.pk}")])) if entry else None


def last_change_on(shop: Shop, *kinds: str) -> LastChange | None:
    """Of the objects of these kinds that one shop has: its keys, its contracts…"""
    entry = newest_on(shop, *kinds)
    return LastChange(entry, urlencode([("shop", shop.site_id), *_of_kinds(kinds)]), True) if entry else None


def last_change_among(membership: Membership, *kinds: str) -> LastChange | None:
    """Of all objects of these kinds that a user sees, for a page that lists them."""
    entry = _changes(entries(membership).filter(object_type__in=kinds)).first()
    return LastChange(entry, urlencode(_of_kinds(kinds)), True) if entry else None


def _of_kinds(kinds: Sequence[str]) -> list[tuple[str, str]]:
    # One kind is a choice of the filter, several are not.
    return [("object", kinds[0])] if len(kinds) == 1 else [("about", kind) for kind in kinds]


def _changes(rows: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
    """Of the entries those that changed something, newest first."""
    return rows.exclude(action__in=NO_CHANGES).order_by("-at", "-pk")


def changes_of_people(rows: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
    """Of the entries those that changed a setting, and that a person made; programs have no account."""
    return rows.filter(actor__isnull=False).exclude(Q(action__in=NO_CHANGES) | Q(object_type__in=NO_SETTINGS))


def changes_in_words(entry: AuditEntry, reader: Membership | None = None) -> list[tuple[str, str, str]]:
    """(field, before, after) of each change.

    Args:
        reader: whose eyes it is for: rights on shops that they do not see become one line that says so.
            None for staff and programs.
    """
    changes = entry.changes
    hidden = False
    if reader is not None and entry.object_type in _NAMING_SHOPS and not access.sees_all_shops(reader):
        changes, hidden = _without_hidden_shops(entry.changes, reader)
    told = [words for _name, words in _named(entry, changes)]
    if hidden:
        told.append((_("Droits sur d'autres boutiques"), "…", _("changés sur des boutiques que vous ne voyez pas")))
    return told


def named_changes(entry: AuditEntry) -> list[tuple[str, tuple[str, str, str]]]:
    """The stored name of each change, with its (field, before, after) in words."""
    return _named(entry, entry.changes)


def _named(entry: AuditEntry, changes: dict[str, Any]) -> list[tuple[str, tuple[str, str, str]]]:
    return [
        (
            name,
            (
                field_label(entry.object_type, name),
                value_words(entry.object_type, name, pair[0], _currency(entry, 0)),
                value_words(entry.object_type, name, pair[1], _currency(entry, 1)),
            ),
        )
        for name, pair in changes.items()
        if isinstance(pair, list) and len(pair) == 2
    ]


def _currency(entry: AuditEntry, side: int) -> str:
    """What an amount of the entry is in: it is stored in the smallest unit."""
    if "amount" not in entry.changes:
        return ""
    told = entry.changes.get("currency")
    if isinstance(told, list) and len(told) == 2:
        return str(told[side] or told[1] or "")
    if entry.object_type != "paymentorder":
        return ""
    order = apps.get_model("shops.PaymentOrder").objects.filter(pk=entry.object_id).only("currency").first()
    return order.currency if order else ""


def _without_hidden_shops(changes: dict[str, Any], reader: Membership) -> tuple[dict[str, Any], bool]:
    """The changes of an account without the shops hidden from the reader, and whether there were any."""
    kept: dict[str, Any] = {}
    hidden = False
    for name, pair in changes.items():
        kind, _dot, site_id = name.partition(".")
        if kind == "rights" and site_id and account_readers.shop_is_hidden(reader, site_id):
            hidden = True
        elif kind == "shops" and isinstance(pair, list):
            shown = [_visible_shops(value, reader) for value in pair]
            hidden = hidden or shown != pair
            if len(set(map(str, shown))) > 1:
                kept[name] = shown
        else:
            kept[name] = pair
    return kept, hidden


def _visible_shops(value: Any, reader: Membership) -> Any:
    """A list of shops as the history stores it (« 10000001, 10000002 » or « * »), without the hidden ones."""
    if value == "*" or not value:
        return value
    named = value if isinstance(value, list) else str(value).split(", ")
    kept = [site_id for site_id in named if not account_readers.shop_is_hidden(reader, str(site_id))]
    return kept if isinstance(value, list) else ", ".join(kept)


def gap_confirmations(company_id: int) -> dict[tuple[str, str | None, str | None], AuditEntry]:
    """(notification, shop, rule) → the newest entry that says who confirmed, while saving, that nobody is told."""
    entries = AuditEntry.objects.filter(company_id=company_id, action="gap.confirmed").select_related("actor", "shop")
    newest: dict[tuple[str, str | None, str | None], AuditEntry] = {}
    for entry in entries.order_by("-at", "-pk")[:500]:
        rule = entry.changes.get("rule", [None, None])[1]
        key = (entry.changes.get("notification", [None, ""])[1], entry.shop.site_id if entry.shop else None, rule)
        newest.setdefault(key, entry)
    return newest


def last_entry(obj: Model) -> AuditEntry | None:
    """The last written entry of an object that holds a change."""
    rows = AuditEntry.objects.filter(object_type=obj._meta.model_name, object_id=str(obj.pk))
    return rows.exclude(action__in=NO_CHANGES).order_by("-pk").first()


def actor_words(entry: AuditEntry) -> str:
    """Name the author in the reader's language; a program by its purpose."""
    return (
        force_str(_PROGRAMS.get(entry.actor_label, entry.actor_label)) if entry.actor_id is None else entry.actor_label
    )
