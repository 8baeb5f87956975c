"""Staff pages of users and of the team's groups. Writes go through the services."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.html import format_html_join
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from backoffice.base.typed import ModelForm
from companies import audit, security, verified
from companies.accounts.view_as import may_view_as
from companies.accounts.view_as import start as start_view_as
from companies.audit import Actor
from companies.models import Membership, Role, User
from companies.rights import permissions
from companies.selectors import account_in_state
from companies.staff.pages import NamedRows, ObjectChoices, ServiceAdmin, SharedAdmin, changed_fields
from companies.team import services as team_services
from notifications.events.publishing import publish
from shops.models import Shop


class NewUserForm(ModelForm):
    """An account without a password: its owner sets it through the mailed link."""

    role = forms.ChoiceField(label=gettext_lazy("rôle"), choices=Role.choices, initial=Role.VIEWER)

    class Meta:
        model = User
        fields = ("company", "login", "email", "title", "first_name", "last_name", "phone", "language")


class MembershipForm(ModelForm):
    """The access to one company; saving a role takes back permissions of one's own."""

    shops = forms.ModelMultipleChoiceField(
        label=gettext_lazy("boutiques"),
        queryset=Shop.objects.all(),
        required=False,
        widget=ObjectChoices(Membership._meta.get_field("shops"), admin.site),
    )

    class Meta:
        model = Membership
        fields = ("company", "role", "all_shops")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["shops"] = [grant.shop_id for grant in self.instance.grants.all()]

    def clean(self) -> dict[str, Any]:
        """Refuse shops that were chosen now beside « toutes les boutiques »."""
        data = super().clean() or self.cleaned_data
        if data.get("all_shops") and data.get("shops") and {"shops", "all_shops"} & set(self.changed_data):
            names = ", ".join(shop.name for shop in data["shops"])
            text = _("Toutes les boutiques, ou seulement %(shops)s ? Décochez la case, ou videz la liste.")
            self.add_error("shops", text % {"shops": names})
        return data


class MembershipInline(NamedRows):
    model = Membership
    form = MembershipForm
    fields = ("company", "role", "all_shops", "shops", "refined")
    readonly_fields = ("refined",)
    autocomplete_fields = ("company",)
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).prefetch_related("grants__shop")

    @admin.display(description=gettext_lazy("droits particuliers"))
    def refined(self, membership: Membership) -> str:
        own = [(_("En général"), membership.permissions)] if membership.permissions is not None else []
        own += [
            (str(grant.shop), grant.permissions) for grant in membership.grants.all() if grant.permissions is not None
        ]
        lines = [
            (where, ", ".join(str(permissions.LABELS[code]) for code in permissions.ordered(codes)))
            for where, codes in own
        ]
        return format_html_join("", "<div>{} : {}</div>", lines) or "–"


class AccountStateFilter(admin.SimpleListFilter):
    """By the state that administrators of a company see."""

    title = gettext_lazy("état")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return User.State.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        wanted = self.value()
        return queryset.filter(account_in_state(str(wanted))) if wanted in User.State.values else queryset


class ViewAsForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Motif"), max_length=200, help_text=gettext_lazy("Par exemple le numéro de la demande.")
    )


