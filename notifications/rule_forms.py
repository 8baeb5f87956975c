"""Form of one notification rule."""

from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from backoffice.fields import EmailListFormField
from backoffice.forms import PlainForm, section

from . import addresses, catalogue
from .catalogue import SHOP_MANAGER_SYMBOL
from .models import NotificationRule


class RuleForm(PlainForm):
    """Label, state, recipients and, for a URL call, where and how to call."""

    label = forms.CharField(label=_("Libellé de la règle"), max_length=200)
    enabled = forms.BooleanField(label=_("Activée"), required=False)
    to_manager = forms.BooleanField(required=False)
    others = EmailListFormField(
        label=_("Autres destinataires"),
        required=False,
        help_text=_("Plusieurs adresses : séparez-les par un point-virgule."),
    )
    nobody = forms.BooleanField(label=_("Personne ne sera prévenu : je confirme"), required=False)
    url_test = forms.CharField(label=_("URL à appeler en mode TEST"), max_length=500, required=False)
    url_production = forms.CharField(label=_("URL à appeler en mode PRODUCTION"), max_length=500, required=False)
    rest_url_test = forms.CharField(
        label=_("URL cible de l'IPN (API REST) à appeler en mode TEST"), max_length=500, required=False
    )
    rest_url_production = forms.CharField(
        label=_("URL cible de l'IPN (API REST) à appeler en mode PRODUCTION"), max_length=500, required=False
    )
    http_confirmed = forms.BooleanField(
        label=_("http:// accepté en mode PRODUCTION"),
        required=False,
        help_text=_("Sans https://, les données du paiement circulent en clair jusqu'à votre serveur."),
    )
    auto_retry = forms.BooleanField(label=_("Rejeu automatique en cas d'échec"), required=False)
    profile = forms.ChoiceField(label=_("Profil de rejeu"), choices=list(catalogue.PROFILES.items()))
    version = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, rule: NotificationRule, manager_email: str, **kwargs: Any) -> None:
        self.rule = rule
        others = [entry for entry in rule.recipients if entry != SHOP_MANAGER_SYMBOL]
        names = ("enabled", *NotificationRule.URL_FIELDS, "http_confirmed", "auto_retry", "profile", "version")
        kwargs["initial"] = {
            **{name: getattr(rule, name) for name in names},
            "label": rule.display_label,
            "to_manager": SHOP_MANAGER_SYMBOL in rule.recipients,
            "others": others,
            "nobody": not rule.recipients,
        }
        super().__init__(*args, **kwargs)
        self.fields["to_manager"].label = gettext("E-mail gestionnaire (%(email)s)") % {"email": manager_email}
        shown = ["label", "enabled"]
        if rule.type != NotificationRule.Type.BUYER_EMAIL:
            shown += ["to_manager", "others"]
        if rule.type == NotificationRule.Type.IPN_CALL:
            self.fields["others"].help_text = gettext(
                "Ces adresses sont prévenues quand l'appel échoue. Plusieurs adresses : séparez-les par un point-virgule."
            )
            if not rule.recipients or (self.is_bound and not self._typed_recipients()):
                shown.append("nobody")
            shown += [*NotificationRule.URL_FIELDS, "http_confirmed", "auto_retry", "profile"]
        for name in [name for name in self.fields if name not in (*shown, "version")]:
            del self.fields[name]
        self.helper = section(*shown, "version")

    def _typed_recipients(self) -> bool:
        return bool(self.data.get("to_manager") or addresses.split(str(self.data.get("others", ""))))

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.rule.type == NotificationRule.Type.BUYER_EMAIL or "others" not in data:
            return data
        if not data.get("to_manager") and not data["others"]:
            if self.rule.type == NotificationRule.Type.MERCHANT_EMAIL:
                self.add_error("others", _("Une règle « E-mail envoyé au marchand » a au moins un destinataire."))
            elif not data.get("nobody"):
                self.add_error("nobody", _("Sans destinataire, personne ne sera prévenu d'un échec : confirmez-le."))
        return data

    def saved(self) -> dict[str, Any]:
        """The fields to store, by column of NotificationRule."""
        data = self.cleaned_data
        fields = {
            name: data[name]
            for name in ("enabled", *NotificationRule.URL_FIELDS, "http_confirmed", "auto_retry", "profile")
            if name in data
        }
        # A default rule is stored in French and shown translated: a translation is no new label.
        if data["label"] != self.initial["label"]:
            fields["label"] = data["label"]
        if "others" in data:
            fields["recipients"] = [SHOP_MANAGER_SYMBOL] * bool(data.get("to_manager")) + data["others"]
        return fields
