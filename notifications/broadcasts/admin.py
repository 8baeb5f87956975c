"""Staff pages of letters and incidents: write, look, try, ask, send, watch."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_POST, require_safe

from backoffice.base.fields import NamesField
from backoffice.base.typed import ModelForm
from companies.audit import Actor
from companies.history import conflicts
from companies.models import Company, Language, Status, User
from companies.staff.pages import OPENED_ON, ServiceAdmin, changed_fields
from notifications.broadcasts import broadcasting as broadcasts
from notifications.broadcasts import incidents, mass_mail, newsletters
from notifications.mail import emails
from notifications.mail.emails import mail_policy
from notifications.models import Broadcast, Delivery, Incident, IncidentUpdate, Message, Newsletter

MARKUP_HELP = gettext_lazy(
    "Une ligne vide sépare les paragraphes. « ## » commence un intertitre, « - » une ligne de liste. **gras**, "
    "[libellé](https://adresse)."
)


WIDE = forms.TextInput(attrs={"size": 90})


def _text_area(rows: int) -> forms.Textarea:
    return forms.Textarea(attrs={"rows": rows, "cols": 90})


# --- Letters --------------------------------------------------------------------------------------


class NewsletterForm(ModelForm):
    """A letter in both languages and the companies it is meant for."""

    countries = forms.MultipleChoiceField(
        label=gettext_lazy("Pays"), required=False, widget=forms.CheckboxSelectMultiple
    )
    languages = forms.MultipleChoiceField(
        label=gettext_lazy("Langues"), required=False, choices=Language.choices, widget=forms.CheckboxSelectMultiple
    )
    statuses = forms.MultipleChoiceField(
        label=gettext_lazy("États"),
        required=False,
        choices=Status.choices,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Une société suspendue ou fermée ne reçoit pas de lettre, même choisie ici."),
    )
    references = NamesField(
        most=newsletters.MOST_REFERENCES,
        label=gettext_lazy("Références de sociétés"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 90}),
        help_text=gettext_lazy("Pour une liste précise : les références, séparées par des espaces ou des « ; »."),
    )

    PARTS = ("countries", "languages", "statuses")

    class Meta:
        model = Newsletter
        fields = ("title_fr", "text_fr", "title_en", "text_en")
        widgets = {"title_fr": WIDE, "title_en": WIDE, "text_fr": _text_area(14), "text_en": _text_area(14)}
        help_texts = {"text_fr": MARKUP_HELP, "text_en": MARKUP_HELP}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        audience = self.instance.audience or {}
        if "countries" in self.fields:
            known = set(Company.objects.order_by().values_list("country", flat=True).distinct())
            choices = sorted(known | set(audience.get("countries", [])))
            self.fields["countries"].choices = [(code, code) for code in choices]  # type: ignore[attr-defined]
        for name in self.PARTS:
            self.initial.setdefault(name, audience.get(name, []))
        self.initial.setdefault("references", "; ".join(audience.get("references", [])))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        audience = {name: cleaned.get(name, []) for name in self.PARTS}
        audience["references"] = cleaned.get("references", [])
        try:
            cleaned["audience"] = newsletters.check_audience(audience)
        except ValidationError as error:
            self.add_error("references", error.messages)
        return cleaned

    def values(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in newsletters.FIELDS}


@admin.register(Newsletter)
class NewsletterAdmin(ServiceAdmin):
    form = NewsletterForm
    watched = newsletters.FIELDS
    change_form_template = "admin/notifications/newsletter/change_form.html"
    list_display = ("title_shown", "state", "sent_shown", "created_by", "created_at")
    list_select_related = ("broadcast",)
    search_fields = ("title_fr", "title_en", "text_fr", "text_en")
    fieldsets = (
        (gettext_lazy("En français"), {"fields": ("title_fr", "text_fr")}),
        (gettext_lazy("En anglais"), {"fields": ("title_en", "text_en")}),
        (
            gettext_lazy("À qui"),
            {
                "fields": ("countries", "languages", "statuses", "references"),
                "description": gettext_lazy(
                    "Aux Contacts gestionnaires, un message par adresse. Sans aucun choix : toutes les sociétés."
                ),
            },
        ),
    )

    @admin.display(description=gettext_lazy("titre"), ordering="title_fr")
    def title_shown(self, newsletter: Newsletter) -> str:
        return newsletter.title

    @admin.display(description=gettext_lazy("état"))
    def state(self, newsletter: Newsletter) -> str:
        broadcast = getattr(newsletter, "broadcast", None)
        if broadcast is None:
            return pgettext("newsletter", "Brouillon")
        url = reverse("admin:notifications_newsletter_progress", args=[newsletter.pk])
        return format_html('<a href="{}">{}</a>', url, _state(broadcasts.progress(broadcast)))

    @admin.display(description=gettext_lazy("adresses"))
    def sent_shown(self, newsletter: Newsletter) -> str:
        broadcast = getattr(newsletter, "broadcast", None)
        return str(broadcast.planned) if broadcast else "–"

    def has_change_permission(self, request: HttpRequest, obj: Newsletter | None = None) -> bool:
        # What left is what people read; it does not change any more.
        return super().has_change_permission(request, obj) and (obj is None or not hasattr(obj, "broadcast"))

    def has_send_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.send_newsletter")

    def get_form(self, request: HttpRequest, obj: Newsletter | None = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None and not self.has_change_permission(request, obj):
            # Read only: the framework reads the fields from the object, where the filter is one column.
            kwargs |= {"form": forms.ModelForm, "fields": ()}
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Newsletter | None = None) -> Any:
        if obj is not None and not self.has_change_permission(request, obj):
            shown = ("created_by", "created_at", "audience_shown")
            return (*self.fieldsets[:2], (gettext_lazy("À qui"), {"fields": shown}))
        return self.fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Newsletter | None = None) -> Any:
        if obj is not None and not self.has_change_permission(request, obj):
            return ("title_fr", "text_fr", "title_en", "text_en", "created_by", "created_at", "audience_shown")
        return ()

    @admin.display(description=gettext_lazy("destinataires"))
    def audience_shown(self, newsletter: Newsletter) -> str:
        parts = [", ".join(values) for values in newsletter.audience.values() if values]
        return " · ".join(parts) or _("toutes les sociétés")

    def save_model(self, request: HttpRequest, obj: Newsletter, form: Any, change: bool) -> None:
        actor = Actor.of(request)
        if change:
            newsletters.newsletter_update(newsletter=Newsletter.objects.get(pk=obj.pk), actor=actor, **form.values())
        else:
            obj.__dict__.update(newsletters.newsletter_create(actor=actor, **form.values()).__dict__)

    def response_add(self, request: HttpRequest, obj: Newsletter, post_url_continue: str | None = None) -> HttpResponse:
        """A new letter is looked at next."""
        messages.success(request, _("La lettre est enregistrée. Rien n'est parti : voici ce qu'elle donnera."))
        return redirect("admin:notifications_newsletter_preview", obj.pk)

    # --- Its own pages ----------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        pages: list[tuple[str, Any, str]] = [
            ("<int:key>/preview/", self.preview_view, "preview"),
            ("<int:key>/preview/<str:language>/", self.mail_view, "mail"),
            ("<int:key>/try/", self.try_view, "try"),
            ("<int:key>/send/", self.send_view, "send"),
            ("<int:key>/progress/", self.progress_view, "progress"),
        ]
        own = [
            path(route, self.admin_site.admin_view(view), name=f"notifications_newsletter_{name}")
            for route, view, name in pages
        ]
        own += [
            path(
                f"<int:key>/{verb}/",
                self.admin_site.admin_view(self.switch_view),
                {"verb": verb},
                name=f"notifications_newsletter_{verb}",
            )
            for verb in ("pause", "resume", "cancel")
        ]
        return own + super().get_urls()

    def _letter(self, request: HttpRequest, key: int, *, send: bool = False) -> Newsletter:
        allowed = self.has_send_permission(request) if send else self.has_view_permission(request)
        if not allowed:
            raise PermissionDenied
        letter = Newsletter.objects.select_related("broadcast").filter(pk=key).first()
        if letter is None:
            raise Http404
        return letter

    def _page(self, request: HttpRequest, newsletter: Newsletter, title: str, **more: Any) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "newsletter": newsletter,
            "title": title,
            "may_send": self.has_send_permission(request),
            **more,
        }

    @method_decorator(require_safe)
    def preview_view(self, request: HttpRequest, key: int) -> HttpResponse:
        """The letter as it would arrive, in both languages, and who it would reach."""
        newsletter = self._letter(request, key)
        versions = []
        for language, name in Language.choices:
            delivery = _sample(newsletter, language)
            text = emails.filled(delivery, "")[0]
            assert delivery.message
            versions.append({"code": language, "name": name, "subject": delivery.message.subject, "text": text})
        audience = mass_mail.Audience.of_reach(newsletters.newsletter_reach(newsletter))
        context = self._page(request, newsletter, _("Aperçu de la lettre"), versions=versions, audience=audience)
        context |= {"opened_on": self.opened_on(request, newsletter), "opened_on_name": OPENED_ON}
        return render(request, "admin/notifications/newsletter/preview.html", context)

    @method_decorator(require_safe)
    @method_decorator(xframe_options_sameorigin)
    def mail_view(self, request: HttpRequest, key: int, language: str) -> HttpResponse:
        """One language of it, in a frame of the preview: no script, no image, no request to anywhere."""
        newsletter = self._letter(request, key)
        if language not in Language.values:
            raise Http404
        html = emails.filled(_sample(newsletter, language), "")[1]
        response = HttpResponse(html)
        response.headers["Content-Security-Policy"] = mail_policy(html)
        return response

    @method_decorator(require_POST)
    def try_view(self, request: HttpRequest, key: int) -> HttpResponse:
        """Send it to oneself, once per language."""
        newsletter = self._letter(request, key, send=True)
        user = request.user
        assert isinstance(user, User)
        try:
            newsletters.newsletter_try(newsletter=newsletter, staff=user, actor=Actor.of(request))
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        else:
            done = _("Deux messages d'essai, en français et en anglais, partent vers %(address)s.")
            messages.success(request, done % {"address": user.email})
        return redirect("admin:notifications_newsletter_preview", key)

    @method_decorator(require_POST)
    def send_view(self, request: HttpRequest, key: int) -> HttpResponse:
        """Ask, then send the letter in the version that was looked at."""
        preview = reverse("admin:notifications_newsletter_preview", args=[key])
        with transaction.atomic():
            newsletter = self._letter(request, key, send=True)
            self.hold(newsletter)
            if self.is_stale(request, newsletter):
                conflicts.tell_by_message(request, entry=self.newest_change(newsletter))
                return redirect(preview)
            return self._send(request, newsletter, preview)

    def _send(self, request: HttpRequest, newsletter: Newsletter, preview: str) -> HttpResponse:
        reach = newsletters.newsletter_reach(newsletter)
        if not hasattr(newsletter, "broadcast"):
            answer = mass_mail.question(
                request,
                audience=mass_mail.Audience.of_reach(reach),
                title=_("Envoyer « %(title)s » ?") % {"title": newsletter.title},
                sentence=_("La lettre part aussitôt. Elle ne pourra plus être modifiée ; l'envoi peut être arrêté."),
                action=_("Envoyer la lettre"),
                threshold=0,
                back=preview,
            )
            if answer is not None:
                return answer
        try:
            newsletters.newsletter_send(newsletter=newsletter, actor=Actor.of(request), planned=len(reach.addresses))
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return redirect(preview)
        return redirect("admin:notifications_newsletter_progress", newsletter.pk)

    @method_decorator(require_safe)
    def progress_view(self, request: HttpRequest, key: int) -> HttpResponse:
        """How far it is; with scripts the counts renew themselves."""
        newsletter = self._letter(request, key)
        if not hasattr(newsletter, "broadcast"):
            return redirect("admin:notifications_newsletter_preview", key)
        progress = broadcasts.progress(newsletter.broadcast)
        context = self._page(request, newsletter, _("Envoi de la lettre"), progress=progress, state=_state(progress))
        piece = "progress_state" if request.headers.get("HX-Request") else "progress"
        return render(request, f"admin/notifications/newsletter/{piece}.html", context)

    @method_decorator(require_POST)
    def switch_view(self, request: HttpRequest, key: int, verb: str) -> HttpResponse:
        """Pause, resume or stop."""
        newsletter = self._letter(request, key, send=True)
        if not hasattr(newsletter, "broadcast"):
            raise Http404
        if verb == "cancel" and "confirmed" not in request.POST:
            progress = broadcasts.progress(newsletter.broadcast)
            context = self._page(request, newsletter, _("Arrêter l'envoi ?"), progress=progress)
            return render(request, "admin/notifications/newsletter/stop.html", context)
        service, done = {
            "pause": (newsletters.newsletter_pause, _("L'envoi est en pause.")),
            "resume": (newsletters.newsletter_resume, _("L'envoi reprend.")),
            "cancel": (newsletters.newsletter_cancel, _("L'envoi est arrêté.")),
        }[verb]
        if service(newsletter=newsletter, actor=Actor.of(request)):
            messages.success(request, done)
        else:
            messages.warning(request, _("L'envoi n'est plus dans un état qui le permet."))
        return redirect("admin:notifications_newsletter_progress", key)


def _state(progress: broadcasts.Progress) -> str:
    """The state of a broadcast in a word or two."""
    status = progress.broadcast.status
    if status == Broadcast.Status.CANCELLED:
        return pgettext("broadcast", "Arrêté")
    if progress.is_over:
        return pgettext("broadcast", "Terminé")
    return pgettext("broadcast", "En pause") if status == Broadcast.Status.PAUSED else pgettext("broadcast", "En cours")


def _sample(newsletter: Newsletter, language: str) -> Delivery:
    """An unsaved delivery, for the preview of a letter."""
    message: Message = broadcasts.compose(newsletter, language)
    return Delivery(notification="newsletter", message=message, resolution={"reason": "company_manager"})


# --- Incidents ------------------------------------------------------------------------------------


class IncidentFactsForm(ModelForm):
    """What an incident is, without a message: all that can be corrected of a resolved one."""

    started_at = forms.DateTimeField(
        label=gettext_lazy("Commencé le"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    class Meta:
        model = Incident
        fields = incidents.FIELDS
        widgets = {"title_fr": WIDE, "title_en": WIDE}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        started = self.initial.get("started_at") or timezone.now()
        # The field shows minutes; leaving it alone is no change of the seconds.
        self.initial["started_at"] = started.replace(second=0, microsecond=0)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        started = cleaned.get("started_at")
        if started and started > timezone.now() and cleaned.get("impact") != Incident.Impact.MAINTENANCE:
            self.add_error("started_at", _("Seule une maintenance peut commencer dans l'avenir."))
        return cleaned

    def values(self, *names: str) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in names}


class IncidentForm(IncidentFactsForm):
    """An incident and, with it, its next message; on an existing one the message may be left out."""

    state = forms.ChoiceField(label=gettext_lazy("Nouvel état"), choices=IncidentUpdate.State.choices)
    text_fr = forms.CharField(
        label=gettext_lazy("Message en français"), max_length=4000, widget=_text_area(6), help_text=MARKUP_HELP
    )
    text_en = forms.CharField(label=gettext_lazy("Message en anglais"), max_length=4000, widget=_text_area(6))

    MESSAGE = ("state", "text_fr", "text_en")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        last = self.instance.updates.last() if self.instance.pk else None
        if last is not None:
            self.initial.setdefault("state", last.state)
            for name in ("text_fr", "text_en"):
                if name in self.fields:
                    self.fields[name].required = False

    @property
    def tells(self) -> bool:
        """Whether saving publishes a message."""
        return bool(self.cleaned_data.get("text_fr") or self.cleaned_data.get("text_en"))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name, other in (("text_fr", "text_en"), ("text_en", "text_fr")):
            if cleaned.get(name) and not cleaned.get(other) and other in self.fields and other not in self.errors:
                self.add_error(other, _("Écrivez le message dans les deux langues."))
        if "state" in self.fields and "state" in self.changed_data and self.instance.pk and not self.tells:
            self.add_error("text_fr", _("Un nouvel état s'accompagne d'un message."))
        return cleaned


def _told(update: IncidentUpdate) -> dict[str, Any]:
    broadcast = getattr(update, "broadcast", None)
    return {"update": update, "progress": broadcasts.progress(broadcast) if broadcast else None}


class OpenFilter(admin.SimpleListFilter):
    """Those that run, or those that are over."""

    title = gettext_lazy("déroulement")
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", _("ouverts")), ("0", _("résolus"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Incident]) -> QuerySet[Incident]:
        return queryset.filter(resolved_at__isnull=self.value() == "1") if self.value() in ("0", "1") else queryset


@admin.register(Incident)
class IncidentAdmin(ServiceAdmin):
    form = IncidentForm
    list_display = ("title_shown", "impact", "state_shown", "started_at", "resolved_at")
    list_filter = (OpenFilter, "impact")
    search_fields = ("title_fr", "title_en", "updates__text_fr", "updates__text_en")
    readonly_fields = ("told",)

    @admin.display(description=gettext_lazy("titre"), ordering="title_fr")
    def title_shown(self, incident: Incident) -> str:
        return incident.title

    @admin.display(description=gettext_lazy("état"))
    def state_shown(self, incident: Incident) -> str:
        last = max(incident.updates.all(), key=lambda update: (update.at, update.pk), default=None)
        return str(last.get_state_display()) if last else "–"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("updates__broadcast")

    @admin.display(description=gettext_lazy("messages publiés"))
    def told(self, incident: Incident) -> str:
        """Every message, newest first, in both languages, with how many it reached."""
        updates = sorted(incident.updates.all(), key=lambda update: (update.at, update.pk), reverse=True)
        return render_to_string("admin/notifications/incident/told.html", {"rows": [_told(item) for item in updates]})

    def get_fieldsets(self, request: HttpRequest, obj: Incident | None = None) -> Any:
        sets: list[Any] = [(None, {"fields": incidents.FIELDS})]
        if self._may_tell(request, obj):
            hint = _(
                "Publié sur la page d'état des services et envoyé aux contacts en cas d'incident, une adresse à la fois."
            )
            sets.append((_("Message à publier"), {"fields": IncidentForm.MESSAGE, "description": hint}))
        if obj is not None:
            sets.append((_("Déjà publié"), {"fields": ("told",)}))
        return sets

    def also_opened_on(self, obj: Incident) -> Any:
        # Whoever writes the next message has read the last one.
        return list(obj.updates.order_by("pk").values_list("pk", flat=True))

    def _may_tell(self, request: HttpRequest, obj: Incident | None) -> bool:
        if obj is None:
            return True
        return obj.resolved_at is None and self.has_change_permission(request, obj)

    def get_form(self, request: HttpRequest, obj: Incident | None = None, change: bool = False, **kwargs: Any) -> Any:
        if not self._may_tell(request, obj):
            kwargs["form"] = IncidentFactsForm
        return super().get_form(request, obj, change, **kwargs)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        if request.method == "POST" and (answer := self._question(request, object_id)):
            return answer
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _question(self, request: HttpRequest, object_id: str | None) -> HttpResponse | None:
        """Ask before a message goes to many; a form with errors is shown again instead."""
        obj = self.get_object(request, object_id) if object_id else None
        allowed = self.has_change_permission(request, obj) if object_id else self.has_add_permission(request)
        if not allowed or (object_id and obj is None) or not self._may_tell(request, obj):
            return None
        form = self.get_form(request, obj, change=obj is not None)(request.POST, request.FILES, instance=obj)
        if not form.is_valid() or not form.tells:
            return None
        return mass_mail.question(
            request,
            audience=mass_mail.Audience.of_reach(incidents.incident_reach()),
            title=_("Publier ce message ?"),
            sentence=_("Il paraît sur la page d'état des services et part aussitôt aux contacts en cas d'incident."),
            action=_("Publier et envoyer"),
        )

    def save_model(self, request: HttpRequest, obj: Incident, form: Any, change: bool) -> None:
        actor = Actor.of(request)
        if not change:
            created = incidents.incident_open(actor=actor, **form.values(*incidents.FIELDS, *IncidentForm.MESSAGE))
            obj.__dict__.update(created.__dict__)
            self._tell_reach(request, created)
            return
        incident = Incident.objects.get(pk=obj.pk)
        incidents.incident_correct(incident=incident, actor=actor, **changed_fields(form, *incidents.FIELDS))
        if getattr(form, "tells", False):
            incidents.incident_tell(incident=incident, actor=actor, **form.values(*IncidentForm.MESSAGE))
            self._tell_reach(request, incident)

    def _tell_reach(self, request: HttpRequest, incident: Incident) -> None:
        update = incident.updates.order_by("-at", "-pk").first()
        assert update
        count = broadcasts.progress(update.broadcast).total
        text = ngettext("Le message part vers %(n)d adresse.", "Le message part vers %(n)d adresses.", count)
        messages.success(request, text % {"n": count})
