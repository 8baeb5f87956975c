"""What a data collection form holds: its fields, texts and amount. Pure: no database, settings or clock.

The trade's rules (reference, settings screens 6): default fields, free fields Info 1 to 3, fields of
one's own; mandatory or optional; help, bounds of length, a second entry to confirm; one currency.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import get_language, pgettext_lazy
from django.utils.translation import gettext_lazy as _

LANGUAGES = ("fr", "en")
MAX_FIELDS = 30
MAX_LABEL, MAX_HELP, MAX_TITLE, MAX_INTRO = 80, 300, 120, 1500
RETENTION_MONTHS = (1, 3, 6, 12, 24, 36)
DEFAULT_RETENTION = 12

TITLES = {"mrs": _("Mme"), "mr": _("M.")}


@dataclass(frozen=True)
class Kind:
    """What may be entered in a field.

    Attributes:
        limit: most characters a field of this kind ever takes.
        bounded: whether the merchant may bound its length.
    """

    label: Promise
    limit: int
    bounded: bool = True
    confirmable: bool = True


KINDS: dict[str, Kind] = {
    "text": Kind(_("Texte court"), 255),
    "long": Kind(_("Texte long"), 2000, confirmable=False),
    "email": Kind(_("Adresse e-mail"), 150),
    "phone": Kind(_("Numéro de téléphone"), 32),
    "title": Kind(_("Civilité"), 10, bounded=False, confirmable=False),
}
# The kinds a field of one's own may have.
OWN_KINDS = ("text", "long", "email", "phone")


@dataclass(frozen=True)
class Available:
    """One field of the list to choose from; `autocomplete` as browsers know it (WCAG 1.3.5)."""

    label: Promise
    kind: str = "text"
    max_length: int = 255
    autocomplete: str = ""


AVAILABLE: dict[str, Available] = {
    "title": Available(_("Civilité"), "title", 10, "honorific-prefix"),
    "last_name": Available(_("Nom"), max_length=63, autocomplete="family-name"),
    "first_name": Available(_("Prénom"), max_length=63, autocomplete="given-name"),
    "company": Available(_("Raison sociale"), max_length=100, autocomplete="organization"),
    "address": Available(_("Adresse"), max_length=255, autocomplete="street-address"),
    "postcode": Available(_("Code postal"), max_length=20, autocomplete="postal-code"),
    "city": Available(_("Ville"), max_length=128, autocomplete="address-level2"),
    "country": Available(pgettext_lazy("one country", "Pays"), max_length=64, autocomplete="country-name"),
    "email": Available(_("Adresse e-mail"), "email", 150, "email"),
    "phone": Available(_("Téléphone"), "phone", 32, "tel"),
    "reference": Available(_("Référence"), max_length=64),
    "info1": Available(_("Info 1")),
    "info2": Available(_("Info 2")),
    "info3": Available(_("Info 3")),
}
_OWN = re.compile(r"own[1-9][0-9]{0,3}\Z")

Texts = Mapping[str, str]


def in_language(texts: Texts, language: str = "") -> str:
    """The text of a language, by default the active one; the other one where it has none."""
    language = (language or get_language() or "fr")[:2]
    return texts.get(language, "") or next((texts[code] for code in LANGUAGES if texts.get(code)), "")


@dataclass(frozen=True)
class FormField:
    """One field of a form. An own label empty means that of the list of available fields."""

    code: str
    kind: str = "text"
    required: bool = False
    label: Texts = field(default_factory=dict)
    help: Texts = field(default_factory=dict)
    min_length: int | None = None
    max_length: int | None = None
    confirm: bool = False

    @property
    def is_own(self) -> bool:
        return self.code not in AVAILABLE

    @property
    def title(self) -> str:
        """Its name in the active language."""
        own = in_language(self.label)
        return own or str(AVAILABLE[self.code].label if self.code in AVAILABLE else self.code)

    @property
    def hint(self) -> str:
        return in_language(self.help)

    @property
    def limit(self) -> int:
        """Most characters it takes, whatever the merchant says."""
        return AVAILABLE[self.code].max_length if self.code in AVAILABLE else KINDS[self.kind].limit

    @property
    def longest(self) -> int:
        return min(self.max_length or self.limit, self.limit)

    @property
    def autocomplete(self) -> str:
        if self.code in AVAILABLE:
            return AVAILABLE[self.code].autocomplete or "off"
        return {"email": "email", "phone": "tel"}.get(self.kind, "off")


@dataclass(frozen=True)
class Amount:
    """What is to be paid, in the smallest unit: fixed, or free within bounds where there are any."""

    fixed: int | None = None
    minimum: int | None = None
    maximum: int | None = None

    @property
    def is_free(self) -> bool:
        return self.fixed is None


@dataclass(frozen=True)
class Content:
    """A whole form, as it is stored in a draft and frozen in a version."""

    title: Texts = field(default_factory=dict)
    intro: Texts = field(default_factory=dict)
    fields: tuple[FormField, ...] = ()
    currency: str = "EUR"
    amount: Amount = field(default_factory=Amount)
    privacy_url: str = ""
    retention_months: int = DEFAULT_RETENTION

    @property
    def required(self) -> list[FormField]:
        return [item for item in self.fields if item.required]

    @property
    def optional(self) -> list[FormField]:
        return [item for item in self.fields if not item.required]

    @property
    def shown(self) -> list[FormField]:
        """The fields in the order of the buyer's page: the required ones first."""
        return [*self.required, *self.optional]

    def find(self, code: str) -> FormField | None:
        return next((item for item in self.fields if item.code == code), None)

    @property
    def available(self) -> dict[str, Available]:
        """What may still be added from the list."""
        used = {item.code for item in self.fields}
        return {code: item for code, item in AVAILABLE.items() if code not in used}


