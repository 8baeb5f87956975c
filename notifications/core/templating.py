"""The words merchants write into the mails of their rules: placeholders, and nothing else.

A text holds placeholders such as `%shop_name%`; `%%` writes a percent sign, and one that stands
alone ("20 % de remise") stays. Only the fields of `FIELDS` have a meaning, an unknown one is an
error that names it, and there is no expression, condition, loop or call of any kind. Values are
filled in once and never read again, so a value that looks like a placeholder stays as it is.

Pure: knows no database, settings or clock.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backoffice.text import characters, times, web_links
from notifications.core.catalogue import RuleType

# In characters, as typed. A subject is shown whole by no mail reader beyond this.
MAX_SUBJECT = 150
MAX_BODY = 5_000
MAX_LINES = 100
# Bounds what a short text full of placeholders can grow to.
MAX_PLACEHOLDERS = 60
MAX_VALUE = 300
# Stands in a text for a value the event does not give.
MISSING = "–"
MASK = "••••••"

_PLACEHOLDER = re.compile(r"%(?:%|([A-Za-z][A-Za-z0-9_]{0,39})%)")
_LINE_ENDS = characters.LINE_ENDS


class TextError(ValueError):
    """A text that cannot be used; the message says what and where, in the active language."""


# --- The fields -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class MailSource:
    """What the fields of a mail are read from, worded in the language of the mail.

    `date` and `amount` are in local form; `data` is the event's own, from outside.
    """

    event: str
    mode: str
    date: str
    amount: str
    company: str
    shop_name: str
    shop_id: str
    shop_url: str
    shop_contact: str
    rule: str
    origin: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Field:
    """One field: what it is called, an example, how it is read, and where it may stand."""

    code: str
    label: Promise
    sample: str
    read: Callable[[MailSource], str]
    types: frozenset[str]
    # Among « Champs à inclure »; the others serve in texts only.
    listed: bool = True
    # As %code% in texts; the fields of a form are a list of their own.
    inline: bool = True


def _data(*names: str) -> Callable[[MailSource], str]:
    """Reads the first of the names that the event's data gives."""

    def read(source: MailSource) -> str:
        return next((text for name in names if (text := value_text(source.data.get(name)))), "")

    return read


def _masked(name: str) -> Callable[[MailSource], str]:
    return lambda source: mask_cards(value_text(source.data.get(name)))


def _day(name: str) -> Callable[[MailSource], str]:
    """Reads a day given as 2026-12-05, in local form; anything else as it is."""

    def read(source: MailSource) -> str:
        text = value_text(source.data.get(name))
        try:
            return times.day(date.fromisoformat(text))
        except ValueError:
            return text

    return read


_MERCHANT = frozenset({RuleType.MERCHANT_EMAIL.value})
_BOTH = _MERCHANT | {RuleType.BUYER_EMAIL.value}

