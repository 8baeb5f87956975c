"""Forms of Infos Société, of the accounts and of the history."""

from typing import Any

from crispy_forms.layout import Div
from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from backoffice.fields import EmailListFormField, OneEmailFormField
from backoffice.forms import PlainForm, section
from notifications import impact
from notifications.catalogue import Source

from . import permissions
from .access import access_of, general, shops_of
from .account_forms import _time_zones
from .models import Company, Contact, Language, Membership, Role, SftpAccount, User
from .selectors import OWN_RIGHTS
from .services import fingerprint

FEW_SHOPS = 30
BOX = {"class": "form-check-input"}


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


def _free_login(model: type[User] | type[SftpAccount], login: str) -> str:
    """The identifier, or ValidationError where it is taken, in whatever case."""
    if model._default_manager.filter(login__iexact=login).exists():
        raise ValidationError(_("L'identifiant « %(login)s » est déjà pris."), params={"login": login})
    return login


class AccountFields(PlainForm):
    email = OneEmailFormField(label=_("Adresse e-mail"), max_length=254)
    language = forms.ChoiceField(
        label=_("Langue des e-mails"), required=False, choices=[("", _("Celle de la société")), *Language.choices]
    )
    # What the form was opened on; see `services.fingerprint`.
    seen = forms.CharField(widget=forms.HiddenInput, required=False)


class RightsMixin(forms.Form):
    """Role or permissions of one's own, and the shops covered. Offers only what the editor may grant."""

    role = forms.ChoiceField(label=_("Rôle"), widget=forms.RadioSelect(attrs=BOX))
    own = forms.MultipleChoiceField(
        label=_("Droits personnalisés"), required=False, widget=forms.CheckboxSelectMultiple(attrs=BOX)
    )
    coverage = forms.ChoiceField(
        label=_("Boutiques"),
        widget=forms.RadioSelect(attrs=BOX),
        choices=[
            ("all", _("Toutes les boutiques, y compris celles à venir")),
            ("some", _("Seulement celles choisies")),
        ],
    )
    shops: forms.ModelMultipleChoiceField = forms.ModelMultipleChoiceField(
        label=_("Boutiques choisies"),
        queryset=None,
        required=False,
        to_field_name="site_id",
        widget=forms.CheckboxSelectMultiple(attrs=BOX),
    )

    def set_up_rights(self, editor: Membership, own: Membership | None) -> None:
        """Narrow the choices to the editor's rights.

        Args:
            own: the membership being changed, None for a new account.
        """
        mine = general(editor)
        roles = [(role.value, role.label) for role in Role if permissions.PERMISSIONS[role] <= mine]
        self.fields["role"].choices = [*roles, (OWN_RIGHTS, _("Droits personnalisés"))]  # type: ignore[attr-defined]
        self.fields["own"].choices = [  # type: ignore[attr-defined]
            (code, permissions.LABELS[code]) for code in permissions.ALL if code in mine
        ]
        if not editor.all_shops:
            self.fields["coverage"].choices = self.fields["coverage"].choices[1:]  # type: ignore[attr-defined]
        shops = shops_of(editor)
        self.fields["shops"].queryset = shops  # type: ignore[attr-defined]
        # Beyond this the shops are chosen on the page of rights by shop, with a search.
        self.few_shops = shops.count() <= FEW_SHOPS
        if not self.few_shops:
            del self.fields["shops"]
        self.stored = access_of(own) if own is not None else None

    def rights_initial(self, editor: Membership, own: Membership | None) -> dict[str, Any]:
        if own is None:
            return {"role": Role.VIEWER, "own": [permissions.VIEW], "coverage": "all" if editor.all_shops else "some"}
        held = access_of(own)
        return {
            "role": OWN_RIGHTS if own.permissions is not None else own.role,
            "own": permissions.ordered(general(own)),
            "coverage": "all" if own.all_shops else "some",
            "shops": list(shops_of(editor).filter(pk__in=held.shops)) if not own.all_shops else [],
        }

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("role") == OWN_RIGHTS and "own" in data and not data["own"]:
            self.add_error("own", _("Cochez au moins un droit, ou choisissez un rôle."))
        # An existing account may hold shops that this editor or this form does not show.
        chosen = data.get("shops") or (self.stored and self.stored.shops)
        if self.few_shops and data.get("coverage") == "some" and "shops" in data and not chosen:
            self.add_error("shops", _("Choisissez au moins une boutique."))
        return data

    def rights(self) -> dict[str, Any]:
        """The rights as arguments of the services. Rights by shop stay, as far as their shop is still covered."""
        data = self.cleaned_data
        own = permissions.complete(data["own"]) if data["role"] == OWN_RIGHTS else None
        role = data["role"]
        if own is not None:
            # A set that is exactly a role's is that role.
            role = permissions.role_of(own) or Role.VIEWER
            own = None if permissions.role_of(own) else own
        everything = data["coverage"] == "all"
        stored: dict[int, frozenset[str] | None] = dict(self.stored.shops) if self.stored else {}
        grants: dict[int, frozenset[str] | None]
        if everything:
            # Shops named without rights of their own are no exception any more.
            grants = {shop: codes for shop, codes in stored.items() if codes is not None}
        elif "shops" in data:
            shown = {shop.pk for shop in self.fields["shops"].queryset}  # type: ignore[attr-defined]
            kept = {shop: codes for shop, codes in stored.items() if shop not in shown}
            grants = kept | {shop.pk: stored.get(shop.pk) for shop in data["shops"]}
        else:
            grants = stored
        if role == Role.ADMINISTRATOR:
            # An administrator is one on each shop.
            grants = (
                {} if everything else {shop: None for shop, codes in grants.items() if codes != permissions.NOTHING}
            )
        return {"role": role, "own": own, "all_shops": everything, "grants": grants}