def default(shop_name: str) -> Content:
    """What a shop starts from: name, first name and e-mail address, a free amount in euros."""
    return Content(
        title={"fr": f"Paiement à {shop_name}"[:MAX_TITLE], "en": f"Payment to {shop_name}"[:MAX_TITLE]},
        fields=(
            FormField("last_name", required=True),
            FormField("first_name", required=True),
            FormField("email", "email", required=True, confirm=True),
            FormField("reference"),
        ),
    )


# --- Changes, each giving a new content -----------------------------------------------------------


def with_field(content: Content, item: FormField) -> Content:
    """The content with a field replaced, or added at the end."""
    if content.find(item.code) is None:
        return replace(content, fields=(*content.fields, item))
    return replace(content, fields=tuple(item if known.code == item.code else known for known in content.fields))


def without_field(content: Content, code: str) -> Content:
    return replace(content, fields=tuple(item for item in content.fields if item.code != code))


def from_list(code: str) -> FormField:
    """A field of the list as it is when it is added: optional, without settings."""
    return FormField(code, AVAILABLE[code].kind)


def free_code(content: Content) -> str:
    """The code of the next field of one's own. Codes of removed fields may come back."""
    used = {item.code for item in content.fields}
    number = 1
    while f"own{number}" in used:
        number += 1
    return f"own{number}"


def moved(content: Content, code: str, step: int) -> Content:
    """The content with a field one place up (-1) or down (1) among those of its group."""
    item = content.find(code)
    if item is None:
        return content
    group = [known for known in content.fields if known.required == item.required]
    place = group.index(item)
    if not 0 <= place + step < len(group):
        return content
    other = group[place + step]
    swapped = {item.code: other, other.code: item}
    return replace(content, fields=tuple(swapped.get(known.code, known) for known in content.fields))


# --- Storing --------------------------------------------------------------------------------------


def to_json(content: Content) -> dict[str, Any]:
    return {
        "title": dict(content.title),
        "intro": dict(content.intro),
        "currency": content.currency,
        "amount": {
            "fixed": content.amount.fixed,
            "minimum": content.amount.minimum,
            "maximum": content.amount.maximum,
        },
        "privacy_url": content.privacy_url,
        "retention_months": content.retention_months,
        "fields": [
            {
                "code": item.code,
                "kind": item.kind,
                "required": item.required,
                "label": dict(item.label),
                "help": dict(item.help),
                "min_length": item.min_length,
                "max_length": item.max_length,
                "confirm": item.confirm,
            }
            for item in content.fields
        ],
    }


def from_json(stored: Mapping[str, Any]) -> Content:
    """A content that `to_json` stored."""
    return Content(
        title=stored["title"],
        intro=stored["intro"],
        currency=stored["currency"],
        amount=Amount(**stored["amount"]),
        privacy_url=stored["privacy_url"],
        retention_months=stored["retention_months"],
        fields=tuple(FormField(**item) for item in stored["fields"]),
    )


# --- Checks ---------------------------------------------------------------------------------------


def faults(content: Content) -> Iterable[str]:
    """Yield what is wrong with a content that no page lets through; in English, for developers."""
    codes = [item.code for item in content.fields]
    if len(codes) != len(set(codes)):
        yield "a field twice"
    if len(codes) > MAX_FIELDS:
        yield "too many fields"
    if content.retention_months not in RETENTION_MONTHS:
        yield "unknown retention"
    for item in content.fields:
        if item.code not in AVAILABLE and not _OWN.match(item.code):
            yield f"unknown field {item.code}"
            continue
        if item.kind != AVAILABLE[item.code].kind if item.code in AVAILABLE else item.kind not in OWN_KINDS:
            yield f"wrong kind of {item.code}"
        elif item.confirm and not KINDS[item.kind].confirmable:
            yield f"{item.code} cannot be confirmed"
        if item.is_own and not in_language(item.label):
            yield f"{item.code} without a name"
        if (item.min_length or 0) > item.longest or (item.max_length or 0) > item.limit:
            yield f"wrong bounds of {item.code}"
    amount = content.amount
    if any(value is not None and value <= 0 for value in (amount.fixed, amount.minimum, amount.maximum)):
        yield "an amount that is not positive"
    if amount.minimum and amount.maximum and amount.minimum > amount.maximum:
        yield "bounds of the amount the wrong way round"


def missing(content: Content) -> list[Promise]:
    """What is left to do before the form may go online, in sentences."""
    steps: list[Promise] = []
    if not in_language(content.title):
        steps.append(_("Donnez un titre au formulaire."))
    if not content.required:
        steps.append(_("Choisissez au moins un champ obligatoire."))
    if not content.privacy_url:
        steps.append(_("Indiquez l'adresse de votre politique de protection des données."))
    return steps
