"""Billing of the demonstration: an invoice of a shop, one cancelled by a credit note, one for the company in English."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from companies.audit import Actor
from shops.billing import services
from shops.models import BillingDocument, PriceList, Shop

At = Callable[..., AbstractContextManager[datetime]]


def tell(*, at: At, now: datetime, staff: Actor, shops: dict[str, Shop]) -> list[BillingDocument]:
    """Issue the documents.

    Args:
        at: moves what its block writes of history, events and deliveries to that long before `now`.
        shops: by the names online, lyon, boreal.
    """
    prices = PriceList.objects.get(is_default=True)
    canadian = services.price_list_save(
        price_list=PriceList(),
        name="Canada",
        currency="CAD",
        tax_rate="14.98",
        prices=dict(prices.items.values_list("code", "unit_price")),
        actor=staff,
    )
    made = []
    for days, name, price_list in ((2.1, "online", prices), (2.05, "lyon", prices), (1.2, "boreal", canadian)):
        # A whole month lies in it, so that the monthly fee shows.
        end = (now - timedelta(days=4)).date()
        start = (end.replace(day=1) - timedelta(days=1)).replace(day=1)
        with at(days=days) as moment:
            made.append(
                services.billing_issue(
                    shop=shops[name],
                    price_list=price_list,
                    start=start,
                    end=end,
                    actor=staff,
                    now=moment,
                )
            )
    with at(days=1.8) as moment:
        made.append(services.credit_note_issue(document=made[1], actor=staff, now=moment))
    return made
