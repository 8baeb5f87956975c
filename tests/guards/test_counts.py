"""A number of things on a page is a link to exactly those, or says here why there is none.

`tests/http/test_counts.py` follows every link that is marked; this finds the counts that were forgotten.
"""

import re
from pathlib import Path

from django.conf import settings

TEMPLATES = Path(settings.BASE_DIR) / "templates"
# Mails have no such links; the framework's pages count as it does.
NO_PAGES = ("admin/", "notifications/mail/")
_COUNT = re.compile(r"{%-?\s*blocktranslate\b[^%]*\bcount\b[^%]*%}")
# template → what its counts count, and why they lead nowhere.
WITHOUT_LINK = {
    "companies/address_panel.html": "the notification of the line; what is only typed yet has no rows anywhere",
    "companies/team/user_shops.html": "the list right below",
    "includes/pagination.html": "the rows of the list it stands under",
    "includes/error_summary.html": "the points right below",
    "mfa/index.html": "keys on the page behind the button; codes, which are secret",
    "mfa/recovery_codes/index.html": "codes, which are secret",
    "notifications/answers/why.html": "roles beyond those named, in the link to all of them",
    "notifications/effects/changes.html": "addresses and notifications of a change that is not saved",
    "notifications/effects/moved.html": "notifications of a change that is not saved",
    "notifications/journal/calls_replay.html": "calls that would be made: named right below, up to ten; and why others are not",
    "notifications/journal/delivery_state.html": "events of a digest, in the link to them",
    "notifications/journal/many.html": "deliveries that would be resent or cancelled: named right below, up to ten; and why others are not",
    "notifications/journal/many_bar.html": "all that the list right below shows, over its pages",
    "notifications/many_rules/address.html": "rules of the choice right below",
    "notifications/replacing/choose.html": "places that the page behind the address lists",
    "notifications/many_rules/copy_panel.html": "shops of a choice right above",
    "notifications/journal/replay_choices.html": "calls that would be made: named right below, up to ten; and why others are not",
    "notifications/rules/triggers.html": "events that the page of the rule lists, behind its name",
    "notifications/rules/backtest.html": "older events than those right above",
    "notifications/health/_suppressed.html": "the list right below, each a link",
    "notifications/tables/addresses_gaps.html": "the list right below, which home leads to",
    "notifications/tables/addresses_shops.html": "shops that a choice above shows, where the row is no line of an address",
    "notifications/tables/by_notification.html": "lines that a choice above shows",
    "notifications/tables/compare.html": "the rows right below; those left out are in the file",
    "notifications/tables/compare_rows.html": "the rows right above; those left out are in the file",
    "notifications/sending/relay.html": "mails that wait for the server of this page",
    "notifications/tables/uncalled.html": "shops that a choice above shows",
    "shops/bulk/bulk.html": "shops of a file that is not saved, right below",
    "shops/dataforms/answers.html": "months",
    "shops/dataforms/public_form.html": "months",
    "shops/keys/key_tests.html": "payments of an unknown kind of card, which are not kept one by one",
    "shops/orders/order.html": "days",
    "site/search.html": "the groups right below",
    "site/undo.html": "settings right below",
}


def _is_reached(before: str, after: str) -> bool:
    """Whether a count stands in a link that is marked, folds out its rows, or has such a link right behind it."""
    marked = before.rfind("data-count")
    if marked > before.rfind("</a>") and before.rfind("<a ") <= marked:
        return True
    behind = after.partition("{% endblocktranslate %}")[2][:120]
    folded = before.rfind("<summary") > before.rfind("</summary>")
    return folded or "data-count" in behind or "asvar" in after.partition("%}")[0]


def test_every_count_is_a_link_or_says_why_not() -> None:
    without = set()
    for path in sorted(TEMPLATES.rglob("*.html")):
        name = str(path.relative_to(TEMPLATES))
        text = path.read_text(encoding="utf-8")
        if not name.startswith(NO_PAGES):
            without |= {
                name for match in _COUNT.finditer(text) if not _is_reached(text[: match.start()], text[match.start() :])
            }
    assert without == set(WITHOUT_LINK)
