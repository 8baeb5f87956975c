"""A sample of the Atelier, sent to the member of staff who asks: to nobody else, and journaled like any mail."""

import uuid

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from backoffice.text import addresses
from companies import audit
from companies.audit import Actor
from companies.models import User
from notifications.core import resolver
from notifications.core.facts import CompanyFacts, Occasion
from notifications.events import doorbell
from notifications.events.rows import mail_to_one
from notifications.mail import showcase
from notifications.mail.showcase import Sample
from notifications.models import Delivery, Event, dedupe_key


@transaction.atomic
def sample_send(*, sample: Sample, language: str, mode: str, staff: User, actor: Actor) -> Delivery:
    """Queue one sample for the verified address of an account of the team.

    Links that would open an account lead to the first page. Raises ValidationError when the account has no address that
    can receive mail, or is not of the team.
    """
    if not staff.is_staff:
        raise ValidationError(_("Seule l'équipe de la plateforme s'envoie des exemples."))
    try:
        addresses.validate_single(staff.link_email)
    except addresses.InvalidAddress as error:
        raise ValidationError(str(error)) from error
    message = showcase.frozen(sample, language, mode, link=f"{settings.BASE_URL}/")
    event = Event.objects.create(
        company=None,  # the platform's own, see the model
        event_id=f"bom-sample-{uuid.uuid4()}",
        type="newsletter.tried",
        mode=mode,
        occurred_at=timezone.now(),
        data={"sample": sample.key, "title": message.subject},
    )
    message.event = event
    message.subject = f"[{_('Exemple')}] {message.subject}"[:300]
    message.headers = {**message.headers, "X-BOM-Test": "true"}
    message.save(force_insert=True)
    platform = CompanyFacts(reference="", name=settings.PLATFORM_NAME, language=language, manager_email="")
    (decision,) = resolver.resolve(platform, "address_check", occasion=Occasion(address=staff.link_email))
    key = dedupe_key(event.pk, decision.notification, language, decision.normalised)
    delivery = mail_to_one(event, decision, message, is_test=True, dedupe_key=key)
    delivery.save(force_insert=True)
    told = f"{sample.key} · {language} · {mode}"
    audit.record(actor=actor, action="mail.sampled", obj=staff, company=None, changes={"sample": ["", told]})
    transaction.on_commit(doorbell.ring, robust=True)
    return delivery
