"""The contracts of a shop."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from backoffice.base.fields import LineField
from shops.models.shop import Shop

NETWORKS_WITHOUT_CARD = frozenset({"SEPA"})


class Contract(models.Model):
    """A merchant ID (MID) with an acquirer, through which the shop takes payments."""

    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="contracts", verbose_name=_("boutique"))
    number = LineField(_("numéro de contrat"), max_length=40)
    network = LineField(_("réseau"), max_length=40)
    three_d_secure = models.BooleanField(_("3D Secure activé"), default=False)

    class Meta:
        verbose_name = _("contrat")
        verbose_name_plural = _("contrats")
        ordering = ["number", "network"]
        constraints = [
            models.UniqueConstraint(fields=["shop", "number", "network"], name="contract_once_per_shop_and_network")
        ]

    def __str__(self) -> str:
        return f"{self.number} ({self.network})"

    @property
    def takes_cards(self) -> bool:
        """Whether 3D Secure, which authenticates the holder of a card, makes sense here."""
        return self.network.upper() not in NETWORKS_WITHOUT_CARD
