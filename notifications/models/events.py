"""Events, and the content made of them."""

from django.db import models
from django.db.models import Q
from django.db.models.fields.json import KT
from django.db.models.functions import Left
from django.utils.translation import gettext_lazy as _

from backoffice.base import logs, tracing
from companies.models import Company
from notifications.core import catalogue, wording
from shops.models import Shop

# So many characters of a transaction or order are in the index.
PAYMENT_KEY = 64


class Event(models.Model):
    """Something that happened, accepted once: from the platform, or from the back office itself."""

    # None only for what the platform sends to its own staff: the test of a letter. No merchant's page, mail
    # or call ever meets such an event, so the attribute is declared as what all of them may count on.
    company: "models.ForeignKey[Company, Company]" = models.ForeignKey(  # type: ignore[misc]
        Company, on_delete=models.PROTECT, null=True, blank=True, related_name="events", verbose_name=_("société")
    )
    shop = models.ForeignKey(
        Shop, on_delete=models.PROTECT, null=True, blank=True, related_name="events", verbose_name=_("boutique")
    )
    event_id = models.CharField(_("identifiant"), max_length=200)
    type = models.CharField(_("type"), max_length=60)
    mode = models.CharField(_("mode"), max_length=10, choices=[(mode, mode) for mode in catalogue.MODES])
    occurred_at = models.DateTimeField(_("survenu le"))
    accepted_at = models.DateTimeField(_("reçu le"), auto_now_add=True)
    external = models.BooleanField(_("reçu de la plateforme"), default=False)
    body_hash = models.CharField(max_length=64, blank=True, editable=False)
    data = models.JSONField(_("données"), default=dict, blank=True)
    # Leads from a mail or call back to the request that caused it, in the logs. The database's own default lets
    # processes of the version before go on while this one is installed.
    request_id = models.CharField(max_length=64, blank=True, editable=False, default=logs.request_id, db_default="")
    # The span that the event was made in, where traces are collected: what becomes of its deliveries, in other processes
    # and perhaps days later, belongs to the same trace. It is the caller's to choose, so nothing else tells it.
    traceparent = models.CharField(
        max_length=55, blank=True, editable=False, default=tracing.traceparent, db_default=""
    )

    class Meta:
        verbose_name = _("événement")
        verbose_name_plural = _("événements")
        ordering = ["-accepted_at", "-pk"]
        indexes = [
            # Serves the team's list.
            models.Index(fields=["-accepted_at", "-id"], name="event_newest"),
            # Serves what a rule would have matched lately, and the test phase: the newest of a shop.
            models.Index(fields=["shop", "-occurred_at"], condition=Q(shop__isnull=False), name="event_shop_newest"),
            # Serve the team's search by payment; whole values may be longer than an index takes.
            models.Index(Left(KT("data__transaction_id"), PAYMENT_KEY), name="event_transaction"),
            models.Index(Left(KT("data__order_id"), PAYMENT_KEY), name="event_order"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["company", "event_id"], name="event_once_per_company"),
            models.CheckConstraint(
                condition=Q(company__isnull=False) | Q(type__in=["newsletter.tried", "sending.needs_a_person"]),
                name="event_of_a_company_or_of_staff",
            ),
        ]

    def __str__(self) -> str:
        return f"{wording.trigger_label(self.type)} {self.event_id}"


class Message(models.Model):
    """The content of a mail, frozen when its event was accepted, shared by its recipients.

    `text` and `html` hold the markers of `emails.py` where the reason line and single-use links
    go; they are filled in at sending, and masked on every screen.
    """

    # A broadcast shares one message per language among the events of all its companies.
    event = models.ForeignKey(Event, on_delete=models.CASCADE, null=True, blank=True, related_name="messages")
    broadcast = models.ForeignKey("Broadcast", on_delete=models.CASCADE, null=True, blank=True, related_name="messages")
    language = models.CharField(max_length=2)
    subject = models.CharField(_("objet"), max_length=300)
    text = models.TextField(_("texte"))
    html = models.TextField(_("HTML"))
    reply_to = models.CharField(_("répondre à"), max_length=254, blank=True)
    headers = models.JSONField(default=dict, blank=True)
    # Spares the worker a look for attachments at each of the many mails without any.
    has_attachments = models.BooleanField(default=False, editable=False)

    class Meta:
        verbose_name = _("contenu")
        verbose_name_plural = _("contenus")
        constraints = [
            models.CheckConstraint(
                condition=Q(event__isnull=False, broadcast__isnull=True)
                | Q(event__isnull=True, broadcast__isnull=False),
                name="message_of_an_event_or_a_broadcast",
            ),
            models.UniqueConstraint(
                fields=["broadcast", "language"],
                condition=Q(broadcast__isnull=False),
                name="message_once_per_broadcast_and_language",
            ),
        ]

    def __str__(self) -> str:
        return self.subject


class Attachment(models.Model):
    """A file that goes out with a message; frozen like its text, sent again with it."""

    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="attachments", verbose_name=_("contenu")
    )
    name = models.CharField(_("nom du fichier"), max_length=100)
    content_type = models.CharField(max_length=100)
    content = models.BinaryField(editable=False)
    size = models.PositiveIntegerField(_("taille (octets)"))
    sha256 = models.CharField(max_length=64, editable=False)

    class Meta:
        verbose_name = _("pièce jointe")
        verbose_name_plural = _("pièces jointes")
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name
