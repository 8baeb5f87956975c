"""The link in the foot of every mail to the page that says why it came.

The token names the delivery and is signed, so nobody else can make one. It is the same at each attempt, and good for
`DAYS` after the mail left: the page of one mail, for whoever holds the mail, and nothing else.
"""

import hashlib
import hmac
import uuid
from datetime import timedelta
from functools import lru_cache

from django.conf import settings
from django.core import signing
from django.urls import reverse
from django.utils import timezone

from notifications.mail import delivery_tokens
from notifications.models import Delivery

SALT = "notifications.mail.why"
DAYS = 90


@lru_cache(maxsize=1)
def _around_token() -> tuple[str, str]:
    """The path of the page without its token: looked up once, for this runs for every mail."""
    before, _mark, after = reverse("why_this_mail", args=["TOKEN"]).partition("TOKEN")
    return before, after


def make_token(delivery: uuid.UUID) -> str:
    """As the framework's signer does it, which would derive its key anew for every mail."""
    value = delivery.hex
    mac = _keyed(settings.SECRET_KEY).copy()
    mac.update(value.encode("ascii"))
    return f"{value}.{signing.b64_encode(mac.digest()).decode('ascii')}"


@lru_cache(maxsize=4)
def _keyed(secret: str) -> hmac.HMAC:
    """To be copied: the library looks its digest up anew for each, which takes longer than all else of a mail."""
    return hmac.new(hashlib.sha256(f"{SALT}signer{secret}".encode()).digest(), digestmod="sha256")


def url(delivery: Delivery) -> str:
    """The address of the page for one mail."""
    before, after = _around_token()
    return f"{settings.BASE_URL}{before}{make_token(delivery.pk)}{after}"


def read_token(token: str) -> uuid.UUID | None:
    """The key of the delivery that a token names; None for one that is not ours."""
    return delivery_tokens.read(token, SALT)


def is_expired(delivery: Delivery) -> bool:
    """Whether the time of a mail's link is over."""
    return timezone.now() - (delivery.sent_at or delivery.created_at) > timedelta(days=DAYS)