FIELDS: dict[str, Field] = {
    field.code: field
    for field in (
        Field("event", gettext_lazy("Événement"), "", lambda source: source.event, _BOTH),
        Field("company", gettext_lazy("Société"), "", lambda source: source.company, _BOTH),
        Field(
            "shop",
            gettext_lazy("Boutique"),
            "",
            lambda source: f"{source.shop_name} ({source.shop_id})",
            _MERCHANT,
            inline=False,
        ),
        Field(
            "shop_name", gettext_lazy("Nom de la boutique"), "", lambda source: source.shop_name, _BOTH, listed=False
        ),
        Field(
            "shop_id", gettext_lazy("Identifiant boutique"), "", lambda source: source.shop_id, _MERCHANT, listed=False
        ),
        Field("mode", gettext_lazy("Mode"), "", lambda source: source.mode, _BOTH),
        Field("date", gettext_lazy("Date"), "", lambda source: source.date, _BOTH),
        Field("amount", gettext_lazy("Montant"), "", lambda source: source.amount, _BOTH),
        Field("transaction_id", gettext_lazy("Transaction"), "a1b2c3", _data("transaction_id"), _BOTH),
        Field("order_id", gettext_lazy("Commande"), "CMD-26001", _data("order_id"), _BOTH),
        Field(
            "reference",
            gettext_lazy("Transaction, à défaut commande"),
            "",
            _data("transaction_id", "order_id"),
            _BOTH,
            listed=False,
        ),
        Field("payment_method", gettext_lazy("Moyen de paiement"), "Visa", _data("payment_method"), _BOTH),
        Field("network", gettext_lazy("Réseau"), "CB", _data("network"), _BOTH),
        Field("contract", gettext_lazy("Contrat"), "5785350", _data("contract"), _MERCHANT),
        Field("token", gettext_lazy("Alias"), "4f2c9e7d", _data("token", "payment_method_token"), _BOTH),
        Field("subscription_id", gettext_lazy("Abonnement"), "AB-2026-118", _data("subscription_id"), _BOTH),
        Field("mandate", gettext_lazy("Référence unique de mandat"), "RUM-000451", _data("mandate"), _BOTH),
        Field("due_date", gettext_lazy("Date de prélèvement"), "2026-12-05", _day("due_date"), _BOTH),
        Field("buyer_name", gettext_lazy("Nom de l'acheteur"), "Jeanne Roy", _data("buyer_name"), _BOTH),
        Field(
            "buyer_email",
            gettext_lazy("E-mail de l'acheteur"),
            "jeanne.roy@acheteur.example",
            _data("buyer_email"),
            _BOTH,
        ),
        Field("reason", gettext_lazy("Motif"), "Provision insuffisante", _masked("reason"), _BOTH),
        Field("error", gettext_lazy("Erreur"), "INVALID_SIGNATURE", _masked("error"), _MERCHANT),
        Field("source", gettext_lazy("Source de l'événement"), "", lambda source: source.origin, _MERCHANT),
        Field("rule", gettext_lazy("Règle de notification"), "", lambda source: source.rule, _MERCHANT),
        Field("shop_url", gettext_lazy("Site de la boutique"), "", lambda source: source.shop_url, _BOTH),
        Field("shop_contact", gettext_lazy("E-mail de la boutique"), "", lambda source: source.shop_contact, _BOTH),
        Field("form", gettext_lazy("Champs du formulaire reçu"), "", lambda source: "", _MERCHANT, inline=False),
    )
}
# Written alone as a paragraph: the list of the fields chosen, and what may have caused an error.
FIELDS_BLOCK, CAUSES_BLOCK = "fields", "causes"
BLOCKS: dict[str, Promise] = {
    FIELDS_BLOCK: gettext_lazy("Les champs à inclure"),
    CAUSES_BLOCK: gettext_lazy("Origine et causes possibles de l'erreur"),
}
BLOCKS_OF: dict[str, tuple[str, ...]] = {
    RuleType.MERCHANT_EMAIL: (FIELDS_BLOCK, CAUSES_BLOCK),
    RuleType.BUYER_EMAIL: (FIELDS_BLOCK,),
}

DEFAULT_FIELDS: dict[str, tuple[str, ...]] = {
    RuleType.MERCHANT_EMAIL: (
        "company", "shop", "mode", "date", "amount", "transaction_id", "order_id", "payment_method", "network",
        "contract", "token", "subscription_id", "mandate", "due_date", "buyer_email", "reason", "error", "rule", "form",
    ),
    RuleType.BUYER_EMAIL: (
        "date", "amount", "transaction_id", "order_id", "payment_method", "network", "subscription_id", "mandate",
        "due_date",
    ),
}  # fmt: skip


def has_content(rule_type: str) -> bool:
    """Whether the mails of a rule type have texts and fields of the merchant's choice."""
    return rule_type in DEFAULT_FIELDS


class Values(Mapping[str, str]):
    """The values of the fields that may stand in the texts of a rule type; one is read when it is first asked for."""

    def __init__(self, rule_type: str, source: MailSource) -> None:
        self._fields, self._source = _inline(rule_type), source
        self._read: dict[str, str] = {}

    def __getitem__(self, code: str) -> str:
        if code not in self._read:
            self._read[code] = self._fields[code].read(self._source)
        return self._read[code]

    def __contains__(self, code: object) -> bool:
        return code in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def of(self, field: Field) -> str:
        """The value of any field."""
        return self[field.code] if field.code in self._fields else field.read(self._source)


