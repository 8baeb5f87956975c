"""Forms of notification rules: « Gérer la règle » and the steps of « Créer une règle »."""

from copy import copy
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from backoffice.base.fields import EmailListFormField, LinkInput
from backoffice.base.forms import PlainForm
from backoffice.text import addresses
from notifications.calls import credentials as call_credentials
from notifications.calls.url_rules import check_url
from notifications.core import catalogue
from notifications.core.catalogue import RULE_TYPE_LABELS, SHOP_MANAGER_SYMBOL, TRIGGERS, RuleType
from notifications.models import NotificationRule
from notifications.tables import screens


def _text(**attrs: Any) -> forms.TextInput:
    return forms.TextInput(attrs={"class": "form-control", "autocomplete": "off", **attrs})


def _url() -> forms.TextInput:
    return LinkInput({"class": "form-control", "autocomplete": "off"})


def _check() -> forms.CheckboxInput:
    return forms.CheckboxInput(attrs={"class": "form-check-input"})


def _triggers() -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        label=_("Événements déclencheurs"),
        choices=[(trigger.code, trigger.label) for trigger in TRIGGERS],
        widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}),
        error_messages={
            "required": _("Choisissez au moins un événement déclencheur."),
            "invalid_choice": _("« %(value)s » n'est pas un événement déclencheur connu."),
        },
    )


class TypeForm(PlainForm):
    """Step 1: « Type de notification »."""

    type = forms.ChoiceField(
        label=_("Type de notification"),
        choices=list(RULE_TYPE_LABELS.items()),
        error_messages={
            "required": _("Choisissez un type de notification."),
            "invalid_choice": _("« %(value)s » n'est pas un type de notification."),
        },
    )


class EventsForm(PlainForm):
    """Step 2: the events; the conditions are rows of their own."""

    triggers = _triggers()


# Fields of protected URLs by mode: user, password, box that removes them.
AUTH_FIELDS = {
    "TEST": ("auth_user_test", "auth_password_test", "auth_remove_test"),
    "PRODUCTION": ("auth_user_production", "auth_password_production", "auth_remove_production"),
}


def _auth_user(mode: str) -> forms.CharField:
    widget = _text(autocapitalize="off", spellcheck="false")
    return forms.CharField(
        label=_("Identifiant, mode %(mode)s") % {"mode": mode}, max_length=200, required=False, widget=widget
    )


def _auth_password(mode: str) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"class": "form-control", "autocomplete": "new-password"})
    label = _("Mot de passe, mode %(mode)s") % {"mode": mode}
    return forms.CharField(label=label, max_length=200, required=False, strip=False, widget=widget)


def _auth_remove(mode: str) -> forms.BooleanField:
    return forms.BooleanField(
        label=_("Retirer l'accès protégé, mode %(mode)s") % {"mode": mode}, required=False, widget=_check()
    )


