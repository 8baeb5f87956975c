"""« Essayer la règle »: from the rule's form and from the summary of the wizard, with the outcome shown live."""

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from backoffice.base.ratelimit import allow
from companies.audit import Actor
from companies.models import User
from companies.rights import access, permissions
from companies.rights.access import CompanyRequest, company_page, shop_or_404
from companies.status import closed_sentence
from notifications import readers
from notifications.core.catalogue import MODES, RuleType
from notifications.models import Delivery, NotificationRule
from notifications.rules import trials
from notifications.rules.samples import SampleForm, judged
from shops.models import Shop

# Instead of a mode: the sample event is judged, nothing leaves.
CONDITIONS_ONLY = "CONDITIONS"
RESULT = "notifications/rules/test_result.html"


def may_test(request: CompanyRequest, rule: NotificationRule, shop: Shop) -> bool:
    """Who changes rules tests the mails; calling a URL is a right of its own."""
    needed = permissions.RUN_NOTIFICATION_URL if rule.type == RuleType.IPN_CALL else permissions.MANAGE_RULES
    return access.can(request.membership, needed, shop)


def start(request: CompanyRequest, rule: NotificationRule | None, shop: Shop) -> dict[str, Any]:
    """Test a rule as typed; the context of the result, with why not where it could not start.

    Args:
        rule: None when what is typed has errors.
    """
    mode = request.POST.get("test", "")
    if mode not in (*MODES, CONDITIONS_ONLY):
        raise Http404
    if rule is None:
        return {"test_problem": _("Corrigez d'abord les points signalés, puis essayez la règle.")}
    sample = SampleForm(request.POST, rule=rule)
    if sample.is_bound and not sample.is_valid():
        return {"test_problem": _sample_problem(sample), "sample": sample}
    data = sample.event_data() if sample.is_bound else trials.sample_data(rule)
    asked = str(sample.cleaned_data["mode"] or MODES[1]) if sample.is_bound else MODES[1]
    conditions = judged(rule, asked if mode == CONDITIONS_ONLY else mode, data)
    context = {"sample": sample, "judged": conditions, "passes": all(item.holds for item in conditions)}
    if mode == CONDITIONS_ONLY:
        return context
    return context | _sent(request, rule, shop, mode, data)


def _sample_problem(sample: SampleForm) -> str:
    """What is wrong with the sample event, by field: scripts show the result alone."""
    return " ".join(
        _("%(label)s : %(problem)s") % {"label": sample[name].label, "problem": problem}
        for name, problems in sample.errors.items()
        for problem in problems
    )


def _sent(
    request: CompanyRequest, rule: NotificationRule, shop: Shop, mode: str, data: dict[str, Any]
) -> dict[str, Any]:
    """Queue the test; the context of its rows, or why not."""
    if sentence := closed_sentence(shop.company, shop):
        return {"test_problem": sentence}
    if not may_test(request, rule, shop):
        return {"test_problem": _("Votre rôle ne permet pas d'appeler l'URL de notification de cette boutique.")}
    user = request.user
    assert isinstance(user, User)
    limit, window = trials.LIMIT, trials.WINDOW_SECONDS
    if not allow("rule-test", f"{user.pk}", limit=limit, seconds=window):
        return {
            "test_problem": _("%(limit)d essais en dix minutes au plus : attendez un peu avant le prochain.")
            % {"limit": limit}
        }
    rule.shop = shop
    try:
        run = trials.rule_test(rule=rule, mode=mode, user=user, actor=Actor.of(request), data=data)
    except ValidationError as error:
        return {"test_problem": " ".join(error.messages)}
    return result_context(shop, run)


def result_context(shop: Shop, run: uuid.UUID) -> dict[str, Any]:
    """What has come of a test so far. Raises Http404 for a run that is none of the shop's."""
    rows = list(readers.test_run(shop, run).prefetch_related("attempts"))
    if not rows:
        raise Http404
    return {
        "test_run": run,
        "test_rows": rows,
        "test_open": any(row.status in Delivery.OPEN for row in rows),
        "test_shop": shop,
    }


@company_page(permissions.MANAGE_RULES)
@require_safe
def rule_test_result(request: CompanyRequest, site_id: str, run: uuid.UUID) -> HttpResponse:
    """The outcome of a test: a piece of the form's page for scripts, a page of its own without them."""
    shop = shop_or_404(request, site_id, permissions.MANAGE_RULES)
    context = result_context(shop, run)
    if request.headers.get("HX-Request"):
        return render(request, RESULT, context)
    return render(request, "notifications/rules/test_page.html", {**context, "shop": shop})
