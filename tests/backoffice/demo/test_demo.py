"""`manage.py demo`: a month of history, once, and never beside real companies by accident."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from backoffice.demo import document
from companies.models import AuditEntry, Company, User
from notifications.models import AddressHealth, Attempt, Delivery, Event, NotificationRule
from tests.factories import CompanyFactory

pytestmark = pytest.mark.usefixtures("standard_prices")


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("demo", *arguments, stdout=out)
    return out.getvalue()


def counts() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Company, User, AuditEntry, Event, Delivery, Attempt))


@pytest.mark.django_db(transaction=True)
def test_the_demonstration_has_a_varied_month_and_loading_it_again_writes_nothing():
    first = run()
    before = counts()
    second = run()

    assert counts() == before
    for text in (first, second):
        for login, password in document.PASSWORDS.items():
            assert login in text
            assert password in text
            assert User.objects.get(login=login).check_password(password)
        assert text.rstrip().endswith("http://localhost:8000")
    assert min(len(password) for password in document.PASSWORDS.values()) >= 12

    deliveries = Delivery.objects.all()
    # What still waits is told in the digest of tomorrow morning.
    waiting = deliveries.filter(status="queued")
    assert [row.digest_at is not None and row.address for row in waiting] == ["lyon@lumiere.example"]
    assert {"sent", "retry", "dead", "not_sent"} == set(
        deliveries.exclude(status="queued").order_by().values_list("status", flat=True).distinct()
    )
    assert {"TEST", "PRODUCTION"} == set(deliveries.order_by().values_list("mode", flat=True).distinct())
    failing = deliveries.filter(address=document.FAILING_ADDRESS).order_by("created_at")
    assert [row.status for row in failing][:2] == ["dead", "not_sent"]
    assert {row.status for row in failing[1:]} == {"not_sent"}
    assert "550" in failing[0].error
    states = dict(AddressHealth.objects.exclude(state="unverified").values_list("normalised_address", "state"))
    assert states[document.FAILING_ADDRESS] == "suppressed"
    assert sorted(states.values()) == ["bouncing", "suppressed", *["verified"] * 5]
    digests = deliveries.filter(event__type="digest.due")
    assert digests and set(digests.values_list("status", flat=True)) == {"sent"}
    assert not deliveries.filter(carried_by__isnull=False, broadcast=None).exclude(status="sent").exists()
    assert NotificationRule.objects.filter(triggers=["payment.silence"], enabled=True).count() == 1
    days = {delivery.created_at.date() for delivery in deliveries}
    assert len(days) > 20
    assert (timezone.now() - deliveries.order_by("created_at").first().created_at).days >= 30
    assert not deliveries.filter(sent_at__gt=timezone.now()).exists()
    assert len({entry.at.date() for entry in AuditEntry.objects.all()}) > 5
    gap = NotificationRule.objects.get(shop__site_id=document.TRADE, reference="ipn-end")
    assert gap.enabled
    assert gap.recipients == []
    assert gap.emptied_by == "Claire Morel"


@pytest.mark.django_db
def test_the_demonstration_refuses_a_database_with_other_companies():
    CompanyFactory(reference="vraie-societe")
    with pytest.raises(CommandError, match="--force"):
        run()
    assert Company.objects.count() == 1
