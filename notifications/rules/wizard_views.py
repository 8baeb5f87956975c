"""« Créer une règle > Notification avancée »: three steps, each with its own address.

Every press posts, is kept, and leads on by a redirect: reloading asks nothing, going back shows
what was typed. A step opens once those before it are complete.
"""

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from backoffice.base.methods import get_and_post
from companies.audit import Actor
from companies.rights import permissions
from companies.rights.access import CompanyRequest, company_page
from notifications.core.catalogue import NOTIFICATION_OF_RULE_TYPE, RULE_TYPE_LABELS, RuleType
from notifications.models import NotificationRule
from notifications.rules import screens as rule_screens
from notifications.rules import services as rule_services
from notifications.rules import trial_views
from notifications.rules.conditions import changed_rows, variable_choices
from notifications.rules.samples import SampleForm
from notifications.rules.screens import shop_rules
from notifications.rules.views import list_url, render_conditions, shop_to_edit
from notifications.rules.wizard import STEPS, Draft
from notifications.tables import effects

EXPLAINED = {
    RuleType.IPN_CALL: gettext_lazy("La plateforme appelle une adresse de votre site à chaque événement choisi."),
    RuleType.MERCHANT_EMAIL: gettext_lazy("La plateforme vous écrit, à vous ou aux personnes de votre choix."),
    RuleType.BUYER_EMAIL: gettext_lazy("La plateforme écrit à l'acheteur, à l'adresse donnée avec le paiement."),
}


@company_page(permissions.MANAGE_RULES)
@require_safe
def rule_create_start(request: CompanyRequest, site_id: str) -> HttpResponse:
    """Begin a draft under a number of its own."""
    shop = shop_to_edit(request, site_id)
    return redirect("rule_create", shop.site_id, uuid.uuid4(), "events")


@company_page(permissions.MANAGE_RULES)
@get_and_post
def rule_create(request: CompanyRequest, site_id: str, draft: uuid.UUID, step: str) -> HttpResponse:
    """One step of the wizard."""
    shop = shop_to_edit(request, site_id)
    if step not in STEPS:
        raise Http404
    loaded = Draft.load(request, shop, draft)
    if request.method == "POST":
        return _posted(request, loaded, step)
    missing = loaded.problem(before=step)
    if missing is not None:
        return _to(loaded, missing, check=missing in loaded.typed)
    return _shown(request, loaded, step, check="check" in request.GET)


def _to(draft: Draft, step: str, *, check: bool = False) -> HttpResponse:
    return redirect(_url(draft, step) + ("?check=1" if check else ""))


def _url(draft: Draft, step: str) -> str:
    return reverse("rule_create", args=[draft.shop.site_id, draft.key, step])


def _posted(request: CompanyRequest, draft: Draft, step: str) -> HttpResponse:
    go = request.POST.get("go", "next")
    if go == "abandon":
        draft.forget(request)
        messages.info(request, _("La règle commencée est abandonnée : rien n'a été créé."))
        return redirect(list_url(draft.shop))
    part = request.GET.get("part", "")
    names = list(STEPS)
    if step == "summary":
        if "test" in request.POST:
            return _tested(request, draft)
        if go == "previous":
            return _to(draft, names[names.index(step) - 1])
        return _create(request, draft)
    changed = changed_rows(request.POST) if step == "events" else None
    draft.keep(request, step, request.POST if changed is None else changed)
    if part == "conditions":
        return render_conditions(request, draft.conditions(), added=True)
    if part == "impact":
        return _impact(request, draft)
    if part:
        return HttpResponse(status=204)
    if changed is not None:
        return _to(draft, step)
    if go == "previous":
        return _to(draft, names[max(names.index(step) - 1, 0)])
    if not draft.is_complete(step):
        return _to(draft, step, check=True)
    return _to(draft, names[names.index(step) + 1])


def _tested(request: CompanyRequest, draft: Draft) -> HttpResponse:
    complete = draft.problem(before="summary") is None
    rule = NotificationRule(shop=draft.shop, **draft.fields()) if complete else None
    test = trial_views.start(request, rule, draft.shop)
    if request.headers.get("HX-Request"):
        return render(request, trial_views.RESULT, test)
    return _shown(request, draft, "summary", check=False, test=test)


