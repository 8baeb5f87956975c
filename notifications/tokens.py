"""Writes of API tokens: making one, replacing one, revoking one, noting its use."""

import hashlib
import secrets
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from backoffice.base.csv_files import neutral, utc
from companies import audit
from companies.audit import Actor
from companies.models import Company, Membership, Role
from companies.status import ensure_open, is_bound
from notifications.models import ApiToken

# A busy token would otherwise write a row per request.
USE_NOTED_EVERY = timedelta(minutes=1)
# How long a replaced token still opens, as long as a replaced key: time to change the program over.
OVERLAP = timedelta(hours=24)
# A merchant with more than this has lost sight of them.
MOST = 20


@transaction.atomic
def token_create(
    *,
    name: str,
    company: Company | None,
    actor: Actor,
    expires_at: datetime | None = None,
    scopes: Collection[str] | None = None,
) -> tuple[ApiToken, str]:
    """Make a token for the platform (`company` None) or for one company.

    Args:
        expires_at: from then on it opens nothing; None for no end.
        scopes: values of `ApiToken.Scope`; None for all of them, also those still to come.

    Returns:
        The stored token and its text, which exists nowhere else and is shown once.

    Raises:
        ValidationError: the name is empty or too long, no scope, one that the actor may not give, an end that is
            past, too many tokens.
        Closed: the company is closed.
    """
    if company is not None:
        # Also keeps two at once from passing the limit together.
        company = Company.objects.select_for_update().get(pk=company.pk)
        ensure_open(actor=actor, company=company)
    if expires_at is not None and expires_at <= timezone.now():
        raise ValidationError({"expires_at": _("Cette date est déjà passée.")})
    if scopes is not None and not (scopes and set(scopes) <= set(ApiToken.Scope.values)):
        raise ValidationError({"scopes": _("Choisissez au moins une portée.")})
    if company is not None and _in_use(company) >= MOST:
        raise ValidationError(
            _("La société a déjà %(n)d jetons en service : révoquez ceux qui ne servent plus.") % {"n": MOST}
        )
    return _make(name=name, company=company, actor=actor, expires_at=expires_at, scopes=scopes)


def _in_use(company: Company) -> int:
    unended = Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())
    return ApiToken.objects.filter(unended, company=company, revoked_at__isnull=True).count()


def _make(
    *,
    name: str,
    company: Company | None,
    actor: Actor,
    expires_at: datetime | None,
    scopes: Collection[str] | None,
) -> tuple[ApiToken, str]:
    if (scopes is None or ApiToken.Scope.SETTINGS_WRITE in scopes) and not _may_write_settings(actor, company):
        raise ValidationError(
            {
                "scopes": _("Seul un administrateur de toute la société donne la portée « %(scope)s ».")
                % {"scope": ApiToken.Scope.SETTINGS_WRITE.label}
            }
        )
    text = new_token()
    token = ApiToken(
        name=name.strip(),
        company=company,
        scopes=None if scopes is None else frozenset(scopes),
        token_hash=token_hash(text),
        prefix=text[: ApiToken.SHOWN],
        created_by=actor.user,
        expires_at=expires_at,
    )
    token.full_clean()
    token.save(force_insert=True)
    changes = audit.creation(
        {"name": token.name, "prefix": token.prefix, "scopes": token.allowed, "expires_at": expires_at}
    )
    audit.record(actor=actor, action="api_token.created", obj=token, company=company, changes=changes)
    return token, text


def _may_write_settings(actor: Actor, company: Company | None) -> bool:
    """Whether the actor may make a token that can give rights: who has all of them, the platform's team, operators."""
    if not is_bound(actor):
        return True
    mine = Membership.objects.filter(user=actor.user, company=company, role=Role.ADMINISTRATOR, all_shops=True)
    return mine.exists()


