"""Applying the document of a shop: its settings, keys, contracts and rules."""

from typing import Any

from django.utils.translation import gettext as _

from backoffice.provisioning import rules
from backoffice.provisioning.states import status_save
from backoffice.provisioning.work import Work
from backoffice.schemas.settings import ContractDocument, KeysDocument, ShopDocument
from companies.audit import Changes
from companies.models import Company, Status
from shops import services
from shops.models import Contract, Shop

_COLUMNS = ("name", "url", "language", "manager_email")


def shop_apply(work: Work, path: str, company: Company, item: Any) -> None:
    """Create or change a shop of a company with all that belongs to it."""
    work.report.shops += 1
    work.progress(work.report.shops, work.total_shops)
    document = work.read(ShopDocument, item, path)
    if document is None or not work.once("shop", document.site_id, f"{path}.site_id"):
        return
    shop = Shop.objects.select_related("company").filter(site_id=document.site_id).first()
    if not _may_apply(work, path, company, shop, document):
        return
    created = shop is None
    changed: Any = False
    columns: dict[str, Any] = {**document.given(*_COLUMNS), **document.keys.algorithms}
    before = len(work.errors)
    with work.guarded(path, {**item, **document.keys.algorithms}):
        if shop is None:
            shop = services.shop_create(
                company=company,
                actor=work.actor,
                notify=work.notify,
                default_rules="rules" not in item,
                site_id=document.site_id,
                **columns,
            )
        else:
            changed = services.shop_update(shop=shop, actor=work.actor, **columns)
    if shop is None or len(work.errors) != before:
        work.look_inside(ShopDocument, item, path)
        return
    changed = _keys_save(work, path, shop, document.keys) or changed
    changed = _contracts_apply(work, path, shop, item.get("contracts")) or changed
    if "rules" in item:
        rules.rules_apply(work, path, shop, item["rules"])
    changed = _status_save(work, path, shop, document) or changed
    work.report.count(created, changed)


def _may_apply(work: Work, path: str, company: Company, shop: Shop | None, document: ShopDocument) -> bool:
    if shop is not None and shop.company_id != company.pk:
        message = _("cet identifiant boutique appartient à une autre société")
        work.refuse(f"{path}.site_id", message, document.site_id)
        return False
    if shop is None and work.actor.merchant and company.status != Status.ACTIVE:
        work.refuse(path, _("Votre société n'est pas active : elle ne peut pas ouvrir de boutique."))
        return False
    return True


def _keys_save(work: Work, path: str, shop: Shop, keys: KeysDocument) -> bool:
    changed = False
    for kind, value in keys.secrets.items():
        # Nothing given: a refused secret is not repeated.
        with work.guarded(f"{path}.keys.{kind}", {}):
            if value is None:
                saved = services.key_remove(shop=shop, kind=kind, actor=work.actor)
            else:
                saved = services.key_save(shop=shop, kind=kind, value=value, actor=work.actor)
            changed = saved or changed
    return changed


def _contracts_apply(work: Work, path: str, shop: Shop, value: Any) -> bool:
    changed = False
    for where, item in work.items(value, f"{path}.contracts"):
        document = work.read(ContractDocument, item, where)
        if document is None or not _may_secure(work, where, shop, document):
            continue
        with work.guarded(where, item):
            saved = services.contract_save(
                shop=shop,
                actor=work.actor,
                number=document.number,
                network=document.network,
                three_d_secure=document.given().get("three_d_secure"),
                notify=work.notify,
            )
            changed = bool(saved) or changed
    return changed


def _may_secure(work: Work, path: str, shop: Shop, document: ContractDocument) -> bool:
    """Whether nobody but the platform switches 3D Secure off."""
    if not work.actor.merchant or document.given().get("three_d_secure") is not False:
        return True
    secured = Contract.objects.filter(
        shop=shop, number=document.number, network=document.network, three_d_secure=True
    ).exists()
    if secured:
        message = _("seule l'équipe de la plateforme désactive le 3D Secure")
        work.refuse(f"{path}.three_d_secure", message, False)
    return not secured


def _status_save(work: Work, path: str, shop: Shop, document: ShopDocument) -> bool:
    def save(state: str, reason: str) -> Changes:
        return services.shop_set_status(shop=shop, actor=work.actor, state=state, reason=reason, notify=False)

    return status_save(work, path, shop, document, save)
