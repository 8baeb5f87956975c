"""`manage.py cancel`: stop deliveries that wait."""

from collections.abc import Callable

from django.db.models import QuerySet

from companies.audit import Actor
from notifications.management.choosing import ChoosingCommand
from notifications.models import Delivery
from notifications.outbox import bulk
from notifications.outbox.bulk import Which


class Command(ChoosingCommand):
    help = "Stops deliveries that wait; counts first."
    name = "cancel"
    statuses = (Delivery.Status.QUEUED, Delivery.Status.RETRY)

    def meant(self, which: Which) -> QuerySet[Delivery]:
        return bulk.cancellable(which)

    def act(self, *, which: Which, actor: Actor, progress: Callable[[int], None]) -> int:
        return bulk.cancel(which=which, actor=actor, progress=progress)
