"""The staff site: branded, and behind the common log-in."""

import json
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.admin.widgets import AdminSplitDateTime, AutocompleteSelect, AutocompleteSelectMultiple
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models, router, transaction
from django.db.models import QuerySet
from django.forms.models import _get_foreign_key
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from companies.staff.company_filter import CompanyFilter
from companies.staff.company_filter import media as company_filter_media
from companies.staff.filters import ListedFilters
from companies.staff.proof import ProvenPages
from companies.staff.typed import BaseModelAdmin, TabularInline

# The hidden field of a change page that says what it was opened on.
OPENED_ON = "opened_on"


def _values(obj: models.Model, names: Any) -> list[tuple[str, Any]]:
    """The stored values of those names that are columns or sets of other objects."""
    values: list[tuple[str, Any]] = []
    for name in sorted(names):
        try:
            column = obj._meta.get_field(name)
        except FieldDoesNotExist:
            continue
        if isinstance(column, models.ManyToManyField):
            values.append((name, sorted(str(key) for key in getattr(obj, name).values_list("pk", flat=True))))
        elif isinstance(column, models.Field):
            values.append((name, column.value_from_object(obj)))
    return values


class _KnownKeys:
    """A choice of objects that takes what cannot be a key for nothing chosen, where the framework's fails."""

    field: Any

    def optgroups(self, name: str, value: list[Any], attrs: dict[str, Any] | None = None) -> Any:
        key = self.field.remote_field.model._meta.pk
        return super().optgroups(name, [item for item in value if _is_key(key, item)], attrs)  # type: ignore[misc]


def _is_key(key: "models.Field[Any, Any]", value: Any) -> bool:
    try:
        key.run_validators(key.to_python(value))
    except ValidationError:
        return False
    return "\0" not in str(value)


class ObjectChoices(_KnownKeys, AutocompleteSelectMultiple):  # type: ignore[misc]
    """Several objects, found by searching."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        # A number beyond the database's would be asked for; a word is refused.
        key = self.field.remote_field.model._meta.pk
        values = super().value_from_datadict(data, files, name)
        return [item if _is_key(key, item) else "?" for item in values or []]


class _Choice(_KnownKeys, AutocompleteSelect):  # type: ignore[misc]
    """The framework's, with a name for screen readers where nothing is chosen yet: its own is empty."""

    def build_attrs(self, base_attrs: dict[str, Any], extra_attrs: dict[str, Any] | None = None) -> dict[str, Any]:
        named = {"data-placeholder": _("Choisir : %(name)s") % {"name": self.field.verbose_name}}
        return {**super().build_attrs(base_attrs, extra_attrs), **named}


class _NamedChoices(BaseModelAdmin):
    """Fields that choose an object by searching: of a page and of the rows on it alike."""

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", _Choice(db_field, self.admin_site))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class AccessibleAdmin(_NamedChoices, ListedFilters, ProvenPages):
    """What all pages of the staff site share: titles that hold for any word, and names for every field.

    Their lists take the filters they show and no other (`admin_filters`); what changes accounts, rights, keys
    or tokens asks for a proof of identity (`admin_proof`).

    The framework's titles put a name behind « de »: « Ajout de incident ».

    Attributes:
        company_path: the way from a row to its company, for `CompanyFilter`; empty where rows belong to none.
    """

    company_path = ""

    def of_company(self, rows: QuerySet[Any], company: int) -> QuerySet[Any]:
        """The rows of a company."""
        return rows.filter(**{self.company_path: company})

    def get_list_filter(self, request: HttpRequest) -> Any:
        listed = super().get_list_filter(request)
        return (CompanyFilter, *listed) if self.company_path else listed

    @property
    def media(self) -> forms.Media:
        return super().media + company_filter_media() if self.company_path else super().media

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        # Boxes to tick need neither scripts nor a mouse.
        kwargs.setdefault("widget", forms.CheckboxSelectMultiple)
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(field.widget, AdminSplitDateTime):
            # One label, two inputs.
            for part, name in zip(field.widget.widgets, (_("date"), _("heure")), strict=True):
                part.attrs["aria-label"] = f"{capfirst(field.label)}, {name}"
        return field

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        title = capfirst(self.opts.verbose_name_plural)
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        name = self.opts.verbose_name
        title = capfirst(name) if object_id else _("Ajouter : %(name)s") % {"name": name}
        return super().changeform_view(request, object_id, form_url, {"title": title, **(extra_context or {})})


class NamedRows(_NamedChoices, TabularInline):
    """Rows whose fields have a name each: the head of a column is none."""

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset: Any = super().get_formset(request, obj, **kwargs)
        for field in formset.form.base_fields.values():
            inner = getattr(field.widget, "widget", field.widget)
            inner.attrs.setdefault("aria-label", capfirst(field.label or ""))

        class Named(formset):  # type: ignore[misc]
            def add_fields(self, form: Any, index: Any) -> None:
                super().add_fields(form, index)
                if "DELETE" in form.fields:
                    form.fields["DELETE"].widget.attrs["aria-label"] = form.fields["DELETE"].label

        return Named


