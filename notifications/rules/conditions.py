"""The editor « Conditions de la règle »: rows of variable, operator and value (docs/rules.md 4b).

A row is added for one variable, so it offers the operators that fit it and the values it can take;
what is posted is judged all the same. Works by plain posts; scripts replace the fragment.
"""

import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.encoding import force_str
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backoffice.base import limits
from backoffice.base.forms import PlainForm
from backoffice.text import amounts
from notifications.core import wording
from notifications.core.catalogue import OPERATORS, VARIABLES, Variable
from notifications.core.condition_money import DEFAULT_CURRENCY, currencies_of, money_text
from notifications.core.facts import ConditionFacts

PREFIX = "condition"
# A rule with more rows than this is refused rather than shown.
MAX_ROWS = limits.MAX_CONDITIONS
_SEPARATORS = re.compile(r"[;,\n]+")
# A comma within an amount belongs to it.
_NUMBER_SEPARATORS = re.compile(r"[;\n]+")
_LISTS = ("in", "not_in")
# Whatever integer other ways of writing a rule have stored.
_MAX_STORED = 10**15


class ConditionForm(PlainForm):
    """One row. `variable` decides the operators offered and the control of the value."""

    variable = forms.CharField(max_length=limits.LONGEST_HIDDEN, widget=forms.HiddenInput)
    operator = forms.ChoiceField(label=gettext_lazy("Opérateur"))
    value = forms.CharField(label=gettext_lazy("Valeur"), max_length=2000)

    def __init__(
        self,
        data: Any = None,
        *,
        prefix: str,
        code: str,
        initial: dict[str, Any] | None = None,
        currencies: tuple[str, ...] = (DEFAULT_CURRENCY,),
    ) -> None:
        super().__init__(data, prefix=prefix, initial=initial)
        self.code = code
        # In which the rule means its amounts; the first is the one that is typed.
        self.currencies = currencies
        self.stored: dict[str, Any] = {}
        self.known: Variable | None = VARIABLES.get(code)
        self.title = force_str(self.known.label) if self.known else code[:60]
        self.number = prefix.rpartition("-")[2]
        operator = self.fields["operator"]
        offered = self.known.operators if self.known else tuple(OPERATORS)
        operator.choices = [(name, OPERATORS[name]) for name in offered]  # type: ignore[attr-defined]
        operator.error_messages["invalid_choice"] = _(
            "l'opérateur « %%(value)s » ne s'applique pas à la variable « %(variable)s »."
        ) % {"variable": self.title}
        operator.widget.attrs["class"] = "form-select"
        self._prepare_value()
        for name in ("operator", "value"):
            self.fields[name].label = _("%(variable)s, %(field)s") % {
                "variable": self.title[:1].upper() + self.title[1:],
                "field": force_str(self.fields[name].label).lower(),
            }

    def _prepare_value(self) -> None:
        kind = self.known.kind if self.known else "text"
        label = self.fields["value"].label
        missing = {"required": _("indiquez la valeur à comparer à « %(variable)s ».") % {"variable": self.title}}
        if self.known and kind == "choice":
            choices = [(item, wording.value_label(self.code, item)) for item in self.known.values]
            self.fields["value"] = forms.MultipleChoiceField(
                label=label,
                choices=choices,
                widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}),
                error_messages={**missing, "invalid_choice": self._no_fit("%(value)s")},
            )
        elif kind == "boolean":
            self.fields["value"] = forms.ChoiceField(
                label=label,
                choices=[("true", _("oui")), ("false", _("non"))],
                widget=forms.Select(attrs={"class": "form-select"}),
                error_messages={**missing, "invalid_choice": self._no_fit("%(value)s")},
            )
        else:
            widget = forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"})
            self.fields["value"] = forms.CharField(
                label=label, max_length=2000, widget=widget, error_messages=missing, help_text=self._help()
            )
            if kind == "integer":
                widget.attrs["inputmode"] = "decimal"

    def _no_fit(self, value: str) -> str:
        return _("la valeur « %(value)s » ne convient pas à la variable « %(variable)s ».") % {
            "value": value,
            "variable": self.title,
        }

    def _help(self) -> str:
        lists = _("Liste : séparez les valeurs par « ; ».")
        match self.code:
            case "amount":
                text = _(
                    "Un montant en %(currency)s, par exemple %(amount)s. La devise est celle de la condition « devise » de "
                    "la règle, l'euro s'il n'y en a pas : une autre devise est alors comparée au même nombre."
                ) % {"currency": self.currencies[0], "amount": amounts.typed_minor(50000, self.currencies[0])}
                return f"{text} {lists}"
            case "currency":
                return _("Code ISO de trois lettres : EUR, USD, XPF…") + f" {lists}"
            case "network":
                return _("Comme dans les contrats : CB, SEPA, AMEX…") + f" {lists}"
        return lists

    @property
    def local_amounts(self) -> str:
        """The amounts of the row as money, to read them at ease."""
        if self.code != "amount":
            return ""
        shown = []
        for piece in filter(None, map(str.strip, _NUMBER_SEPARATORS.split(str(self["value"].value() or "")))):
            try:
                shown.append(money_text(self._amount(piece), self.currencies))
            except amounts.InvalidAmount:
                continue
        return " · ".join(shown)

    def _amount(self, typed: str) -> int:
        return amounts.parse_minor(typed, self.currencies[0], minimum=None, maximum=_MAX_STORED)

    def clean_variable(self) -> str:
        if self.known is None:
            raise ValidationError(_("« %(name)s » n'est pas une variable connue.") % {"name": self.title})
        return self.code

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.known is None or "operator" not in data or "value" not in data:
            return data
        operator, raw = data["operator"], data["value"]
        if self.known.kind == "boolean":
            data["value"] = raw == "true"
            return data
        separators = _NUMBER_SEPARATORS if self.known.kind == "integer" else _SEPARATORS
        items = raw if isinstance(raw, list) else [piece.strip() for piece in separators.split(raw) if piece.strip()]
        if self.known.kind == "integer":
            items = self._amounts(items)
        elif self.known.kind == "text":
            items = self._texts(items)
        if self.errors:
            return data
        if operator in _LISTS:
            data["value"] = list(dict.fromkeys(items))
        elif len(items) != 1:
            self.add_error(
                "value",
                _(
                    "« %(operator)s » se compare à une seule valeur ; pour plusieurs, choisissez « est dans la liste » "
                    "ou « n'est pas dans la liste »."
                )
                % {"operator": OPERATORS[operator]},
            )
        else:
            data["value"] = items[0]
        return data

    def _amounts(self, items: list[str]) -> list[int]:
        numbers = []
        for item in items:
            try:
                numbers.append(self._amount(item))
            except amounts.InvalidAmount as error:
                self.add_error("value", str(error))
        return numbers

    def _texts(self, items: list[str]) -> list[str]:
        if self.code == "currency":
            items = [item.upper() for item in items]
        for item in items:
            if len(item) > 100 or (self.code == "currency" and not re.fullmatch(r"[A-Z]{3}", item)):
                self.add_error("value", self._no_fit(item[:60]))
        return items

    def is_valid(self) -> bool:
        """Validate the row; untouched rows of the stored rule pass."""
        return not self.is_bound or super().is_valid()

    def condition(self) -> dict[str, Any]:
        """The row as a rule stores it; after `is_valid`."""
        if not self.is_bound:
            return dict(self.stored)
        return {name: self.cleaned_data[name] for name in ("variable", "operator", "value")}


