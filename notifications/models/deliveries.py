"""The outbox: deliveries, their attempts, and the health of notification URLs."""

import hashlib
import uuid

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.encoding import force_str
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from companies.models import Company
from notifications.core import catalogue, wording
from notifications.core.retry import LIMIT_MARK, OWN_RELAY, WAITS_MARK
from notifications.models.events import Event, Message
from notifications.models.rules import NotificationRule
from shops.models import Shop

# Mail that waits for no other: each of these kinds has a lane of its own in the queue.
ACCOUNT_MAIL = tuple(sorted(catalogue.SENT_IN_ANY_STATE))
INCIDENT_MAIL = ("platform_incident",)
# What a worker may take at once; a delivery that waits for its time has a `retry_at`.
_READY = Q(status__in=["queued", "retry"], retry_at__isnull=True)
_READY_MAIL = _READY & Q(channel="email", carried_by__isnull=True)


class Delivery(models.Model):
    """One message (or call) to one recipient, from acceptance to its final state."""

    class Status(models.TextChoices):
        QUEUED = "queued", pgettext_lazy("delivery", "En attente")
        SENDING = "sending", pgettext_lazy("delivery", "En cours")
        SENT = "sent", pgettext_lazy("delivery", "Envoyé")
        RETRY = "retry", pgettext_lazy("delivery", "Nouvel essai")
        DEAD = "dead", pgettext_lazy("delivery", "Abandonné")
        CANCELLED = "cancelled", pgettext_lazy("delivery", "Annulé")
        NOT_SENT = "not_sent", pgettext_lazy("delivery", "Non envoyé")

    # Named groups: write these in queries, never a list of statuses.
    DUE = (Status.QUEUED, Status.RETRY)
    OPEN = (Status.QUEUED, Status.RETRY, Status.SENDING)
    FAILED = (Status.DEAD, Status.NOT_SENT)
    FINAL = (Status.SENT, Status.DEAD, Status.CANCELLED, Status.NOT_SENT)

    class As(models.TextChoices):
        TO = "to", pgettext_lazy("recipient", "À")
        CC = "cc", pgettext_lazy("recipient", "Cc")

    class ChannelChoice(models.TextChoices):
        EMAIL = "email", _("E-mail")
        IPN = "ipn", _("Appel URL")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="deliveries", verbose_name=_("événement"))
    # None as for its event.
    company: "models.ForeignKey[Company, Company]" = models.ForeignKey(  # type: ignore[misc]
        Company,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="deliveries",
        verbose_name=_("société"),
    )
    shop = models.ForeignKey(
        Shop, on_delete=models.PROTECT, null=True, blank=True, related_name="deliveries", verbose_name=_("boutique")
    )
    notification = models.CharField(_("notification"), max_length=40, choices=catalogue.CHOICES)
    rule = models.ForeignKey(
        NotificationRule,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="deliveries",
        verbose_name=_("règle"),
    )
    account = models.CharField(_("compte"), max_length=64, blank=True)
    address = models.CharField(_("adresse"), max_length=500)
    normalised_address = models.CharField(max_length=500, editable=False)
    as_field = models.CharField(_("à / cc"), max_length=2, choices=As, default=As.TO, db_column="as")
    channel = models.CharField(_("canal"), max_length=10, choices=ChannelChoice, default=ChannelChoice.EMAIL)
    mode = models.CharField(_("mode"), max_length=10, choices=[(mode, mode) for mode in catalogue.MODES])
    status = models.CharField(_("état"), max_length=10, choices=Status, default=Status.QUEUED)
    message = models.ForeignKey(
        Message, on_delete=models.PROTECT, null=True, blank=True, related_name="deliveries", verbose_name=_("contenu")
    )
    # The full To and Cc lists as the headers show them.
    to_addresses = models.JSONField(default=list, blank=True)
    cc_addresses = models.JSONField(default=list, blank=True)
    # The resolution it was sent under: source, reason code, parameters, rule version.
    resolution = models.JSONField(_("résolution"), default=dict, blank=True)
    # Unique by a constraint: `unique=True` would add a second index, for LIKE.
    dedupe_key = models.CharField(max_length=64, editable=False)
    resend_of = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="resends",
        verbose_name=_("renvoi de"),
    )
    broadcast = models.ForeignKey(
        "Broadcast",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        db_index=False,
        related_name="deliveries",
    )
    # Another delivery carries this one, in a digest of its rule or in the one message of a broadcast to an address
    # of several companies: this row is never sent, it takes over each result of the other (docs/rules.md 3, 5.5).
    carried_by = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        db_index=False,
        related_name="carries",
    )
    # Headers of this one mail, besides those of its message: its place in a conversation.
    headers = models.JSONField(default=dict, blank=True, editable=False)
    is_test = models.BooleanField(_("essai"), default=False)
    # Asked for by a person (replay of a call): one attempt, without effect on the health of the rule.
    is_manual = models.BooleanField(_("à la demande"), default=False)
    # The replay of many calls that this one is part of.
    run = models.UUIDField(null=True, blank=True, editable=False)
    # Calls only: what is called (scheme, host and port), for the limit of calls at a time …
    endpoint = models.CharField(max_length=300, blank=True, editable=False)
    # … and what was frozen of the call: {"format", "fields" or "answer", "profile", "auto_retry", …}.
    call = models.JSONField(_("appel"), default=dict, blank=True, editable=False)
    attempt_count = models.PositiveSmallIntegerField(_("tentatives"), default=0)
    error = models.CharField(_("erreur"), max_length=500, blank=True)
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(_("créé le"), default=timezone.now)
    sent_at = models.DateTimeField(_("envoyé le"), null=True, blank=True)
    retry_at = models.DateTimeField(_("prochain essai"), null=True, blank=True)
    # When the digest that is to carry it is due, the same as `retry_at` until then; None once it is carried.
    digest_at = models.DateTimeField(null=True, blank=True, editable=False)
    lease_owner = models.CharField(max_length=120, blank=True, editable=False)
    leased_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("envoi")
        verbose_name_plural = _("envois")
        ordering = ["-created_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["dedupe_key"], name="delivery_once")]
        # Foreign keys have no index of their own where one of these starts with them.
        indexes = [
            # Serves the worker, which wakes those whose time has come.
            models.Index(fields=["retry_at"], condition=Q(retry_at__isnull=False), name="delivery_waits"),
            # Serve the digests: which rules have one that is due, and what it holds.
            models.Index(fields=["digest_at"], condition=Q(digest_at__isnull=False), name="delivery_digest_due"),
            models.Index(
                fields=["rule", "mode", "digest_at"], condition=Q(digest_at__isnull=False), name="delivery_digest_held"
            ),
            # The queues of `outbox/claims.py`: companies and endpoints take turns, two lanes go by age.
            models.Index(
                Coalesce(F("company"), Value(0)),
                F("created_at"),
                condition=_READY_MAIL & ~Q(notification__in=[*ACCOUNT_MAIL, *INCIDENT_MAIL]),
                name="delivery_ready_mail",
            ),
            models.Index(
                fields=["created_at"],
                condition=_READY_MAIL & Q(notification__in=ACCOUNT_MAIL),
                name="delivery_ready_account",
            ),
            models.Index(
                fields=["created_at"],
                condition=_READY_MAIL & Q(notification__in=INCIDENT_MAIL),
                name="delivery_ready_incident",
            ),
            models.Index(
                fields=["endpoint", "created_at"], condition=_READY & Q(channel="ipn"), name="delivery_ready_calls"
            ),
            # Serves the sweep of expired leases.
            models.Index(fields=["leased_until"], condition=Q(status="sending"), name="delivery_leased"),
            # Serves the count of calls in flight per endpoint.
            models.Index(fields=["endpoint"], condition=Q(status="sending", channel="ipn"), name="delivery_in_flight"),
            # Serves the state of sending: who looks at it wants the newest.
            models.Index(fields=["created_at"], condition=Q(status="dead"), name="delivery_dead"),
            # Serves the page of a replay.
            models.Index(fields=["run"], condition=Q(run__isnull=False), name="delivery_run"),
            # Serves "last call or mail" of the rules page.
            models.Index(fields=["rule", "-created_at"], condition=Q(rule__isnull=False), name="delivery_rule_newest"),
            # Serves the journal and the API, newest first within a company …
            models.Index(fields=["company", "-created_at", "-id"], name="delivery_company_newest"),
            # … and the team's list and tokens of the platform, over all companies.
            models.Index(fields=["-created_at", "-id"], name="delivery_newest"),
            # Serves home and the journal of what failed: few rows of many.
            models.Index(
                fields=["company", "status", "-created_at", "-id"],
                condition=Q(status__in=["retry", "dead", "not_sent", "cancelled"]),
                name="delivery_company_troubled",
            ),
            # Serve an address or its beginning, in a company and, for the team, in all of them.
            models.Index(
                fields=["company", "normalised_address", "-created_at"],
                opclasses=["int8_ops", "varchar_pattern_ops", "timestamptz_ops"],
                name="delivery_address_newest",
            ),
            models.Index(
                fields=["normalised_address", "-created_at"],
                opclasses=["varchar_pattern_ops", "timestamptz_ops"],
                name="delivery_address_anywhere",
            ),
            # Serves the count of a broadcast and the results that carried rows take over.
            models.Index(
                fields=["broadcast", "status"], condition=Q(broadcast__isnull=False), name="delivery_broadcast_state"
            ),
            models.Index(fields=["carried_by"], condition=Q(carried_by__isnull=False), name="delivery_carried"),
            # Serves "sent again as" of the journal.
            models.Index(fields=["resend_of"], condition=Q(resend_of__isnull=False), name="delivery_resends"),
        ]

    def __str__(self) -> str:
        return f"{self.get_notification_display()} → {self.address}"

    def get_notification_display(self) -> str:  # type: ignore[no-redef]
        """The name of its notification; the framework's own method translates and hashes all of them at each call."""
        return force_str(_NOTIFICATIONS.get(self.notification, self.notification))

    def get_status_display(self) -> str:  # type: ignore[no-redef]
        """Its state in words, in the same way."""
        return force_str(_STATES.get(self.status, self.status))

    @property
    def as_(self) -> str:
        return self.as_field

    @property
    def reason(self) -> str:
        """Why it was addressed to this recipient, in the active language."""
        code = self.resolution.get("reason", "")
        return wording.reason(code, self.resolution.get("params", {})) if code in wording.REASONS else ""

    @property
    def waits_for_us(self) -> bool:
        """Whether it waits because of a setting of the platform, which merchants can do nothing about."""
        waits = self.status == self.Status.RETRY and self.error.startswith(WAITS_MARK)
        return waits and not self.waits_for_own_relay

    @property
    def waits_for_own_relay(self) -> bool:
        """Whether it waits because the mail server of its company cannot be used."""
        return self.status == self.Status.RETRY and self.error.startswith(f"{WAITS_MARK}{OWN_RELAY}]")

    @property
    def waits_for_turn(self) -> bool:
        """Whether it waits for its turn under a limit: nothing is wrong with it."""
        return self.status in self.DUE and self.error.startswith(LIMIT_MARK)

    @property
    def in_digest(self) -> bool:
        """Whether its event waits for a digest, or is told in one."""
        return self.digest_at is not None or (self.carried_by_id is not None and self.broadcast_id is None)

    @property
    def is_cancellable(self) -> bool:
        """A waiting delivery can be stopped, unless another one carries it, or it may be that of several companies:
        a broadcast is stopped as a whole, by staff."""
        return self.status in self.DUE and self.broadcast_id is None and self.carried_by_id is None

    @property
    def is_resendable(self) -> bool:
        return self.status in (*self.FAILED, self.Status.SENT, self.Status.CANCELLED) and self.message_id is not None


_NOTIFICATIONS = dict(catalogue.CHOICES)
_STATES = dict(Delivery.Status.choices)


class Attempt(models.Model):
    """One try to hand a delivery over, with what the other side answered."""

    class Outcome(models.TextChoices):
        SENT = "sent", pgettext_lazy("attempt", "Accepté")
        TRANSIENT = "transient", pgettext_lazy("attempt", "Échec passager")
        PERMANENT = "permanent", pgettext_lazy("attempt", "Échec définitif")

    # Without an index of its own: that of its numbers starts with it.
    delivery = models.ForeignKey(
        Delivery, on_delete=models.CASCADE, db_index=False, related_name="attempts", verbose_name=_("envoi")
    )
    number = models.PositiveSmallIntegerField(_("n°"))
    started_at = models.DateTimeField(_("commencée le"))
    duration_ms = models.PositiveIntegerField(_("durée (ms)"), default=0)
    outcome = models.CharField(_("résultat"), max_length=10, choices=Outcome)
    code = models.PositiveSmallIntegerField(_("code"), null=True, blank=True)
    reply = models.CharField(_("réponse"), max_length=600, blank=True)
    queue_id = models.CharField(_("identifiant de file"), max_length=100, blank=True)
    # The company's own mail server that was tried; empty: the platform's.
    relay = models.CharField(_("serveur d'envoi"), max_length=300, blank=True, db_default="")
    # Calls only.
    url = models.CharField(_("URL appelée"), max_length=500, blank=True)
    error_code = models.CharField(_("code d'erreur"), max_length=40, blank=True)
    location = models.CharField(_("redirection vers"), max_length=500, blank=True)
    # A failure that is told in the mail of the quarter of an hour, when that ends; None: told, or not to be.
    notice_due_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("tentative")
        verbose_name_plural = _("tentatives")
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["delivery", "number"], name="attempt_number_once")]
        indexes = [
            # Serves the grouped failure mails: few rows wait for theirs.
            models.Index(fields=["notice_due_at"], condition=Q(notice_due_at__isnull=False), name="attempt_notice_due"),
            # Serves the team's search: a mail server is asked, and answers, by this.
            models.Index(fields=["queue_id"], condition=~Q(queue_id=""), name="attempt_queue_id"),
        ]

    def __str__(self) -> str:
        return f"{self.number} · {self.get_outcome_display()}"


class CallHealth(models.Model):
    """Whether the calls of a rule work in one mode; decides which failure and recovery mails are due.

    Written when automatic calls end; tests and manual calls leave it alone.
    """

    rule = models.ForeignKey(NotificationRule, on_delete=models.CASCADE, related_name="health")
    mode = models.CharField(max_length=10, choices=[(mode, mode) for mode in catalogue.MODES])
    # Since when every call failed; None while calls work.
    failing_since = models.DateTimeField(null=True, blank=True)
    # The start of the quarter of an hour whose first failure was mailed at once.
    mailed_slot = models.DateTimeField(null=True, blank=True)
    failure_count = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("santé des appels d'une règle")
        verbose_name_plural = _("santé des appels des règles")
        constraints = [models.UniqueConstraint(fields=["rule", "mode"], name="health_once_per_rule_and_mode")]

    def __str__(self) -> str:
        return f"{self.rule_id} {self.mode}"


def dedupe_key(*parts: object) -> str:
    """One non-null text for uniqueness: a digest of the parts."""
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()
