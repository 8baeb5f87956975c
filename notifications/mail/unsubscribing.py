"""The link at the foot of a letter: its address, and the companies it stands for.

The token names a company and, as a keyed digest, the address the letter went to. So the link holds no
address, cannot be made by anybody else, does not expire (RFC 8058 asks that it keeps working), and stops
working for an address that is no longer any company's Contact gestionnaire.
"""

from django.conf import settings
from django.core import signing
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac

from backoffice.text import addresses
from companies.models import Company, Contact
from notifications.models import Delivery

SALT = "notifications.mail.unsubscribing"


def make_token(company_id: int, normalised_address: str) -> str:
    return signing.Signer(salt=SALT, sep=".").sign(f"{company_id}-{_digest(normalised_address)}")


def url(delivery: Delivery) -> str:
    """The address of the page for one letter; a test of staff gets a link that unsubscribes nobody."""
    token = make_token(delivery.company_id or 0, delivery.normalised_address)
    return settings.BASE_URL + reverse("newsletter_unsubscribe", args=[token])


def companies_of(token: str) -> list[Company] | None:
    """The companies whose Contact gestionnaire has the token's address today.

    One person who answers for several companies gets one letter for all of them, so one click speaks for
    all of them too.

    Returns:
        None for a token that is not ours; [] when the address is no longer any company's.
    """
    try:
        digest = signing.Signer(salt=SALT, sep=".").unsign(token).partition("-")[2]
    except signing.BadSignature:
        return None
    managers = Contact.objects.filter(kind=Contact.Kind.MANAGER).order_by().values_list("company_id", "email")
    keys = [key for key, email in managers if constant_time_compare(_digest(addresses.normalise(email)), digest)]
    return list(Company.objects.filter(pk__in=keys[:MOST_COMPANIES]).order_by("pk"))


# SQLite bounds the parameters of a query; no address is the manager of more companies than this.
MOST_COMPANIES = 900


def _digest(normalised_address: str) -> str:
    return salted_hmac(SALT, normalised_address, algorithm="sha256").hexdigest()[:32]
