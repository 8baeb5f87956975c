"""What the history says of a changed value."""

import pytest
from django.utils import timezone

from companies import history
from companies.audit import Actor, record
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def test_a_moment_is_told_in_the_readers_own_time_zone() -> None:
    user = UserFactory()
    entry = record(
        actor=Actor.command("test"),
        action="user.locked",
        obj=user,
        company=user.company,
        changes={"locked_until": [None, "2026-11-24T23:49:44.012046+00:00"]},
    )
    with timezone.override("Europe/Paris"):
        [(field, before, after)] = history.changes_in_words(entry)
    assert (field, before, after) == ("Verrouillé jusqu'à", "(vide)", "25 novembre 2026, 00:49:44 (CET)")
