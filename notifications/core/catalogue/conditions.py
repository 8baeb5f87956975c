"""What conditions of rules are made of: the variables of an event, the operators, the values (docs/rules.md 4b)."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

SOURCES_OF_EVENT: dict[str, Promise] = {
    "FORM": _("Formulaire de paiement"),
    "JS": _("Client JavaScript"),
    "BO": _("Back Office"),
    "BATCH": _("Traitement par batch"),
    "REC": _("Paiement récurrent"),
    "PAYMENT_ORDER": _("Ordre de paiement"),
    "DCF": _("Formulaire de collecte de données"),
    "FILE": _("Échange de fichiers"),
}
MODES = ("TEST", "PRODUCTION")


@dataclass(frozen=True)
class Variable:
    """A value of an event that rule conditions may compare.

    `kind` decides what it is compared with: integer, text, choice (one of `values`) or boolean.
    """

    code: str
    label: Promise
    kind: str
    operators: tuple[str, ...]
    values: tuple[str, ...] = ()


_EQUALITY = ("eq", "ne", "in", "not_in")
VARIABLES: dict[str, Variable] = {
    variable.code: variable
    for variable in (
        Variable("mode", _("mode"), "choice", _EQUALITY, MODES),
        Variable("amount", _("montant"), "integer", ("eq", "ne", "gt", "lt", "in", "not_in")),
        Variable("currency", _("devise"), "text", _EQUALITY),
        Variable("source", _("source de l'événement"), "choice", _EQUALITY, tuple(SOURCES_OF_EVENT)),
        Variable("network", _("réseau"), "text", _EQUALITY),
        Variable("instalments", _("paiement en plusieurs fois"), "boolean", ("eq", "ne")),
        Variable("contract", _("contrat"), "text", _EQUALITY),
    )
}
OPERATORS: dict[str, Promise] = {
    "eq": pgettext_lazy("condition", "est égal à"),
    "ne": pgettext_lazy("condition", "est différent de"),
    "gt": pgettext_lazy("condition", "est supérieur à"),
    "lt": pgettext_lazy("condition", "est inférieur à"),
    "in": pgettext_lazy("condition", "est dans la liste"),
    "not_in": pgettext_lazy("condition", "n'est pas dans la liste"),
}