class Conditions:
    """The rows of one rule, in order."""

    def __init__(self, rows: list[ConditionForm]) -> None:
        self.rows = rows
        self.error = ""

    @classmethod
    def stored(cls, conditions: list[dict[str, Any]]) -> "Conditions":
        """From the column of a rule."""
        rows = []
        facts = [ConditionFacts(item["variable"], item["operator"], item["value"]) for item in conditions]
        currencies = currencies_of(facts)
        for number, item in enumerate(conditions):
            initial = {**item, "value": _typed(item, currencies[0])}
            row = ConditionForm(
                prefix=f"{PREFIX}-{number}", code=str(item["variable"]), initial=initial, currencies=currencies
            )
            row.stored = item
            rows.append(row)
        return cls(rows)

    @classmethod
    def posted(cls, data: QueryDict) -> "Conditions":
        """From a post: every row whose variable came along, in the order of their numbers."""
        numbers = sorted(
            {
                int(match.group(1))
                for name in data
                if (match := re.fullmatch(rf"{PREFIX}-([0-9]{{1,6}})-variable", name))
            }
        )[: MAX_ROWS + 1]
        codes = {number: str(data[f"{PREFIX}-{number}-variable"]).strip() for number in numbers}
        named = [
            ConditionFacts(
                "currency",
                data.get(f"{PREFIX}-{number}-operator", ""),
                [code.strip().upper() for code in _SEPARATORS.split(data.get(f"{PREFIX}-{number}-value", ""))],
            )
            for number in numbers
            if codes[number] == "currency"
        ]
        currencies = currencies_of(named)
        return cls(
            [
                ConditionForm(data, prefix=f"{PREFIX}-{number}", code=codes[number], currencies=currencies)
                for number in numbers
            ]
        )

    def is_valid(self) -> bool:
        """Judge every row; the errors stay with the rows."""
        if len(self.rows) > MAX_ROWS:
            self.error = _("Une règle compte au plus %(max)d conditions.") % {"max": MAX_ROWS}
            return False
        # Every row is judged, not only those up to the first wrong one.
        verdicts = [row.is_valid() for row in self.rows]
        return all(verdicts)

    def unchecked(self) -> None:
        """Show the rows as typed, without judging them."""
        for row in self.rows:
            if row.is_bound:
                row.unchecked()

    def value(self) -> list[dict[str, Any]]:
        return [row.condition() for row in self.rows]


