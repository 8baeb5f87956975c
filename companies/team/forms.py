"""Forms of users, their rights, and SFTP accounts; the filter of their lists."""

from typing import Any

from crispy_forms.layout import Div
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from backoffice.base import limits
from backoffice.base.fields import OneEmailFormField
from backoffice.base.forms import PlainForm, section
from backoffice.text import zones
from companies.forms import email_help, preview_attributes
from companies.models import Language, Membership, Role, SftpAccount, Status, User
from companies.rights import identity, permissions
from companies.rights.access import access_of, general, shops_of
from companies.selectors import OWN_RIGHTS
from companies.team.services import Rights, fingerprint
from notifications.core.catalogue import Source
from notifications.tables import impact

FEW_SHOPS = 30


BOX = {"class": "form-check-input"}


def _free_login(model: type[User] | type[SftpAccount], login: str) -> str:
    """The identifier; ValidationError if it is taken, compared without case."""
    if model._default_manager.filter(login__iexact=login).exists():
        raise ValidationError(_("L'identifiant « %(login)s » est déjà pris."), params={"login": login})
    return login


class AccountFields(PlainForm):
    email = OneEmailFormField(label=_("Adresse e-mail"), max_length=254)
    language = forms.ChoiceField(
        label=_("Langue des e-mails"), required=False, choices=[("", _("Celle de la société")), *Language.choices]
    )
    # What the form was opened on; see `services.fingerprint`.
    seen = forms.CharField(max_length=limits.LONGEST_HIDDEN, widget=forms.HiddenInput, required=False)


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
    shops: "forms.ModelMultipleChoiceField[Any]" = forms.ModelMultipleChoiceField(
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
        # A closed shop is not offered; one that the account holds can be taken back.
        held = own.grants.values("shop") if own is not None else []
        shops = shops_of(editor).filter(~Q(status=Status.CLOSED) | Q(pk__in=held))
        self.fields["shops"].queryset = shops  # type: ignore[attr-defined]
        # Beyond this the shops are chosen on the page of rights by shop, with a search.
        self.few_shops = shops.count() <= FEW_SHOPS
        if not self.few_shops:
            del self.fields["shops"]
        self.stored = access_of(own) if own is not None else None

    def rights_initial(self, editor: Membership, own: Membership | None) -> dict[str, Any]:
        if own is None:
            return {"role": Role.VIEWER, "own": [], "coverage": "all" if editor.all_shops else "some"}
        held = access_of(own)
        return {
            "role": OWN_RIGHTS if own.permissions is not None else own.role,
            # Under a fixed role its column tells; boxes of one's own would say something else.
            "own": permissions.ordered(general(own)) if own.permissions is not None else [],
            "coverage": "all" if own.all_shops else "some",
            "shops": list(shops_of(editor).filter(pk__in=held.shops)) if not own.all_shops else [],
        }

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("role") == OWN_RIGHTS and "own" in data and not data["own"]:
            self.add_error("own", _("Cochez au moins un droit, ou choisissez un rôle."))
        self._refuse_contradictions(data)
        # An existing account may hold shops that this editor or this form does not show.
        chosen = data.get("shops") or (self.stored and self.stored.shops)
        if self.few_shops and data.get("coverage") == "some" and "shops" in data and not chosen:
            self.add_error("shops", _("Choisissez au moins une boutique."))
        return data

    def _refuse_contradictions(self, data: dict[str, Any]) -> None:
        """Refuse boxes that the choice above them would leave without effect: one of the two is a mistake."""
        role, own = data.get("role"), data.get("own")
        if role in Role.values and own and permissions.complete(own) != permissions.PERMISSIONS[role]:
            self.add_error(
                "own",
                gettext(
                    "Vous avez choisi le rôle « %(role)s » et coché des droits (%(rights)s) : choisissez « Droits "
                    "personnalisés » pour n'accorder que ceux-ci, ou décochez-les."
                )
                % {
                    "role": Role(role).label,
                    "rights": ", ".join(str(permissions.LABELS[code]) for code in permissions.ordered(own)),
                },
            )
        shops = list(data.get("shops") or ())
        if data.get("coverage") == "all" and shops:
            self.add_error(
                "coverage",
                gettext(
                    "Vous avez choisi « Toutes les boutiques » et coché %(shops)s : choisissez « Seulement celles choisies » "
                    "pour n'ouvrir que celles-ci, ou décochez-les."
                )
                % {"shops": ", ".join(shop.name for shop in shops)},
            )

    def rights(self) -> Rights:
        """The rights for the services. Rights by shop stay, as far as their shop is still covered."""
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
        return Rights(role=role, own=own, all_shops=everything, grants=grants)


class UserForm(RightsMixin, AccountFields):
    """A user account with its rights in the editor's company.

    Of an account that another company manages, or that acts elsewhere beyond the editor's rights, only the
    rights are offered (`identity`).
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
        offered = zones.offered()
        if account is not None and account.time_zone and account.time_zone not in offered:
            offered = [account.time_zone, *offered]
        self.fields["time_zone"].choices = [  # type: ignore[attr-defined]
            ("", _("Celui de la société")),
            *((zone, zone.replace("_", " ")) for zone in offered),
        ]
        email = self.fields["email"]
        email.help_text = email_help(impact.source_sentence(Source.USER), account.email if account else "")
        email.widget.attrs.update(preview_attributes("account"))
        self.is_guest = account is not None and account.company_id != editor.company_id
        self.fixed = identity.refusal(editor.user, account, editor.company) if account is not None else None
        if account is not None:
            self.fields["login"].disabled = True
        if self.fixed:
            for name in self.FIELDS:
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

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        # The page sends none of these; a page opened before the account came to act elsewhere may.
        if self.fixed and not self.is_guest and self._typed_over():
            raise ValidationError(self.fixed, code="identity")
        return data

    def _typed_over(self) -> bool:
        sent = [name for name in self.FIELDS if name in self.data]
        return any(str(self.data[name]).strip() != str(self.initial[name] or "") for name in sent)

    def saved(self) -> dict[str, Any]:
        """The columns of the account; for the rights see `rights`."""
        return {} if self.fixed else {name: self.cleaned_data[name] for name in self.FIELDS}


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
