"""« Essayer la règle »: from the rule's form and from the summary of the wizard, with the outcome shown live."""

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from backoffice.ratelimit import allow
from companies import access, permissions
from companies.access import CompanyRequest, company_page, shop_or_404
from companies.audit import Actor
from companies.models import User
from shops.models import Shop

from . import rule_tests
from .catalogue import MODES, RuleType
from .models import Delivery, NotificationRule

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
    if mode not in MODES:
        raise Http404
    if rule is None:
        return {"test_problem": _("Corrigez d'abord les points signalés, puis essayez la règle.")}
    if not may_test(request, rule, shop):
        return {"test_problem": _("Votre rôle ne permet pas d'appeler l'URL de notification de cette boutique.")}
    user = request.user
    assert isinstance(user, User)
    limit, window = rule_tests.LIMIT, rule_tests.WINDOW_SECONDS
    if not allow("rule-test", f"{user.pk}", limit=limit, seconds=window):
        return {
            "test_problem": _("%(limit)d essais en dix minutes au plus : attendez un peu avant le prochain.")
            % {"limit": limit}
        }
    rule.shop = shop
    try:
        run = rule_tests.rule_test(rule=rule, mode=mode, user=user, actor=Actor.of(request))
    except ValidationError as error:
        return {"test_problem": " ".join(error.messages)}
    return result_context(shop, run)


def result_context(shop: Shop, run: uuid.UUID) -> dict[str, Any]:
    """What has come of a test so far. Raises Http404 for a run that is none of the shop's."""
    rows = list(
        Delivery.objects.filter(shop=shop, run=run, is_test=True).prefetch_related("attempts").order_by("created_at")
    )
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
