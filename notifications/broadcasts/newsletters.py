"""Letters: written by staff, tried on oneself, sent to many, stopped; and the right to receive none."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from backoffice.text import addresses
from companies import audit
from companies import services as company_services
from companies.audit import Actor, Changes
from companies.models import Company, Language, Status, User
from notifications.broadcasts import broadcasting as broadcasts
from notifications.core import resolver
from notifications.core.facts import CompanyFacts, Occasion
from notifications.events import doorbell
from notifications.events.rows import mail_to_one
from notifications.mail import unsubscribing
from notifications.models import Broadcast, Delivery, Event, Newsletter, dedupe_key

FIELDS = ("title_fr", "text_fr", "title_en", "text_en", "audience")
MOST_REFERENCES = 900


def check_audience(audience: dict[str, Any]) -> dict[str, list[str]]:
    """The filter with its empty parts left out.

    Raises ValidationError naming an unknown part, language, status or company reference.
    """
    kept: dict[str, list[str]] = {}
    known = {"languages": Language.values, "statuses": Status.values}
    for name, values in audience.items():
        if name not in ("countries", "languages", "statuses", "references"):
            raise ValidationError({"audience": [_("« %(value)s » n'est pas un filtre connu.") % {"value": name}]})
        for value in values:
            if name in known and value not in known[name]:
                raise ValidationError({"audience": [_("« %(value)s » n'est pas un choix connu.") % {"value": value}]})
        if values:
            kept[name] = list(dict.fromkeys(values))
    references = kept.get("references", [])
    if len(references) > MOST_REFERENCES:
        raise ValidationError({"audience": [_("Une liste compte au plus %(n)d sociétés.") % {"n": MOST_REFERENCES}]})
    existing = set(Company.objects.filter(reference__in=references).values_list("reference", flat=True))
    if missing := [reference for reference in references if reference not in existing]:
        text = _("Société inconnue : %(references)s.") % {"references": ", ".join(missing[:10])}
        raise ValidationError({"audience": [text]})
    return kept


@transaction.atomic
def newsletter_create(*, actor: Actor, **fields: Any) -> Newsletter:
    """Write a letter; nothing is sent. Raises ValidationError by field."""
    fields["audience"] = check_audience(fields.get("audience") or {})
    newsletter = Newsletter(created_by=actor.label[:200], **fields)
    newsletter.full_clean()
    newsletter.save()
    changes = audit.creation({name: fields.get(name) for name in FIELDS})
    audit.record(actor=actor, action="newsletter.created", obj=newsletter, company=None, changes=changes)
    return newsletter


@transaction.atomic
def newsletter_update(*, newsletter: Newsletter, actor: Actor, **fields: Any) -> Changes:
    """Change a letter that was not sent yet. Raises ValidationError by field, or when it was."""
    newsletter = Newsletter.objects.select_for_update().get(pk=newsletter.pk)
    if Broadcast.objects.filter(newsletter=newsletter).exists():
        raise ValidationError(_("Cette lettre est déjà partie : elle ne change plus."))
    if "audience" in fields:
        fields["audience"] = check_audience(fields["audience"])
    changes = audit.apply(newsletter, fields)
    if changes:
        newsletter.full_clean()
        newsletter.save()
        audit.record(actor=actor, action="newsletter.updated", obj=newsletter, company=None, changes=changes)
    return changes


@transaction.atomic
def newsletter_try(*, newsletter: Newsletter, staff: User, actor: Actor) -> list[Delivery]:
    """Send the letter to the member of staff who asks, once per language, as an address check.

    Raises ValidationError when the account has no address that can receive mail.
    """
    try:
        addresses.validate_single(staff.email)
    except addresses.InvalidAddress as error:
        raise ValidationError(str(error)) from error
    event = Event.objects.create(
        company=None,  # the platform's own, see the model
        event_id=f"bom-trial-{newsletter.pk}-{timezone.now():%Y%m%d%H%M%S%f}",
        type="newsletter.tried",
        mode="PRODUCTION",
        occurred_at=timezone.now(),
        data={"newsletter": newsletter.pk, "title": newsletter.title},
    )
    platform = CompanyFacts(reference="", name=settings.PLATFORM_NAME, language="fr", manager_email="")
    decisions = resolver.resolve(platform, "address_check", occasion=Occasion(address=staff.email))
    rows = []
    for language in broadcasts.LANGUAGES:
        message = broadcasts.compose(newsletter, language)
        message.event = event
        message.subject = f"[{_('Essai')}] {message.subject}"[:300]
        message.save(force_insert=True)
        rows += [
            mail_to_one(
                event,
                decision,
                message,
                is_test=True,
                dedupe_key=dedupe_key(event.pk, decision.notification, language, decision.normalised),
            )
            for decision in decisions
            if decision.delivers
        ]
    Delivery.objects.bulk_create(rows)
    audit.record(actor=actor, action="newsletter.tried", obj=newsletter, company=None)
    transaction.on_commit(doorbell.ring, robust=True)
    return rows


def newsletter_reach(newsletter: Newsletter) -> broadcasts.Reach:
    """Who would get the letter if it left now."""
    return broadcasts.reach("newsletter", broadcasts.companies_in(newsletter.audience))


@transaction.atomic
def newsletter_send(*, newsletter: Newsletter, actor: Actor, planned: int | None = None) -> Broadcast:
    """Put a letter on its way to every company of its audience; the worker does the rest.

    Args:
        planned: addresses counted just before, for the progress shown; counted here when None.

    Raises ValidationError when it was sent already, or would reach nobody.
    """
    newsletter = Newsletter.objects.select_for_update().get(pk=newsletter.pk)
    if Broadcast.objects.filter(newsletter=newsletter).exists():
        raise ValidationError(_("Cette lettre est déjà partie : elle ne part pas deux fois."))
    planned = len(newsletter_reach(newsletter).addresses) if planned is None else planned
    if not planned:
        raise ValidationError(_("Cette lettre n'atteindrait personne : vérifiez ses destinataires."))
    broadcast = broadcasts.start(newsletter=newsletter, started_by=actor.label, planned=planned)
    audit.record(
        actor=actor, action="newsletter.sent", obj=newsletter, company=None, changes={"addresses": [None, planned]}
    )
    return broadcast


@transaction.atomic
def newsletter_pause(*, newsletter: Newsletter, actor: Actor) -> bool:
    """Queue no further company; what is in the outbox already still goes. False when it does not run."""
    return _switch(newsletter, actor, "paused", Broadcast.Status.PAUSED, (Broadcast.Status.RUNNING,))


@transaction.atomic
def newsletter_resume(*, newsletter: Newsletter, actor: Actor) -> bool:
    """Go on where a paused letter stopped. False when it is not paused."""
    transaction.on_commit(doorbell.ring, robust=True)
    return _switch(newsletter, actor, "resumed", Broadcast.Status.RUNNING, (Broadcast.Status.PAUSED,))


@transaction.atomic
def newsletter_cancel(*, newsletter: Newsletter, actor: Actor) -> bool:
    """Stop a letter finally, with its deliveries that wait in the outbox. False if it has ended."""
    broadcast = newsletter.broadcast
    allowed = (Broadcast.Status.RUNNING, Broadcast.Status.PAUSED, Broadcast.Status.QUEUED)
    if broadcasts.progress(broadcast).is_over:
        return False
    if not _switch(newsletter, actor, "cancelled", Broadcast.Status.CANCELLED, allowed):
        return False
    broadcasts.cancel_waiting(broadcast)
    return True


def _switch(newsletter: Newsletter, actor: Actor, verb: str, to: str, allowed: tuple[str, ...]) -> bool:
    broadcast = newsletter.broadcast
    before = broadcast.status
    if not broadcasts.switch(broadcast, to, allowed=allowed):
        return False
    audit.record(
        actor=actor,
        action=f"newsletter.{verb}",
        obj=newsletter,
        company=None,
        changes={"status": [before, to]},
    )
    return True


# --- The right to receive none ----------------------------------------------------------------------


@transaction.atomic
def unsubscribe(*, token: str, ip_address: str | None) -> list[Company] | None:
    """Opt the companies of a letter's link out; again and again to the same effect.

    Returns:
        The companies the link speaks for; None for a link that is not ours.
    """
    return _opt(token, True, ip_address)


@transaction.atomic
def resubscribe(*, token: str, ip_address: str | None) -> list[Company] | None:
    """The way back, offered on the page that confirms."""
    return _opt(token, False, ip_address)


def _opt(token: str, out: bool, ip_address: str | None) -> list[Company] | None:
    companies = unsubscribing.companies_of(token)
    # A key of the history, so it stays as it is; the page says it in the reader's language.
    actor = Actor("Lien de désabonnement", ip_address=ip_address)
    for company in companies or []:
        fresh = Company.objects.select_for_update().get(pk=company.pk)
        company_services.company_update(company=fresh, actor=actor, newsletter_opt_out=out)
    return companies
