"""What the history stores in words: kinds of objects, names of fields, values."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.encoding import force_str
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from backoffice.base.shell import exact_time
from backoffice.text import times
from backoffice.text.amounts import amount_text, decimal_text
from companies.models import Contact, Role
from companies.rights import permissions
from notifications.core.catalogue import BY_CODE, DEFAULT_RULES, DIGESTS, SHOP_MANAGER_SYMBOL, TRIGGER_LABELS
from notifications.core.templating import FIELDS
from notifications.core.wording import conditions_in_words, trigger_label
from shops.dataform_content import AVAILABLE
from shops.models import ShopKey

OBJECTS = {
    "hold": gettext_lazy("Pause d'envoi"),
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
    "acknowledgedgap": gettext_lazy("Manque accepté"),
    "mailremark": gettext_lazy("Remarque d'un destinataire"),
}
MODELS = {
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
    "acknowledgedgap": "notifications.AcknowledgedGap",
    "mailremark": "notifications.MailRemark",
    "newsletter": "notifications.Newsletter",
    "incident": "notifications.Incident",
    "pricelist": "shops.PriceList",
    "consistencyreport": "notifications.ConsistencyReport",
    "hold": "notifications.Hold",
    "companyrelay": "notifications.CompanyRelay",
}
_LABELS = {
    "role": gettext_lazy("rôle"),
    "shops": gettext_lazy("boutiques"),
    "password": gettext_lazy("mot de passe"),
    "rules": gettext_lazy("règles"),
    "rights": gettext_lazy("droits particuliers"),
    "access": gettext_lazy("accès"),
    "reason": gettext_lazy("motif"),
    "sample": gettext_lazy("exemple"),
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
    "verified_email": gettext_lazy("adresse vérifiée"),
    "credentials.TEST": gettext_lazy("accès protégé en mode TEST"),
    "credentials.PRODUCTION": gettext_lazy("accès protégé en mode PRODUCTION"),
    "addresses": gettext_lazy("adresses"),
    "algorithm_test_since": gettext_lazy("algorithme de test depuis"),
    "algorithm_production_since": gettext_lazy("algorithme de production depuis"),
    "calls": gettext_lazy("appels"),
    "channel": gettext_lazy("canal"),
    "lane": gettext_lazy("file"),
    "endpoint": gettext_lazy("serveur appelé"),
    "delivery": gettext_lazy("envoi"),
    "errors": gettext_lazy("erreurs"),
    "warnings": gettext_lazy("avertissements"),
    "mode": gettext_lazy("mode"),
    "conditions": gettext_lazy("conditions"),
    "run": gettext_lazy("numéro du rejeu"),
    "sent_to": gettext_lazy("envoyé à"),
    "state": gettext_lazy("avancement"),
    "text_fr": gettext_lazy("texte (français)"),
    "text_en": gettext_lazy("texte (anglais)"),
    "url": gettext_lazy("URL"),
    "email": gettext_lazy("e-mail"),
    "ipn_call": gettext_lazy("appel URL de notification"),
    "monthly_fee": gettext_lazy("abonnement mensuel"),
    "tax_rate": gettext_lazy("taux de taxe"),
    "name": pgettext_lazy("of a thing", "nom"),
    "notification": gettext_lazy("notification"),
    "rule": gettext_lazy("règle"),
    "groups": gettext_lazy("groupes"),
    "validation": gettext_lazy("mode de validation"),
    "status": gettext_lazy("état"),
    # What an address was found in, when its data are erased.
    "deliveries": gettext_lazy("envois"),
    "events": gettext_lazy("événements"),
    "payment_orders": gettext_lazy("ordres de paiement"),
    "form_answers": gettext_lazy("réponses de formulaire"),
    "history": gettext_lazy("lignes d'historique"),
    "settings": gettext_lazy("réglages passés"),
}
# Objects of the platform itself: their names in the history, for staff.
_PLATFORM_OBJECTS = {
    "newsletter": gettext_lazy("Lettre d'information"),
    "incident": gettext_lazy("Incident"),
    "pricelist": gettext_lazy("Tarif"),
    "consistencyreport": gettext_lazy("Rapport de consistance"),
    "historyerasure": gettext_lazy("Effacement"),
}
_RULE_LABELS = {rule.reference: rule.label for rule in DEFAULT_RULES}
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")
_MONEY = re.compile(r"-?\d+(\.\d+)? [A-Z]{3}")
_COUNTED = re.compile(r"(\d+) caractères? au (moins|plus)")
_TEXT_PARTS = {"subject": gettext_lazy("Objet de l'e-mail"), "body": gettext_lazy("Corps de l'e-mail")}


def _own_field(code: str) -> str:
    """A field that the merchant made: « own1 » is the first."""
    number = code.removeprefix("own")
    return _("ajouté n° %(n)s") % {"n": number} if number.isdigit() else code


def _part(text: str) -> str:
    """A piece of what is stored, in French, of a field of a form."""
    counted = _COUNTED.fullmatch(text)
    if counted is None:
        return _(text)
    number = int(counted[1])
    if counted[2] == "moins":
        return ngettext("%(n)d caractère au moins", "%(n)d caractères au moins", number) % {"n": number}
    return ngettext("%(n)d caractère au plus", "%(n)d caractères au plus", number) % {"n": number}


def _field(object_type: str, name: str) -> Any:
    model: type[Model] | None = apps.get_model(MODELS[object_type]) if object_type in MODELS else None
    if name.partition(".")[0] in Contact.Kind.values:
        model, name = Contact, name.partition(".")[2]
    try:
        return model._meta.get_field(name) if model else None
    except FieldDoesNotExist:
        return None


def object_type_label(object_type: str) -> str:
    """The kind of an object in words."""
    return force_str(OBJECTS.get(object_type) or _PLATFORM_OBJECTS.get(object_type) or object_type)


def field_label(object_type: str, name: str) -> str:
    """The name of a changed field as the history shows it."""
    kind, _dot, rest = name.partition(".")
    if kind == "rights" and rest:
        return _("Droits sur la boutique %(site_id)s") % {"site_id": rest}
    if kind == "email_texts" and name.count(".") == 2:
        _name, language, part = name.split(".")
        return f"{_TEXT_PARTS.get(part, part)} ({language.upper()})"
    if object_type == "datacollectionform" and kind == "field":
        return _("Champ %(name)s") % {"name": AVAILABLE[rest].label if rest in AVAILABLE else _own_field(rest)}
    field = _field(object_type, name)
    if name.startswith("key.") and name[4:] in ShopKey.Kind.values:
        return force_str(ShopKey.Kind(name[4:]).label)
    own = force_str(getattr(field, "verbose_name", ""))
    # A field without a name of its own has the one that the framework makes of its code.
    if own == name.rpartition(".")[2].replace("_", " ") and name in _LABELS:
        own = ""
    if name == "amount":
        # Shown as money, whatever the column holds.
        own = _("montant")
    known = _LABELS.get(name) or TRIGGER_LABELS.get(name) or getattr(BY_CODE.get(name), "label", None)
    label = own or force_str(known or name)
    if kind in Contact.Kind.values and "." in name:
        return f"{Contact.Kind(kind).label}, {label}"
    return label[:1].upper() + label[1:]


@dataclass(frozen=True)
class _Stored:
    """One side of a change: whose field it is, and what stands there."""

    object_type: str
    name: str
    value: Any
    currency: str


def value_words(object_type: str, name: str, value: Any, currency: str = "") -> str:
    """One stored value in words.

    Args:
        currency: what an amount is in, where known.
    """
    stored = _Stored(object_type, name, value, currency)
    for reading in (_of_a_form, _of_rights, _of_nothing, _of_a_choice, _of_a_list, _of_a_text):
        words = reading(stored)
        if words is not None:
            return words
    field = _field(object_type, name)
    choices = dict(getattr(field, "flatchoices", None) or [])
    return force_str(choices.get(value, value) if isinstance(value, str | int) else value)


def _of_a_form(stored: _Stored) -> str | None:
    """Amounts, and the fields of a data collection form."""
    value = stored.value
    if stored.name == "amount" and stored.currency and isinstance(value, int) and not isinstance(value, bool):
        return amount_text(value, stored.currency)
    in_a_field = stored.object_type == "datacollectionform" and stored.name.startswith("field.")
    if in_a_field and isinstance(value, str) and value:
        return " · ".join(_part(part) for part in value.split(" · "))
    return None


def _of_rights(stored: _Stored) -> str | None:
    if stored.name.partition(".")[0] != "rights":
        return None
    if stored.value is None:
        return _("ceux du rôle") if stored.name == "rights" else _("comme en général")
    return ", ".join(str(permissions.LABELS.get(code, code)) for code in stored.value) or _("aucun")


def _of_nothing(stored: _Stored) -> str | None:
    if stored.value is None and stored.name.startswith(("email_texts.", "email_fields")):
        return _("par défaut")
    if stored.value not in (None, "", []):
        return None
    if stored.object_type == "shop" and stored.name == "manager_email":
        return _("hérité du Contact gestionnaire")
    return _("(vide)")


def _of_a_choice(stored: _Stored) -> str | None:
    value = stored.value
    if isinstance(value, bool):
        return _("oui") if value else _("non")
    if stored.object_type == "incident" and stored.name == "state":
        states = dict(apps.get_model("notifications.IncidentUpdate").State.choices)
        return force_str(states.get(value, value))
    if stored.name == "notification" and value in BY_CODE:
        return force_str(BY_CODE[value].label)
    if stored.name == "digest" and value in DIGESTS:
        return force_str(DIGESTS[value])
    if stored.name == "role" and value in Role.values:
        return force_str(Role(value).label)
    return _("toutes") if stored.name == "shops" and value == "*" else None


def _recipients(entries: list[Any]) -> str:
    return "; ".join(_("E-mail gestionnaire") if item == SHOP_MANAGER_SYMBOL else str(item) for item in entries)


def _scopes(codes: list[Any]) -> str:
    labels = dict(_field("apitoken", "scopes").model.Scope.choices)
    return ", ".join(force_str(labels.get(code, code)) for code in codes)


# Name of a field → its list in words.
_LISTS: dict[str, Callable[[list[Any]], str]] = {
    "rules": lambda codes: "; ".join(force_str(_RULE_LABELS.get(code, code)) for code in codes),
    "recipients": _recipients,
    "triggers": lambda codes: ", ".join(map(trigger_label, codes)),
    "email_fields": lambda codes: ", ".join(
        force_str(FIELDS[code].label) if code in FIELDS else str(code) for code in codes
    ),
    "conditions": conditions_in_words,
}


def _of_a_list(stored: _Stored) -> str | None:
    value = stored.value
    if isinstance(value, dict):
        return "; ".join(f"{key} : {value_words('', key, item)}" for key, item in value.items())
    if not isinstance(value, list):
        return None
    if stored.object_type == "apitoken" and stored.name == "scopes":
        return _scopes(value)
    in_words = _LISTS.get(stored.name)
    return in_words(value) if in_words else "; ".join(map(str, value))


def _of_a_text(stored: _Stored) -> str | None:
    """Times, days and money, which are stored as texts."""
    value = stored.value
    if not isinstance(value, str):
        return None
    if _MOMENT.fullmatch(value):
        return exact_time(parse_datetime(value)) or value
    if _DAY.fullmatch(value):
        day = parse_date(value)
        return times.day(day) if day else value
    if _MONEY.fullmatch(value):
        number, code = value.split(" ")
        return decimal_text(Decimal(number), code)
    return None
