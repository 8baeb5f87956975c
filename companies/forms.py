"""Forms of Infos Société, of the accounts and of the history."""

from typing import Any

from crispy_forms.layout import Div
from django import forms
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from backoffice.fields import EmailListFormField, OneEmailFormField
from backoffice.forms import PlainForm, section
from notifications import impact
from notifications.catalogue import Source

from . import permissions
from .access import general, shops_of
from .account_forms import _time_zones
from .models import Company, Contact, Language, Membership, Role, User


def email_help(sentence: object, email: str) -> Any:
    """What an address receives, in one line, with the link to its table."""
    if not email:
        return sentence
    return format_html('{} <a href="{}">{}</a>', sentence, impact.tables_url(email), gettext("Voir sa table"))


def preview_attributes(kind: str) -> dict[str, str]:
    """Refresh the panel beside the form while one types; harmless without scripts."""
    return {
        "hx-get": f"?preview={kind}",
        "hx-trigger": "input changed delay:400ms, focus delay:200ms",
        "hx-target": "#address-panel",
        "hx-sync": "closest form:replace",
    }


class CompanyForm(PlainForm):
    language = forms.ChoiceField(label=_("Langue"), choices=Language.choices)
    time_zone = forms.ChoiceField(label=_("Fuseau horaire"))
    newsletter_opt_out = forms.BooleanField(
        label=_("Ne pas recevoir la lettre d'information"),
        required=False,
        help_text=_("Elle est adressée au Contact gestionnaire. Les autres notifications ne changent pas."),
    )
    version = forms.IntegerField(widget=forms.HiddenInput)

    SAVED = ("language", "time_zone", "newsletter_opt_out")

    def __init__(self, *args: Any, company: Company, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {name: getattr(company, name) for name in (*self.SAVED, "version")})
        super().__init__(*args, **kwargs)
        zones = _time_zones()
        if company.time_zone not in zones:
            zones = [company.time_zone, *zones]
        self.fields["time_zone"].choices = [(zone, zone.replace("_", " ")) for zone in zones]  # type: ignore[attr-defined]
        self.helper = section(
            Div("language", "time_zone", css_class="row row-cols-1 row-cols-md-2"), "newsletter_opt_out", "version"
        )


class IncidentForm(PlainForm):
    incident_emails = EmailListFormField(label=_("E-mail(s) de contact en cas d'incident"), required=False)

    SAVED = ("incident_emails",)

    def __init__(self, *args: Any, company: Company, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {"incident_emails": company.incident_emails})
        super().__init__(*args, **kwargs)
        field = self.fields["incident_emails"]
        links = [(impact.tables_url(email), email) for email in company.incident_emails]
        field.help_text = format_html(
            "{} {} {}",
            impact.source_sentence(Source.INCIDENT_CONTACT),
            _("Plusieurs adresses : séparez-les par un point-virgule."),
            _join_links(links),
        )
        field.widget.attrs.update(preview_attributes("incident"))
        self.helper = section("incident_emails")


def _join_links(links: list[tuple[str, str]]) -> Any:
    return format_html_join(" · ", '<a href="{}">{}</a>', links)


class ContactForm(PlainForm):
    """One of the two contacts; the technical one may be left empty as a whole."""

    title = forms.CharField(label=_("Civilité"), max_length=20, required=False)
    first_name = forms.CharField(label=_("Prénom"), max_length=100, required=False)
    last_name = forms.CharField(label=_("Nom"), max_length=100, required=False)
    email = OneEmailFormField(label=_("E-mail"), max_length=254)
    phone = forms.CharField(label=_("Téléphone"), max_length=30, required=False)

    SAVED = ("title", "first_name", "last_name", "email", "phone")
    _SOURCES = {Contact.Kind.MANAGER: Source.COMPANY_MANAGER}

    def __init__(self, *args: Any, kind: str, contact: Contact | None, **kwargs: Any) -> None:
        self.kind = kind
        initial = {name: getattr(contact, name) for name in self.SAVED} if contact else {}
        super().__init__(*args, prefix=kind, initial=initial, **kwargs)
        email = self.fields["email"]
        label = Contact.Kind(kind).label
        email.label = gettext("E-mail du %(contact)s") % {"contact": label}
        if kind == Contact.Kind.MANAGER:
            sentence: Any = impact.source_sentence(Source.COMPANY_MANAGER)
            sentence = format_html("{} {}", sentence, _("Les boutiques sans e-mail gestionnaire propre en héritent."))
        else:
            email.required = False
            sentence = _("Cette adresse ne reçoit aucun e-mail de la plateforme.")
        email.help_text = email_help(sentence, contact.email if contact else "")
        email.widget.attrs.update(preview_attributes(kind))
        self.helper = section(Div("title", "first_name", "last_name", css_class="field-row"), "email", "phone")

    @property
    def is_empty(self) -> bool:
        return not any(self.cleaned_data.get(name) for name in self.SAVED)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if "email" in data and not data["email"] and any(data.get(name) for name in self.SAVED):
            self.add_error("email", _("Indiquez l'adresse e-mail de ce contact, ou videz tous ses champs."))
        return data


