"""`manage.py requeue`: start dead or waiting deliveries again, now."""

from collections.abc import Callable

from django.db.models import QuerySet

from companies.audit import Actor
from notifications.management.choosing import ChoosingCommand
from notifications.models import Delivery
from notifications.outbox import bulk
from notifications.outbox.bulk import Which


class Command(ChoosingCommand):
    help = "Gives dead or waiting deliveries a fresh start; counts first."
    name = "requeue"
    statuses = (Delivery.Status.DEAD, Delivery.Status.RETRY)

    def meant(self, which: Which) -> QuerySet[Delivery]:
        return bulk.requeueable(which)

    def act(self, *, which: Which, actor: Actor, progress: Callable[[int], None]) -> int:
        return bulk.requeue(which=which, actor=actor, progress=progress)
