"""The forms of many rules at once."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from backoffice.base import limits
from backoffice.base.fields import OneEmailFormField
from backoffice.base.forms import PlainForm, section
from companies import audit
from notifications.many_rules.services import ADD, REMOVE
from notifications.models import NotificationRule
from shops.models import Shop


def stamp_of(rules: Sequence[NotificationRule]) -> str:
    """What a page was opened on: the rules with their versions."""
    return audit.stamp(*((rule.pk, rule.version) for rule in rules))


class CopyForm(PlainForm):
    """Which shops get a rule.

    Args:
        shops: those whose rules the user may change.
    """

    shops = forms.MultipleChoiceField(
        label=_("Boutiques"),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choisissez au moins une boutique.")},
    )
    with_urls = forms.BooleanField(
        label=_("Copier aussi les URL à appeler"),
        required=False,
        help_text=_("Sans cela, les URL de ces boutiques restent les leurs. Les mots de passe ne sont jamais copiés."),
    )

    def __init__(self, *args: Any, rule: NotificationRule, shops: Sequence[Shop], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["shops"].choices = [(shop.site_id, f"{shop.name} ({shop.site_id})") for shop in shops]  # type: ignore[attr-defined]
        if not rule.is_call:
            del self.fields["with_urls"]
        self.helper = section(*self.fields)


class RulesAddressForm(PlainForm):
    """An address, and the rules that get or lose it.

    Args:
        rules: those on the page, with their shops.
    """

    change = forms.ChoiceField(
        label=_("Que faire"),
        choices=[(ADD, _("L'ajouter aux règles choisies")), (REMOVE, _("La retirer des règles choisies"))],
        initial=ADD,
        widget=forms.RadioSelect,
    )
    email = OneEmailFormField(
        label=_("Adresse"), max_length=254, error_messages={"required": _("Indiquez l'adresse à ajouter ou à retirer.")}
    )
    rules = forms.MultipleChoiceField(
        label=_("Règles"),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choisissez au moins une règle.")},
    )
    seen = forms.CharField(max_length=limits.LONGEST_HIDDEN, widget=forms.HiddenInput)

    def __init__(self, *args: Any, rules: Sequence[NotificationRule], initial: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, initial=initial, **kwargs)
        self.initial["seen"] = stamp_of(rules)
        self.fields["rules"].choices = [  # type: ignore[attr-defined]
            (str(rule.pk), f"{rule.display_label}, {rule.shop.name}") for rule in rules
        ]
        self.helper = section("change", "email", "rules", "seen")