@lru_cache(maxsize=8)
def _listed(rule_type: str) -> dict[str, Field]:
    return {field.code: field for field in listed_fields(rule_type)}


@lru_cache(maxsize=8)
def _inline(rule_type: str) -> dict[str, Field]:
    return {field.code: field for field in inline_fields(rule_type)}


def inline_fields(rule_type: str) -> list[Field]:
    """The fields that may stand in the texts of a rule type, in the order of the table."""
    return [field for field in FIELDS.values() if field.inline and rule_type in field.types]


def listed_fields(rule_type: str) -> list[Field]:
    """The fields that a rule type may list below its text, in the order of the table."""
    return [field for field in FIELDS.values() if field.listed and rule_type in field.types]


def chosen_fields(rule_type: str, codes: list[str] | None) -> list[Field]:
    """The fields of a stored choice in its order; None stands for the default ones."""
    wanted = DEFAULT_FIELDS[rule_type] if codes is None else codes
    known = _listed(rule_type)
    return [known[code] for code in wanted if code in known]


# --- Values ---------------------------------------------------------------------------------------


def value_text(value: Any) -> str:
    """A value of an event as one bounded line; empty for what is no text, number or truth value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return _("oui") if value else _("non")
    if not isinstance(value, (str, int, float)):
        return ""
    text = characters.one_line(str(value)[: 4 * MAX_VALUE])
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


_DIGITS = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")


def mask_cards(text: str) -> str:
    """The text with every card number (13 to 19 digits, Luhn) cut to its last four digits."""

    def masked(match: re.Match[str]) -> str:
        digits = re.sub(r"\D", "", match[0])
        return MASK + digits[-4:] if _luhn(digits) else match[0]

    return _DIGITS.sub(masked, text)


def _luhn(digits: str) -> bool:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + position % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


# Names of form fields whose value nobody needs in a mailbox.
_SECRET = re.compile(
    r"signature|password|passwd|secret|token|identifier|certificate|cvv|cvx|cvn|card_?number|pan\b|expiry|iban|bic"
    r"|bank|account|(?:^|_)key(?:$|_)|hash|birth|national_id",
    re.IGNORECASE,
)
MAX_FORM_FIELDS = 150


def form_fields(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, value) of the payment form an event reports, in its order; secrets and cards masked.

    The form is `data["form"]` or `data["fields"]`, else the `vads_…` values of the event itself.
    """
    form = next((data[name] for name in ("form", "fields") if isinstance(data.get(name), Mapping)), None)
    if form is None:
        form = {name: value for name, value in data.items() if name.startswith("vads_")}
    fields = []
    for name, value in list(form.items())[:MAX_FORM_FIELDS]:
        text = value_text(value)
        fields.append((value_text(name)[:80], MASK if text and _SECRET.search(str(name)) else mask_cards(text)))
    return fields


# --- Checking -------------------------------------------------------------------------------------


def normal_body(text: str) -> str:
    """A typed body with one kind of line end, no blanks at line ends, none before or after."""
    lines = _LINE_ENDS.sub("\n", text).replace("\t", " ").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip("\n").rstrip()


def check_subject(rule_type: str, text: str) -> str:
    """The subject as it is stored. Raises TextError."""
    text = text.strip(" \t")
    if _LINE_ENDS.search(text):
        raise TextError(_("L'objet tient sur une seule ligne."))
    if len(text) > MAX_SUBJECT:
        raise TextError(
            _("L'objet compte %(length)d caractères ; %(limit)d au plus.") % {"length": len(text), "limit": MAX_SUBJECT}
        )
    text = text.replace("\t", " ")
    check_characters(text)
    _check_placeholders(rule_type, text, blocks=())
    return text


