"""« Pourquoi ? »: a question about an address, and everything that answers it."""

from typing import Any

from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from backoffice.base import csv_files, paging
from companies.rights.access import CompanyRequest, company_page
from notifications import settings_facts
from notifications.answers import screens, selectors
from notifications.answers.questions import PARAMETERS, QuestionInvalid
from notifications.answers.screens import Verdict
from notifications.answers.selectors import Explained
from notifications.core import wording
from notifications.core.catalogue import MODES, TABLE_ROWS, TRIGGERS
from notifications.core.facts import CompanyFacts
from notifications.core.obstacles import Explanation
from notifications.timeline import reading
from notifications.timeline.moments import MomentInvalid, local_text, read_local_moment

PAGE_SIZE = 25
# Rows of a page that stand open; the others fold out.
FIRST_ROWS = 6
# Addresses offered while typing; more would make the page heavy.
SUGGESTED = 200


@company_page()
@require_safe
def why(request: CompanyRequest) -> HttpResponseBase:
    """The question form, and the answers to what the address of the page asks."""
    asked = {name: request.GET.get(name, "").strip() for name in PARAMETERS}
    typed_at = request.GET.get("at", "").strip()
    errors: list[tuple[str, str]] = []
    at = None
    try:
        at = read_local_moment(typed_at) if typed_at else None
    except MomentInvalid as error:
        errors = [("at", str(error))]
    try:
        facts = reading.visible_facts_of(request.company, request.membership, at, also=[asked["address"]])
    except MomentInvalid as error:
        at, errors = None, [("at", str(error))]
        facts = settings_facts.visible_facts(request.company, request.membership, also=[asked["address"]])
    context: dict[str, Any] = {
        "asked": asked,
        "facts": facts,
        "notifications": TABLE_ROWS,
        "triggers": TRIGGERS,
        "modes": MODES,
        "suggested": _suggested(facts),
        "more": bool(typed_at) or any(asked[name] for name in ("rule", "account", "mode", "data")),
        "is_asked": bool(typed_at) or any(asked.values()),
        "at": at,
        "typed_at": typed_at if errors else local_text(at),
    }
    if errors:
        return render(request, "notifications/answers/why.html", {**context, "errors": errors})
    if not context["is_asked"]:
        return render(request, "notifications/answers/why.html", context)
    in_file = request.GET.get("format") == "csv" and bool(asked["address"])
    try:
        if in_file or request.GET.get("verdict") == Verdict.OTHERS:
            explained = selectors.explain(facts, asked, from_form=True)
        else:
            explained = selectors.explain_near(facts, asked)
    except QuestionInvalid as error:
        context["errors"] = error.errors
        return render(request, "notifications/answers/why.html", context)
    if in_file:
        rows = selectors.csv_rows(explained)
        return csv_files.csv_response(rows, f"pourquoi-{request.company.reference}", plain=csv_files.is_plain(request))
    told = _answers(request, explained)
    if explained.left_out and Verdict.OTHERS in told["told"]:
        told = _answers(request, selectors.explain(facts, asked, from_form=True))
    return render(request, "notifications/answers/why.html", context | told)


def _suggested(facts: CompanyFacts) -> list[str]:
    return [email for email, _roles in list(selectors.configured(facts).values())[:SUGGESTED]]


def _answers(request: CompanyRequest, explained: Explained) -> dict[str, Any]:
    """The answer in a sentence, its figures, and the rows of one page."""
    by_verdict: dict[Verdict, list[Explanation]] = {verdict: [] for verdict in screens.in_order(explained)}
    for answer in explained.answers:
        by_verdict[screens.verdict_of(answer, explained)].append(answer)
    counts = {verdict: len(answers) for verdict, answers in by_verdict.items()}
    counts[Verdict.OTHERS] += explained.left_out
    labels = screens.VERDICT_LABELS if explained.question.address else screens.WHO_LABELS
    wanted = request.GET.get("verdict", "")
    told = screens.told_first(explained, counts) if wanted not in screens.VERDICT_LABELS else {Verdict(wanted)}
    shown = [answer for verdict, answers in by_verdict.items() if verdict in told for answer in answers]
    page = paging.paginate(request, screens.groups(shown), default=PAGE_SIZE)
    rows = screens.rows(list(page.object_list), explained, request.membership)
    return {
        "told": told,
        "explained": explained,
        "headline": screens.headline(explained, counts),
        "role_words": [wording.role_label(explained.facts, role) for role in explained.roles[:4]],
        "more_roles": max(0, len(explained.roles) - 4),
        "figures": [(verdict.value, labels[verdict], count) for verdict, count in counts.items() if count],
        "verdict": wanted,
        "is_technical": "technical_contact" in explained.roles,
        "shown_count": len(shown),
        "page": page,
        "rows": rows,
        "first_rows": rows[:FIRST_ROWS],
        "more_rows": rows[FIRST_ROWS:],
    }
