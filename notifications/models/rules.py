"""Notification rules."""

import uuid
from typing import Any

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backoffice.base.crypto import EncryptedTextField
from backoffice.base.fields import LineField, ReadableJSONField
from notifications.core import catalogue, wording
from notifications.core.facts import ConditionFacts
from shops.models import Shop


def conditions_of(stored: list[dict[str, Any]]) -> tuple[ConditionFacts, ...]:
    """Conditions as facts, from the form in which they are stored."""
    return tuple(
        ConditionFacts(
            item["variable"],
            item["operator"],
            tuple(item["value"]) if isinstance(item["value"], list) else item["value"],
        )
        for item in stored
    )


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
    label = LineField(_("libellé de la règle"), max_length=200)
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
    # Mail to merchants only. The database's own default lets processes of the version before go on meanwhile.
    digest = models.CharField(
        _("fréquence des e-mails"),
        max_length=10,
        choices=list(catalogue.DIGESTS.items()),
        default=catalogue.EACH,
        db_default=catalogue.EACH,
    )
    # The merchant has said that a PRODUCTION call may go out over http://.
    http_confirmed = models.BooleanField(_("http:// accepté en mode PRODUCTION"), default=False)
    # language → {"subject", "body"}: what replaces the default texts; an absent language keeps them.
    email_texts = ReadableJSONField(_("textes de l'e-mail"), default=dict, blank=True)
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
        return conditions_of(self.conditions)

    @property
    def is_call(self) -> bool:
        return self.type == self.Type.IPN_CALL

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


class CallCredential(models.Model):
    """User and password with which the calls of a rule enter a protected page, in one mode (HTTP Basic, RFC 7617)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    rule = models.ForeignKey(
        NotificationRule, on_delete=models.CASCADE, related_name="credentials", verbose_name=_("règle")
    )
    mode = models.CharField(_("mode"), max_length=10, choices=[(mode, mode) for mode in catalogue.MODES])
    username = EncryptedTextField(editable=False)
    password = EncryptedTextField(editable=False)
    changed_at = models.DateTimeField(_("enregistré le"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("accès protégé d'une règle")
        verbose_name_plural = _("accès protégés des règles")
        constraints = [models.UniqueConstraint(fields=["rule", "mode"], name="credential_once_per_rule_and_mode")]

    def __str__(self) -> str:
        return f"{self.rule_id} {self.mode}"
