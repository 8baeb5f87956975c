"""The settings of a company as a document (docs/rules.md 7.3): provisioning files, exports, the settings API.

An absent key leaves what is there, `null` clears it. A model holds what clearing means, so whoever reads one never
meets a null that was not meant: use `given()`, which knows absent from cleared. Lists that hold objects (`nested`)
can be left out of a check and be read one by one, so that one bad object keeps no other from being judged.

What depends on the rest of the settings (a country that exists, an address in order, a shop that is the company's) is
judged by the services that write.
"""

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Self

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from pydantic import BeforeValidator, ConfigDict, Field

from backoffice.schemas.base import Checked, Shape, or_null, refused
from backoffice.schemas.events import is_site_id
from companies.models import Language, Role, Status
from companies.rights import permissions as rights
from notifications.core.catalogue import DIGESTS, EACH, SHOP_MANAGER_SYMBOL, TRIGGERS, RuleType
from notifications.models import CompanyRelay, NotificationRule
from shops.models import ShopKey, SignatureAlgorithm

STRING = {"type": "string"}
_A_TEXT = gettext_lazy("un texte est attendu")
_A_LIST = gettext_lazy("une liste est attendue")
_TEXTS = gettext_lazy("une liste de textes est attendue")

# --- Fields ---------------------------------------------------------------------------------------


def _line(cleared: str = "", **shown: Any) -> Any:
    """A text without blanks around it; null stands for `cleared`."""

    def read(value: Any) -> str:
        if value is None:
            return cleared
        if not isinstance(value, str):
            raise refused(str(_A_TEXT))
        return value.strip()

    return Checked(read, or_null({**STRING, **shown}), written=lambda text: text or None)


def _name(value: Any) -> str:
    if value is None or value == "":
        # Nothing to show: there is no value.
        raise refused(_("valeur obligatoire"), secret=True)
    if not isinstance(value, str):
        raise refused(str(_A_TEXT))
    return value


def _login(value: Any) -> str:
    return _name(value).strip()


def _site_id(value: Any) -> str:
    if value is None or value == "":
        raise refused(_("valeur obligatoire"), secret=True)
    if not is_site_id(value):
        raise refused(_("un identifiant boutique est un texte de 8 chiffres"))
    text: str = value
    return text


def _flag(*, cleared: bool) -> Any:
    def read(value: Any) -> bool:
        if value is None:
            return cleared
        if not isinstance(value, bool):
            raise refused(_("true ou false est attendu"))
        return value

    return Checked(read, {**or_null({"type": "boolean"}), "default": cleared})


def _choice(values: Iterable[str], message: Promise, cleared: str | None = None) -> Any:
    """One of some codes; null is one that is wrong unless it stands for `cleared`."""
    known = tuple(values)

    def read(value: Any) -> str:
        if value is None and cleared is not None:
            return cleared
        if not isinstance(value, str) or value not in known:
            raise refused(str(message))
        return value

    shown = {**STRING, "enum": list(known)}
    return Checked(read, shown if cleared is None else or_null(shown))


def _listed(kind: type, message: Promise, items: dict[str, Any]) -> Any:
    """A list whose entries have one type; null stands for the empty one."""

    def read(value: Any) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(entry, kind) for entry in value):
            raise refused(str(message))
        return value

    return Checked(read, or_null({"type": "array", "items": items}))