class RuleForm(PlainForm):
    """Label, state, recipients and, for a URL call, where and how to call.

    The events of a default rule are not offered: its label names them, and each merchant and each
    guide knows it by that label. Other events are a copy of the rule.
    """

    label = forms.CharField(label=_("Libellé de la règle"), max_length=200, widget=_text())
    enabled = forms.BooleanField(label=_("Activée"), required=False, widget=_check())
    to_manager = forms.BooleanField(required=False, widget=_check())
    others = EmailListFormField(
        label=_("Autres destinataires"),
        required=False,
        widget=forms.Textarea(
            attrs={
                "class": "form-control",
                "rows": 2,
                "inputmode": "email",
                "autocomplete": "off",
                "autocapitalize": "off",
                "spellcheck": "false",
            }
        ),
        help_text=_("Plusieurs adresses : séparez-les par un point-virgule (;)."),
    )
    nobody = forms.BooleanField(label=_("Personne ne sera prévenu : je confirme"), required=False, widget=_check())
    auto_retry = forms.BooleanField(
        label=_("Rejeu automatique en cas d'échec"),
        required=False,
        widget=_check(),
        help_text=_("Un appel qui échoue est refait jusqu'à 4 fois, au quart d'heure."),
    )
    profile = forms.ChoiceField(
        label=_("Profil de rejeu"),
        choices=list(catalogue.PROFILES.items()),
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    digest = forms.ChoiceField(
        label=_("Fréquence des e-mails"),
        choices=list(catalogue.DIGESTS.items()),
        required=False,
        widget=forms.Select(attrs={"class": "form-select"}),
        help_text=_(
            "Un récapitulatif liste les événements depuis le précédent ; il ne part pas s'il n'y en a aucun. L'heure est "
            "celle du fuseau de la société."
        ),
    )
    url_test = forms.CharField(
        label=_("URL à appeler en mode TEST"), max_length=500, required=False, widget=_url(), strip=True
    )
    url_production = forms.CharField(
        label=_("URL à appeler en mode PRODUCTION"), max_length=500, required=False, widget=_url()
    )
    rest_url_test = forms.CharField(
        label=_("URL cible de l'IPN à appeler en mode TEST"), max_length=500, required=False, widget=_url()
    )
    rest_url_production = forms.CharField(
        label=_("URL cible de l'IPN à appeler en mode PRODUCTION"), max_length=500, required=False, widget=_url()
    )
    http_confirmed = forms.BooleanField(
        label=_("http:// accepté en mode PRODUCTION"),
        required=False,
        widget=_check(),
        help_text=_("Sans https://, les données du paiement circulent en clair jusqu'à votre serveur."),
    )
    auth_user_test, auth_password_test, auth_remove_test = (
        _auth_user("TEST"),
        _auth_password("TEST"),
        _auth_remove("TEST"),
    )
    auth_user_production, auth_password_production, auth_remove_production = (
        _auth_user("PRODUCTION"), _auth_password("PRODUCTION"), _auth_remove("PRODUCTION"),
    )  # fmt: skip
    triggers = _triggers()
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(
        self, *args: Any, rule: NotificationRule, manager_email: str, creating: bool = False, **kwargs: Any
    ) -> None:
        self.rule = rule
        self.protected_modes = call_credentials.kept_modes(rule) if not creating else frozenset()
        names = (
            "enabled",
            *NotificationRule.URL_FIELDS,
            "auto_retry",
            "profile",
            "digest",
            "http_confirmed",
            "triggers",
        )
        kwargs["initial"] = {
            **{name: getattr(rule, name) for name in (*names, "version")},
            "label": rule.display_label,
            "to_manager": SHOP_MANAGER_SYMBOL in rule.recipients,
            "others": [entry for entry in rule.recipients if entry != SHOP_MANAGER_SYMBOL],
            "nobody": not creating and not rule.recipients,
        }
        super().__init__(*args, **kwargs)
        self.fields["to_manager"].label = gettext("E-mail gestionnaire (%(email)s)") % {
            "email": manager_email or gettext("non renseigné")
        }
        for name in [name for name in self.fields if name not in self._wanted(creating)]:
            del self.fields[name]
        for mode in self.protected_modes:
            for name in AUTH_FIELDS[mode][:2]:
                if name in self.fields:
                    # Never shown again; left empty, both stay.
                    self.fields[name].widget.attrs["placeholder"] = gettext("•••••• (enregistré)")
        if rule.type == RuleType.IPN_CALL:
            self.fields["others"].label = gettext("Adresse(s) e-mail(s) à avertir en cas d'échec")
        elif rule.type == RuleType.MERCHANT_EMAIL:
            self.fields["others"].label = gettext("Adresse(s) e-mail à notifier")

    def _wanted(self, creating: bool) -> set[str]:
        wanted = {"label"} if creating else {"label", "enabled", "version"}
        # Boxes without a tick post nothing; the page marks that it showed them.
        if not creating and not self.rule.is_default and (not self.is_bound or "with_triggers" in self.data):
            wanted.add("triggers")
        if self.rule.type != RuleType.BUYER_EMAIL:
            wanted |= {"to_manager", "others"}
        if self.rule.type == RuleType.MERCHANT_EMAIL:
            wanted.add("digest")
        if self.rule.type == RuleType.IPN_CALL:
            wanted |= {*NotificationRule.URL_FIELDS, "auto_retry", "profile"}
            emptied = not self._typed_recipients() if self.is_bound else not creating and not self.rule.recipients
            if emptied:
                wanted.add("nobody")
            for mode, (user, password, remove) in AUTH_FIELDS.items():
                wanted |= set() if creating else {user, password}
                wanted |= {remove} if mode in self.protected_modes else set()
            if self._plain_production_urls():
                wanted.add("http_confirmed")
        return wanted

    def _typed_recipients(self) -> bool:
        return bool(self.data.get("to_manager") or addresses.split(str(self.data.get("others", ""))))

    def _plain_production_urls(self) -> bool:
        """Whether a PRODUCTION URL, typed or stored, goes out without encryption and must be confirmed."""
        if settings.IPN_ALLOW_PRIVATE_NETWORKS:
            return False
        values = (
            str(self.data.get(name, "") if self.is_bound else self.initial[name])
            for name in NotificationRule.PRODUCTION_URL_FIELDS
        )
        return any(value.strip().lower().startswith("http://") for value in values)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        for name in NotificationRule.URL_FIELDS:
            if data.get(name):
                try:
                    data[name] = check_url(
                        data[name],
                        production=name in NotificationRule.PRODUCTION_URL_FIELDS,
                        http_confirmed=bool(data.get("http_confirmed")),
                    )
                except ValidationError as error:
                    self.add_error(name, error)
        self._check_credentials(data)
        if "others" not in self.fields or "others" not in data:
            return data
        if not data.get("to_manager") and not data["others"]:
            if self.rule.type == RuleType.MERCHANT_EMAIL:
                self.add_error("others", _("Une règle « E-mail envoyé au marchand » a au moins un destinataire."))
            elif not data.get("nobody"):
                self.add_error("nobody", _("Sans destinataire, personne ne sera prévenu d'un échec : confirmez-le."))
        return data

    @property
    def auth_errors(self) -> bool:
        """Whether what was typed of protected URLs is to be corrected, so that it must be seen."""
        return any(name in self.errors for names in AUTH_FIELDS.values() for name in names)

    def _check_credentials(self, data: dict[str, Any]) -> None:
        for user, password, remove in AUTH_FIELDS.values():
            typed = data.get(user), data.get(password)
            if any(typed) and data.get(remove):
                self.add_error(remove, _("Décochez cette case, ou videz l'identifiant et le mot de passe."))
            elif any(typed) and (said := call_credentials.problem(typed[0] or "", typed[1] or "")):
                self.add_error(password if typed[0] else user, said[:1].upper() + said[1:])

    def credentials(self) -> dict[str, tuple[str, str] | None]:
        """User and password of protected URLs, by mode, where some were typed; None to remove them."""
        data = self.cleaned_data
        given: dict[str, tuple[str, str] | None] = {}
        for mode, (user, password, remove) in AUTH_FIELDS.items():
            if data.get(remove):
                given[mode] = None
            elif data.get(user) and data.get(password):
                given[mode] = (data[user], data[password])
        return given

    def saved(self) -> dict[str, Any]:
        """The fields to store, by column of NotificationRule; what was refused is left out."""
        data = self.cleaned_data
        names = ("enabled", *NotificationRule.URL_FIELDS, "auto_retry", "profile", "triggers")
        fields = {name: data[name] for name in names if name in data}
        # A page of before the field existed posts none: that keeps what is stored.
        if data.get("digest"):
            fields["digest"] = data["digest"]
        # A default rule is stored in French and shown translated: a translation is no new label.
        if "label" in data and data["label"] != self.initial["label"]:
            fields["label"] = data["label"]
        if "others" in data:
            fields["recipients"] = [SHOP_MANAGER_SYMBOL] * bool(data.get("to_manager")) + data["others"]
        # The confirmation goes with the URL it was given for.
        if "http_confirmed" in self.fields:
            fields["http_confirmed"] = bool(data.get("http_confirmed"))
        elif self.rule.type == RuleType.IPN_CALL and not settings.IPN_ALLOW_PRIVATE_NETWORKS:
            fields["http_confirmed"] = False
        return fields

    def candidate(self, **more: Any) -> NotificationRule:
        """The rule as it would be with what is typed and valid so far; not saved."""
        rule = copy(self.rule)
        for name, value in {**self.saved(), **more}.items():
            setattr(rule, name, value)
        return rule


STATES = {
    "on": _("Activées"),
    "off": _("Désactivées"),
    "without_url": _("Activées sans URL"),
    "remarks": _("Avec une remarque"),
}


class RulesFilter(forms.Form):
    """Search and filters of the lists of rules; values that make no sense count as absent.

    The list of one shop filters by remark as well; that of all shops by type and recipient.
    """

    q = forms.CharField(max_length=254, required=False)
    state = forms.ChoiceField(choices=[("", _("Toutes")), *STATES.items()], required=False)
    type = forms.ChoiceField(choices=[("", _("Tous")), *RULE_TYPE_LABELS.items()], required=False)
    address = forms.CharField(max_length=254, required=False)

    def value(self, name: str) -> str:
        self.is_valid()
        return str(self.cleaned_data.get(name) or "").strip()

    def is_active(self) -> bool:
        return any(self.value(name) for name in ("q", "state", "address"))

    def keeps(self, rule: NotificationRule, *, remarked: bool = False) -> bool:
        """Whether a rule of one shop passes the search and the state."""
        needle = screens.folded(self.value("q"))
        if needle:
            words = [rule.display_label, rule.reference, *rule.recipients, *rule.trigger_labels]
            words += [getattr(rule, name) for name in NotificationRule.URL_FIELDS]
            if not any(needle in screens.folded(word) for word in words):
                return False
        match self.value("state"):
            case "on":
                return rule.enabled
            case "off":
                return not rule.enabled
            case "without_url":
                return rule.enabled and rule.type == RuleType.IPN_CALL and not rule.has_url
            case "remarks":
                return remarked
        return True
