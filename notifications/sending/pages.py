"""« État de l'envoi »: the figures of the outbox, what needs a person, and the pauses, for staff."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from backoffice.base.typed import ModelForm
from companies.audit import Actor
from companies.models import Company
from notifications.calls.door import endpoint_of
from notifications.events import doorbell
from notifications.models import Delivery, Hold, Lane, SendingLimit
from notifications.outbox import holds, limits, parts, state
from notifications.outbox.holds import CALLS

QUEUE_STATES = {
    "ready": gettext_lazy("prêts"),
    "kept": gettext_lazy("retenus : société ou boutique suspendue ou fermée"),
    "waiting": gettext_lazy("attendent leur heure"),
    "sending": gettext_lazy("en cours"),
}


class PauseForm(ModelForm):
    """What is paused; every field that is left empty leaves it open."""

    company = forms.CharField(
        label=gettext_lazy("société (référence)"),
        required=False,
        max_length=100,
        help_text=gettext_lazy("Seul compte ce qui est rempli : un champ vide ne restreint rien."),
    )
    endpoint = forms.CharField(label=gettext_lazy("serveur appelé (URL)"), required=False, max_length=300)
    everything = forms.BooleanField(label=gettext_lazy("tout arrêter, pour toutes les sociétés"), required=False)

    class Meta:
        model = Hold
        fields = ("company", "channel", "lane", "endpoint", "reason")

    def clean_company(self) -> Company | None:
        reference = self.cleaned_data["company"].strip()
        if not reference:
            return None
        company = Company.objects.filter(reference=reference).first()
        if company is None:
            raise ValidationError(_("Aucune société n'a la référence « %(reference)s ».") % {"reference": reference})
        return company

    def clean_endpoint(self) -> str:
        url = self.cleaned_data["endpoint"].strip()
        try:
            return endpoint_of(url)[:300] if url else ""
        except ValueError as error:
            raise ValidationError(_("Cette URL ne nomme aucun serveur.")) from error

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        everything = cleaned.pop("everything", False)
        restricted = any(cleaned.get(name) for name in ("company", "channel", "lane", "endpoint"))
        if not self.errors and not restricted and not everything:
            raise ValidationError(_("Dites ce qui est à mettre en pause, ou cochez « tout arrêter »."))
        return cleaned

    def _post_clean(self) -> None:
        """Judged by the service, which knows what goes together; the same pause twice is no error."""


def _check(request: HttpRequest, *, act: bool = False) -> None:
    user: Any = request.user
    if not user.has_perm("notifications.view_delivery") or (act and not user.has_perm("notifications.change_delivery")):
        raise PermissionDenied


def _rows(stands: state.State) -> list[dict[str, Any]]:
    channels, lanes = dict(Delivery.ChannelChoice.choices), dict(Lane.choices)
    return [
        {
            "channel": channels[one.channel],
            "lane": "–" if one.lane == CALLS else lanes[one.lane],
            "state": QUEUE_STATES[one.state],
            "count": one.count,
            "minutes": one.oldest_seconds // 60,
        }
        for one in stands.queue
    ]


@require_http_methods(["GET", "HEAD", "POST"])
def sending(request: HttpRequest) -> HttpResponseBase:
    """The state now, which scripts ask for again every few seconds; a POST pauses."""
    _check(request, act=request.method == "POST")
    form = PauseForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            holds.pause(actor=Actor.of(request), **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, _("L'envoi est en pause : ce qui est concerné attend."))
            return redirect("admin:sending")
    return _page(request, form=form)


def _page(
    request: HttpRequest, form: PauseForm | None = None, limit_form: "LimitForm | None" = None
) -> HttpResponseBase:
    stands = state.now_stands()
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("État de l'envoi"),
        "form": form or PauseForm(),
        "limit_form": limit_form or LimitForm(),
        "limits": SendingLimit.objects.order_by("name"),
        "stands": stands,
        "queue": _rows(stands),
        "problems": [*parts.foundations(), *parts.of_sending(stands)],
        "holds": Hold.objects.select_related("company").order_by("created_at"),
        "may_act": request.user.has_perm("notifications.change_delivery"),
    }
    if request.headers.get("HX-Request"):
        return TemplateResponse(request, "admin/sending_state.html", context)
    return TemplateResponse(request, "admin/sending.html", context)


class LimitForm(forms.Form):
    """A limit of mail to a domain, or through a mail server."""

    prefix = "limit"
    name = forms.CharField(label=gettext_lazy("domaine, ou serveur d'envoi (nom:port)"), max_length=300)
    per_minute = forms.IntegerField(
        label=gettext_lazy("e-mails par minute"), required=False, min_value=1, max_value=1_000_000
    )
    connections = forms.IntegerField(
        label=gettext_lazy("connexions à la fois"), required=False, min_value=1, max_value=1000
    )


@require_POST
def limit(request: HttpRequest) -> HttpResponseBase:
    """Set a limit; what it has no room for waits for its turn."""
    _check(request, act=True)
    form = LimitForm(request.POST)
    if form.is_valid():
        try:
            kept = limits.set_limit(actor=Actor.of(request), **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, _("La limite de %(name)s vaut dans deux secondes.") % {"name": kept.name})
            return redirect("admin:sending")
    return _page(request, limit_form=form)


@require_POST
def unlimit(request: HttpRequest, key: int) -> HttpResponseBase:
    """Remove a limit; nothing happens if another user has removed it."""
    _check(request, act=True)
    row = SendingLimit.objects.filter(pk=key).first()
    if row is not None and limits.remove_limit(actor=Actor.of(request), name=row.name):
        doorbell.ring()
    messages.success(request, _("La limite est retirée : ce qui attendait son tour part."))
    return redirect("admin:sending")


@require_POST
def resume(request: HttpRequest, key: int) -> HttpResponseBase:
    """End one pause; one that is over already is over."""
    _check(request, act=True)
    if holds.resume(actor=Actor.of(request), holds=Hold.objects.filter(pk=key)):
        doorbell.ring()
    messages.success(request, _("La pause est terminée : l'envoi reprend."))
    return redirect("admin:sending")
