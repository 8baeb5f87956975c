"""Paramétrage > Règles de notifications > Contenu de l'e-mail."""

import secrets
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from backoffice.base import private_cache
from backoffice.base.forms import add_errors, carried_number, read_only
from backoffice.base.methods import get_and_post
from companies.audit import Actor, StaleVersion
from companies.history import conflicts
from companies.history import entries as history
from companies.rights import access, permissions
from companies.rights.access import CompanyRequest, company_page, shop_or_404
from notifications.core import templating, wording
from notifications.core.catalogue import MODES
from notifications.mail import samples
from notifications.mail.composers.base import Context
from notifications.mail.composers.rules import source_of
from notifications.mail.default_texts import default_text
from notifications.mail.emails import mail_policy
from notifications.models import Event, NotificationRule
from notifications.readers import rules_of
from notifications.rules import services as rule_services
from notifications.rules.content_forms import ContentForm
from notifications.rules.views import told_of_removal

# How long the preview of an unsaved text may be looked at, in seconds.
DRAFT_LIFE = 900


def _rule_or_404(request: CompanyRequest, site_id: str, reference: str) -> NotificationRule:
    shop = shop_or_404(request, site_id)
    rule = get_object_or_404(rules_of(shop), reference=reference)
    if not templating.has_content(rule.type):
        raise Http404
    rule.shop = shop
    return rule


def _language(request: CompanyRequest, rule: NotificationRule) -> str:
    asked = request.GET.get("language", "")
    return asked if asked in templating.LANGUAGES else rule.shop.language


def _shown(request: CompanyRequest, rule: NotificationRule) -> tuple[str, str]:
    """(trigger, mode) of the preview asked for, or the first trigger in PRODUCTION."""
    asked = request.POST if request.method == "POST" else request.GET
    trigger, mode = asked.get("preview_trigger", ""), asked.get("preview_mode", "")
    return (trigger if trigger in rule.triggers else rule.triggers[0], mode if mode in MODES else "PRODUCTION")


def _url(name: str, rule: NotificationRule, **query: str) -> str:
    url = reverse(name, args=[rule.shop.site_id, rule.reference])
    return f"{url}?{urlencode(query)}" if query else url


@company_page()
@get_and_post
def rule_content(request: CompanyRequest, site_id: str, reference: str) -> HttpResponse:
    """Texts of one language, fields to include, and the preview of what is typed.

    A POST with `action=preview` or `move` stores nothing; htmx is given the preview alone.
    """
    if (gone := told_of_removal(request, site_id, reference)) is not None:
        return gone
    rule = _rule_or_404(request, site_id, reference)
    language = _language(request, rule)
    trigger, mode = _shown(request, rule)
    may_edit = access.can(request.membership, permissions.MANAGE_RULES, rule.shop)
    if request.method == "POST" and not may_edit:
        raise PermissionDenied
    form = ContentForm(
        request.POST if request.method == "POST" else None, rule=rule, language=language, trigger=trigger
    )
    trial = "action" in request.POST or "move" in request.POST
    if form.is_bound and form.is_valid() and not trial and _save(request, rule, form):
        return redirect(_url("rule_content", rule, language=language))
    if not may_edit:
        read_only(form)
    preview = _preview(request, rule, form, language, trigger, mode)
    if request.headers.get("HX-Request") and request.POST.get("action") == "preview":
        return render(request, "notifications/rules/content_preview.html", preview | {"live": True})
    context = (
        preview
        | _context(rule, form, language, samples.sample_event(rule.shop, trigger, mode))
        | {
            # Whoever just moved a field, or chose a wrong one, goes on with the list.
            "fields_open": "move" in request.POST or "fields_included" in form.errors,
            "may_edit": may_edit,
            "last_change": history.last_change(request.company.pk, ("notificationrule", rule.pk)),
        }
    )
    return render(request, "notifications/rules/content.html", context)


def _context(rule: NotificationRule, form: ContentForm, language: str, sample: Event) -> dict[str, Any]:
    """What the page shows of a rule in one language, apart from the preview."""
    source = source_of(Context(sample, rule), rule)
    rows = form.rows()
    return {
        "form": form,
        "rule": rule,
        "shop": rule.shop,
        "language": language,
        "languages": [
            (code, label, code == rule.shop.language, bool(rule.email_texts.get(code)))
            for code, label in (("fr", _("Français")), ("en", _("Anglais")))
        ],
        "placeholders": [
            (f"%{field.code}%", field.label, field.read(source)) for field in templating.inline_fields(rule.type)
        ],
        "blocks": [(f"%{code}%", templating.BLOCKS[code]) for code in templating.BLOCKS_OF[rule.type]],
        "defaults": [(wording.trigger_label(code), default_text(rule.type, code, language)) for code in rule.triggers],
        "rows": rows,
        "chosen_count": sum(row["chosen"] for row in rows),
        "several_help": _(
            "Cette règle a plusieurs événements déclencheurs : un texte personnalisé vaut pour tous. "
            "%(field)s y écrit le nom de l'événement."
        )
        % {"field": "%event%"},
        "percent_help": _(
            "Chacun est remplacé par sa valeur à l'envoi. Un signe pour cent qui touche un mot s'écrit deux fois : %(twice)s."
        )
        % {"twice": "%%"},
        "triggers": [(code, wording.trigger_label(code)) for code in rule.triggers],
        "modes": MODES,
        "back": reverse("rule", args=[rule.shop.site_id, rule.reference]),
        "personalised": bool(rule.email_texts.get(language)),
    }


