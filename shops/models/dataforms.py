"""A shop's data collection form: draft, frozen versions, answers. Knows nothing of notifications."""

import uuid
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from backoffice.base.fields import LinesField, ReadableJSONField, check_link
from companies.models import Language
from shops.models.orders import Mode, new_token


class ContentField(ReadableJSONField):
    """A `content.Content` as JSON: buyers read its texts and follow its link."""

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        value = super().clean(value, model_instance)
        if value.get("privacy_url"):
            check_link(value["privacy_url"])
        return value


class DataCollectionForm(models.Model):
    """The form of a shop. `draft` is what the merchant works on; what buyers see is a version.

    Both hold a `content.Content` as JSON.
    """

    shop = models.OneToOneField(
        "shops.Shop", on_delete=models.PROTECT, related_name="data_form", verbose_name=_("boutique")
    )
    # The public link stays the same over all versions.
    token = models.CharField(max_length=64, unique=True, default=new_token, editable=False)
    draft = ContentField(_("brouillon"))
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(_("créé le"), default=timezone.now)
    updated_at = models.DateTimeField(_("modifié le"), auto_now=True)

    class Meta:
        verbose_name = _("formulaire de collecte de données")
        verbose_name_plural = _("formulaires de collecte de données")
        ordering = ["shop__site_id"]

    def __str__(self) -> str:
        return str(self.shop)


class DataFormVersion(models.Model):
    """A snapshot of a form that was asked to go online. Its content never changes."""

    class State(models.TextChoices):
        REQUESTED = "requested", pgettext_lazy("data form", "Mise en ligne demandée")
        LIVE = "live", pgettext_lazy("data form", "En ligne")
        REFUSED = "refused", pgettext_lazy("data form", "Refusée")
        REPLACED = "replaced", pgettext_lazy("data form", "Remplacée")
        WITHDRAWN = "withdrawn", pgettext_lazy("data form", "Retirée")
        CANCELLED = "cancelled", pgettext_lazy("data form", "Demande annulée")

    # Was once online.
    PUBLISHED = (State.LIVE, State.REPLACED, State.WITHDRAWN)

    form = models.ForeignKey(
        DataCollectionForm, on_delete=models.CASCADE, related_name="versions", verbose_name=_("formulaire")
    )
    number = models.PositiveIntegerField(_("version"))
    content = ContentField(_("contenu"), editable=False)
    state = models.CharField(_("état"), max_length=10, choices=State)
    asked_at = models.DateTimeField(_("demandée le"), default=timezone.now, editable=False)
    asked_by = models.CharField(_("demandée par"), max_length=200, editable=False)
    decided_at = models.DateTimeField(_("décidée le"), null=True, blank=True, editable=False)
    decided_by = models.CharField(_("décidée par"), max_length=200, blank=True, editable=False)
    reason = LinesField(_("motif"), max_length=1000, blank=True)
    live_at = models.DateTimeField(_("en ligne depuis"), null=True, blank=True, editable=False)
    ended_at = models.DateTimeField(_("en ligne jusqu'au"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("mise en ligne d'un formulaire")
        verbose_name_plural = _("mises en ligne de formulaires")
        ordering = ["-asked_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["form", "number"], name="data_form_version_number_once"),
            models.UniqueConstraint(fields=["form"], condition=Q(state="live"), name="data_form_one_live_version"),
            models.UniqueConstraint(fields=["form"], condition=Q(state="requested"), name="data_form_one_request"),
        ]

    def __str__(self) -> str:
        return f"{self.form} · {self.number}"


class DataFormAnswer(models.Model):
    """What a buyer entered, and the payment order made of it.

    The data are erased at `erase_at`; the order stays, it belongs to the accounts of the shop.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    form = models.ForeignKey(
        DataCollectionForm, on_delete=models.PROTECT, related_name="answers", verbose_name=_("formulaire")
    )
    # Empty: a trial of the draft, in TEST mode.
    version = models.ForeignKey(
        DataFormVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="answers"
    )
    mode = models.CharField(_("mode"), max_length=10, choices=Mode)
    order = models.OneToOneField("shops.PaymentOrder", on_delete=models.PROTECT, related_name="data_form_answer")
    # The identity of the page that was filled in: sent twice, it counts once.
    nonce = models.CharField(max_length=64, unique=True, editable=False)
    # [{"code", "label", "value"}] in the order of the page; personal data, empty once erased.
    values = models.JSONField(_("réponses"), default=list, blank=True)
    # The same in one text for the search.
    search = models.TextField(blank=True, editable=False)
    language = models.CharField(_("langue"), max_length=2, choices=Language)
    # The text of this address was accepted with the answer.
    privacy_url = models.CharField(_("politique acceptée"), max_length=500)
    created_at = models.DateTimeField(_("reçue le"), default=timezone.now)
    erase_at = models.DateTimeField(_("effacement prévu le"), null=True, blank=True, editable=False)
    erased_at = models.DateTimeField(_("effacée le"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("réponse à un formulaire")
        verbose_name_plural = _("réponses aux formulaires")
        ordering = ["-created_at", "-pk"]
        indexes = [
            # Serves the list of answers: newest first, TEST and PRODUCTION apart.
            models.Index(fields=["form", "mode", "-created_at"], name="data_form_newest_answer"),
            # Serves the worker's look at the clock.
            models.Index(fields=["erase_at"], condition=Q(erased_at__isnull=True), name="data_form_answer_to_erase"),
        ]

    def __str__(self) -> str:
        return f"{self.created_at:%Y-%m-%d %H:%M}"

    def value(self, code: str) -> str:
        return next((str(item["value"]) for item in self.values if item["code"] == code), "")

    @property
    def name(self) -> str:
        """Who answered, as far as the form asks for it."""
        person = " ".join(filter(None, [self.value("first_name"), self.value("last_name")]))
        return person or self.value("company")
