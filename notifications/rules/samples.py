"""The sample event of « Essayer la règle »: edited beside the rule, judged by its conditions."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.encoding import force_str
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backoffice.base.forms import PlainForm
from backoffice.text import amounts
from backoffice.text.currencies import CURRENCIES
from notifications.core import resolver, wording
from notifications.core.catalogue import MODES, SOURCES_OF_EVENT
from notifications.core.facts import EventFacts
from notifications.models import NotificationRule
from notifications.rules.trials import sample_data

PREFIX = "sample"


@dataclass(frozen=True)
class JudgedCondition:
    """One condition of a rule and whether the sample event meets it."""

    sentence: str
    holds: bool


class SampleForm(PlainForm):
    """The sample event by the variables of conditions; an empty field: the event does not have it."""

    mode = forms.ChoiceField(label=gettext_lazy("Mode"), choices=[(mode, mode) for mode in MODES], required=False)
    amount = forms.CharField(label=gettext_lazy("Montant"), max_length=40, required=False)
    currency = forms.CharField(label=gettext_lazy("Devise"), max_length=10, required=False)
    source = forms.ChoiceField(
        label=gettext_lazy("Source de l'événement"),
        choices=[("", gettext_lazy("Non indiquée")), *SOURCES_OF_EVENT.items()],
        required=False,
    )
    network = forms.CharField(label=gettext_lazy("Réseau"), max_length=100, required=False)
    instalments = forms.ChoiceField(
        label=gettext_lazy("Paiement en plusieurs fois"),
        choices=[("", gettext_lazy("Non indiqué")), ("true", gettext_lazy("oui")), ("false", gettext_lazy("non"))],
        required=False,
    )
    contract = forms.CharField(label=gettext_lazy("Contrat"), max_length=100, required=False)

    def __init__(self, data: Any, *, rule: NotificationRule) -> None:
        is_posted = data is not None and f"{PREFIX}-mode" in data
        super().__init__(data if is_posted else None, prefix=PREFIX, initial=_typed(sample_data(rule)))
        for field in self.fields.values():
            field.widget.attrs["class"] = "form-select" if isinstance(field, forms.ChoiceField) else "form-control"
            field.widget.attrs["autocomplete"] = "off"

    def clean_currency(self) -> str:
        code = str(self.cleaned_data["currency"]).strip().upper()
        if code and code not in CURRENCIES:
            raise ValidationError(_("« %(value)s » n'est pas une devise connue.") % {"value": code})
        return code

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        typed = str(data.get("amount") or "").strip()
        if typed and "currency" in data:
            try:
                data["amount"] = amounts.parse_minor(typed, data["currency"] or "EUR", minimum=None)
            except amounts.InvalidAmount as error:
                self.add_error("amount", str(error))
        return data

    def event_data(self) -> dict[str, Any]:
        """What is typed, as the data of an event; after `is_valid`."""
        said = {name: value for name, value in self.cleaned_data.items() if name != "mode" and value not in ("", None)}
        if "instalments" in said:
            said["instalments"] = said["instalments"] == "true"
        return said


def judged(rule: NotificationRule, mode: str, data: dict[str, Any]) -> list[JudgedCondition]:
    """Each condition of the rule on a sample event."""
    event = EventFacts(rule.triggers[0] if rule.triggers else "", mode, data)
    conditions = rule.condition_facts
    return [
        JudgedCondition(
            force_str(wording.condition_text(condition, conditions)), resolver.condition_holds(condition, event)
        )
        for condition in conditions
    ]


def _typed(data: dict[str, Any]) -> dict[str, Any]:
    """The data of an event as the fields take them."""
    currency = str(data.get("currency") or "EUR")
    shown = {name: data[name] for name in SampleForm.base_fields if name in data}
    if isinstance(data.get("amount"), int):
        shown["amount"] = amounts.typed_minor(data["amount"], currency if currency in CURRENCIES else "EUR")
    if isinstance(data.get("instalments"), bool):
        shown["instalments"] = "true" if data["instalments"] else "false"
    return {"mode": MODES[1], **shown}
