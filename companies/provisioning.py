"""Loading companies from a provisioning file (DESIGN 7): one transaction, errors by JSON path.

Absent keys stay as they are, `null` clears, given lists replace. The same file twice writes
nothing. All errors are collected before anything is refused.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from notifications import catalogue
from notifications import services as rule_services
from notifications.models import NotificationRule
from notifications.services import publish
from shops import services as shop_services
from shops.models import Shop, ShopKey, SignatureAlgorithm

from . import services
from .audit import Actor
from .models import Company, Contact, Role, SftpAccount, User

COMPANY_TEXTS = ("name", "registration_number", "address", "country", "language", "time_zone")
COMPANY_KEYS = {
    "reference",
    *COMPANY_TEXTS,
    "manager_contact",
    "technical_contact",
    "incident_emails",
    "users",
    "sftp_accounts",
    "shops",
}
CONTACT_KEYS = set(services.CONTACT_FIELDS)
USER_TEXTS = ("email", "title", "first_name", "last_name", "phone", "language", "time_zone")
USER_KEYS = {"login", *USER_TEXTS, "role", "shops", "password"}
SFTP_TEXTS = ("email", "language")
SFTP_KEYS = {"login", *SFTP_TEXTS}
SHOP_TEXTS = ("name", "url", "language", "manager_email")
SHOP_KEYS = {"site_id", *SHOP_TEXTS, "contracts", "keys", "rules"}
CONTRACT_KEYS = {"number", "network", "three_d_secure"}
KEY_KINDS = {kind.value for kind in ShopKey.Kind}
ALGORITHMS = ("algorithm_test", "algorithm_production")
RULE_TEXTS = ("label", "profile", *NotificationRule.URL_FIELDS)
RULE_KEYS = {
    "reference",
    "type",
    "trigger",
    "triggers",
    "enabled",
    "conditions",
    "recipients",
    "http_confirmed",
    "auto_retry",
    # Beyond the common format: what the mails of the rule say. Absent keeps, null restores the default.
    "email_texts",
    "email_fields",
    *RULE_TEXTS,
}
# What `null` means where the empty text is no valid value.
CLEARED: dict[str, Any] = {
    "language": "fr",
    "time_zone": "Europe/Paris",
    "country": "FR",
    "profile": "standard",
    "algorithm_test": SignatureAlgorithm.HMAC_SHA_256,
    "algorithm_production": SignatureAlgorithm.HMAC_SHA_256,
}


class ProvisioningError(Exception):
    """The file is refused; `errors` are lines `path: message`."""

    def __init__(self, errors: list[str]) -> None:
        self.errors = errors
        super().__init__("\n".join(errors))


@dataclass
class Report:
    """What a file did: objects met by kind, and what became of them."""

    companies: int = 0
    shops: int = 0
    rules: int = 0
    users: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0

    def count(self, created: bool, changed: object) -> None:
        if created:
            self.created += 1
        elif changed:
            self.updated += 1
        else:
            self.unchanged += 1

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in vars(self).items())


def provision(
    document: Any, *, notify: bool = False, progress: Callable[[int, int], None] = lambda done, total: None
) -> Report:
    """Apply a decoded provisioning file in one transaction.

    Args:
        notify: publish shop and account creations and changes, and 3D Secure activations.
        progress: called with (shops done, shops in the file).

    Raises:
        ProvisioningError: nothing was written.
    """
    loader = _Loader(notify, progress)
    with transaction.atomic():
        loader.load(document)
        if loader.errors:
            raise ProvisioningError(loader.errors)
    return loader.report


@dataclass
class _Loader:
    notify: bool
    progress: Callable[[int, int], None]
    errors: list[str] = field(default_factory=list)
    report: Report = field(default_factory=Report)
    seen: set[tuple[str, str]] = field(default_factory=set)
    total_shops: int = 0

    actor = Actor.command("provision")

    # --- Checks of form ---------------------------------------------------------------------------

    def refuse(self, path: str, message: object, value: Any = ...) -> None:
        shown = "" if value is ... else f" ({_cut(value)})"
        self.errors.append(f"{path.lstrip('.') or '$'}: {message}{shown}")

    def mapping(
        self, value: Any, path: str, allowed: set[str], required: tuple[str, ...] = ()
    ) -> dict[str, Any] | None:
        """The object at a path with known keys only, or None after refusing it."""
        if not isinstance(value, dict):
            self.refuse(path, _("un objet est attendu"), value)
            return None
        good = True
        for key in value:
            if key not in allowed:
                self.refuse(f"{path}.{key}", _("clé inconnue"), value[key])
                good = False
        for key in required:
            if value.get(key) in (None, ""):
                self.refuse(f"{path}.{key}", _("valeur obligatoire"))
                good = False
        return value if good else None

    def items(self, value: Any, path: str) -> Iterator[tuple[str, Any]]:
        if value is None:
            return
        if not isinstance(value, list):
            self.refuse(path, _("une liste est attendue"), value)
            return
        for position, item in enumerate(value):
            yield f"{path}[{position}]", item

    def texts(
        self, source: dict[str, Any], names: tuple[str, ...], path: str, cleared: dict[str, Any] = CLEARED
    ) -> dict[str, str]:
        """The given text values, `null` turned into what clears the field."""
        found = {}
        for name in names:
            if name not in source:
                continue
            value = source[name]
            if value is None:
                found[name] = cleared.get(name, "")
            elif isinstance(value, str):
                found[name] = value.strip()
            else:
                self.refuse(f"{path}.{name}", _("un texte est attendu"), value)
        return found

    def flag(self, source: dict[str, Any], name: str, path: str) -> bool | None:
        value = source.get(name)
        if value is not None and not isinstance(value, bool):
            self.refuse(f"{path}.{name}", _("true ou false est attendu"), value)
            return None
        return value

    def once(self, kind: str, key: str, path: str) -> bool:
        if (kind, key) in self.seen:
            self.refuse(path, _("valeur déjà présente dans le fichier"), key)
            return False
        self.seen.add((kind, key))
        return True

    @contextmanager
    def guarded(self, path: str, source: dict[str, Any], prefix: str = "") -> Iterator[None]:
        """Turn a ValidationError of a service into lines with the JSON path and the value."""
        try:
            with transaction.atomic():
                yield
        except ValidationError as error:
            if not hasattr(error, "error_dict"):
                for message in error.messages:
                    self.refuse(path, message)
                return
            for name, messages in error.message_dict.items():
                key = name if name in source else "trigger" if name == "triggers" and "trigger" in source else name
                where = path if name == "__all__" else f"{path}.{prefix}{key}"
                for message in messages:
                    self.refuse(where, message, source.get(key, ...))

    # --- Objects ----------------------------------------------------------------------------------

    def load(self, document: Any) -> None:
        root = self.mapping(document, "", {"companies"}, ("companies",))
        if root is None:
            return
        listed = root["companies"] if isinstance(root["companies"], list) else []
        self.total_shops = sum(
            len(item["shops"]) for item in listed if isinstance(item, dict) and isinstance(item.get("shops"), list)
        )
        for path, item in self.items(root["companies"], "companies"):
            self.company(path, item)

    def company(self, path: str, item: Any) -> None:
        source = self.mapping(item, path, COMPANY_KEYS, ("reference",))
        if source is None:
            return
        self.report.companies += 1
        reference = source["reference"]
        if not isinstance(reference, str):
            self.refuse(f"{path}.reference", _("un texte est attendu"), reference)
            return
        if not self.once("company", reference, f"{path}.reference"):
            return
        company = Company.objects.filter(reference=reference).first()
        created = company is None
        fields: dict[str, Any] = self.texts(source, COMPANY_TEXTS, path)
        if "incident_emails" in source:
            emails = [] if source["incident_emails"] is None else source["incident_emails"]
            if not isinstance(emails, list) or not all(isinstance(email, str) for email in emails):
                self.refuse(f"{path}.incident_emails", _("une liste de textes est attendue"), emails)
                return
            fields["incident_emails"] = emails
        contacts = self.contacts(path, source, created)
        if contacts is None:
            return
        changed: Any = False
        before = len(self.errors)
        with self.guarded(path, source):
            if company is None:
                company = services.company_create(actor=self.actor, reference=reference, **fields)
            else:
                changed = services.company_update(company=company, actor=self.actor, **fields)
        if len(self.errors) != before:
            return
        changed = self.save_contacts(path, company, contacts) or changed
        for shop_path, shop_item in self.items(source.get("shops"), f"{path}.shops"):
            self.shop(shop_path, company, shop_item)
        if "sftp_accounts" in source:
            changed = self.sftp_accounts(path, company, source["sftp_accounts"]) or changed
        if "users" in source:
            self.users(path, company, source["users"])
        self.report.count(created, changed)

    def contacts(self, path: str, source: dict[str, Any], created: bool) -> dict[str, dict[str, str] | None] | None:
        """The given contacts by kind, None for one to remove; None after refusing."""
        found: dict[str, dict[str, str] | None] = {}
        before = len(self.errors)
        for kind, key in ((Contact.Kind.MANAGER, "manager_contact"), (Contact.Kind.TECHNICAL, "technical_contact")):
            if key not in source:
                if created and kind == Contact.Kind.MANAGER:
                    self.refuse(f"{path}.{key}", _("valeur obligatoire"))
                continue
            if source[key] is None and kind == Contact.Kind.TECHNICAL:
                found[kind] = None
                continue
            contact = self.mapping(source[key], f"{path}.{key}", CONTACT_KEYS, ("email",) if created else ())
            if contact is not None:
                found[kind] = self.texts(contact, services.CONTACT_FIELDS, f"{path}.{key}")
        return found if len(self.errors) == before else None

    def save_contacts(self, path: str, company: Company, contacts: dict[str, dict[str, str] | None]) -> bool:
        changed = False
        for kind, fields in contacts.items():
            key = f"{kind}_contact"
            if fields is None:
                changed = services.technical_contact_remove(company=company, actor=self.actor) or changed
                continue
            with self.guarded(f"{path}.{key}", fields):
                saved = services.contact_save(company=company, kind=kind, actor=self.actor, **fields)
                changed = bool(saved) or changed
        return changed

    def shop(self, path: str, company: Company, item: Any) -> None:
        source = self.mapping(item, path, SHOP_KEYS, ("site_id",))
        self.report.shops += 1
        self.progress(self.report.shops, self.total_shops)
        if source is None:
            return
        site_id = source["site_id"]
        if not isinstance(site_id, str) or not (len(site_id) == 8 and site_id.isascii() and site_id.isdigit()):
            self.refuse(f"{path}.site_id", _("un identifiant boutique est un texte de 8 chiffres"), site_id)
            return
        if not self.once("shop", site_id, f"{path}.site_id"):
            return
        shop = Shop.objects.select_related("company").filter(site_id=site_id).first()
        if shop is not None and shop.company_id != company.pk:
            self.refuse(f"{path}.site_id", _("cet identifiant boutique appartient à une autre société"), site_id)
            return
        keys = self.keys(path, source)
        fields = self.texts(source, SHOP_TEXTS, path)
        if keys is None:
            return
        values, algorithms = keys
        created = shop is None
        changed: Any = False
        columns: dict[str, Any] = {**fields, **algorithms}
        before = len(self.errors)
        with self.guarded(path, source):
            if shop is None:
                shop = shop_services.shop_create(
                    company=company,
                    actor=self.actor,
                    notify=self.notify,
                    default_rules="rules" not in source,
                    site_id=site_id,
                    **columns,
                )
            else:
                changed = shop_services.shop_update(shop=shop, actor=self.actor, **columns)
        if len(self.errors) != before:
            return
        for kind, value in values.items():
            with self.guarded(f"{path}.keys.{kind}", {}):
                if value is None:
                    changed = shop_services.key_remove(shop=shop, kind=kind, actor=self.actor) or changed
                else:
                    saved = shop_services.key_save(shop=shop, kind=kind, value=value, actor=self.actor)
                    changed = saved or changed
        changed = self.contracts(path, shop, source.get("contracts")) or changed
        if "rules" in source:
            self.rules(path, shop, source["rules"])
        self.report.count(created, changed)

    def keys(self, path: str, source: dict[str, Any]) -> tuple[dict[str, str | None], dict[str, str]] | None:
        """(secrets by kind, algorithms) of a shop, or None after refusing. Secrets are never echoed."""
        given = source.get("keys")
        if given is None:
            return {}, {}
        mapping = self.mapping(given, f"{path}.keys", {*KEY_KINDS, *ALGORITHMS}) if isinstance(given, dict) else None
        if mapping is None:
            if not isinstance(given, dict):
                self.refuse(f"{path}.keys", _("un objet est attendu"))
            return None
        values: dict[str, str | None] = {}
        for kind in sorted(KEY_KINDS & mapping.keys()):
            value = mapping[kind]
            if value is not None and (not isinstance(value, str) or not value.strip()):
                self.refuse(f"{path}.keys.{kind}", _("un texte est attendu"))
                return None
            values[kind] = value
        algorithms = self.texts(mapping, ALGORITHMS, f"{path}.keys")
        for name, value in algorithms.items():
            if value not in SignatureAlgorithm.values:
                self.refuse(f"{path}.keys.{name}", _("algorithme inconnu"), value)
                return None
        return values, algorithms

    def contracts(self, path: str, shop: Shop, value: Any) -> bool:
        changed = False
        for where, item in self.items(value, f"{path}.contracts"):
            source = self.mapping(item, where, CONTRACT_KEYS, ("number", "network"))
            if source is None:
                continue
            texts = self.texts(source, ("number", "network"), where)
            secure = self.flag(source, "three_d_secure", where)
            if len(texts) < 2:
                continue
            if source.get("three_d_secure", ...) is None:
                secure = False
            with self.guarded(where, source):
                saved = shop_services.contract_save(
                    shop=shop, actor=self.actor, three_d_secure=secure, notify=self.notify, **texts
                )
                changed = bool(saved) or changed
        return changed

    def rules(self, path: str, shop: Shop, value: Any) -> None:
        existing = {
            rule.reference: rule for rule in NotificationRule.objects.filter(shop=shop, archived_at__isnull=True)
        }
        kept: set[str] = set()
        for where, item in self.items(value, f"{path}.rules"):
            self.report.rules += 1
            source = self.mapping(item, where, RULE_KEYS, ("reference",))
            if source is None:
                continue
            reference = source["reference"]
            if not isinstance(reference, str) or not self.once(
                f"rule of {shop.site_id}", reference, f"{where}.reference"
            ):
                if not isinstance(reference, str):
                    self.refuse(f"{where}.reference", _("un texte est attendu"), reference)
                continue
            kept.add(reference)
            rule = existing.get(reference)
            fields = self.rule_fields(where, source, rule)
            if fields is None:
                continue
            with self.guarded(where, source):
                if rule is None:
                    rule_services.rule_create(shop=shop, actor=self.actor, reference=reference, **fields)
                    self.report.count(True, None)
                else:
                    rule.shop = shop
                    changed = rule_services.rule_update(rule=rule, actor=self.actor, **fields)
                    self.report.count(False, changed)
        for reference, rule in existing.items():
            if reference not in kept and not self.errors:
                rule.shop = shop
                rule_services.rule_archive(rule=rule, actor=self.actor)
                self.report.updated += 1

    def rule_fields(self, path: str, source: dict[str, Any], rule: NotificationRule | None) -> dict[str, Any] | None:
        before = len(self.errors)
        fields: dict[str, Any] = self.texts(source, RULE_TEXTS, path)
        if "trigger" in source and "triggers" in source:
            self.refuse(f"{path}.trigger", _("« trigger » et « triggers » ne vont pas ensemble"), source["trigger"])
        elif "trigger" in source:
            fields["triggers"] = [source["trigger"]]
        elif "triggers" in source:
            fields["triggers"] = source["triggers"]
        elif rule is None:
            self.refuse(f"{path}.triggers", _("valeur obligatoire"))
        triggers = fields.get("triggers", [])
        if not isinstance(triggers, list) or not all(isinstance(code, str) for code in triggers):
            where = "trigger" if "trigger" in source else "triggers"
            self.refuse(f"{path}.{where}", _("une liste de textes est attendue"), source[where])
        for name, kind in (("conditions", dict), ("recipients", str)):
            if name in source:
                value = [] if source[name] is None else source[name]
                if not isinstance(value, list) or not all(isinstance(entry, kind) for entry in value):
                    self.refuse(f"{path}.{name}", _("une liste est attendue"), value)
                else:
                    fields[name] = value
        if "email_texts" in source:
            fields["email_texts"] = {} if source["email_texts"] is None else source["email_texts"]
        if "email_fields" in source:
            fields["email_fields"] = source["email_fields"]
        for name, default in (("enabled", True), ("auto_retry", False), ("http_confirmed", False)):
            if name in source:
                value = self.flag(source, name, path)
                fields[name] = default if value is None else value
        rule_type = source.get("type")
        if "type" in source or rule is None:
            if rule_type not in NotificationRule.Type.values:
                self.refuse(f"{path}.type", _("type de règle inconnu"), rule_type)
            else:
                fields["type"] = rule_type
        if rule is None and not fields.get("label"):
            fields["label"] = next(
                (str(default.label) for default in catalogue.DEFAULT_RULES if default.reference == source["reference"]),
                source["reference"],
            )
        return fields if len(self.errors) == before else None

    def accounts(
        self, kind: str, value: Any, path: str, allowed: set[str]
    ) -> Iterator[tuple[str, dict[str, Any], str]]:
        """(path, object, login) of each listed account of good form, a login met twice refused."""
        for where, item in self.items(value, path):
            source = self.mapping(item, where, allowed, ("login",))
            if source is None:
                continue
            login = source["login"]
            if not isinstance(login, str):
                self.refuse(f"{where}.login", _("un texte est attendu"), login)
            elif self.once(kind, login.strip().lower(), f"{where}.login"):
                yield where, source, login.strip()

    def users(self, path: str, company: Company, value: Any) -> None:
        kept: set[str] = set()
        self.report.users += len(value) if isinstance(value, list) else 0
        for where, source, login in self.accounts("user", value, f"{path}.users", USER_KEYS):
            kept.add(login.lower())
            self.user(where, company, source, login)
        if value is not None and not isinstance(value, list):
            return
        for user in User.objects.filter(company=company, is_active=True):
            if user.login.lower() not in kept and not self.errors:
                services.user_update(
                    user=user, actor=self.actor, notify=self.notify, tell_former=False, is_active=False
                )
                self.report.updated += 1

    def user(self, path: str, company: Company, source: dict[str, Any], login: str) -> None:
        user = User.objects.select_related("company").filter(login__iexact=login).first()
        if user is not None and user.company_id != company.pk:
            self.refuse(f"{path}.login", _("cet identifiant appartient à une autre société"), login)
            return
        before = len(self.errors)
        fields: dict[str, Any] = self.texts(source, USER_TEXTS, path, {})
        role = source.get("role", ... if user else Role.VIEWER.value)
        if role is not ... and role not in Role.values:
            self.refuse(f"{path}.role", _("rôle inconnu"), role)
        password = source.get("password")
        if password is not None and (not isinstance(password, str) or not password):
            self.refuse(f"{path}.password", _("un texte est attendu"))
        access = self.access(path, company, source, user is None)
        if len(self.errors) != before:
            return
        rights: dict[str, Any] = {} if role is ... else {"role": role}
        rights |= access
        with self.guarded(path, source):
            if user is None:
                user = services.user_create(
                    company=company,
                    actor=self.actor,
                    login=login,
                    notify=False,
                    **{"email": "", **fields},
                    **rights,
                )
                if password:
                    user.set_password(password)
                    user.save(update_fields=["password"])
                if self.notify:
                    publish(type="user_account.created", company=company, account=user, data={"link": not password})
                self.report.count(True, None)
                return
            user.company = company
            changes = services.user_update(
                user=user,
                actor=self.actor,
                company=company,
                notify=self.notify,
                tell_former=False,
                login=login,
                is_active=True,
                **fields,
                **rights,
            )
            if password and not user.check_password(password):
                services.user_password_provisioned(user=user, password=password, actor=self.actor, notify=self.notify)
                changes = {**changes, "password": []}
            self.report.count(False, changes)

    def access(self, path: str, company: Company, source: dict[str, Any], created: bool) -> dict[str, Any]:
        """`shops` of a user as arguments of the services."""
        if "shops" not in source:
            return {"all_shops": True} if created else {}
        value = source["shops"]
        if value is None or value == "*":
            return {"all_shops": True, "shops": []}
        if not isinstance(value, list) or not all(isinstance(site_id, str) for site_id in value):
            self.refuse(f"{path}.shops", _("« * » ou une liste d'identifiants boutique est attendu"), value)
            return {}
        found = {shop.site_id: shop for shop in Shop.objects.filter(company=company, site_id__in=value)}
        for position, site_id in enumerate(value):
            if site_id not in found:
                self.refuse(
                    f"{path}.shops[{position}]", _("aucune boutique de la société ne porte cet identifiant"), site_id
                )
        return {"all_shops": False, "shops": list(found.values())}

    def sftp_accounts(self, path: str, company: Company, value: Any) -> bool:
        kept: set[str] = set()
        changed = False
        for where, source, login in self.accounts("sftp_account", value, f"{path}.sftp_accounts", SFTP_KEYS):
            kept.add(login.lower())
            account = SftpAccount.objects.select_related("company").filter(login__iexact=login).first()
            if account is not None and account.company_id != company.pk:
                self.refuse(f"{where}.login", _("cet identifiant appartient à une autre société"), login)
                continue
            fields = self.texts(source, SFTP_TEXTS, where, {})
            with self.guarded(where, source):
                if account is None:
                    services.sftp_account_create(
                        company=company,
                        actor=self.actor,
                        login=login,
                        notify=self.notify,
                        **{"email": "", **fields},
                    )
                    changed = True
                else:
                    account.company = company
                    saved = services.sftp_account_update(
                        account=account,
                        actor=self.actor,
                        notify=self.notify,
                        tell_former=False,
                        is_active=True,
                        **fields,
                    )
                    changed = bool(saved) or changed
        if value is None or isinstance(value, list):
            for account in SftpAccount.objects.filter(company=company, is_active=True):
                if account.login.lower() not in kept and not self.errors:
                    services.sftp_account_update(
                        account=account, actor=self.actor, notify=self.notify, tell_former=False, is_active=False
                    )
                    changed = True
        return changed


def _cut(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 120 else text[:119] + "…"
