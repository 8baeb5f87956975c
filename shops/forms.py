"""Forms of Paramétrage > Boutique: opening, configuration, keys, contracts."""

from typing import Any

from crispy_forms.layout import Div
from django import forms
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from backoffice.base import limits
from backoffice.base.fields import LinkInput, OneEmailFormField, StrictJSONField
from backoffice.base.forms import PlainForm, section
from companies.forms import email_help, preview_attributes
from companies.models import Language
from notifications.core.catalogue import Source
from notifications.tables import impact
from shops.models import Contract, Shop, SignatureAlgorithm
from shops.services import KeyFormat, contract_stamp


class ShopForm(PlainForm):
    """A shop's own fields; an empty manager address is inherited (docs/rules.md 4.1)."""

    name = forms.CharField(label=_("Nom de la boutique"), max_length=200)
    url = forms.CharField(label=_("URL de la boutique"), max_length=500, required=False, widget=LinkInput)
    language = forms.ChoiceField(label=_("Langue"), choices=Language.choices)
    manager_email = OneEmailFormField(label=_("E-mail gestionnaire"), max_length=254, required=False)
    version = forms.IntegerField(widget=forms.HiddenInput)

    SAVED = ("name", "url", "language", "manager_email")

    def __init__(self, *args: Any, shop: Shop, inherited: str, **kwargs: Any) -> None:
        kwargs["initial"] = {name: getattr(shop, name) for name in (*self.SAVED, "version")}
        super().__init__(*args, **kwargs)
        field = self.fields["manager_email"]
        from_company = gettext("hérité du Contact gestionnaire : %(email)s") % {"email": inherited}
        field.widget.attrs.update({"placeholder": from_company, **preview_attributes("manager")})
        sentence: Any = impact.source_sentence(Source.SHOP_MANAGER, also=("ipn_failure", "merchant_email"))
        if not shop.manager_email:
            sentence = format_html(
                "{} {}", gettext("Laissé vide, ce champ est %(state)s.") % {"state": from_company}, sentence
            )
        field.help_text = email_help(sentence, shop.manager_email or inherited)
        self.helper = section("name", "url", "language", "manager_email", "version")