class AccountFields(PlainForm):
    email = OneEmailFormField(label=_("Adresse e-mail"), max_length=254)
    language = forms.ChoiceField(
        label=_("Langue des e-mails"), required=False, choices=[("", _("Celle de la société")), *Language.choices]
    )


class UserForm(AccountFields):
    """A user account. Offers only roles and shops that the editor's own membership covers."""

    login = forms.CharField(label=_("Identifiant"), max_length=64)
    title = forms.CharField(label=_("Civilité"), max_length=20, required=False)
    first_name = forms.CharField(label=_("Prénom"), max_length=100, required=False)
    last_name = forms.CharField(label=_("Nom"), max_length=100, required=False)
    role = forms.ChoiceField(label=_("Rôle"))
    all_shops = forms.BooleanField(label=_("Toutes les boutiques"), required=False)
    shops: forms.ModelMultipleChoiceField = forms.ModelMultipleChoiceField(
        label=_("Boutiques couvertes"),
        queryset=None,
        required=False,
        to_field_name="site_id",
        help_text=_("Utilisé lorsque « Toutes les boutiques » n'est pas coché."),
    )
    is_active = forms.BooleanField(label=_("Compte actif"), required=False, initial=True)

    FIELDS = ("title", "first_name", "last_name", "email", "language", "is_active")

    def __init__(self, *args: Any, editor: Membership, account: User | None = None, **kwargs: Any) -> None:
        own = None
        if account is not None:
            own = account.memberships.filter(company_id=editor.company_id).first()
            kwargs["initial"] = {name: getattr(account, name) for name in ("login", *self.FIELDS)}
            if own:
                kwargs["initial"] |= {"role": own.role, "all_shops": own.all_shops, "shops": list(own.shops.all())}
        else:
            kwargs["initial"] = {"role": Role.VIEWER, "all_shops": editor.all_shops, "is_active": True}
        super().__init__(*args, **kwargs)
        granted = [role for role in Role if permissions.PERMISSIONS[role] <= general(editor)]
        self.fields["role"].choices = [(role.value, role.label) for role in granted]  # type: ignore[attr-defined]
        self.fields["shops"].queryset = shops_of(editor)  # type: ignore[attr-defined]
        self.fields["email"].help_text = email_help(
            impact.source_sentence(Source.USER), account.email if account else ""
        )
        if not editor.all_shops:
            del self.fields["all_shops"]
        if account is not None:
            self.fields["login"].disabled = True
        self.helper = section(
            "login",
            Div("title", "first_name", "last_name", css_class="field-row"),
            "email",
            "language",
            "role",
            *(["all_shops"] if editor.all_shops else []),
            "shops",
            "is_active",
        )
        if account is None:
            del self.fields["is_active"]
            self.helper.layout.pop()

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not data.get("all_shops") and "shops" in data and not data["shops"]:
            self.add_error("shops", _("Choisissez au moins une boutique, ou cochez « Toutes les boutiques »."))
        return data

    def saved(self) -> dict[str, Any]:
        data = self.cleaned_data
        fields = {name: data[name] for name in self.FIELDS if name in data}
        everything = bool(data.get("all_shops"))
        return {
            **fields,
            "role": data["role"],
            "all_shops": everything,
            "shops": [] if everything else list(data["shops"]),
        }


class SftpAccountForm(AccountFields):
    login = forms.CharField(label=_("Identifiant"), max_length=64)
    is_active = forms.BooleanField(label=_("Compte actif"), required=False, initial=True)
    field_order = ["login", "email", "language", "is_active"]

    FIELDS = ("email", "language", "is_active")

    def __init__(self, *args: Any, account: Any = None, **kwargs: Any) -> None:
        if account is not None:
            kwargs["initial"] = {name: getattr(account, name) for name in ("login", *self.FIELDS)}
        super().__init__(*args, **kwargs)
        self.fields["email"].help_text = email_help(
            impact.source_sentence(Source.SFTP_ACCOUNT), account.email if account else ""
        )
        if account is not None:
            self.fields["login"].disabled = True
        else:
            del self.fields["is_active"]
        self.helper = section(*self.fields)

    def saved(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in self.FIELDS if name in self.cleaned_data}


class HistoryFilter(forms.Form):
    """Bound to the query string; refused values count as absent."""

    q = forms.CharField(max_length=254, required=False)
    object = forms.CharField(max_length=40, required=False)
    since = forms.DateField(required=False, input_formats=["%Y-%m-%d"])
    until = forms.DateField(required=False, input_formats=["%Y-%m-%d"])

    def value(self, name: str) -> Any:
        self.is_valid()
        return self.cleaned_data.get(name) or ""
