"""The history of a company: which entries a user sees, and what they say in words."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db.models import DateTimeField, Model, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.encoding import force_str
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backoffice.templatetags.shell import exact_time
from notifications.catalogue import SHOP_MANAGER_SYMBOL
from notifications.templating import FIELDS
from notifications.wording import conditions_in_words, trigger_label
from shops.dataforms.content import AVAILABLE
from shops.models import Shop, ShopKey

from . import access, permissions, wording
from .models import AuditEntry, Contact, Membership, Role

OBJECTS = {
    "company": gettext_lazy("Société"),
    "contact": gettext_lazy("Contact"),
    "shop": gettext_lazy("Boutique"),
    "notificationrule": gettext_lazy("Règle de notification"),
    "contract": gettext_lazy("Contrat"),
    "shopkey": gettext_lazy("Clé"),
    "user": gettext_lazy("Compte utilisateur"),
    "sftpaccount": gettext_lazy("Compte SFTP"),
    "delivery": gettext_lazy("Envoi"),
    "billingdocument": gettext_lazy("Facture"),
    "paymentorder": gettext_lazy("Ordre de paiement"),
    "paymentordertemplate": gettext_lazy("Modèle d'ordre de paiement"),
    "datacollectionform": gettext_lazy("Formulaire de collecte de données"),
    "apitoken": gettext_lazy("Jeton d'API"),
}
_MODELS = {
    "company": "companies.Company",
    "contact": "companies.Contact",
    "shop": "shops.Shop",
    "notificationrule": "notifications.NotificationRule",
    "contract": "shops.Contract",
    "shopkey": "shops.ShopKey",
    "user": "companies.User",
    "sftpaccount": "companies.SftpAccount",
    "delivery": "notifications.Delivery",
    "billingdocument": "shops.BillingDocument",
    "paymentorder": "shops.PaymentOrder",
    "paymentordertemplate": "shops.PaymentOrderTemplate",
    "datacollectionform": "shops.DataCollectionForm",
    "apitoken": "notifications.ApiToken",
}
_SHOP_OBJECTS = (
    "shop",
    "notificationrule",
    "contract",
    "shopkey",
    "delivery",
    "paymentorder",
    "paymentordertemplate",
    "datacollectionform",
    "billingdocument",
)
_LABELS = {
    "role": gettext_lazy("rôle"),
    "shops": gettext_lazy("boutiques"),
    "password": gettext_lazy("mot de passe"),
    "rules": gettext_lazy("règles"),
    "rights": gettext_lazy("droits particuliers"),
    "access": gettext_lazy("accès"),
    "reason": gettext_lazy("motif"),
    "title_fr": gettext_lazy("titre (français)"),
    "title_en": gettext_lazy("titre (anglais)"),
    "intro_fr": gettext_lazy("texte d'introduction (français)"),
    "intro_en": gettext_lazy("texte d'introduction (anglais)"),
    "currency": gettext_lazy("devise"),
    "amount_fixed": gettext_lazy("montant fixe"),
    "amount_minimum": gettext_lazy("montant minimal"),
    "amount_maximum": gettext_lazy("montant maximal"),
    "privacy_url": gettext_lazy("politique de protection des données"),
    "retention_months": gettext_lazy("conservation des réponses (mois)"),
    "order": gettext_lazy("ordre des champs"),
    "number": gettext_lazy("version"),
    "answer": gettext_lazy("réponse du"),
    "locked_until": gettext_lazy("verrouillé jusqu'à"),
    "sessions": gettext_lazy("sessions ouvertes"),
    "passkey": gettext_lazy("nom de la clé d'accès"),
    "second_factor": gettext_lazy("double authentification"),
}
# code in the URL → label, names under which changes are stored
FIELD_GROUPS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "email": (gettext_lazy("adresse e-mail"), ("email", "manager_email")),
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
    "name": (gettext_lazy("nom"), ("name", "first_name", "last_name", "label")),
}
# What is noted about an object without changing it.
NO_CHANGES = (
    "address.exported",
    "consistency.asked",
    "consistency.checked",
    "key.shown",
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
_TEXT_PARTS = {"subject": gettext_lazy("Objet de l'e-mail"), "body": gettext_lazy("Corps de l'e-mail")}


def entries(membership: Membership) -> QuerySet[AuditEntry]:
    """The entries a user may see, newest first. Those of other shops stay out; those of accounts without
    the right to manage users; those of API tokens without the keys of the whole company."""
    found = AuditEntry.objects.filter(company_id=membership.company_id).select_related("actor", "shop")
    if not access.can(membership, permissions.MANAGE_USERS):
        found = found.exclude(object_type__in=("user", "sftpaccount"))
    if not access.whole(membership, permissions.MANAGE_KEYS):
        found = found.exclude(object_type="apitoken")
    if not access.sees_all_shops(membership):
        found = found.filter(~Q(object_type__in=_SHOP_OBJECTS) | Q(shop__in=access.shops_of(membership).values("pk")))
    return found.order_by("-at", "-pk")


def filtered(
    found: QuerySet[AuditEntry],
    *,
    q: str = "",
    kind: str = "",
    who: str = "",
    field: str = "",
    shop: str = "",
    since: date | str = "",
    until: date | str = "",
    about: Iterable[str] = (),
) -> QuerySet[AuditEntry]:
    """Narrow a history.

    Args:
        q: text in the author, the object or any value.
        kind: a key of OBJECTS.
        who: the exact author, as shown.
        field: a key of FIELD_GROUPS; entries that changed it.
        shop: identifier of a shop.
        since, until: days, both included, in the active time zone.
        about: objects as `type.key`, or `type` for all of a kind: what a page of settings is about.
    """
    these = Q()
    for item in about:
        object_type, _dot, key = item.partition(".")
        these |= Q(object_type=object_type, object_id=key) if key else Q(object_type=object_type)
    found = found.filter(these)
    if q or field:
        found = found.annotate(text=Cast("changes", TextField()))
    if q:
        # Values are stored as JSON, which may escape what is not ASCII.
        escaped = json.dumps(q)[1:-1]
        found = found.filter(
            Q(actor_label__icontains=q)
            | Q(object_label__icontains=q)
            | Q(text__icontains=q)
            | Q(text__icontains=escaped)
        )
    if kind in OBJECTS:
        found = found.filter(object_type=kind)
    if who:
        found = found.filter(actor_label=who)
    if field in FIELD_GROUPS:
        name = Q()
        for stored in FIELD_GROUPS[field][1]:
            # A key of the JSON object, whole or as the last part of « manager.email ».
            name |= Q(text__contains=f'"{stored}": ') | Q(text__contains=f'.{stored}": ')
        found = found.filter(name)
    if shop:
        found = found.filter(shop__site_id=shop)
    if isinstance(since, date):
        found = found.filter(at__gte=timezone.make_aware(datetime.combine(since, time.min)))
    if isinstance(until, date):
        found = found.filter(at__lt=timezone.make_aware(datetime.combine(until + timedelta(days=1), time.min)))
    return found


def authors(membership: Membership) -> list[str]:
    """Who stands in the history that a user sees, for its filter."""
    found = entries(membership).order_by().values_list("actor_label", flat=True).distinct()
    return sorted(filter(None, found[:200]), key=str.casefold)


def newest(*objects: tuple[str, Any]) -> AuditEntry | None:
    """The newest change of any of the (object type, key) given, whatever company it belongs to."""
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

    @property
    def is_creation(self) -> bool:
        return self.entry.action.endswith((".created", ".default_created"))


def last_change(company_id: int | None, *objects: tuple[str, Any]) -> LastChange | None:
    """Of any of the (object type, key) given."""
    mine = Q(company=company_id) if company_id is not None else Q(company__isnull=True)
    found = _changes(AuditEntry.objects.filter(_of_objects(objects), mine)).first()
    return LastChange(found, urlencode([("about", f"{kind}.{key}") for kind, key in objects])) if found else None


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


def last_change_on(shop: Shop, *kinds: str) -> LastChange | None:
    """Of the objects of these kinds that one shop has: its keys, its contracts…"""
    found = newest_on(shop, *kinds)
    return LastChange(found, urlencode([("shop", shop.site_id), *_of_kinds(kinds)])) if found else None


def last_change_among(membership: Membership, *kinds: str) -> LastChange | None:
    """Of all objects of these kinds that a user sees, for a page that lists them."""
    found = _changes(entries(membership).filter(object_type__in=kinds)).first()
    return LastChange(found, urlencode(_of_kinds(kinds))) if found else None


def _of_kinds(kinds: Sequence[str]) -> list[tuple[str, str]]:
    # One kind is a choice of the filter, several are not.
    return [("object", kinds[0])] if len(kinds) == 1 else [("about", kind) for kind in kinds]


def _changes(found: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
    """Of the entries those that changed something, newest first."""
    return found.exclude(action__in=NO_CHANGES).order_by("-at", "-pk")


def changes_in_words(entry: AuditEntry) -> list[tuple[str, str, str]]:
    """(field, before, after) of each change."""
    return [
        (
            field_label(entry.object_type, name),
            _value(entry.object_type, name, pair[0]),
            _value(entry.object_type, name, pair[1]),
        )
        for name, pair in entry.changes.items()
        if isinstance(pair, list) and len(pair) == 2
    ]


def _field(object_type: str, name: str) -> Any:
    model: type[Model] | None = apps.get_model(_MODELS[object_type]) if object_type in _MODELS else None
    if name.partition(".")[0] in Contact.Kind.values:
        model, name = Contact, name.partition(".")[2]
    try:
        return model._meta.get_field(name) if model else None
    except FieldDoesNotExist:
        return None


def field_label(object_type: str, name: str) -> str:
    """The name of a changed field as the history shows it."""
    kind, _dot, rest = name.partition(".")
    if kind == "rights" and rest:
        return _("Droits sur la boutique %(site_id)s") % {"site_id": rest}
    if kind == "email_texts" and name.count(".") == 2:
        _name, language, part = name.split(".")
        return f"{_TEXT_PARTS.get(part, part)} ({language.upper()})"
    if object_type == "datacollectionform" and kind == "field":
        return _("Champ %(name)s") % {"name": AVAILABLE[rest].label if rest in AVAILABLE else rest}
    field = _field(object_type, name)
    if name.startswith("key.") and name[4:] in ShopKey.Kind.values:
        return force_str(ShopKey.Kind(name[4:]).label)
    label = force_str(getattr(field, "verbose_name", "") or _LABELS.get(name, name))
    if kind in Contact.Kind.values and "." in name:
        return f"{Contact.Kind(kind).label}, {label}"
    return label[:1].upper() + label[1:]


def _value(object_type: str, name: str, value: Any) -> str:
    if name.partition(".")[0] == "rights":
        if value is None:
            return _("ceux du rôle") if name == "rights" else _("comme en général")
        return ", ".join(str(permissions.LABELS.get(code, code)) for code in value) or _("aucun")
    if value is None and name.startswith(("email_texts.", "email_fields")):
        return _("par défaut")
    if value is None or value == "" or value == []:
        if object_type == "shop" and name == "manager_email":
            return _("hérité du Contact gestionnaire")
        return _("(vide)")
    if isinstance(value, bool):
        return _("oui") if value else _("non")
    if name == "role" and value in Role.values:
        return force_str(Role(value).label)
    if name == "shops" and value == "*":
        return _("toutes")
    if name == "recipients" and isinstance(value, list):
        return "; ".join(_("E-mail gestionnaire") if item == SHOP_MANAGER_SYMBOL else str(item) for item in value)
    if name == "triggers" and isinstance(value, list):
        return ", ".join(map(trigger_label, value))
    if object_type == "apitoken" and name == "scopes" and isinstance(value, list):
        labels = dict(_field(object_type, "scopes").model.Scope.choices)
        return ", ".join(force_str(labels.get(code, code)) for code in value)
    if name == "email_fields" and isinstance(value, list):
        return ", ".join(force_str(FIELDS[code].label) if code in FIELDS else str(code) for code in value)
    if name == "conditions" and isinstance(value, list):
        return conditions_in_words(value)
    if isinstance(value, list):
        return "; ".join(map(str, value))
    field = _field(object_type, name)
    if isinstance(field, DateTimeField) and isinstance(value, str):
        return exact_time(parse_datetime(value)) or value
    choices = dict(getattr(field, "flatchoices", None) or [])
    return force_str(choices.get(value, value))