def _create(request: CompanyRequest, draft: Draft) -> HttpResponse:
    missing = draft.problem(before="summary")
    if missing is not None:
        return _to(draft, missing, check=missing in draft.typed)
    shop = draft.shop
    fields, actor = draft.fields(), Actor.of(request)
    reference = rule_services.free_reference(shop, fields["label"])
    try:
        done = effects.saved(
            lambda: rule_screens.shop_only_facts(request.company, shop),
            lambda: rule_services.rule_create(shop=shop, actor=actor, reference=reference, **fields),
            actor=actor,
            company=request.company,
            # The step of the recipients has asked by itself.
            asked_about=(NOTIFICATION_OF_RULE_TYPE[draft.type],),
        )
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return _to(draft, "settings")
    draft.forget(request)
    rule = done.answer
    text = _("La règle « %(rule)s » est créée et activée.") % {"rule": rule.label}
    messages.success(request, format_html("{} {}", text, done.sentence))
    return redirect(list_url(shop, rule.reference))


def _impact(request: CompanyRequest, draft: Draft) -> HttpResponse:
    return render(request, "notifications/rules/impact.html", _impact_context(draft))


def _impact_context(draft: Draft) -> dict[str, Any]:
    """What the rule would do with what is typed and valid so far."""
    form, events, conditions = draft.settings_form(), draft.events_form(), draft.conditions()
    valid = [form.is_bound and form.is_valid(), events.is_valid(), conditions.is_valid()]
    more: dict[str, Any] = {"enabled": True}
    if valid[1]:
        more["triggers"] = events.cleaned_data["triggers"]
    if valid[2]:
        more["conditions"] = conditions.value()
    if not form.is_bound:
        form.cleaned_data = {}
        candidate = form.rule
        for name, value in more.items():
            setattr(candidate, name, value)
    else:
        candidate = form.candidate(**more)
    preview = rule_screens.preview(shop_rules(draft.shop), candidate, None)
    if not form.is_bound:
        # The recipients and the URLs come with the next step.
        of_this_step = ("never_fires", "trigger_never_fires")
        preview.remarks = [item for item in preview.remarks if item.finding.code in of_this_step]
    return {
        "preview": preview,
        "untyped": not draft.type,
        "incomplete": form.is_bound and not all(valid),
        "shop": draft.shop,
    }


def _shown(
    request: CompanyRequest, draft: Draft, step: str, *, check: bool, test: dict[str, Any] | None = None
) -> HttpResponse:
    context: dict[str, Any] = {
        "shop": draft.shop,
        "draft": draft,
        "step": step,
        "number": list(STEPS).index(step) + 1,
        "steps": _steps(draft, step),
        "checked": check,
        "back": list_url(draft.shop),
        "type_label": RULE_TYPE_LABELS.get(draft.type, ""),
        "may_edit": True,
        "creating": True,
    }
    match step:
        case "events":
            context |= _events_step(draft, check)
        case "settings":
            context |= {"form": draft.settings_form(), **_impact_context(draft)}
        case _summary:
            context |= {**_summary_step(request, draft), **(test or {})}
    for form in (context.get("type_form"), context.get("form")):
        if form is not None and form.is_bound:
            if check:
                form.is_valid()
            else:
                form.unchecked()
    return render(request, "notifications/rules/create.html", context)


def _steps(draft: Draft, step: str) -> list[dict[str, Any]]:
    """The steps as the head of the page names them; those that are open are links."""
    names = list(STEPS)
    reached = draft.problem(before="summary")
    limit = names.index(reached) if reached else len(names) - 1
    return [
        {
            "code": name,
            "label": label,
            "url": _url(draft, name) if number <= limit and name != step else "",
            "done": number < names.index(step),
        }
        for number, (name, label) in enumerate(STEPS.items())
    ]


def _events_step(draft: Draft, check: bool) -> dict[str, Any]:
    conditions = draft.conditions()
    if check:
        conditions.is_valid()
    else:
        conditions.unchecked()
    return {
        "type_form": draft.type_form(),
        "types": [(code, label, EXPLAINED[RuleType(code)]) for code, label in RULE_TYPE_LABELS.items()],
        "chosen": draft.type,
        "form": draft.events_form(),
        "conditions": conditions,
        "variables": variable_choices(),
        **_impact_context(draft),
    }


def _summary_step(request: CompanyRequest, draft: Draft) -> dict[str, Any]:
    rule = NotificationRule(shop=draft.shop, **draft.fields())
    whole = shop_rules(draft.shop)
    return {
        "rule": rule,
        "row": whole.row(rule),
        "preview": rule_screens.preview(whole, rule, None),
        "links": {name: _url(draft, name) for name in STEPS},
        "may_test": trial_views.may_test(request, rule, draft.shop),
        "sample": SampleForm(request.POST or None, rule=rule),
    }