class SharedAdmin(AccessibleAdmin):
    """A page that two members of staff may have open at once.

    The page of a stored object carries what it was opened on: its own fields and the rows of its inlines. When
    somebody else has changed any of it, the form comes back with what was typed, who was faster and what
    differs, and carries the present state: saving again is a decision (`companies.conflicts`).

    Attributes:
        watched: columns that belong to what the page was opened on besides the fields it shows by their name.
    """

    watched: tuple[str, ...] = ()

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        with transaction.atomic(using=router.db_for_write(self.model)):
            if request.method == "POST" and object_id:
                obj = self.get_object(request, object_id)
                if obj is not None:
                    self.hold(obj)
                    if (answer := self._gone_on(request, obj)) is not None:
                        return answer
            return super().changeform_view(request, object_id, form_url, extra_context)

    def hold(self, obj: Any) -> None:
        """Lock what the page writes until the transaction ends, in the order in which services lock."""
        self.model._base_manager.select_for_update(of=("self",)).filter(pk=obj.pk).first()

    def opened_on(self, request: HttpRequest, obj: Any) -> str:
        """What the page of an object shows and may change, as it is stored now; a short text."""
        from companies.audit import stamp

        stored = self.model._base_manager.get(pk=obj.pk)
        own = flatten_fieldsets(self.get_fieldsets(request, stored))
        names = {*own, *self.watched} - set(self.get_readonly_fields(request, stored))
        rows = []
        for inline in self.get_inline_instances(request, stored):
            if inline.has_change_permission(request, stored):
                key = _get_foreign_key(self.model, inline.model, fk_name=inline.fk_name).name
                shown = set(inline.fields or ()) - set(inline.readonly_fields)
                stored_rows = inline.model._base_manager.filter(**{key: stored.pk}).order_by("pk")
                rows.append([(row.pk, _values(row, shown)) for row in stored_rows])
        return stamp(_values(stored, names), rows, self.also_opened_on(stored))

    def is_stale(self, request: HttpRequest, obj: Any) -> bool:
        """Whether a page is sent that was opened on something else than what is stored now."""
        seen = request.POST.get(OPENED_ON)
        return seen is not None and seen != self.opened_on(request, obj)

    def also_opened_on(self, obj: Any) -> Any:
        """What else the page shows of an object and may change: what its form reads from elsewhere."""
        return None

    def history_objects(self, obj: Any) -> list[tuple[str, Any]]:
        """In whose history a change of the page stands."""
        return [(obj._meta.model_name, obj.pk)]

    def newest_change(self, obj: Any) -> Any:
        """The newest entry about what the page shows."""
        from companies.history import entries as history

        return history.newest(*self.history_objects(obj))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change, **kwargs)
        if not change or obj is None or request.method != "POST":
            return form
        page, clean_values = self, form.clean

        def clean(self: Any) -> Any:
            cleaned = clean_values(self)
            if page.is_stale(request, obj):
                self.add_error(None, page.stale(request, self))
            return cleaned

        return type(form)(form.__name__, (form,), {"clean": clean})

    def stale(self, request: HttpRequest, form: Any) -> ValidationError:
        """The refusal of a form that was opened on something else, with all that is known about it."""
        from companies.history import conflicts

        conflict = conflicts.conflict(
            request,
            entry=self.newest_change(form.instance),
            differences=conflicts.differences(form, form),
            reload_url=request.get_full_path(),
        )
        return ValidationError(render_to_string("admin/conflict.html", {"conflict": conflict}), code="stale")

    def _gone_on(self, request: HttpRequest, obj: Any) -> HttpResponse | None:
        """Redirect to an object that became read only while its page was open."""
        if self.has_change_permission(request, obj) or not self.has_change_permission(request):
            return None
        if not self.has_view_permission(request, obj) or OPENED_ON not in request.POST:
            return None
        from companies.history import conflicts

        conflicts.tell_by_message(request, entry=self.newest_change(obj))
        return HttpResponseRedirect(request.get_full_path())

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> Any:
        if change and obj is not None and self.has_change_permission(request, obj):
            context["opened_on"] = self.opened_on(request, obj)
            context["opened_on_name"] = OPENED_ON
        return super().render_change_form(request, context, add, change, form_url, obj)


class ServiceAdmin(SharedAdmin):
    """A page whose writes go through services: audited, announced, never a bare `save()`.

    Subclasses write in `save_model` and `save_inline`. What a service refuses although the form
    let it pass rolls the whole request back and is told at the top of the page.
    """

    list_per_page = 25
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except ValidationError as error:
            for message in error.messages:
                messages.error(request, message)
            return HttpResponseRedirect(request.get_full_path())

    def save_inline(self, request: HttpRequest, parent: Any, form: Any) -> None:
        """Write one changed row of an inline."""
        raise NotImplementedError

    def delete_inline(self, request: HttpRequest, parent: Any, obj: Any) -> None:
        """Remove one row of an inline."""
        raise NotImplementedError

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        # Fills the lists that the framework's own log reads; writes nothing.
        formset.save(commit=False)
        for obj in formset.deleted_objects:
            self.delete_inline(request, form.instance, obj)
        for row in formset.forms:
            if row.has_changed() and row not in formset.deleted_forms:
                self.save_inline(request, form.instance, row)


class ReadOnlyAdmin(ServiceAdmin):
    """A read-only page for records."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyInline(NamedRows):
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def changed_fields(form: Any, *names: str) -> dict[str, Any]:
    """The cleaned values of the fields that the person changed, among `names` if given."""
    return {name: form.cleaned_data[name] for name in form.changed_data if not names or name in names}


def pretty_json(value: Any) -> SafeString:
    return format_html("<pre>{}</pre>", json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True))


def link_to(obj: Any, label: object = None) -> SafeString | str:
    """A link to the admin page of an object; a dash for None."""
    if obj is None:
        return "–"
    name = f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change"
    return format_html('<a href="{}">{}</a>', reverse(name, args=[obj.pk]), label or obj)