def check_body(rule_type: str, text: str) -> str:
    """The body as it is stored, see `normal_body`. Raises TextError."""
    text = normal_body(text)
    if len(text) > MAX_BODY:
        raise TextError(
            _("Le corps compte %(length)d caractères ; %(limit)d au plus.") % {"length": len(text), "limit": MAX_BODY}
        )
    if text.count("\n") >= MAX_LINES:
        raise TextError(_("Le corps compte plus de %(limit)d lignes.") % {"limit": MAX_LINES})
    check_characters(text)
    _check_placeholders(rule_type, text, blocks=BLOCKS_OF[rule_type])
    seen: set[str] = set()
    for line, paragraph in _paragraphs_with_line(text):
        for code in BLOCKS_OF[rule_type]:
            if code not in codes_in("\n".join(paragraph)):
                continue
            if paragraph != [f"%{code}%"]:
                raise TextError(
                    _("Ligne %(line)d : « %(field)s » forme un paragraphe à lui seul, entre deux lignes vides.")
                    % {"line": line, "field": f"%{code}%"}
                )
            if code in seen:
                raise TextError(_("« %(field)s » ne figure qu'une fois dans le corps.") % {"field": f"%{code}%"})
            seen.add(code)
    return text


def check_characters(text: str) -> None:
    """Refuse what could show another text than is stored, and links that lead elsewhere than they say. Raises TextError."""
    if character := characters.first_hidden(text):
        raise TextError(
            _("Le texte contient %(what)s (%(code)s) : retirez-le.")
            % {"what": characters.kind(character), "code": characters.name(character)}
        )
    try:
        web_links.check_text(text)
    except web_links.BadLink as error:
        raise TextError(str(error)) from error


def _check_placeholders(rule_type: str, text: str, blocks: tuple[str, ...]) -> None:
    known = {field.code for field in inline_fields(rule_type)} | set(blocks)
    codes = codes_in(text)
    for code in codes:
        if code not in known:
            raise TextError(
                _(
                    "« %(field)s » n'est pas un champ disponible ici. Pour écrire un pourcentage, doublez-le : %(twice)s."
                )
                % {"field": f"%{code}%", "twice": "%%"}
            )
    if len(codes) > MAX_PLACEHOLDERS:
        raise TextError(_("Le texte contient plus de %(limit)d champs.") % {"limit": MAX_PLACEHOLDERS})


def codes_in(text: str) -> list[str]:
    """The codes of the placeholders of a text, in order."""
    return [match[1] for match in _PLACEHOLDER.finditer(text) if match[1]]


# --- Filling in -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rendered:
    """A body with its values: paragraphs of lines, and where the list of fields stands.

    `headline` is the first paragraph where it is one short line, else empty.
    """

    headline: str
    before: tuple[tuple[str, ...], ...]
    after: tuple[tuple[str, ...], ...]


def fill(text: str, values: Mapping[str, str], missing: str = MISSING) -> str:
    """The text with each placeholder replaced by its value, in one pass; unknown ones stay."""

    def value(match: re.Match[str]) -> str:
        code = match[1]
        if code is None:
            return "%"
        return match[0] if code not in values else values[code] or missing

    return _PLACEHOLDER.sub(value, text)


def render_subject(text: str, values: Mapping[str, str]) -> str:
    """The subject in one line; separators left without a value are taken away."""
    filled = " ".join(_LINE_ENDS.sub(" ", fill(text, values, missing="")).split(" "))
    filled = re.sub(r" {2,}", " ", filled)
    return re.sub(r"^[\s:,–-]+|[\s:,–-]+$", "", filled)


MAX_HEADLINE = 200


def render_body(text: str, values: Mapping[str, str], causes: tuple[str, ...] = ()) -> Rendered:
    """The body with its values.

    Values hold no line end of their own, so only the merchant's text makes lines. A line that is
    one field alone is left out while the field has no value.

    Args:
        causes: the lines that stand for `%causes%`; none leaves it out.
    """
    before: list[tuple[str, ...]] = []
    after: list[tuple[str, ...]] = []
    target = before
    for paragraph in _paragraphs(text):
        if paragraph == (f"%{FIELDS_BLOCK}%",):
            target = after
        elif paragraph == (f"%{CAUSES_BLOCK}%",):
            if causes:
                target.append(causes)
        elif lines := tuple(filled for line in paragraph if (filled := _filled_line(line, values))):
            target.append(lines)
    headline = ""
    if before and len(before[0]) == 1 and len(before[0][0]) <= MAX_HEADLINE:
        headline = before.pop(0)[0]
    return Rendered(headline, tuple(before), tuple(after))