@admin.register(User)
class UserAdmin(ServiceAdmin):
    proven = True
    list_display = ("login", "full_name", "email", "belongs_to", "state_shown", "last_login")
    company_path = "company"
    also_filtered = ("is_active__exact",)
    list_filter = (AccountStateFilter, "is_staff", "memberships__role", "language")
    list_select_related = ("company",)
    search_fields = ("login", "email", "first_name", "last_name", "company__name", "company__reference")
    search_help_text = gettext_lazy("Identifiant, adresse e-mail, nom ou société")
    autocomplete_fields = ("company",)
    actions = ("send_link", "confirm_address", "unlock", "end_sessions", "remove_second_factor")
    editable = ("login", "email", "title", "first_name", "last_name", "phone", "language", "time_zone", "is_active")

    change_form_template = "admin/companies/user/change_form.html"

    def get_urls(self) -> list[Any]:
        own = path("<int:key>/view-as/", self.admin_site.admin_view(self.view_as), name="companies_user_view_as")
        return [own, *super().get_urls()]

    def of_company(self, rows: QuerySet[User], company: int) -> QuerySet[User]:
        """Those that the company manages, and its guests."""
        guests = Membership.objects.filter(company=company).order_by().values("user")
        return rows.filter(Q(company=company) | Q(pk__in=guests))

    def view_as(self, request: HttpRequest, key: int) -> HttpResponse:
        """Ask why, then see the merchant's pages as this account does."""
        target = get_object_or_404(User.objects.select_related("company"), pk=key)
        if not may_view_as(request.user, target):
            raise PermissionDenied
        form = ViewAsForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            if (answer := self._proof(request, target)) is not None:
                return answer
            start_view_as(request, target, form.cleaned_data["reason"])
            return redirect("home")
        context = {**self.admin_site.each_context(request), "title": _("Voir comme"), "target": target, "form": form}
        return TemplateResponse(request, "admin/view_as.html", context)

    def get_form(self, request: HttpRequest, obj: User | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **(kwargs if obj else {**kwargs, "form": NewUserForm}))

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is None:
            hint = _(
                "Avec une société, l'identifiant et un lien à usage unique sont envoyés à l'adresse. Sans société, le "
                "compte est celui d'un membre de l'équipe : « manage.py login_link » donne sa première connexion."
            )
            return [(None, {"fields": [*NewUserForm.Meta.fields, "role"], "description": hint})]
        team = ["is_staff", "is_superuser", "groups"]
        return [
            (None, {"fields": [*self.editable, "links_go_to", "company"]}),
            (_("Équipe de la plateforme"), {"fields": team, "classes": ["collapse"]}),
            (_("Dates"), {"fields": ["date_joined", "last_login", "locked_until"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is None:
            return ()
        fixed = ("links_go_to", "company", "date_joined", "last_login", "locked_until")
        return fixed if request.user.is_superuser else (*fixed, "is_staff", "is_superuser", "groups")

    def hold(self, obj: User) -> None:
        team_services.account_hold(obj, company=obj.company, seen=None)

    def also_opened_on(self, obj: User) -> Any:
        return [team_services.fingerprint(obj, membership.company) for membership in obj.memberships.order_by("pk")]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        # Whoever may change an account's address may take it over: the team's only by superusers.
        allowed = super().has_change_permission(request, obj)
        return allowed and (obj is None or not (obj.is_staff or obj.is_superuser) or request.user.is_superuser)

    def get_inlines(self, request: HttpRequest, obj: User | None) -> Any:
        return [MembershipInline] if obj else []

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        actor = Actor.of(request)
        if change:
            user = User.objects.select_related("company").get(pk=obj.pk)
            fields = changed_fields(form, *self.editable, "is_staff", "is_superuser")
            team_services.user_update(user=user, actor=actor, **fields)
            return
        fields = dict(form.cleaned_data)
        company, role = fields.pop("company"), fields.pop("role")
        if company is not None:
            user = team_services.user_create(
                company=company, actor=actor, **fields, rights=team_services.Rights(role=role)
            )
            messages.info(request, _("L'identifiant et un lien ont été envoyés à %(email)s.") % {"email": user.email})
        else:
            if not request.user.is_superuser:
                raise ValidationError(_("Seul un super-utilisateur crée un compte de l'équipe."))
            user = User(is_staff=True, **fields)
            user.set_unusable_password()
            user.full_clean()
            user.save()
            audit.record(actor=actor, action="user.created", obj=user, company=None, changes=audit.creation(fields))
        obj.__dict__.update(user.__dict__)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        if change and "groups" in form.changed_data:
            before = list(form.instance.groups.values_list("name", flat=True))
            after = [group.name for group in form.cleaned_data["groups"]]
            audit.record(
                actor=Actor.of(request),
                action="user.updated",
                obj=form.instance,
                company=form.instance.company,
                changes={"groups": [before, after]},
            )
        super().save_related(request, form, formsets, change)

    def save_inline(self, request: HttpRequest, parent: User, form: Any) -> None:
        values = form.cleaned_data
        company, actor = values["company"], Actor.of(request)
        user = User.objects.select_related("company").get(pk=parent.pk)
        if form.instance.pk is None or "company" in form.changed_data:
            form.instance.save()
            audit.record(
                actor=actor,
                action="user.updated",
                obj=user,
                company=company,
                changes={"access": [None, str(company)], "role": [None, values["role"]]},
            )
            publish(type="user_account.modified", company=company, account=user, data={"changed": ["access"]})
        team_services.user_update(
            user=user,
            actor=actor,
            company=company,
            rights=team_services.Rights(
                role=values["role"], all_shops=values["all_shops"], shops=list(values["shops"])
            ),
        )

    def delete_inline(self, request: HttpRequest, parent: User, obj: Membership) -> None:
        team_services.membership_remove(membership=obj, actor=Actor.of(request))

    @admin.display(description=gettext_lazy("société"), ordering="company__name")
    def belongs_to(self, user: User) -> str:
        return str(user.company or _("équipe de la plateforme"))

    @admin.display(description=gettext_lazy("état"))
    def state_shown(self, user: User) -> str:
        return str(User.State(user.state).label)

    @admin.display(description=pgettext_lazy("of a thing", "nom"), ordering="last_name")
    def full_name(self, user: User) -> str:
        return user.get_full_name()

    @admin.action(description=gettext_lazy("Envoyer un lien pour choisir un mot de passe"), permissions=["change"])
    def send_link(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        sent = skipped = 0
        kept: list[User] = []
        for user in queryset.select_related("company"):
            if user.is_active and user.company is not None and self.has_change_permission(request, user):
                team_services.password_reset_request(user=user)
                sent += 1
                if verified.is_pending(user):
                    kept.append(user)
            else:
                skipped += 1
        if sent:
            messages.success(request, ngettext("%(n)d lien envoyé.", "%(n)d liens envoyés.", sent) % {"n": sent})
        for user in kept[:10]:
            text = _(
                "Le lien de %(login)s part vers son adresse vérifiée, %(email)s : la nouvelle n'est pas confirmée."
            )
            messages.info(request, text % {"login": user.login, "email": user.link_email})
        if skipped:
            text = _("%(n)d sans envoi : compte désactivé, ou compte de l'équipe (« manage.py login_link »).")
            messages.warning(request, text % {"n": skipped})

    @admin.display(description=gettext_lazy("adresse des liens"))
    def links_go_to(self, user: User) -> str:
        if not verified.is_pending(user):
            return user.link_email
        return _("%(email)s, tant que le titulaire n'a pas confirmé la nouvelle adresse") % {"email": user.link_email}

    def has_superuser_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    @admin.action(description=gettext_lazy("Confirmer la nouvelle adresse"), permissions=["superuser"])
    def confirm_address(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """For owners who read the former mailbox no more and cannot log in; who they are was checked otherwise."""
        accounts = queryset.select_related("company")
        n = sum(verified.address_confirm(user=user, actor=Actor.of(request)) for user in accounts)
        messages.success(request, ngettext("%(n)d adresse confirmée.", "%(n)d adresses confirmées.", n) % {"n": n})

    @admin.action(description=gettext_lazy("Déverrouiller"), permissions=["change"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        accounts = [user for user in queryset.select_related("company") if self.has_change_permission(request, user)]
        n = sum(team_services.user_unlock(user=user, actor=Actor.of(request)) for user in accounts)
        messages.success(request, ngettext("%(n)d compte déverrouillé.", "%(n)d comptes déverrouillés.", n) % {"n": n})

    @admin.action(description=gettext_lazy("Fermer toutes les sessions"), permissions=["change"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        ended = sum(
            security.sessions_end(user=user, actor=Actor.of(request))
            for user in queryset.select_related("company")
            if self.has_change_permission(request, user)
        )
        messages.success(request, ngettext("%(n)d session fermée.", "%(n)d sessions fermées.", ended) % {"n": ended})

    @admin.action(description=gettext_lazy("Retirer la double authentification"), permissions=["change"])
    def remove_second_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        accounts = [user for user in queryset.select_related("company") if self.has_change_permission(request, user)]
        removed = sum(security.second_factors_remove(user=user, actor=Actor.of(request)) for user in accounts)
        messages.success(
            request, ngettext("%(n)d compte modifié.", "%(n)d comptes modifiés.", removed) % {"n": removed}
        )


# The framework's own page takes fields without a request, too.
if admin.site.is_registered(Group):
    admin.site.unregister(Group)


# What the four rights that every kind of object has allow; the framework names them in English.
_VERBS = {
    "view": gettext_lazy("consulter"),
    "add": gettext_lazy("ajouter"),
    "change": gettext_lazy("modifier"),
    "delete": gettext_lazy("supprimer"),
}
_OWN_RIGHTS = {
    "issue_billing": gettext_lazy("émettre et annuler par un avoir"),
    "send_newsletter": gettext_lazy("envoyer aux sociétés"),
}


class PermissionChoices(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Rights in words: on what, and what it allows."""

    def label_from_instance(self, obj: Any) -> str:
        allows = _OWN_RIGHTS.get(obj.codename) or _VERBS.get(obj.codename.partition("_")[0], obj.name)
        # The names of kinds are those of models, in the reader's language.
        return f"{capfirst(obj.content_type.name)} : {allows}"


@admin.register(Group)
class StaffGroupAdmin(SharedAdmin, GroupAdmin):
    """Rights of the team's groups, for superusers: a group can hold every right."""

    proven = True
    filter_horizontal = ()

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        if db_field.name == "permissions":
            kwargs["form_class"] = PermissionChoices
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return request.user.is_superuser and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return request.user.is_superuser and super().has_delete_permission(request, obj)
