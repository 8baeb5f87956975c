"""« Carte des envois »: which notification goes to which address, as one picture and the table it stands for."""

from collections import Counter
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from backoffice.base.charts import Chart
from backoffice.base.flows import Edge, Node, flow
from backoffice.text.addresses import normalise
from companies.rights.access import CompanyRequest, company_page
from notifications import settings_facts
from notifications.core import resolver, wording
from notifications.core.catalogue import TABLE_ROWS
from notifications.core.facts import CompanyFacts
from notifications.core.resolver import Decision
from notifications.tables import screens

# So many addresses stand one by one; beyond, those that receive the same share a name.
ONE_BY_ONE = 24
# Addresses that a group names on hover.
NAMED = 5
_NOBODY = "-"


@company_page()
@require_safe
def sending_map(request: CompanyRequest) -> HttpResponse:
    """The map of what the reader sees of the company."""
    facts = settings_facts.visible_facts(request.company, request.membership, why_not=False)
    decisions = resolver.resolve_all(facts, why_not=False)
    context = {
        "facts": facts,
        "map": picture(facts, decisions),
        "gap_count": sum(decision.gap for decision in decisions),
        "address_count": len({decision.normalised for decision in decisions if decision.delivers}),
    }
    return render(request, "notifications/tables/sending_map.html", context)


def picture(facts: CompanyFacts, decisions: Iterable[Decision]) -> Chart | None:
    """The picture: notifications on the left, addresses on the right, « nobody » among them; None without lines."""
    lines: Counter[tuple[str, str]] = Counter()
    spelled: dict[str, str] = {}
    for decision in decisions:
        key = decision.normalised if decision.delivers else _NOBODY
        lines[decision.notification, key] += 1
        if decision.delivers:
            spelled.setdefault(key, decision.address)
    if not lines:
        return None
    grouped = _groups(lines, spelled)
    weights: Counter[tuple[str, str]] = Counter()
    for (code, key), number in lines.items():
        weights[code, grouped.get(key, key)] += number
    edges = [
        Edge(code, target, number, "fail" if target == _NOBODY else "") for (code, target), number in weights.items()
    ]
    told = {edge.source for edge in edges}
    sources = [_source(row.code, edges) for row in TABLE_ROWS if row.code in told]
    targets = _targets(edges, grouped, spelled, facts)
    described = _("%(notifications)d notifications vers %(addresses)d adresses.") % {
        "notifications": len(sources),
        "addresses": len(spelled),
    }
    header = (_("Notification"), _("Adresse"), _("Lignes"))
    return flow("map", _("Carte des envois"), described, sources, targets, edges, header=header)


def _groups(lines: Counter[tuple[str, str]], spelled: dict[str, str]) -> dict[str, str]:
    """Normal form of an address → the name of its group; empty where each stands for itself."""
    if len(spelled) <= ONE_BY_ONE:
        return {}
    receives: dict[str, set[str]] = {}
    for code, key in lines:
        if key != _NOBODY:
            receives.setdefault(key, set()).add(code)
    alike: dict[frozenset[str], list[str]] = {}
    for key, codes in receives.items():
        alike.setdefault(frozenset(codes), []).append(key)
    ordered = sorted(alike.values(), key=len)
    rest = [key for keys in ordered[ONE_BY_ONE:] for key in keys]
    named = [*ordered[:ONE_BY_ONE], *([rest] if rest else [])]
    return {key: f"group-{at}" for at, keys in enumerate(named) if len(keys) > 1 for key in keys}


def _source(code: str, edges: Iterable[Edge]) -> Node:
    own = [edge for edge in edges if edge.source == code]
    reached = sum(edge.target != _NOBODY for edge in own)
    gap = any(edge.target == _NOBODY for edge in own)
    note = ngettext("vers %(n)d adresse ou groupe", "vers %(n)d adresses ou groupes", reached) % {"n": reached}
    url = f"{reverse('by_notification')}?{urlencode({'notification': code})}"
    return Node(code, wording.notification_label(code), url, note, "fail" if gap and not reached else "")


def _targets(
    edges: Iterable[Edge], grouped: dict[str, str], spelled: dict[str, str], facts: CompanyFacts
) -> list[Node]:
    members: dict[str, list[str]] = {}
    for key, email in spelled.items():
        members.setdefault(grouped.get(key, key), []).append(email)
    received: Counter[str] = Counter()
    for edge in edges:
        received[edge.target] += edge.weight
    kinds = _kinds(facts)
    nodes = [_target(key, emails, received[key], kinds) for key, emails in sorted(members.items())]
    if received[_NOBODY]:
        nodes.append(Node(_NOBODY, _("Personne"), f"{reverse('coverage')}#gaps", _lines(received[_NOBODY]), "fail"))
    return nodes


def _target(key: str, emails: list[str], lines: int, kinds: dict[str, str]) -> Node:
    if len(emails) == 1:
        return Node(key, emails[0], f"{reverse('addresses')}?{urlencode({'address': emails[0]})}", _lines(lines))
    common = {kinds.get(normalise(email), "") for email in emails}
    role = common.pop() if len(common) == 1 else ""
    label = ngettext("%(n)d adresse", "%(n)d adresses", len(emails)) % {"n": len(emails)}
    if role:
        label = f"{label} ({str(screens.ROLE_KINDS[role]).lower()})"
    url = reverse("addresses") + (f"?{urlencode({'role': role})}" if role else "")
    return Node(key, label, url, f"{', '.join(emails[:NAMED])}…")


def _lines(number: int) -> str:
    return ngettext("%(n)d ligne", "%(n)d lignes", number) % {"n": number}


def _kinds(facts: CompanyFacts) -> dict[str, Any]:
    """Normal form of an address → the kind of its first role."""
    return {key: names[0].partition(":")[0] for key, (_email, names) in resolver.roles(facts).items()}
