"""The question before many are written to: how many addresses, and who, for example.

For any admin action or form that mails: count with `Audience.of_reach`, or build an `Audience` from the
addresses at hand, then

    answer = mass_mail.question(request, audience=…, title=…, sentence=…)
    if answer is not None:
        return answer

The question repeats the request that asked it, with one more field. What it confirms is a number: when more
addresses would be written to than were shown, it is asked again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from backoffice.text import addresses
from notifications.broadcasts.broadcasting import Reach
from notifications.core import wording

# Above this many addresses an action asks first (issue of the platform: "more than 100").
THRESHOLD = 100
SAMPLE = 8
FIELD = "mass_mail_confirmed"


@dataclass(frozen=True)
class Audience:
    """Who would be written to.

    Attributes:
        addresses: how many distinct addresses.
        companies: how many companies.
        sample: (address, company name) of a few of them.
        left_out: (sentence, how many companies) for those that are not told.
    """

    addresses: int
    companies: int
    sample: tuple[tuple[str, str], ...] = ()
    left_out: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of_reach(cls, reach: Reach) -> "Audience":
        """The audience of a company-wide notification, see `broadcasts.reach`."""
        spread = list(reach.addresses.values())
        # Spread over the whole list, first and last included: a mistake in a filter shows at its ends.
        step = max((len(spread) - 1) / (SAMPLE - 1), 1)
        picked = sorted({min(round(n * step), len(spread) - 1) for n in range(SAMPLE)}) if spread else []
        return cls(
            addresses=len(reach.addresses),
            companies=reach.companies,
            sample=tuple(spread[position] for position in picked),
            left_out=tuple((wording.reason(code, {}), count) for code, count in sorted(reach.left_out.items())),
        )

    @classmethod
    def of_addresses(cls, rows: Iterable[tuple[str, str]]) -> "Audience":
        """The audience of (address, company name) pairs."""
        reached = Reach()
        companies = set()
        for address, company in rows:
            companies.add(company)
            reached.addresses.setdefault(addresses.normalise(address), (address, company))
        reached.companies = len(companies)
        return cls.of_reach(reached)


def question(
    request: HttpRequest,
    *,
    audience: Audience,
    title: str,
    sentence: str,
    action: str = "",
    threshold: int | None = None,
    back: str = "",
    extra: Mapping[str, object] | None = None,
) -> HttpResponse | None:
    """Ask for confirmation before an action mails more than `threshold` addresses (None: more than THRESHOLD).

    Args:
        request: the POST that would mail; every field of it is repeated by the question.
        title, sentence: what is about to happen.
        action: label of the button that goes on.
        back: where "no" leads; the page of the request when empty.
        extra: more for the template's context.

    Returns:
        The page to show, or None: go on.
    """
    limit = THRESHOLD if threshold is None else threshold
    if audience.addresses <= limit or _confirmed(request) >= audience.addresses:
        return None
    fields = [
        (name, value)
        for name, values in request.POST.lists()
        if name not in (FIELD, "csrfmiddlewaretoken")
        for value in values
    ]
    context = {
        **admin.site.each_context(request),
        "title": title,
        "sentence": sentence,
        "audience": audience,
        "action": action or _("Envoyer"),
        "fields": fields,
        "confirmed_field": FIELD,
        "back": back or request.get_full_path(),
        **(extra or {}),
    }
    return TemplateResponse(request, "admin/mass_mail_question.html", context)


def _confirmed(request: HttpRequest) -> int:
    """How many addresses the person has agreed to; -1 for none."""
    typed = request.POST.get(FIELD, "")
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else -1
