"""« Atelier des e-mails »: every mail of the catalogue with sample data, as its readers see it, for staff."""

from dataclasses import dataclass
from functools import cached_property
from html import unescape
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_POST, require_safe

from backoffice.base.paging import paginate
from companies.audit import Actor
from companies.models import Language, User
from notifications.core import catalogue
from notifications.mail import emails, showcase
from notifications.mail.emails import Filled
from notifications.mail.layout import PREVIEW_IN_HTML
from notifications.mail.showcase import MODES, Sample
from notifications.sending import atelier_services

PER_PAGE = 20
# The widths of a window on a desk and of a phone.
WIDTHS = (600, 360)


class AtelierFilter(forms.Form):
    """What is listed; a value that is none counts as not given."""

    q = forms.CharField(label=gettext_lazy("Chercher"), required=False, max_length=100)
    notification = forms.ChoiceField(
        label=gettext_lazy("Notification"),
        required=False,
        choices=[
            ("", gettext_lazy("Toutes")),
            *((row.code, row.label) for row in catalogue.CATALOGUE if row.code in showcase.NOTIFICATIONS),
        ],
    )
    language = forms.ChoiceField(label=gettext_lazy("Langue"), required=False, choices=Language.choices)
    mode = forms.ChoiceField(
        label=gettext_lazy("État"),
        required=False,
        choices=[("", gettext_lazy("TEST et PRODUCTION")), *((mode, mode) for mode in MODES)],
    )

    def given(self, name: str) -> str:
        self.is_valid()
        return str(self.cleaned_data.get(name) or "")


@dataclass(frozen=True)
class Shown:
    """One sample in one language and mode, composed when it is looked at."""

    sample: Sample
    language: str
    mode: str

    @property
    def url(self) -> str:
        return self._url("atelier_mail")

    @property
    def frame_url(self) -> str:
        return self._url("atelier_html")

    def _url(self, name: str) -> str:
        query = {"language": self.language, "mode": self.mode}
        return reverse(f"admin:{name}", args=[self.sample.key], query=query)

    @cached_property
    def _delivery(self) -> Any:
        return showcase.composed(self.sample, self.language, self.mode)

    @property
    def subject(self) -> str:
        return str(self._delivery.message.subject)

    @cached_property
    def filled(self) -> Filled:
        return emails.fill(self._delivery)

    @cached_property
    def parts(self) -> tuple[str, str]:
        return self.filled.as_read()

    @property
    def preview(self) -> str:
        match = PREVIEW_IN_HTML.search(self.parts[1])
        return unescape(match[1]) if match else ""

    @property
    def size(self) -> int:
        """Kilobytes of both forms."""
        return sum(len(part.encode()) for part in self.parts) // 1024 + 1

    def headers(self) -> list[tuple[str, str]]:
        filled = self.filled
        named = [("From", filled.sender), ("To", ", ".join(filled.to)), ("Subject", self.subject)]
        if filled.reply_to:
            named.append(("Reply-To", filled.reply_to))
        return [*named, *filled.headers.items()]

    def holds(self, words: list[str]) -> bool:
        said = f"{self.sample.key} {self.sample.label} {self.subject} {self.parts[0]}".casefold()
        return all(word in said for word in words)


def _check(request: HttpRequest) -> None:
    if not request.user.has_perm("notifications.view_delivery"):
        raise PermissionDenied


def _language() -> str:
    language = (get_language() or "fr")[:2]
    return language if language in showcase.LANGUAGES else "fr"


@require_safe
def mails(request: HttpRequest) -> HttpResponseBase:
    """The list of all samples."""
    _check(request)
    form = AtelierFilter({"language": _language(), **request.GET.dict()})
    language, only, code = (form.given(name) for name in ("language", "mode", "notification"))
    words = form.given("q").casefold().split()
    listed = [
        Shown(sample, language or _language(), mode)
        for sample in showcase.SAMPLES
        if not code or sample.notification == code
        for mode in sample.modes
        if not only or mode == only
    ]
    if words:
        listed = [shown for shown in listed if shown.holds(words)]
    context = {
        **admin.site.each_context(request),
        "title": _("Atelier des e-mails"),
        "form": form,
        "page": paginate(request, listed, default=PER_PAGE),
        "total": len(listed),
    }
    return TemplateResponse(request, "admin/atelier.html", context)


def _shown_or_404(request: HttpRequest, key: str) -> Shown:
    _check(request)
    given = request.POST if request.method == "POST" else request.GET
    sample = showcase.BY_KEY.get(key)
    language = given.get("language") or _language()
    if sample is None or language not in showcase.LANGUAGES:
        raise Http404
    mode = given.get("mode") or sample.modes[0]
    if mode not in sample.modes:
        raise Http404
    return Shown(sample, language, mode)


@require_safe
def mail(request: HttpRequest, key: str) -> HttpResponseBase:
    """One sample: as HTML in two widths, as text, and its headers."""
    shown = _shown_or_404(request, key)
    user = request.user
    assert isinstance(user, User)
    position = showcase.SAMPLES.index(shown.sample)
    others = {
        "before": showcase.SAMPLES[position - 1] if position else None,
        "after": showcase.SAMPLES[position + 1] if position + 1 < len(showcase.SAMPLES) else None,
    }
    context = {
        **admin.site.each_context(request),
        "title": shown.sample.label,
        "shown": shown,
        "versions": [
            Shown(shown.sample, language, mode) for mode in shown.sample.modes for language in showcase.LANGUAGES
        ],
        "widths": WIDTHS,
        "own_address": user.link_email,
        **{name: Shown(one, shown.language, one.modes[0]) if one else None for name, one in others.items()},
    }
    return TemplateResponse(request, "admin/atelier_mail.html", context)


@require_safe
@xframe_options_sameorigin
def html(request: HttpRequest, key: str) -> HttpResponseBase:
    """The HTML form, in a frame: no script, no request to anywhere."""
    content = _shown_or_404(request, key).parts[1]
    response = HttpResponse(content)
    response.headers["Content-Security-Policy"] = emails.mail_policy(content)
    return response


@require_POST
def send(request: HttpRequest, key: str) -> HttpResponseBase:
    """« Envoyer à moi-même »: this one, to the own verified address."""
    shown = _shown_or_404(request, key)
    user = request.user
    assert isinstance(user, User)
    try:
        atelier_services.sample_send(
            sample=shown.sample, language=shown.language, mode=shown.mode, staff=user, actor=Actor.of(request)
        )
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, _("L'exemple part vers %(address)s.") % {"address": user.link_email})
    return redirect(shown.url)
