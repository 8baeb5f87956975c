"""English pages hold no French, French ones no English, neither a code; what merchants typed themselves excepted."""

import io
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from companies.models import User
from tests.http.test_admin_words import ENGLISH, FRENCH, codes_in
from tests.http.test_counts import crawled

pytestmark = [
    pytest.mark.one_database,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("standard_prices"),
]
# Names of places, as time zones have them.
PLACES = re.compile(r"[A-Z]\w+/[\w -]+")
# What a merchant wrote is shown in fields, as a quotation, or as a value of the history.
TYPED = {"script", "style", "textarea", "pre", "code", "ins", "del", "blockquote", "iframe"}


class Words(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._typed = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._typed += tag in TYPED

    def handle_endtag(self, tag: str) -> None:
        self._typed -= tag in TYPED

    def handle_data(self, data: str) -> None:
        if not self._typed and data.strip() and not PLACES.fullmatch(data.strip()):
            self.texts.append(" ".join(data.split()))


@pytest.mark.parametrize(("login", "language", "foreign"), [("boreal", "en", FRENCH), ("claire", "fr", ENGLISH)])
def test_no_page_mixes_languages(
    settings: Any, client_for: Callable[..., Client], login: str, language: str, foreign: re.Pattern[str]
) -> None:
    settings.DEBUG = True
    call_command("demo", stdout=io.StringIO())
    User.objects.filter(login=login).update(language=language)
    client = client_for(User.objects.get(login=login), fresh=True)
    mixed = set()
    for url, page in crawled(client, 1).items():
        if re.search(r"/history/\d", url):
            continue
        mixed |= {f"{url}: {text}" for text in Words(page.html).texts if len(foreign.findall(text)) > 1}
        mixed |= {f"{url}: {code}" for code in codes_in(page.html)}
    assert not mixed, "\n".join(sorted(mixed))
