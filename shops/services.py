"""Writes on shops: one transaction each, audited, announced through `publish`."""

import secrets
import string
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from companies import announcements, audit, status
from companies.audit import Actor, Changes, StaleVersion
from companies.models import Company, Membership, Status
from companies.rights import access, permissions
from notifications.events.publishing import publish
from notifications.health import verification
from notifications.rules.services import default_rules_create
from shops import selectors
from shops.models import KEY_OVERLAP, Contract, Shop, ShopKey

_Kind = ShopKey.Kind


class KeyFormat(models.TextChoices):
    """The two formats of a form key (reference, settings screens 4.1)."""

    ALPHANUMERIC = "ALPHANUMERIC", gettext_lazy("ALPHANUMERIC : lettres et chiffres (recommandé)")
    NUMERIC = "NUMERIC", gettext_lazy("NUMERIC : chiffres seulement")


# --- Shops ----------------------------------------------------------------------------------------


@transaction.atomic
def shop_create(
    *, company: Company, actor: Actor, notify: bool = True, default_rules: bool = True, **fields: Any
) -> Shop:
    """Create a shop with its test key and, unless told otherwise, its default rules.

    Publishes `shop_created` unless `notify` is False.
    """
    status.ensure_open(actor=actor, company=company)
    shop = Shop(company=company, **fields)
    shop.full_clean()
    shop.save()
    audit.record(actor=actor, action="shop.created", obj=shop, company=company, changes=audit.creation(fields))
    key_save(shop=shop, kind=_Kind.TEST, value=generate_key(), actor=actor)
    if default_rules:
        default_rules_create(shop=shop, actor=actor)
    if notify:
        publish(type="shop.created", company=company, shop=shop)
    verification.addresses_saved(company=company, saved=[shop.manager_email], actor=actor)
    return shop


@transaction.atomic
def shop_open(
    *, membership: Membership, actor: Actor, contracts: Iterable[tuple[str, str]] = (), **fields: Any
) -> Shop:
    """Create a shop as an administrator of its company, with its contracts.

    A membership that names its shops gets the new one as well, or its holder would not see it.

    Args:
        contracts: (number, network) of each merchant ID.
        fields: columns of Shop, `site_id` included.

    Raises ValidationError: by field, or because the company is not active.
    """
    company = membership.company
    if company.status != Status.ACTIVE:
        raise ValidationError(_("Votre société n'est pas active : elle ne peut pas ouvrir de boutique."))
    shop = shop_create(company=company, actor=actor, **fields)
    for number, network in contracts:
        contract_create(shop=shop, actor=actor, number=number, network=network)
    if not access.can(membership, permissions.VIEW, shop):
        # Nobody could grant it: the shop is in nobody's reach but that of those who see all shops.
        before = ", ".join(sorted(grant.shop.site_id for grant in membership.grants.select_related("shop")))
        membership.grants.create(shop=shop)
        access.forget(membership)
        changes = {"shops": [before, ", ".join(filter(None, [before, shop.site_id]))]}
        audit.record(actor=actor, action="user.updated", obj=membership.user, company=company, changes=changes)
    return shop


def site_id_is_taken(site_id: str) -> bool:
    """Whether any shop of the platform has this identifier."""
    return Shop.objects.filter(site_id=site_id).exists()


def free_site_id() -> str:
    """An identifiant boutique that no shop has, drawn at random: 8 digits, the first not zero."""
    while True:
        site_id = str(10_000_000 + secrets.randbelow(90_000_000))
        if not site_id_is_taken(site_id):
            return site_id


@transaction.atomic
def shop_update(*, shop: Shop, actor: Actor, seen: int | None = None, **fields: Any) -> Changes:
    """Change columns of a shop; returns what changed.

    A change of signature algorithm starts the 24 hours in which both are accepted.

    Args:
        seen: the version the writer saw; StaleVersion when the row has moved on.
        manager_email: empty means inherited from the company's Contact gestionnaire.
    """
    status.ensure_open(actor=actor, company=shop.company, shop=shop)
    shop.refresh_from_db(from_queryset=Shop.objects.select_for_update(of=("self",)).select_related("company"))
    audit.check_seen(seen, shop.version)
    changes = audit.apply(shop, fields)
    if changes:
        for mode in ("test", "production"):
            if f"algorithm_{mode}" in changes:
                setattr(shop, f"algorithm_{mode}_since", timezone.now())
        shop.full_clean()
        shop.version += 1
        shop.save()
        audit.record(actor=actor, action="shop.updated", obj=shop, company=shop.company, changes=changes)
    if "manager_email" in changes:
        verification.addresses_saved(company=shop.company, saved=[shop.manager_email], actor=actor)
    return changes


