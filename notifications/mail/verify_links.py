"""The link of a verification mail to the page that confirms its address.

The token names the delivery and is signed; the mail holds a mark in its place until it leaves, so that nobody who reads
the journal can confirm an address that is not theirs.
"""

import uuid
from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.urls import reverse
from django.utils import timezone

from notifications.mail import delivery_tokens
from notifications.models import Delivery

SALT = "notifications.mail.verify"
DAYS = 30
EVENT = "address.verification_asked"


def make_token(delivery: uuid.UUID) -> str:
    return signing.Signer(salt=SALT, sep=".").sign(delivery.hex)


def url(delivery: Delivery) -> str:
    return settings.BASE_URL + reverse("verify_address", args=[make_token(delivery.pk)])


def read_token(token: str) -> uuid.UUID | None:
    """The key of the delivery that a token names; None for one that is not ours."""
    return delivery_tokens.read(token, SALT)


def is_expired(delivery: Delivery) -> bool:
    return timezone.now() - delivery.created_at > timedelta(days=DAYS)