@transaction.atomic
def token_replace(*, token: ApiToken, actor: Actor, expires_at: datetime | None) -> tuple[ApiToken, str]:
    """Make a successor with the same name, company and scopes; the former one ends within OVERLAP.

    Raises:
        ValidationError: the token is revoked or has expired, or was replaced a moment ago, or does what the actor
            may not give.
        Closed: its company is closed.
    """
    token = ApiToken.objects.select_for_update(of=("self",)).select_related("company").get(pk=token.pk)
    if token.company is not None:
        ensure_open(actor=actor, company=token.company)
    now = timezone.now()
    if not token.is_valid(now):
        raise ValidationError(_("Ce jeton n'est plus en service : créez-en un autre."))
    if token.replaced_at is not None:
        raise ValidationError(_("Ce jeton a déjà été remplacé ; son successeur est dans la liste."))
    before = token.expires_at
    token.replaced_at = now
    token.expires_at = min(before, now + OVERLAP) if before else now + OVERLAP
    token.save(update_fields=["replaced_at", "expires_at"])
    audit.record(
        actor=actor,
        action="api_token.replaced",
        obj=token,
        company=token.company,
        changes={"expires_at": [audit.plain(before), audit.plain(token.expires_at)]},
    )
    return _make(name=token.name, company=token.company, actor=actor, expires_at=expires_at, scopes=token.scopes)


@transaction.atomic
def token_revoke(*, token: ApiToken, actor: Actor) -> bool:
    """End a token at once, in a closed company too; False when it was revoked before."""
    now = timezone.now()
    if not ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=now):
        return False
    token.revoked_at = now
    audit.record(
        actor=actor,
        action="api_token.revoked",
        obj=token,
        company=token.company,
        changes={"revoked_at": [None, now.isoformat()]},
    )
    return True


def token_note_use(*, token: ApiToken, now: datetime, ip_address: str | None = None) -> None:
    """Record when the token was last used, to the minute, and from which address."""
    if token.last_used_at is not None and now - token.last_used_at < USE_NOTED_EVERY:
        return
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - USE_NOTED_EVERY)
    ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now, last_used_ip=ip_address)


TOKEN_SORTS = {"name": "name", "created": "created_at", "expires": "expires_at", "used": "last_used_at"}


def api_tokens(company: Company, *, q: str = "", state: str = "") -> QuerySet[ApiToken]:
    """The tokens that speak for a company.

    Args:
        q: a part of the name, of the token's beginning or of its maker's identifier or name.
        state: one of `ApiToken.State`.
    """
    tokens = ApiToken.objects.filter(company=company).select_related("created_by")
    if q:
        by = Q(created_by__login__icontains=q) | Q(created_by__last_name__icontains=q)
        tokens = tokens.filter(Q(name__icontains=q) | Q(prefix__icontains=q) | by)
    return in_state(tokens, state) if state else tokens


def in_state(rows: QuerySet[ApiToken], state: str) -> QuerySet[ApiToken]:
    """Those in one `ApiToken.State`, as the property of a token says it."""
    now = timezone.now()
    conditions = {
        ApiToken.State.REVOKED: Q(revoked_at__isnull=False),
        ApiToken.State.EXPIRED: Q(revoked_at__isnull=True, expires_at__lte=now),
        ApiToken.State.REPLACED: Q(revoked_at__isnull=True, expires_at__gt=now, replaced_at__isnull=False),
        ApiToken.State.EXPIRING: Q(
            revoked_at__isnull=True, replaced_at__isnull=True, expires_at__gt=now, expires_at__lte=now + ApiToken.SOON
        ),
        ApiToken.State.ACTIVE: Q(revoked_at__isnull=True, replaced_at__isnull=True)
        & (Q(expires_at__isnull=True) | Q(expires_at__gt=now + ApiToken.SOON)),
    }
    return rows.filter(conditions[ApiToken.State(state)])


TOKEN_HEADER = (
    "name", "prefix", "scopes", "state", "created_at", "created_by", "expires_at", "last_used_at", "last_used_ip",
    "revoked_at",
)  # fmt: skip


def token_rows(tokens: QuerySet[ApiToken]) -> Iterator[list[str]]:
    """Header, then one row a token; of the token itself only its beginning."""
    yield list(TOKEN_HEADER)
    for token in tokens.iterator(chunk_size=1000):
        cells = (
            token.name,
            token.prefix,
            " ".join(token.allowed),
            token.state,
            utc(token.created_at),
            token.created_by.login if token.created_by else "",
            utc(token.expires_at),
            utc(token.last_used_at),
            token.last_used_ip,
            utc(token.revoked_at),
        )
        yield [neutral(cell) for cell in cells]


TOKEN_MARK = "bom_"  # noqa: S105 (lets scanners of leaked secrets recognise one)


def new_token() -> str:
    return TOKEN_MARK + secrets.token_urlsafe(32)


def token_hash(text: str) -> str:
    """What is stored of a token: hex SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
