"""Form of Paramétrage > Boutique > Configuration."""

from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from backoffice.fields import OneEmailFormField
from backoffice.forms import PlainForm, section
from companies.forms import email_help, preview_attributes
from companies.models import Language
from notifications import impact
from notifications.catalogue import Source

from .models import Shop


class ShopForm(PlainForm):
    """A shop's own fields; an empty manager address is inherited (DESIGN 4.1)."""

    name = forms.CharField(label=_("Nom de la boutique"), max_length=200)
    url = forms.CharField(label=_("URL de la boutique"), max_length=500, required=False)
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