class UserForm(RightsMixin, AccountFields):
    """A user account with its rights in the editor's company.

    Of an account that another company manages only the rights are offered.
    """

    login = forms.CharField(
        label=_("Identifiant"),
        max_length=64,
        help_text=_("Unique sur toute la plateforme ; il ne change plus ensuite."),
    )
    title = forms.CharField(label=_("Civilité"), max_length=20, required=False)
    first_name = forms.CharField(label=_("Prénom"), max_length=100, required=False)
    last_name = forms.CharField(label=_("Nom"), max_length=100, required=False)
    phone = forms.CharField(label=_("Téléphone"), max_length=30, required=False)
    time_zone = forms.ChoiceField(label=_("Fuseau horaire"), required=False)

    FIELDS = ("title", "first_name", "last_name", "email", "phone", "language", "time_zone")

    def __init__(self, *args: Any, editor: Membership, account: User | None = None, **kwargs: Any) -> None:
        own = account.memberships.filter(company_id=editor.company_id).first() if account else None
        kwargs["initial"] = self.rights_initial(editor, own)
        if account is not None:
            kwargs["initial"] |= {name: getattr(account, name) for name in ("login", *self.FIELDS)}
            kwargs["initial"]["seen"] = fingerprint(account, editor.company)
        super().__init__(*args, **kwargs)
        self.set_up_rights(editor, own)
        zones = _time_zones()
        if account is not None and account.time_zone and account.time_zone not in zones:
            zones = [account.time_zone, *zones]
        self.fields["time_zone"].choices = [  # type: ignore[attr-defined]
            ("", _("Celui de la société")),
            *((zone, zone.replace("_", " ")) for zone in zones),
        ]
        email = self.fields["email"]
        email.help_text = email_help(impact.source_sentence(Source.USER), account.email if account else "")
        email.widget.attrs.update(preview_attributes("account"))
        # Another company's account: its name and address are that company's business.
        self.is_guest = account is not None and account.company_id != editor.company_id
        if account is not None:
            self.fields["login"].disabled = True
        if self.is_guest:
            for name in (*self.FIELDS,):
                self.fields[name].disabled = True
        self.helper = section(
            "login",
            Div("title", "first_name", "last_name", css_class="field-row"),
            "email",
            Div("phone", css_class="narrow"),
            Div("language", "time_zone", css_class="row row-cols-1 row-cols-md-2"),
            "seen",
        )

    def clean_login(self) -> str:
        login: str = self.cleaned_data["login"]
        return login if self.fields["login"].disabled else _free_login(User, login)

    def saved(self) -> dict[str, Any]:
        fields = {} if self.is_guest else {name: self.cleaned_data[name] for name in self.FIELDS}
        return fields | self.rights()


class SftpAccountForm(AccountFields):
    login = forms.CharField(
        label=_("Identifiant"),
        max_length=64,
        help_text=_("Unique sur toute la plateforme ; il ne change plus ensuite."),
    )
    field_order = ["login", "email", "language", "seen"]

    FIELDS = ("email", "language")

    def __init__(self, *args: Any, account: SftpAccount | None = None, **kwargs: Any) -> None:
        if account is not None:
            kwargs["initial"] = {name: getattr(account, name) for name in ("login", *self.FIELDS)}
            kwargs["initial"]["seen"] = fingerprint(account)
        super().__init__(*args, **kwargs)
        email = self.fields["email"]
        email.help_text = email_help(impact.source_sentence(Source.SFTP_ACCOUNT), account.email if account else "")
        email.widget.attrs.update(preview_attributes("account"))
        if account is not None:
            self.fields["login"].disabled = True
        self.helper = section(*self.fields)

    def clean_login(self) -> str:
        login: str = self.cleaned_data["login"]
        return login if self.fields["login"].disabled else _free_login(SftpAccount, login)

    def saved(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in self.FIELDS}


class AccountsFilter(forms.Form):
    """Filters of the lists of accounts, bound to the query string; refused values count as absent."""

    q = forms.CharField(max_length=254, required=False)
    state = forms.ChoiceField(required=False)
    role = forms.ChoiceField(
        choices=[("", _("Tous")), *Role.choices, (OWN_RIGHTS, _("Droits personnalisés"))], required=False
    )
    shop = forms.CharField(max_length=8, required=False)

    def __init__(self, *args: Any, states: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["state"].choices = [("", _("Tous")), *states.choices]  # type: ignore[attr-defined]
        self.is_valid()

    def value(self, name: str) -> str:
        return str(self.cleaned_data.get(name) or "").strip()

    def values(self, *names: str) -> dict[str, str]:
        return {name: self.value(name) for name in names}


class HistoryFilter(forms.Form):
    """Bound to the query string; refused values count as absent."""

    q = forms.CharField(max_length=254, required=False)
    object = forms.CharField(max_length=40, required=False)
    who = forms.CharField(max_length=200, required=False)
    field = forms.CharField(max_length=40, required=False)
    shop = forms.CharField(max_length=8, required=False)
    since = forms.DateField(required=False, input_formats=["%Y-%m-%d"])
    until = forms.DateField(required=False, input_formats=["%Y-%m-%d"])

    def value(self, name: str) -> Any:
        self.is_valid()
        return self.cleaned_data.get(name) or ""