class NewShopForm(PlainForm):
    """Opening a shop; the identifiant boutique was drawn beforehand and comes back signed."""

    name = forms.CharField(label=_("Nom de la boutique"), max_length=200)
    url = forms.CharField(label=_("URL de la boutique"), max_length=500, required=False, widget=LinkInput)
    language = forms.ChoiceField(label=_("Langue"), choices=Language.choices)
    manager_email = OneEmailFormField(label=_("E-mail gestionnaire"), max_length=254, required=False)
    contracts = forms.CharField(
        label=_("Contrats (MID)"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=_("Un contrat par ligne : son numéro puis son réseau, par exemple « 5785350 CB »."),
    )
    site_id = forms.CharField(max_length=limits.LONGEST_HIDDEN, widget=forms.HiddenInput)

    SAVED = ("name", "url", "language", "manager_email")

    def __init__(self, *args: Any, inherited: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["manager_email"]
        from_company = gettext("hérité du Contact gestionnaire : %(email)s") % {"email": inherited}
        field.widget.attrs.update({"placeholder": from_company, **preview_attributes("manager")})
        sentence = gettext("Laissé vide, ce champ est %(state)s.") % {"state": from_company}
        field.help_text = email_help(sentence, inherited)
        self.helper = section("name", "url", "language", "manager_email", "contracts", "site_id")

    def clean_contracts(self) -> list[tuple[str, str]]:
        contracts: list[tuple[str, str]] = []
        for line in self.cleaned_data["contracts"].splitlines():
            words = line.split()
            if not words:
                continue
            if len(words) < 2:
                raise forms.ValidationError(
                    gettext("« %(line)s » : indiquez le numéro du contrat puis son réseau.") % {"line": line.strip()}
                )
            pair = (words[0], " ".join(words[1:]).upper())
            for text, limit in zip(pair, (40, 40), strict=True):
                if len(text) > limit:
                    raise forms.ValidationError(
                        gettext("« %(text)s » dépasse %(limit)d caractères.") % {"text": text, "limit": limit}
                    )
            if pair in contracts:
                raise forms.ValidationError(
                    gettext("Le contrat %(number)s (%(network)s) est indiqué deux fois.")
                    % {"number": pair[0], "network": pair[1]}
                )
            contracts.append(pair)
        return contracts


class AlgorithmForm(PlainForm):
    """The signature algorithm of each mode."""

    algorithm_test = forms.ChoiceField(label=_("Mode TEST"), choices=SignatureAlgorithm.choices)
    algorithm_production = forms.ChoiceField(label=_("Mode PRODUCTION"), choices=SignatureAlgorithm.choices)
    version = forms.IntegerField(widget=forms.HiddenInput)

    SAVED = ("algorithm_test", "algorithm_production")

    def __init__(self, *args: Any, shop: Shop, typed: dict[str, str] | None = None, **kwargs: Any) -> None:
        stored = {name: getattr(shop, name) for name in (*self.SAVED, "version")}
        kwargs["initial"] = {**stored, **{name: (typed or {}).get(name) or stored[name] for name in self.SAVED}}
        super().__init__(*args, **kwargs)
        self.helper = section(Div(*self.SAVED, css_class="row row-cols-1 row-cols-md-2"), "version")


class KeyFormatForm(PlainForm):
    """Confirmation of a new key; `seen` holds the generations that the page showed."""

    key_format = forms.ChoiceField(
        label=_("Format de la clé"),
        choices=KeyFormat.choices,
        initial=KeyFormat.ALPHANUMERIC,
        widget=forms.RadioSelect,
    )
    seen = StrictJSONField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, with_format: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not with_format:
            del self.fields["key_format"]
        self.helper = section(*self.fields)

    def clean_seen(self) -> dict[str, int]:
        value = self.cleaned_data["seen"]
        if not isinstance(value, dict) or not all(isinstance(number, int) for number in value.values()):
            raise forms.ValidationError(gettext("La page est incomplète : rechargez-la."))
        return value


class TestsDoneForm(PlainForm):
    """Declaring the test phase done."""

    # Not a test of the suite, whatever its name says.
    __test__ = False

    reason = forms.CharField(
        label=_("Motif"),
        max_length=300,
        help_text=_(
            "Par exemple : « tests faits avec l'ancien site, même module de paiement ». Conservé dans l'historique."
        ),
    )

    SAVED = ("reason",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.helper = section("reason")


class ContractForm(PlainForm):
    """A contract (MID) of a shop."""

    number = forms.CharField(
        label=_("Numéro de contrat (MID)"), max_length=40, widget=forms.TextInput(attrs={"spellcheck": "false"})
    )
    network = forms.CharField(
        label=_("Réseau"),
        max_length=40,
        widget=forms.TextInput(attrs={"list": "networks", "autocomplete": "off", "spellcheck": "false"}),
        help_text=_("Le réseau d'acceptation, par exemple CB, VISA, AMEX ou SEPA."),
    )

    # What the form was opened on; empty for a new contract.
    seen = forms.CharField(max_length=limits.LONGEST_HIDDEN, widget=forms.HiddenInput, required=False)

    SAVED = ("number", "network")

    def __init__(self, *args: Any, contract: Contract | None, **kwargs: Any) -> None:
        if contract is not None:
            kwargs["initial"] = {name: getattr(contract, name) for name in self.SAVED}
            kwargs["initial"]["seen"] = contract_stamp(contract)
        super().__init__(*args, **kwargs)
        self.helper = section("number", "network", "seen")

    def clean_network(self) -> str:
        return str(self.cleaned_data["network"]).upper()
