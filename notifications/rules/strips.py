"""The health of a notification URL: its last calls as a strip, with success rate and duration."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localdate
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from backoffice.base import charts
from backoffice.text import times
from companies.models import Membership
from notifications import readers
from notifications.models import Delivery, NotificationRule
from notifications.readers import LastCall

# Calls of a strip.
LENGTH = 50
# Calls of a rule that are looked through for those of each of its URLs.
_LOOKED_AT = 4 * LENGTH
# Rules of a home page.
SHOWN = 5
_KINDS = {Delivery.Status.SENT: "ok", Delivery.Status.RETRY: "warn", Delivery.Status.DEAD: "fail"}
# Of 20: what failed is taller, so that it stands out without its colour.
_HEIGHTS = {"ok": 12, "warn": 16, "fail": 20}


@dataclass(frozen=True)
class CallStrip:
    """The last calls of a rule, or of one of its URLs; the newest first, at least one.

    Attributes:
        url: the URL called; empty where they are of several.
    """

    rule: NotificationRule
    calls: Sequence[LastCall]
    url: str = ""

    @property
    def mode(self) -> str:
        """TEST where nothing else was called, so that the strip is marked."""
        return "TEST" if all(call.mode == "TEST" for call in self.calls) else "PRODUCTION"

    @property
    def succeeded(self) -> int:
        return sum(call.status == Delivery.Status.SENT for call in self.calls)

    @property
    def percent(self) -> int:
        """Rounded down, so that 100 means all of them."""
        return 100 * self.succeeded // len(self.calls)

    @property
    def p95_ms(self) -> int | None:
        """What 95 of 100 calls stay within; None where no duration is known."""
        known = sorted(call.duration_ms for call in self.calls if call.duration_ms is not None)
        return known[math.ceil(len(known) * 0.95) - 1] if known else None

    @property
    def duration(self) -> str:
        """« p95 120 ms »."""
        ms = self.p95_ms
        if ms is None:
            return ""
        shown = f"{ms}\N{NO-BREAK SPACE}ms" if ms < 10_000 else f"{ms // 1000}\N{NO-BREAK SPACE}s"
        return _("p95 %(duration)s") % {"duration": shown}

    @property
    def sentence(self) -> str:
        """« 48 appels réussis sur les 50 derniers »."""
        told = ngettext(
            "%(n)d appel réussi sur les %(total)d derniers",
            "%(n)d appels réussis sur les %(total)d derniers",
            self.succeeded,
        )
        return told % {"n": self.succeeded, "total": len(self.calls)}

    @property
    def journal_url(self) -> str:
        """The calls behind it."""
        asked = {"channel": "ipn", "rule": self.rule.reference, "shop": self.rule.shop.site_id}
        if self.url:
            asked["address"] = self.url
        return f"{reverse('journal')}?{urlencode(asked)}"

    @property
    def mini(self) -> SafeString:
        """The drawing for a row: one shape a kind, which is short enough for lists."""
        shapes: dict[str, list[str]] = {}
        for at, call in enumerate(reversed(self.calls)):
            kind = _KINDS[Delivery.Status(call.status)]
            height = _HEIGHTS[kind]
            shapes.setdefault(kind, []).append(f"M{at * 3} {20 - height}h2v{height}h-2z")
        drawn = format_html_join(
            "", '<path class="chart-{}" d="{}"/>', ((kind, "".join(paths)) for kind, paths in shapes.items())
        )
        return format_html(
            '<svg class="strip-mini" role="img" aria-label="{}" viewBox="0 0 {} 20" width="{}" height="20">{}</svg>',
            self.sentence,
            LENGTH * 3,
            LENGTH * 3,
            drawn,
        )

    def chart(self, key: str, *, legend: bool = True) -> charts.Chart:
        """The picture with its table; each call is a link. Of several on a page, the last has the legend."""
        today = localdate()
        ticks = [
            charts.Tick(
                _KINDS[Delivery.Status(call.status)],
                times.row_moment(call.at, today),
                _outcome(call),
                reverse("delivery", args=[call.pk]),
            )
            for call in reversed(self.calls)
        ]
        named = [
            charts.Series("ok", _("réussi")),
            charts.Series("warn", _("à réessayer")),
            charts.Series("fail", _("échoué")),
        ]
        return charts.strip(
            key,
            self.sentence,
            _("Du plus ancien au plus récent ; un échec est plus haut."),
            ticks,
            heads=(_("Appel"), _("Résultat")),
            legend=named if legend else (),
            axis=(ticks[0].label, ticks[-1].label),
        )


def _outcome(call: LastCall) -> str:
    parts = [str(Delivery.Status(call.status).label)]
    if call.http_status:
        parts.append(_("code %(code)s") % {"code": call.http_status})
    if call.duration_ms is not None:
        parts.append(f"{call.duration_ms}\N{NO-BREAK SPACE}ms")
    return " · ".join(parts)


def strips_of(rules: Iterable[NotificationRule]) -> dict[int, CallStrip]:
    """The strip of each rule that has called, by key of the rule; one query."""
    listed = list(rules)
    calls = readers.last_calls(listed, LENGTH)
    return {rule.pk: CallStrip(rule, calls[rule.pk]) for rule in listed if rule.pk in calls}


def strips_by_url(rule: NotificationRule) -> list[CallStrip]:
    """A strip for each URL that a rule has called lately, the last called first; one query."""
    by_url: dict[str, list[LastCall]] = {}
    for call in readers.last_calls([rule], _LOOKED_AT).get(rule.pk, ()):
        by_url.setdefault(call.address, []).append(call)
    return [CallStrip(rule, calls[:LENGTH], url) for url, calls in by_url.items()]


def strips_for(membership: Membership) -> list[CallStrip]:
    """The strips of a home page: the URLs that fail, then those called last; a fixed number of queries."""
    rules = readers.rules_called_lately(membership, SHOWN)
    strips = strips_of(rules)
    return [strips[rule.pk] for rule in rules if rule.pk in strips]