class ShopsRefused(ValidationError):
    """Some of many shops are refused; `problems` are (key of the shop, why)."""

    def __init__(self, problems: list[tuple[int, ValidationError]]) -> None:
        self.problems = problems
        super().__init__([error for _key, error in problems])


@transaction.atomic
def shops_update(
    *,
    fields: Mapping[int, Mapping[str, Any]],
    actor: Actor,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Change columns of many shops as `shop_update` does, all or none; how many have changed.

    They are read in one go and written one by one. What no column of a page decides, that a number is given once, is
    left to the database.

    Args:
        fields: key of the shop → columns, none of which is unique or part of the signature.
        progress: called with (shops done, shops in all).

    Raises:
        ShopsRefused: naming each shop that is refused.
    """
    keys = list(fields)
    shops: dict[int, Shop] = {}
    for start in range(0, len(keys), 500):
        locked = Shop.objects.select_for_update(of=("self",)).select_related("company")
        shops |= locked.in_bulk(keys[start : start + 500])
    changed = 0
    problems: list[tuple[int, ValidationError]] = []
    with audit.gathered():
        for number, key in enumerate(keys, start=1):
            try:
                changed += _updated(shops[key], actor, fields[key])
            except ValidationError as error:
                problems.append((key, error))
            progress(number, len(keys))
        if problems:
            raise ShopsRefused(problems)
        _ask_new_addresses(shops.values(), fields, actor)
    return changed


def _ask_new_addresses(shops: Iterable[Shop], fields: Mapping[int, Mapping[str, Any]], actor: Actor) -> None:
    """Where companies verify addresses, ask those that a bulk edit brought."""
    saved: dict[Company, set[str]] = {}
    for shop in shops:
        if "manager_email" in fields[shop.pk]:
            saved.setdefault(shop.company, set()).add(shop.manager_email)
    for company, emails in saved.items():
        verification.addresses_saved(company=company, saved=emails, actor=actor)


def _updated(shop: Shop, actor: Actor, fields: Mapping[str, Any]) -> bool:
    """Change a shop whose row is locked; whether anything did."""
    status.ensure_open(actor=actor, company=shop.company, shop=shop)
    changes = audit.apply(shop, dict(fields))
    if not changes:
        return False
    shop.full_clean(validate_unique=False, validate_constraints=False)
    shop.version += 1
    shop.save(update_fields=[*changes, "version", "updated_at"])
    audit.record(actor=actor, action="shop.updated", obj=shop, company=shop.company, changes=changes)
    return True


@transaction.atomic
def shop_set_status(*, shop: Shop, actor: Actor, state: str, reason: str, notify: bool = True) -> Changes:
    """Suspend, close or open again a shop; returns what changed. For the platform's team.

    Tells the manager of the shop and the Contact gestionnaire, unless `notify` is False.

    Args:
        state: one of Status.
        reason: shown to the merchant; required unless the shop becomes active.
    """
    shop = Shop.objects.select_for_update(of=("self",)).select_related("company").get(pk=shop.pk)
    changes = status.change(shop, company=shop.company, actor=actor, state=state, reason=reason)
    if notify:
        announcements.shop_status_changed(shop, changes)
    return changes


@transaction.atomic
def tests_mark_done(*, shop: Shop, actor: Actor, reason: str) -> bool:
    """Declare the test phase done without the payments that prove it; False when it is already over.

    Args:
        reason: kept with the shop and in the history. ValidationError when empty.
    """
    reason = reason.strip()
    if not reason:
        raise ValidationError({"reason": _("Indiquez pourquoi la phase de test est terminée.")})
    shop = Shop.objects.select_for_update(of=("self",)).select_related("company").get(pk=shop.pk)
    status.ensure_open(actor=actor, company=shop.company, shop=shop)
    if shop.tests_done_at is not None:
        return False
    _tests_done(shop, actor, reason)
    return True


def _tests_done(shop: Shop, actor: Actor, reason: str) -> None:
    shop.tests_done_at, shop.tests_done_reason = timezone.now(), reason
    shop.full_clean()
    shop.save(update_fields=["tests_done_at", "tests_done_reason", "updated_at"])
    changes = {"tests_done_reason": [None, reason]} if reason else {}
    audit.record(actor=actor, action="shop.tests_done", obj=shop, company=shop.company, changes=changes)


# --- Contracts ------------------------------------------------------------------------------------


@transaction.atomic
def contract_save(
    *, shop: Shop, actor: Actor, number: str, network: str, three_d_secure: bool | None = None, notify: bool = True
) -> Changes:
    """Create or change a contract (MID) of a shop, known by its number and network.

    Activating 3D Secure publishes `three_d_secure_activated`, unless `notify` is False. A contract
    that is created with 3D Secure on was not activated here, so it publishes nothing.
    """
    status.ensure_open(actor=actor, company=shop.company, shop=shop)
    # Locked, so that of two activations at once only one sees it inactive.
    contract = Contract.objects.select_for_update().filter(shop=shop, number=number, network=network).first()
    created = contract is None
    contract = contract or Contract(shop=shop, number=number, network=network)
    wanted = {} if three_d_secure is None else {"three_d_secure": three_d_secure}
    changes = audit.apply(contract, wanted)
    if created:
        changes = audit.creation({"number": number, "network": network, **wanted})
    if not changes:
        return changes
    contract.full_clean()
    contract.save()
    action = "contract.created" if created else "contract.updated"
    audit.record(actor=actor, action=action, obj=contract, company=shop.company, changes=changes)
    if notify and not created and changes.get("three_d_secure") == [False, True]:
        publish(
            type="three_d_secure.activated",
            company=shop.company,
            shop=shop,
            data={"contract": number, "network": network},
        )
    return changes


@transaction.atomic
def contract_create(*, shop: Shop, actor: Actor, number: str, network: str) -> Contract:
    """Associate a new contract with a shop. ValidationError when the shop has it already."""
    contract = Contract(shop=shop, number=number, network=network)
    _check_once(contract)
    contract_save(shop=shop, actor=actor, number=number, network=network)
    return Contract.objects.get(shop=shop, number=number, network=network)


@transaction.atomic
def contract_update(*, contract: Contract, actor: Actor, number: str, network: str, seen: str | None = None) -> Changes:
    """Correct the number or the network of a contract; returns what changed.

    With 3D Secure on a contract keeps both: the bank enrolled that number, not another.

    Args:
        seen: the `contract_stamp` of what the writer saw; StaleVersion when it has changed since.
    """
    contract = _contract_held(contract, seen)
    status.ensure_open(actor=actor, company=contract.shop.company, shop=contract.shop)
    changes = audit.apply(contract, {"number": number, "network": network})
    if not changes:
        return changes
    if contract.three_d_secure and actor.user is not None and not actor.user.is_staff:
        raise ValidationError(_("Le 3D Secure est activé sur ce contrat : son numéro et son réseau ne changent plus."))
    _check_once(contract)
    contract.save()
    audit.record(actor=actor, action="contract.updated", obj=contract, company=contract.shop.company, changes=changes)
    return changes


def contract_stamp(contract: Contract) -> str:
    """The stamp of a contract as a form shows it, to detect a change by another user."""
    return audit.stamp(contract.number, contract.network, contract.three_d_secure)


def _contract_held(contract: Contract, seen: str | None) -> Contract:
    """The contract as it is now, its row locked. StaleVersion when it is not the one that was looked at."""
    rows = Contract.objects.select_for_update(of=("self",)).select_related("shop__company")
    held = rows.filter(pk=contract.pk).first()
    if held is None:
        raise StaleVersion
    audit.check_seen(seen, contract_stamp(held))
    return held


def _check_once(contract: Contract) -> None:
    contract.full_clean(validate_constraints=False)
    twins = Contract.objects.filter(shop=contract.shop, number=contract.number, network=contract.network)
    if twins.exclude(pk=contract.pk).exists():
        told = {"number": contract.number, "network": contract.network}
        raise ValidationError(
            {"number": _("La boutique a déjà le contrat %(number)s sur le réseau %(network)s.") % told}
        )


@transaction.atomic
def contract_remove(*, contract: Contract, actor: Actor, seen: str | None = None) -> None:
    """Remove a contract that nothing uses; ValidationError with the reason otherwise.

    Args:
        seen: the `contract_stamp` of what the writer saw; StaleVersion when it has changed since.
    """
    contract = _contract_held(contract, seen)
    status.ensure_open(actor=actor, company=contract.shop.company, shop=contract.shop)
    if use := selectors.contract_use(contract):
        raise ValidationError(use)
    changes = {name: [getattr(contract, name), None] for name in ("number", "network")}
    audit.record(actor=actor, action="contract.deleted", obj=contract, company=contract.shop.company, changes=changes)
    contract.delete()


@transaction.atomic
def three_d_secure_activate(*, contract: Contract, actor: Actor, seen: str | None = None) -> bool:
    """Activate 3D Secure, which only the platform's team can undo; False when it already was.

    Args:
        seen: the `contract_stamp` of what the writer saw. StaleVersion when the contract is another now:
            what cannot be undone is done to the contract that was read, not to the one it became.
    """
    contract = _contract_held(contract, None if contract.three_d_secure else seen)
    if not contract.takes_cards:
        raise ValidationError(_("Le 3D Secure ne concerne pas le réseau %(network)s.") % {"network": contract.network})
    changes = contract_save(
        shop=contract.shop, actor=actor, number=contract.number, network=contract.network, three_d_secure=True
    )
    return bool(changes)


# --- Keys -----------------------------------------------------------------------------------------


@transaction.atomic
def key_save(*, shop: Shop, kind: str, value: str, actor: Actor) -> bool:
    """Store a secret of a shop; True when it differs from the stored one. Never logged in plain."""
    status.ensure_open(actor=actor, company=shop.company, shop=shop)
    key = ShopKey.objects.filter(shop=shop, kind=kind).first()
    if key is not None and key.value == value:
        return False
    before = audit.MASK if key else None
    key = key or ShopKey(shop=shop, kind=kind)
    _renew(key, value)
    audit.record(
        actor=actor, action="key.saved", obj=key, company=shop.company, changes={f"key.{kind}": [before, audit.MASK]}
    )
    return True


def _renew(key: ShopKey, value: str) -> None:
    """Give a key a new value. Calls carry a signature of the former one too for a while, so that receivers can change
    over.
    """
    now = timezone.now()
    if not key._state.adding and key.kind in ShopKey.SIGNING:
        key.former_value, key.former_until = key.value, now + KEY_OVERLAP
    key.value = value
    key.generation += not key._state.adding
    key.changed_at = now
    key.shown_at = None
    key.full_clean()
    key.save()


@transaction.atomic
def key_remove(*, shop: Shop, kind: str, actor: Actor) -> bool:
    """Delete a secret of a shop; False when there was none."""
    status.ensure_open(actor=actor, company=shop.company, shop=shop)
    key = ShopKey.objects.filter(shop=shop, kind=kind).first()
    if key is None:
        return False
    audit.record(
        actor=actor, action="key.deleted", obj=key, company=shop.company, changes={f"key.{kind}": [audit.MASK, None]}
    )
    key.delete()
    return True


def former_keys_forget(now: datetime) -> None:
    """Erase former values of keys whose overlap is over."""
    due = ShopKey.objects.filter(former_until__lte=now)
    if due.exists():
        due.update(former_value="", former_until=None)


class KeyAlreadyChanged(ValidationError):
    """The key has been generated or regenerated since the page was opened."""

    def __init__(self) -> None:
        super().__init__(
            _(
                "Cette clé a déjà été générée depuis l'ouverture de la page : rien n'a changé cette fois. "
                "Une clé ne s'affiche qu'une fois ; régénérez-la si vous ne l'avez pas notée."
            ),
            code="stale",
        )


@transaction.atomic
def keys_generate(
    *,
    shop: Shop,
    kinds: Iterable[str],
    actor: Actor,
    seen: Mapping[str, int],
    key_format: str = KeyFormat.ALPHANUMERIC,
) -> dict[str, str]:
    """Generate or regenerate keys of a shop; calls made from now on are signed with the new ones.

    Publishes `production_key.generated` for the first production key, `production_key.regenerated`
    for the later ones; the other keys are told to nobody (docs/rules.md 3).

    Args:
        seen: the generation of each kind that the person saw, 0 for none.
        key_format: of form keys; the REST keys have one format.

    Returns:
        The new values by kind: the only time they leave the service in plain.

    Raises:
        KeyAlreadyChanged: somebody was faster, or the form was sent twice.
        ValidationError: the key is not available yet.
    """
    status.ensure_open(actor=actor, company=shop.company, shop=shop)
    shop = Shop.objects.select_for_update(of=("self",)).select_related("company").get(pk=shop.pk)
    keys = selectors.keys_of(shop)
    values: dict[str, str] = {}
    for kind in kinds:
        key = keys.get(kind)
        if (key.generation if key else 0) != seen.get(kind, 0):
            raise KeyAlreadyChanged
        if reason := unavailable(shop, kind, keys):
            raise ValidationError(reason)
        if kind == _Kind.PRODUCTION and shop.tests_done_at is None:
            _tests_done(shop, actor, "")
        values[kind] = _new_value(shop, kind, key_format)
        first = key is None
        key = key or ShopKey(shop=shop, kind=kind)
        _renew(key, values[kind])
        key.shown_at = key.changed_at
        key.save(update_fields=["shown_at"])
        audit.record(
            actor=actor,
            action="key.generated" if first else "key.regenerated",
            obj=key,
            company=shop.company,
            changes={f"key.{kind}": [None if first else audit.MASK, audit.MASK]},
        )
        if kind == _Kind.PRODUCTION:
            publish(
                type="production_key.generated" if first else "production_key.regenerated",
                company=shop.company,
                shop=shop,
                data={"author": actor.label},
            )
    return values


def unavailable(shop: Shop, kind: str, keys: Mapping[str, ShopKey]) -> str:
    """Why a key cannot be generated yet; empty when it can.

    The production key comes after the test phase, the REST keys of production after it.
    """
    if kind in keys:
        return ""
    if kind == _Kind.PRODUCTION and not selectors.tests_are_done(shop):
        return _("La clé de production est disponible après la phase de test.")
    if kind in ShopKey.REST["production"] and _Kind.PRODUCTION not in keys:
        return _("Générez d'abord la clé de production.")
    return ""


@transaction.atomic
def key_show(*, shop: Shop, kind: str, actor: Actor) -> str | None:
    """The value of a key at its first display; None if it was shown before."""
    status.ensure_open(actor=actor, company=shop.company, shop=shop)
    key = ShopKey.objects.select_for_update().filter(shop=shop, kind=kind, shown_at=None).first()
    if key is None:
        return None
    key.shown_at = timezone.now()
    key.save(update_fields=["shown_at"])
    audit.record(actor=actor, action="key.shown", obj=key, company=shop.company)
    value: str = key.value
    return value


def generate_key(key_format: str = KeyFormat.ALPHANUMERIC) -> str:
    """A new form key: 16 characters, all digits for NUMERIC."""
    # Without the letters and digits that people take for one another.
    alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
    return _draw(string.digits if key_format == KeyFormat.NUMERIC else alphabet, 16)


def _draw(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _position in range(length))


_REST_PREFIXES = {
    _Kind.REST_TEST: "testpassword_",
    _Kind.REST_PRODUCTION: "prodpassword_",
    _Kind.PUBLIC_TEST: "testpublickey_",
    _Kind.PUBLIC_PRODUCTION: "publickey_",
    _Kind.HMAC_TEST: "",
    _Kind.HMAC_PRODUCTION: "",
}


def _new_value(shop: Shop, kind: str, key_format: str) -> str:
    if kind in ShopKey.FORM:
        return generate_key(key_format)
    value = _REST_PREFIXES[_Kind(kind)] + _draw(string.ascii_letters + string.digits, 48)
    return f"{shop.site_id}:{value}" if kind in ShopKey.PUBLIC else value