def _typed(item: Mapping[str, Any], currency: str) -> Any:
    """A stored value as its control takes it, an amount in the currency."""
    variable = VARIABLES.get(str(item["variable"]))
    value = item["value"]
    kind = variable.kind if variable else "text"
    if kind == "boolean":
        return "true" if value else "false"
    values = value if isinstance(value, list) else [value]
    if item["variable"] == "amount":
        return "; ".join(amounts.typed_minor(entry, currency) for entry in values)
    return [str(entry) for entry in values] if kind == "choice" else "; ".join(str(entry) for entry in values)


def changed_rows(data: QueryDict) -> QueryDict | None:
    """What a press on « Ajouter » or « Retirer » makes of a post; None when neither was pressed."""
    added, dropped = data.get("add_condition"), data.get("drop_condition", "")
    if added is None and not dropped:
        return None
    changed = data.copy()
    for name in ("add_condition", "drop_condition"):
        changed.pop(name, None)
    if dropped.isascii() and dropped.isdigit():
        for name in [name for name in changed if name.startswith(f"{PREFIX}-{dropped}-")]:
            del changed[name]
    wanted = data.get("new_condition", "")
    if added is not None and wanted in VARIABLES:
        numbers = [int(match.group(1)) for name in changed if (match := re.match(rf"{PREFIX}-([0-9]{{1,6}})-", name))]
        row = f"{PREFIX}-{max(numbers, default=-1) + 1}"
        changed[f"{row}-variable"] = wanted
        changed[f"{row}-operator"] = VARIABLES[wanted].operators[0]
        if VARIABLES[wanted].kind == "choice":
            changed[f"{row}-operator"] = "in"
    return changed


def variable_choices() -> list[tuple[str, str | Promise]]:
    """The variables a row can be added for, as they read in a list."""
    labels = ((code, force_str(variable.label)) for code, variable in VARIABLES.items())
    return [(code, label[:1].upper() + label[1:]) for code, label in labels]
