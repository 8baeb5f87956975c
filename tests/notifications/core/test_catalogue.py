"""The catalogue is the only list: a row is whole, or this names what it lacks; nothing beside it knows codes."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from notifications.core import wording
from notifications.core.catalogue import BY_CODE, CATALOGUE, EVENTS, Notification, RuleType, Scope, Source
from notifications.core.reasons import Reason
from notifications.mail.composers import COMPOSERS

ROOT = Path(settings.BASE_DIR)
APPS = ("backoffice", "companies", "notifications", "shops")
JOURNEYS = "tests/journeys/test_every_notification_browser.py"


def sources(*folders: str) -> Iterator[tuple[str, str]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in path.parts and path != Path(__file__):
                yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def missing(row: Notification) -> list[str]:
    """What a row still lacks of the four steps of `catalogue/notifications.py`."""
    is_call = row.to is Source.URL
    steps = {
        "an event that leads to it (events.py), or its rule_type": is_call
        or row.rule_type
        or any(row.code in event.leads_to for event in EVENTS),
        "why its addressee is told (because)": row.in_tables or row.because,
        "the sentence of that reason (wording.py)": row.in_tables
        or (row.because in wording.REASONS and (is_call or row.because in wording.MAIL_REASONS)),
        "its mail (mail/composers)": is_call or row.code in COMPOSERS,
        "its line in docs/rules.md": f"| `{row.code}` |" in (ROOT / "docs" / "rules.md").read_text(encoding="utf-8"),
        "a test with the event that causes it": _is_tested(row),
    }
    return [step for step, there in steps.items() if not there]


def _is_tested(row: Notification) -> bool:
    if row.in_tables:
        return f'@case("{row.code}")' in (ROOT / JOURNEYS).read_text(encoding="utf-8")
    return any(f'"{row.code}"' in text for _name, text in sources("tests"))


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.code)
def test_a_row_is_whole(row: Notification) -> None:
    assert missing(row) == []


def test_a_new_row_fails_until_it_is_whole() -> None:
    bare = Notification("new_" + "thing", Scope.SHOP, Source.SHOP_MANAGER, _("Nouveau"), _("il arrive"))
    assert len(missing(bare)) == 4
    unconfigured = Notification(
        "new_" + "thing", Scope.SHOP, Source.TYPED, _("Nouveau"), _("il arrive"), in_tables=False
    )
    assert len(missing(unconfigured)) == 6


def test_codes_are_given_once_and_events_lead_to_rows() -> None:
    assert len(BY_CODE) == len(CATALOGUE)
    assert len({event.code for event in EVENTS}) == len(EVENTS)
    assert {code for event in EVENTS for code in event.leads_to} <= set(BY_CODE)
    assert {row.rule_type for row in CATALOGUE} - {None} == set(RuleType)


def test_every_event_is_one_of_the_catalogue_and_every_one_of_its_own_is_published() -> None:
    """Whoever publishes a type that is not in the table, or keeps one there that nobody publishes, is told."""
    texts = {name: text for name, text in sources(*APPS) if "core/catalogue/" not in name and "composers/" not in name}
    known = {event.code for event in EVENTS}
    published = {code for text in texts.values() for code in re.findall(r'\btype="([a-z_]+\.[a-z_]+)"', text)}
    assert len(published) > 15
    assert published - known == set()
    everything = "\n".join(texts.values())
    own = {event.code for event in EVENTS if event.internal}
    assert {code for code in own if f'"{code}"' not in everything} == set()


def test_every_reason_has_its_sentence() -> None:
    assert set(wording.REASONS) == set(Reason)
    assert set(wording.MAIL_REASONS) <= set(Reason)


@pytest.mark.parametrize("folder", ["notifications/core/resolver.py", "notifications/tables"])
def test_resolver_and_tables_know_no_code_of_a_notification(folder: str) -> None:
    """What is special of a notification is a property of its row; reasons are members of their enumeration."""
    paths = [ROOT / folder] if folder.endswith(".py") else sorted((ROOT / folder).glob("*.py"))
    typed = [
        (path.name, node.value)
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in BY_CODE and node.value not in set(Source)
    ]
    assert typed == []


def test_no_reason_is_put_together_from_strings() -> None:
    """Where the reason of a decision is set, compared or put into words, it is a member of `Reason`."""
    pattern = re.compile(r'\.reason (?:==|!=) "|\.reason in \("|wording\.reason\(f?"|"reason": f"')
    assert [name for name, text in sources(*APPS) for _match in pattern.finditer(text)] == []
    typed = re.compile(r'\breason=f?"')
    assert [name for name, text in sources("notifications") for _match in typed.finditer(text)] == []