def _save(request: CompanyRequest, rule: NotificationRule, form: ContentForm) -> bool:
    try:
        changes = rule_services.rule_update(
            rule=rule, actor=Actor.of(request), seen=form.cleaned_data["version"], **form.saved()
        )
    except StaleVersion:
        rule = _rule_or_404(request, rule.shop.site_id, rule.reference)
        fresh = ContentForm(rule=rule, language=_language(request, rule), trigger=_shown(request, rule)[0])
        conflicts.tell(request, form, fresh, ("notificationrule", rule.pk))
        return False
    except ValidationError as error:
        add_errors(form, error)
        return False
    if changes:
        messages.success(
            request, _("Le contenu de l'e-mail de la règle « %(rule)s » est enregistré.") % {"rule": rule.display_label}
        )
    else:
        messages.info(request, _("Rien n'a changé."))
    return True


def _preview(
    request: CompanyRequest, rule: NotificationRule, form: ContentForm, language: str, trigger: str, mode: str
) -> dict[str, Any]:
    """The mail of the texts in the form, or nothing while they have errors; its frame's address."""
    if form.is_bound and form.errors:
        return {"mail": None, "problems": [str(error) for errors in form.errors.values() for error in errors]}
    event = samples.sample_event(rule.shop, trigger, mode)
    shown = {"trigger": trigger, "mode": mode}
    if not form.is_bound:
        url = _url("rule_content_preview", rule, language=language, preview_trigger=trigger, preview_mode=mode)
        return {"mail": samples.rehearse(rule, event, language), "frame_url": url, "shown": shown}
    saved = form.saved()
    mail = samples.rehearse(
        rule, event, language, texts=saved["email_texts"], fields=saved["email_fields"], edited=True
    )
    draft = secrets.token_urlsafe(16)
    private_cache.put(_draft_key(request, rule, draft), mail.html, DRAFT_LIFE)
    return {"mail": mail, "frame_url": _url("rule_content_preview", rule, draft=draft), "shown": shown}


def _draft_key(request: CompanyRequest, rule: NotificationRule, draft: str) -> str:
    return f"rule-preview-{request.user.pk}-{rule.pk}-{draft}"


@company_page()
@require_safe
@xframe_options_sameorigin
def rule_content_preview(request: CompanyRequest, site_id: str, reference: str) -> HttpResponse:
    """The HTML of a preview, shut off from everything like a mail of the journal."""
    rule = _rule_or_404(request, site_id, reference)
    draft = request.GET.get("draft", "")[:40]
    if draft:
        html = (
            private_cache.get(_draft_key(request, rule, draft))
            if draft.replace("-", "").replace("_", "").isalnum()
            else None
        )
        if html is None:
            raise Http404
    else:
        trigger, mode = _shown(request, rule)
        html = samples.rehearse(rule, samples.sample_event(rule.shop, trigger, mode), _language(request, rule)).html
    response = HttpResponse(html)
    response.headers["Content-Security-Policy"] = mail_policy(html)
    response.headers["Cache-Control"] = "no-store"
    return response


@company_page(permissions.MANAGE_RULES)
@get_and_post
def rule_content_restore(request: CompanyRequest, site_id: str, reference: str) -> HttpResponse:
    """« Restaurer les valeurs par défaut »: of one language, or of the fields; asks first."""
    if (gone := told_of_removal(request, site_id, reference)) is not None:
        return gone
    rule = _rule_or_404(request, site_id, reference)
    if not access.can(request.membership, permissions.MANAGE_RULES, rule.shop):
        raise PermissionDenied
    language, of_fields = _language(request, rule), request.GET.get("what") == "fields"
    back = _url("rule_content", rule, language=language)
    conflict = None
    if request.method == "POST":
        fields: dict[str, Any] = (
            {"email_fields": None}
            if of_fields
            else {"email_texts": {code: own for code, own in rule.email_texts.items() if code != language}}
        )
        seen = carried_number(request, "seen")
        try:
            rule_services.rule_update(
                rule=rule, actor=Actor.of(request), seen=rule.version if seen is None else seen, **fields
            )
        except StaleVersion:
            rule = _rule_or_404(request, site_id, reference)
            conflict = conflicts.conflict(request, ("notificationrule", rule.pk), is_form=False)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        else:
            messages.success(request, _("Les valeurs par défaut sont restaurées."))
        if conflict is None:
            return redirect(back)
    names = {"fr": _("en français"), "en": _("en anglais")}
    context = {
        "title": _("Restaurer les valeurs par défaut"),
        "sentence": _("Les champs à inclure de la règle « %(rule)s » redeviennent ceux par défaut.")
        % {"rule": rule.display_label}
        if of_fields
        else _(
            "L'objet et le corps %(language)s de la règle « %(rule)s » redeviennent ceux par défaut ; ce que vous aviez écrit est perdu."
        )
        % {"language": names[language], "rule": rule.display_label},
        "action": _("Restaurer"),
        "back": back,
        "seen": rule.version,
        "conflict": conflict,
    }
    return render(request, "companies/confirm.html", context)
