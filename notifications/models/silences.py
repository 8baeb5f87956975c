"""Shops whose payments are watched."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from shops.models import Shop


class SilenceWatch(models.Model):
    """A shop that has a rule for silences, and how far it was looked at; without such a rule the row goes."""

    shop = models.OneToOneField(Shop, on_delete=models.CASCADE, primary_key=True, related_name="silence_watch")
    # Nothing can be too long before that.
    look_at = models.DateTimeField()
    # The last payment before the silence that was told; None while none is.
    told_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("surveillance des paiements")
        verbose_name_plural = _("surveillances des paiements")
        # Serves the clock.
        indexes = [models.Index(fields=["look_at"], name="silence_look")]

    def __str__(self) -> str:
        return str(self.shop_id)
