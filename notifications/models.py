"""Rules, events and the outbox: what decides and what proves each sending."""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import get_language, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from backoffice.fields import CodeSetField
from companies.models import Company
from shops.models import Shop

from . import catalogue, wording
from .facts import ConditionFacts


class NotificationRule(models.Model):
    """A rule of a shop: on these triggers and conditions, call a URL or write to these recipients.

    `recipients` holds `@shop_manager` or addresses. A removed rule is archived, because deliveries
    refer to it. `version` grows with each change; deliveries keep the version they were sent under.
    """

    class Type(models.TextChoices):
        IPN_CALL = "ipn_call", _("Appel URL de notification")
        MERCHANT_EMAIL = "merchant_email", _("E-mail envoyé au marchand")
        BUYER_EMAIL = "buyer_email", _("E-mail envoyé à l'acheteur")

    class Profile(models.TextChoices):
        STANDARD = "standard", _("Standard")
        EXTENDED = "extended", _("Étendu")

    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="rules", verbose_name=_("boutique"))
    reference = models.CharField(
        _("référence"),
        max_length=40,
        validators=[
            RegexValidator(
                r"^[a-z0-9-]{1,40}\Z",
                _("La référence d'une règle compte 1 à 40 lettres minuscules, chiffres ou tirets."),
            )
        ],
    )
    type = models.CharField(_("type de notification"), max_length=20, choices=Type)
    label = models.CharField(_("libellé de la règle"), max_length=200)
    enabled = models.BooleanField(_("activée"), default=True)
    triggers = models.JSONField(_("événements déclencheurs"), default=list)
    conditions = models.JSONField(_("conditions"), default=list, blank=True)
    recipients = models.JSONField(_("destinataires"), default=list, blank=True)
    emptied_by = models.CharField(max_length=200, blank=True, editable=False)
    emptied_at = models.DateTimeField(null=True, blank=True, editable=False)
    url_test = models.CharField(_("URL à appeler en mode TEST"), max_length=500, blank=True)
    url_production = models.CharField(_("URL à appeler en mode PRODUCTION"), max_length=500, blank=True)
    rest_url_test = models.CharField(_("URL cible de l'IPN à appeler en mode TEST"), max_length=500, blank=True)
    rest_url_production = models.CharField(
        _("URL cible de l'IPN à appeler en mode PRODUCTION"), max_length=500, blank=True
    )
    auto_retry = models.BooleanField(_("rejeu automatique en cas d'échec"), default=False)
    profile = models.CharField(_("profil de rejeu"), max_length=10, choices=Profile, default=Profile.STANDARD)
    # The merchant has said that a PRODUCTION call may go out over http://.
    http_confirmed = models.BooleanField(_("http:// accepté en mode PRODUCTION"), default=False)
    # language → {"subject", "body"}: what replaces the default texts; an absent language keeps them.
    email_texts = models.JSONField(_("textes de l'e-mail"), default=dict, blank=True)
    # Codes of the fields that follow the text, in order; None: the default ones.
    email_fields = models.JSONField(_("champs à inclure"), null=True, blank=True, default=None)
    version = models.PositiveIntegerField(default=1, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    URL_FIELDS = ("url_test", "url_production", "rest_url_test", "rest_url_production")
    PRODUCTION_URL_FIELDS = ("url_production", "rest_url_production")

    class Meta:
        verbose_name = _("règle de notification")
        verbose_name_plural = _("règles de notification")
        ordering = ["shop", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["shop", "reference"], condition=Q(archived_at__isnull=True), name="rule_reference_once_per_shop"
            ),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def display_label(self) -> str:
        """The label in the reader's language for a default rule (stored in French), else as typed."""
        return wording.rule_label(self.label)

    @property
    def condition_facts(self) -> tuple[ConditionFacts, ...]:
        return tuple(
            ConditionFacts(
                item["variable"],
                item["operator"],
                tuple(item["value"]) if isinstance(item["value"], list) else item["value"],
            )
            for item in self.conditions
        )

    @property
    def has_url(self) -> bool:
        return any(getattr(self, name) for name in self.URL_FIELDS)

    @property
    def is_default(self) -> bool:
        """One of the rules that every shop is given; it can be changed and switched off, not deleted."""
        return self.reference in {rule.reference for rule in catalogue.DEFAULT_RULES}

    @property
    def trigger_labels(self) -> list[str]:
        return [wording.trigger_label(code) for code in self.triggers]


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

    class Meta:
        verbose_name = _("événement")
        verbose_name_plural = _("événements")
        ordering = ["-accepted_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["company", "event_id"], name="event_once_per_company"),
            models.CheckConstraint(
                condition=Q(company__isnull=False) | Q(type="newsletter.tried"), name="event_of_a_company_or_of_staff"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


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
        Company, on_delete=models.PROTECT, null=True, blank=True, related_name="deliveries", verbose_name=_("société")
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
    dedupe_key = models.CharField(max_length=64, unique=True, editable=False)
    resend_of = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="resends", verbose_name=_("renvoi de")
    )
    broadcast = models.ForeignKey(
        "Broadcast", on_delete=models.PROTECT, null=True, blank=True, editable=False, related_name="deliveries"
    )
    # Another company had the same address, and its delivery carries the one message for both: this row
    # is never sent, it takes over each result of the other (DESIGN 3).
    carried_by = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, editable=False, related_name="carries"
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
    lease_owner = models.CharField(max_length=120, blank=True, editable=False)
    leased_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("envoi")
        verbose_name_plural = _("envois")
        ordering = ["-created_at", "-pk"]
        indexes = [
            # Serves the claim of the worker: few rows are due at any time.
            models.Index(
                fields=["retry_at", "created_at"], condition=Q(status__in=["queued", "retry"]), name="delivery_due"
            ),
            # Serves the sweep of expired leases.
            models.Index(fields=["leased_until"], condition=Q(status="sending"), name="delivery_leased"),
            # Serves the count of calls in flight per endpoint.
            models.Index(fields=["endpoint"], condition=Q(status="sending", channel="ipn"), name="delivery_in_flight"),
            # Serves the fair choice of the calls to make next: so many of each endpoint.
            models.Index(
                fields=["endpoint", "created_at"],
                condition=Q(status__in=["queued", "retry"], channel="ipn"),
                name="delivery_due_calls",
            ),
            # Serves the page of a replay.
            models.Index(fields=["run"], condition=Q(run__isnull=False), name="delivery_run"),
            # Serves "last call or mail" of the rules page.
            models.Index(fields=["rule", "-created_at"], condition=Q(rule__isnull=False), name="delivery_rule_newest"),
            # Serves the journal and the API, newest first within a company.
            models.Index(fields=["company", "-created_at", "id"], name="delivery_company_newest"),
            models.Index(fields=["company", "normalised_address", "-created_at"], name="delivery_address_newest"),
            # Serves the team's search for an address over all companies.
            models.Index(fields=["normalised_address", "-created_at"], name="delivery_address_anywhere"),
            # Serves the count of a broadcast and the results that carried rows take over.
            models.Index(
                fields=["broadcast", "status"], condition=Q(broadcast__isnull=False), name="delivery_broadcast_state"
            ),
            models.Index(fields=["carried_by"], condition=Q(carried_by__isnull=False), name="delivery_carried"),
        ]

    def __str__(self) -> str:
        return f"{self.notification} → {self.address}"

    @property
    def as_(self) -> str:
        return self.as_field

    @property
    def reason(self) -> str:
        """Why it was addressed to this recipient, in the active language."""
        code = self.resolution.get("reason", "")
        return wording.reason(code, self.resolution.get("params", {})) if code in wording.REASONS else ""

    @property
    def is_cancellable(self) -> bool:
        """A waiting delivery can be stopped, unless it may be that of several companies: a broadcast is
        stopped as a whole, by staff."""
        return self.status in self.DUE and self.broadcast_id is None

    @property
    def is_resendable(self) -> bool:
        return self.status in (*self.FAILED, self.Status.SENT, self.Status.CANCELLED) and self.message_id is not None


class Attempt(models.Model):
    """One try to hand a delivery over, with what the other side answered."""

    class Outcome(models.TextChoices):
        SENT = "sent", pgettext_lazy("attempt", "Accepté")
        TRANSIENT = "transient", pgettext_lazy("attempt", "Échec passager")
        PERMANENT = "permanent", pgettext_lazy("attempt", "Échec définitif")

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts", verbose_name=_("envoi"))
    number = models.PositiveSmallIntegerField(_("n°"))
    started_at = models.DateTimeField(_("commencée le"))
    duration_ms = models.PositiveIntegerField(_("durée (ms)"), default=0)
    outcome = models.CharField(_("résultat"), max_length=10, choices=Outcome)
    code = models.PositiveSmallIntegerField(_("code"), null=True, blank=True)
    reply = models.CharField(_("réponse"), max_length=600, blank=True)
    queue_id = models.CharField(_("identifiant de file"), max_length=100, blank=True)
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


class ApiToken(models.Model):
    """A bearer token of the API, stored hashed; scoped to the platform or to one company."""

    class Scope(models.TextChoices):
        EVENTS = "events:write", _("Transmettre des événements")
        TABLES = "tables:read", _("Lire qui reçoit quoi")
        DELIVERIES = "deliveries:read", _("Lire le journal des envois")

    class State(models.TextChoices):
        ACTIVE = "active", _("actif")
        EXPIRING = "expiring", _("à renouveler")
        REPLACED = "replaced", _("remplacé")
        EXPIRED = "expired", _("expiré")
        REVOKED = "revoked", _("révoqué")

    # From then on screens and the consistency report call for a successor.
    SOON = timedelta(days=30)
    # Characters of a token that are kept and shown, to tell it from others.
    SHOWN = 12

    name = models.CharField(pgettext_lazy("of a thing", "nom"), max_length=100)
    company = models.ForeignKey(
        Company,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="api_tokens",
        verbose_name=_("société"),
        help_text=_("Vide : toute la plateforme."),
    )
    # NULL: everything, as for tokens made before there were scopes.
    scopes = CodeSetField(_("portée"), null=True, blank=True)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    prefix = models.CharField(_("début du jeton"), max_length=SHOWN, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(_("créé le"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expire le"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("dernière utilisation"), null=True, blank=True, editable=False)
    last_used_ip = models.GenericIPAddressField(_("depuis"), null=True, blank=True, editable=False)
    # A successor was made; this one only runs out.
    replaced_at = models.DateTimeField(_("remplacé le"), null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(_("révoqué le"), null=True, blank=True)

    class Meta:
        verbose_name = _("jeton d'API")
        verbose_name_plural = _("jetons d'API")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    def is_valid(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)

    @property
    def state(self) -> str:
        """One of State: revoked beats expired, expired beats replaced."""
        now = timezone.now()
        if self.revoked_at is not None:
            return self.State.REVOKED
        if self.expires_at is not None and self.expires_at <= now:
            return self.State.EXPIRED
        if self.replaced_at is not None:
            return self.State.REPLACED
        soon = self.expires_at is not None and self.expires_at <= now + self.SOON
        return self.State.EXPIRING if soon else self.State.ACTIVE

    @property
    def allowed(self) -> list[str]:
        """Its scopes in the order of Scope."""
        return [code for code in self.Scope.values if self.scopes is None or code in self.scopes]

    @property
    def scope_labels(self) -> list[str]:
        return [str(self.Scope(code).label) for code in self.allowed]


# --- Consistency reports ----------------------------------------------------------------------------


class ConsistencyReport(models.Model):
    """What the checks found in the settings of a company, kept when it differs from the report before.

    `findings` holds `consistency.Finding` as JSON: codes and values, put into words when shown.
    """

    company = models.ForeignKey(
        Company, on_delete=models.PROTECT, related_name="consistency_reports", verbose_name=_("société")
    )
    checked_at = models.DateTimeField(_("établi le"), default=timezone.now)
    # The last run that found the same again.
    last_checked_at = models.DateTimeField(_("vérifié le"), default=timezone.now)
    findings = models.JSONField(_("constats"), default=list)
    error_count = models.PositiveIntegerField(_("erreurs"), default=0)
    warning_count = models.PositiveIntegerField(_("avertissements"), default=0)
    digest = models.CharField(max_length=64, editable=False)
    errors_digest = models.CharField(max_length=64, editable=False)
    # When these errors were mailed, by this report or an earlier one with the same errors.
    told_at = models.DateTimeField(_("envoyé le"), null=True, blank=True)
    actor_label = models.CharField(_("demandé par"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("rapport de consistance")
        verbose_name_plural = _("rapports de consistance")
        ordering = ["-checked_at", "-pk"]
        indexes = [
            # Serves the report in force and the history of a company.
            models.Index(fields=["company", "-checked_at"], name="report_company_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.company} {self.checked_at:%Y-%m-%d}"


class ConsistencySchedule(models.Model):
    """When the worker checks a company next. Moving `due_at` on is what claims the run."""

    company = models.OneToOneField(Company, on_delete=models.CASCADE, related_name="consistency_schedule")
    due_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("prochain contrôle de consistance")
        verbose_name_plural = _("prochains contrôles de consistance")

    def __str__(self) -> str:
        return f"{self.company_id} {self.due_at:%Y-%m-%d %H:%M}"


# --- Letters and incidents: what goes to many companies at once -------------------------------------


class Newsletter(models.Model):
    """A letter of the platform to the Contacts gestionnaires, in both languages.

    `audience` narrows the companies, see `broadcasts.companies_in`. Frozen once it was sent, that is,
    once it has a `broadcast`.
    """

    title_fr = models.CharField(_("titre en français"), max_length=150)
    text_fr = models.TextField(_("texte en français"), max_length=20_000)
    title_en = models.CharField(_("titre en anglais"), max_length=150)
    text_en = models.TextField(_("texte en anglais"), max_length=20_000)
    audience = models.JSONField(_("destinataires"), default=dict, blank=True)
    created_by = models.CharField(_("rédigée par"), max_length=200, editable=False)
    created_at = models.DateTimeField(_("créée le"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("modifiée le"), auto_now=True)

    class Meta:
        verbose_name = _("lettre d'information")
        verbose_name_plural = _("lettres d'information")
        ordering = ["-created_at", "-pk"]
        permissions = [("send_newsletter", "Can send a newsletter to companies")]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        return self.title_in(get_language() or "fr")

    def title_in(self, language: str) -> str:
        return self.title_en if language == "en" else self.title_fr

    def text_in(self, language: str) -> str:
        return self.text_en if language == "en" else self.text_fr


class Incident(models.Model):
    """An incident of the payment platform, told on the public status page and to the incident addresses.

    Its state is that of its newest update.
    """

    class Impact(models.TextChoices):
        DEGRADED = "degraded", pgettext_lazy("incident", "Service dégradé")
        PARTIAL = "partial", pgettext_lazy("incident", "Panne partielle")
        MAJOR = "major", pgettext_lazy("incident", "Panne générale")
        MAINTENANCE = "maintenance", pgettext_lazy("incident", "Maintenance")

    title_fr = models.CharField(_("titre en français"), max_length=150)
    title_en = models.CharField(_("titre en anglais"), max_length=150)
    impact = models.CharField(_("gravité"), max_length=12, choices=Impact, default=Impact.DEGRADED)
    started_at = models.DateTimeField(_("commencé le"), default=timezone.now)
    resolved_at = models.DateTimeField(_("résolu le"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("ouvert le"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")
        ordering = ["-started_at", "-pk"]
        indexes = [
            # Serves the status page: those that run, and the resolved ones of the last 90 days.
            models.Index(fields=["resolved_at"], name="incident_resolved"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        return self.title_in(get_language() or "fr")

    def title_in(self, language: str) -> str:
        return self.title_en if language == "en" else self.title_fr


class IncidentUpdate(models.Model):
    """One message about an incident: its opening, news of it, its end. Never changed once told."""

    class State(models.TextChoices):
        INVESTIGATING = "investigating", pgettext_lazy("incident", "En cours d'analyse")
        IDENTIFIED = "identified", pgettext_lazy("incident", "Cause identifiée")
        MONITORING = "monitoring", pgettext_lazy("incident", "Sous surveillance")
        RESOLVED = "resolved", pgettext_lazy("incident", "Résolu")

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="updates", verbose_name=_("incident"))
    state = models.CharField(_("état"), max_length=15, choices=State, default=State.INVESTIGATING)
    text_fr = models.TextField(_("texte en français"), max_length=4000)
    text_en = models.TextField(_("texte en anglais"), max_length=4000)
    at = models.DateTimeField(_("publié le"), default=timezone.now, editable=False)
    author = models.CharField(_("auteur"), max_length=200, editable=False)

    class Meta:
        verbose_name = _("message d'incident")
        verbose_name_plural = _("messages d'incident")
        ordering = ["at", "pk"]

    def __str__(self) -> str:
        return f"{self.incident} · {self.get_state_display()}"

    @property
    def text(self) -> str:
        return self.text_in(get_language() or "fr")

    def text_in(self, language: str) -> str:
        return self.text_en if language == "en" else self.text_fr


class Broadcast(models.Model):
    """One letter or incident message on its way to many companies (DESIGN 3).

    Companies are taken in order of their key; `last_company` is how far the outbox has been filled, in the
    same transaction as the rows themselves. Each distinct address gets one message.
    """

    class Status(models.TextChoices):
        RUNNING = "running", pgettext_lazy("broadcast", "En cours")
        PAUSED = "paused", pgettext_lazy("broadcast", "En pause")
        CANCELLED = "cancelled", pgettext_lazy("broadcast", "Arrêté")
        QUEUED = "queued", pgettext_lazy("broadcast", "Tout est en file")

    notification = models.CharField(max_length=40, choices=catalogue.CHOICES)
    newsletter = models.OneToOneField(
        Newsletter, on_delete=models.PROTECT, null=True, blank=True, related_name="broadcast"
    )
    incident_update = models.OneToOneField(
        IncidentUpdate, on_delete=models.PROTECT, null=True, blank=True, related_name="broadcast"
    )
    audience = models.JSONField(default=dict, blank=True)
    status = models.CharField(_("état"), max_length=10, choices=Status, default=Status.RUNNING)
    # Distinct addresses counted when it was started; the real number may differ, settings go on changing.
    planned = models.PositiveIntegerField(default=0)
    last_company = models.BigIntegerField(default=0)
    started_by = models.CharField(max_length=200)
    started_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("envoi groupé")
        verbose_name_plural = _("envois groupés")
        ordering = ["-started_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(newsletter__isnull=False, incident_update__isnull=True)
                | Q(newsletter__isnull=True, incident_update__isnull=False),
                name="broadcast_of_one_thing",
            )
        ]
        indexes = [
            # Serves the worker, which looks for the few that are on their way.
            models.Index(fields=["started_at"], condition=Q(status="running"), name="broadcast_running"),
        ]

    def __str__(self) -> str:
        return str(self.newsletter or self.incident_update)