def _secret(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise refused(str(_A_TEXT), secret=True)
    return value


def _secret_or_none(value: Any) -> str | None:
    return None if value is None else _secret(value)


def _algorithm(value: Any) -> str:
    if value is None:
        return SignatureAlgorithm.HMAC_SHA_256.value
    if not isinstance(value, str):
        raise refused(str(_A_TEXT))
    if value.strip() not in SignatureAlgorithm.values:
        raise refused(_("algorithme inconnu"))
    return value.strip()


def _shops(value: Any) -> str | list[str]:
    if value is None or value == "*":
        return "*"
    if not isinstance(value, list) or not all(isinstance(site_id, str) for site_id in value):
        raise refused(_("« * » ou une liste d'identifiants boutique est attendu"))
    return value


def _codes(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(code, str) and code in rights.ALL for code in value):
        raise refused(_("une liste de droits est attendue : %(codes)s") % {"codes": ", ".join(rights.ALL)})
    return value


def _codes_or_none(value: Any) -> list[str] | None:
    return None if value is None else _codes(value)


def _codes_by_shop(value: Any) -> dict[str, list[str]]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refused(_("un objet est attendu"))
    return {site_id: _codes(codes) for site_id, codes in value.items()}


def _trigger(value: Any) -> str:
    if not isinstance(value, str):
        raise refused(str(_TEXTS))
    return value


def _triggers(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(code, str) for code in value):
        raise refused(str(_TEXTS))
    return value


def _any(value: Any) -> Any:
    return value


def _digest(value: Any) -> str:
    if value is None:
        return EACH
    if not isinstance(value, str) or value not in DIGESTS:
        raise refused(_("« each », « hourly » ou « daily » est attendu"))
    return value


def _credentials(value: Any) -> Any:
    if value is not None and not (isinstance(value, dict) and value.keys() <= {"user", "password"}):
        raise refused(_("un objet avec « user » et « password » est attendu"), secret=True)
    return value


def _port(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        raise refused(_("un numéro de port est attendu"))
    return value


def _mail_server(value: Any) -> Any:
    if value is not None and not isinstance(value, dict):
        raise refused(_("un objet est attendu"), secret=True)
    return value


def _keys(value: Any) -> Any:
    if value is not None and not isinstance(value, dict):
        raise refused(_("un objet est attendu"), secret=True)
    return {} if value is None else value


Line = Annotated[str, _line()]
Name = Annotated[str, Checked(_name, {**STRING, "minLength": 1})]
LanguageCode = Annotated[str, _line(Language.FRENCH, enum=Language.values)]
# Of an account: null is the language, or the time zone, of its company.
OwnLanguage = Annotated[str, _line(enum=Language.values)]
StatusCode = Annotated[str, _choice(Status.values, gettext_lazy("état inconnu"), Status.ACTIVE)]
Secret = Annotated[str | None, Checked(_secret_or_none, or_null({**STRING, "writeOnly": True}))]
AlgorithmCode = Annotated[
    str, Checked(_algorithm, {**or_null({**STRING, "enum": SignatureAlgorithm.values}), "default": "HMAC-SHA-256"})
]
_RIGHTS = {"type": "array", "items": {**STRING, "enum": list(rights.ALL)}}
_EMAIL = {**STRING, "format": "email"}
Email = Annotated[str, _line(format="email")]
Url = Annotated[str, _line(format="uri")]

# --- Documents ------------------------------------------------------------------------------------


def _without_defaults(schema: dict[str, Any]) -> None:
    """Absent means unchanged, so no value stands for it in the description."""
    for shown in schema.get("properties", {}).values():
        shown.pop("default", None)


class Document(Shape):
    """A part of the settings. Every key may be absent; the services say which a new object needs."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    # Keys that hold lists of other documents.
    nested: ClassVar[tuple[str, ...]] = ()

    def given(self, *names: str) -> dict[str, Any]:
        """The values that the document names, of these keys or of all that are no lists of documents."""
        wanted = names or tuple(name for name in type(self).model_fields if name not in self.nested)
        return {name: getattr(self, name) for name in wanted if name in self.model_fields_set}

    def has(self, name: str) -> bool:
        """Whether the document names a key, be it to clear it."""
        return name in self.model_fields_set

    @classmethod
    def of(cls, values: dict[str, Any]) -> Self:
        """The document of values that are stored, and so in order."""
        return cls.model_validate(values)


class ContactDocument(Document):
    """A contact of a company."""

    title: Line = ""
    first_name: Line = ""
    last_name: Line = ""
    email: Email = ""
    phone: Line = ""


class CredentialsDocument(Document):
    """User and password of protected URLs; never given back."""

    user: Annotated[str, Checked(_secret, STRING)] = Field(default="", validate_default=True)
    password: Annotated[str, Checked(_secret, {**STRING, "writeOnly": True})] = Field(default="", validate_default=True)


class RuleDocument(Document):
    """A notification rule of a shop. `"trigger": x` is short for `"triggers": [x]`."""

    reference: Name
    type: Annotated[str, _choice([kind.value for kind in RuleType], gettext_lazy("type de règle inconnu"))] = ""
    label: Line = ""
    enabled: Annotated[bool, _flag(cleared=True)] = True
    trigger: Annotated[str, Checked(_trigger, STRING)] = ""
    triggers: Annotated[
        list[str],
        Checked(_triggers, {"type": "array", "items": {**STRING, "enum": [trigger.code for trigger in TRIGGERS]}}),
    ] = []
    conditions: Annotated[
        list[Any],
        _listed(
            dict,
            _A_LIST,
            {
                "type": "object",
                "required": ["variable", "operator", "value"],
                "properties": {
                    "variable": STRING,
                    "operator": {**STRING, "enum": ["eq", "ne", "gt", "lt", "in", "not_in"]},
                    "value": {},
                },
            },
        ),
    ] = []
    recipients: Annotated[
        list[str], _listed(str, _A_LIST, {**STRING, "description": f"{SHOP_MANAGER_SYMBOL} or an address"})
    ] = []
    url_test: Url = ""
    url_production: Url = ""
    rest_url_test: Url = ""
    rest_url_production: Url = ""
    http_confirmed: Annotated[bool, _flag(cleared=False)] = False
    auto_retry: Annotated[bool, _flag(cleared=False)] = False
    profile: Annotated[str, _line(NotificationRule.Profile.STANDARD, enum=NotificationRule.Profile.values)] = ""
    digest: Annotated[str, Checked(_digest, or_null({**STRING, "enum": list(DIGESTS)}))] = EACH
    # What the mails of the rule say. Absent keeps, null restores the default.
    email_texts: Annotated[Any, Checked(_any, or_null({"type": "object"}))] = None
    email_fields: Annotated[Any, Checked(_any, or_null({"type": "array", "items": STRING}))] = None
    # Absent keeps, null removes.
    auth_test: Annotated[CredentialsDocument | None, BeforeValidator(_credentials)] = None
    auth_production: Annotated[CredentialsDocument | None, BeforeValidator(_credentials)] = None


class ContractDocument(Document):
    """A contract of a shop, known by its number and network."""

    number: Annotated[str, Checked(_login, STRING)]
    network: Annotated[str, Checked(_login, STRING)]
    three_d_secure: Annotated[bool, _flag(cleared=False)] = False


class KeysDocument(Document):
    """Keys and signature algorithms of a shop; null removes a key. Keys are given back by `export --with-secrets` alone."""

    test: Secret = None
    production: Secret = None
    rest_test: Secret = None
    rest_production: Secret = None
    public_test: Secret = None
    public_production: Secret = None
    hmac_test: Secret = None
    hmac_production: Secret = None
    algorithm_test: AlgorithmCode = ""
    algorithm_production: AlgorithmCode = ""

    @property
    def secrets(self) -> dict[str, str | None]:
        """The keys that are named, by kind."""
        return self.given(*sorted(ShopKey.Kind.values))

    @property
    def algorithms(self) -> dict[str, str]:
        return self.given("algorithm_test", "algorithm_production")


class ShopDocument(Document):
    """A shop. One that is created without `rules` gets the default ones."""

    nested = ("contracts", "rules")

    site_id: Annotated[str, Checked(_site_id, {**STRING, "pattern": "^[0-9]{8}$"})]
    name: Line = ""
    url: Url = ""
    language: LanguageCode = ""
    manager_email: Email = ""
    status: StatusCode = ""
    status_reason: Line = ""
    contracts: list[ContractDocument] | None = None
    keys: Annotated[KeysDocument, BeforeValidator(_keys)] = Field(default_factory=KeysDocument)
    rules: list[RuleDocument] | None = None


class UserDocument(Document):
    """A user account; a new one without `password` gets an unusable one."""

    login: Annotated[str, Checked(_login, STRING)]
    email: Email = ""
    title: Line = ""
    first_name: Line = ""
    last_name: Line = ""
    phone: Line = ""
    language: OwnLanguage = ""
    time_zone: Line = ""
    role: Annotated[str, _choice(Role.values, gettext_lazy("rôle inconnu"))] = ""
    shops: Annotated[
        str | list[str], Checked(_shops, or_null({"anyOf": [{"const": "*"}, {"type": "array", "items": STRING}]}))
    ] = "*"
    # Instead of what the role grants: in general, and on single shops. Absent or null: nothing of the user's own.
    permissions: Annotated[list[str] | None, Checked(_codes_or_none, or_null(_RIGHTS))] = None
    shop_permissions: Annotated[
        dict[str, list[str]], Checked(_codes_by_shop, or_null({"type": "object", "additionalProperties": _RIGHTS}))
    ] = Field(default_factory=dict)
    password: Secret = None
    enabled: Annotated[bool, _flag(cleared=True)] = True


class SftpAccountDocument(Document):
    """An SFTP account."""

    login: Annotated[str, Checked(_login, STRING)]
    email: Email = ""
    language: OwnLanguage = ""
    enabled: Annotated[bool, _flag(cleared=True)] = True


class MailServerDocument(Document):
    """The company's own mail server, saved only after it has taken a connection; the password is never given back."""

    host: Line = ""
    port: Annotated[int, Checked(_port, {"type": "integer", "minimum": 1, "maximum": 65535})] = 587
    security: Annotated[
        str, _choice(CompanyRelay.Security.values, gettext_lazy("chiffrement inconnu"), CompanyRelay.Security.STARTTLS)
    ] = CompanyRelay.Security.STARTTLS
    username: Line = ""
    # Absent keeps the stored one, which holds for the same server and user only.
    password: Secret = None
    sender: Email = ""
    falls_back: Annotated[bool, _flag(cleared=True)] = True


class CompanyDocument(Document):
    """A company with all its settings. Shops and contracts that are absent are untouched; other lists are whole."""

    nested = ("users", "sftp_accounts", "shops")

    reference: Name
    name: Line = ""
    registration_number: Line = ""
    address: Line = ""
    country: Annotated[str, _line("FR", pattern="^[A-Z]{2}$")] = ""
    language: LanguageCode = ""
    time_zone: Annotated[str, _line("Europe/Paris")] = ""
    status: StatusCode = ""
    status_reason: Line = ""
    newsletter_opt_out: Annotated[bool, _flag(cleared=False)] = False
    verify_addresses: Annotated[bool, _flag(cleared=False)] = False
    manager_contact: ContactDocument | None = None
    technical_contact: ContactDocument | None = None
    incident_emails: Annotated[list[str], _listed(str, _TEXTS, _EMAIL)] = []
    # Absent keeps, null goes back to the platform's.
    mail_server: Annotated[MailServerDocument | None, BeforeValidator(_mail_server)] = None
    users: list[UserDocument] | None = None
    sftp_accounts: list[SftpAccountDocument] | None = None
    shops: list[ShopDocument] | None = None


class SettingsFile(Document):
    """A provisioning file, and what `export` prints."""

    nested = ("companies",)

    companies: list[CompanyDocument] | None = None


# Which documents stand in which lists.
NESTED: dict[str, type[Document]] = {
    "companies": CompanyDocument,
    "users": UserDocument,
    "sftp_accounts": SftpAccountDocument,
    "shops": ShopDocument,
    "contracts": ContractDocument,
    "rules": RuleDocument,
}


def count_objects(item: Any, model: type[Document]) -> int:
    """How many documents stand in the lists of one that nobody has checked yet, theirs included."""
    if not isinstance(item, dict):
        return 0
    lists = {name: item[name] for name in model.nested if isinstance(item.get(name), list)}
    return sum(1 + count_objects(entry, NESTED[name]) for name, entries in lists.items() for entry in entries)