def _filled_line(line: str, values: Mapping[str, str]) -> str:
    """The line with its values; empty when it is one field alone and has no value."""
    alone = _PLACEHOLDER.fullmatch(line.strip())
    missing = "" if alone and alone[1] else MISSING
    return _LINE_ENDS.sub(" ", fill(line, values, missing)).rstrip()


@lru_cache(maxsize=512)
def _paragraphs(text: str) -> tuple[tuple[str, ...], ...]:
    """The lines of each paragraph of a text, which many mails are made of."""
    return tuple(tuple(paragraph) for _line, paragraph in _paragraphs_with_line(text))


def _paragraphs_with_line(text: str) -> list[tuple[int, list[str]]]:
    """(number of its first line, lines) of each paragraph; blank lines part them."""
    paragraphs: list[tuple[int, list[str]]] = []
    open_paragraph = False
    for number, line in enumerate(normal_body(text).split("\n"), start=1):
        if not line.strip():
            open_paragraph = False
        elif open_paragraph:
            paragraphs[-1][1].append(line)
        else:
            paragraphs.append((number, [line]))
            open_paragraph = True
    return paragraphs


# --- Stored values --------------------------------------------------------------------------------

LANGUAGES = ("fr", "en")
PARTS = ("subject", "body")


def check_texts(rule_type: str, texts: Any) -> dict[str, dict[str, str]]:
    """The texts of a rule as they are stored: only what is personalised.

    Raises TextError naming language, part and problem.
    """
    if not isinstance(texts, dict):
        raise TextError(_("Les textes sont donnés par langue, chacune avec « subject » et « body »."))
    if texts and not has_content(rule_type):
        raise TextError(_("Une règle « Appel URL de notification » n'a pas de texte d'e-mail."))
    for language in texts:
        if language not in LANGUAGES:
            raise TextError(_("« %(value)s » n'est pas une langue des e-mails (fr, en).") % {"value": _cut(language)})
    checked = {code: _checked_parts(rule_type, code, texts[code]) for code in LANGUAGES if code in texts}
    return {code: parts for code, parts in checked.items() if parts}


def _checked_parts(rule_type: str, language: str, parts: Any) -> dict[str, str]:
    """Subject and body in one language, those that are not empty. Raises TextError."""
    if not isinstance(parts, dict):
        raise TextError(_("%(language)s : un objet avec « subject » et « body » est attendu.") % {"language": language})
    for name, text in parts.items():
        where = f"{language}.{_cut(name)}"
        if name not in PARTS:
            raise TextError(_("%(where)s : clé inconnue.") % {"where": where})
        if text is not None and not isinstance(text, str):
            raise TextError(_("%(where)s : un texte est attendu.") % {"where": where})
    kept = {}
    for name in PARTS:
        check = check_subject if name == "subject" else check_body
        try:
            text = check(rule_type, parts.get(name) or "")
        except TextError as error:
            raise TextError(f"{language}.{name}{_(' : ')}{error}") from error
        if text.strip():
            kept[name] = text
    return kept


def check_fields(rule_type: str, codes: Any) -> list[str] | None:
    """The field codes of a rule as they are stored: None for the default ones. Raises TextError."""
    if codes is None:
        return None
    if not isinstance(codes, list):
        raise TextError(_("Les champs à inclure sont une liste de codes."))
    if not has_content(rule_type):
        raise TextError(_("Une règle « Appel URL de notification » n'a pas de champs à inclure."))
    known = {field.code for field in listed_fields(rule_type)}
    for code in codes:
        if not isinstance(code, str) or code not in known:
            raise TextError(_("« %(value)s » n'est pas un champ à inclure connu.") % {"value": _cut(code)})
    kept = list(dict.fromkeys(codes))
    return None if tuple(kept) == DEFAULT_FIELDS[rule_type] else kept


def _cut(value: Any) -> str:
    text = value_text(value) if isinstance(value, (str, int, float)) else type(value).__name__
    return text[:60]
