"""Security mail to the contacts of a company or shop: its state, and the address of its Contact gestionnaire.

Called by the services inside the transaction of the change. Such mail goes out in any state (docs/rules.md 4.12).
"""

from backoffice.text import addresses
from companies.audit import Actor, Changes
from companies.models import Company, Status
from notifications.core.catalogue import Source
from notifications.core.facts import Occasion
from notifications.events.publishing import publish
from shops.models import Shop


def company_status_changed(company: Company, changes: Changes) -> None:
    """Tell the Contact gestionnaire, and each manager of a shop that sends no more, or sends again."""
    if "status" not in changes:
        return
    data = _state(company, changes)
    publish(
        type="company.status_changed", company=company, data=data, occasion=Occasion(managers=(Source.COMPANY_MANAGER,))
    )
    manager = company.contacts.filter(kind="manager").values_list("email", flat=True).first() or ""
    told = {addresses.normalise(manager)}
    # A shop that is suspended or closed itself stays what it is.
    for shop in (
        Shop.objects.filter(company=company, status=Status.ACTIVE).exclude(manager_email="").order_by("site_id")
    ):
        address = addresses.normalise(shop.manager_email)
        if address in told:
            continue
        told.add(address)
        publish(
            type="company.status_changed",
            company=company,
            shop=shop,
            data=data,
            occasion=Occasion(managers=(Source.SHOP_MANAGER,)),
        )


def shop_status_changed(shop: Shop, changes: Changes) -> None:
    """Tell the manager of the shop and the Contact gestionnaire."""
    if "status" in changes:
        publish(
            type="shop.status_changed",
            company=shop.company,
            shop=shop,
            data=_state(shop, changes),
            occasion=Occasion(managers=(Source.SHOP_MANAGER, Source.COMPANY_MANAGER)),
        )


def _state(obj: Company | Shop, changes: Changes) -> dict[str, str]:
    return {"status": obj.status, "before": changes["status"][0], "reason": obj.status_reason}


def manager_replaced(company: Company, change: list[str], actor: Actor) -> None:
    """Tell the former and the new address of the Contact gestionnaire; another spelling is no other address.

    Args:
        change: both, as the history has them.
    """
    former, now = change
    if former and addresses.normalise(former) != addresses.normalise(now):
        publish(
            type="company.manager_replaced",
            company=company,
            data={"before": former, "after": now, "author": actor.label},
            occasion=Occasion(managers=(Source.COMPANY_MANAGER,), former=former),
        )
