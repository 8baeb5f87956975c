"""Who acts for which company, with which rights."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from backoffice.base.fields import CodeSetField
from companies.models.companies import Company
from companies.models.users import User


class Role(models.TextChoices):
    ADMINISTRATOR = "administrator", _("Administrateur")
    MANAGER = "manager", _("Gestionnaire")
    VIEWER = "viewer", _("Lecture seule")


class Membership(models.Model):
    """What a user may do in a company: a role or permissions of one's own, and the shops covered.

    Read it through `access`, which knows how the parts combine (`permissions.Access`).
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("compte"))
    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("société")
    )
    role = models.CharField(_("rôle"), max_length=20, choices=Role, default=Role.VIEWER)
    permissions = CodeSetField(_("droits particuliers"), null=True, blank=True, default=None)
    all_shops = models.BooleanField(_("toutes les boutiques"), default=True)
    shops = models.ManyToManyField(
        "shops.Shop", through="MembershipShop", blank=True, related_name="+", verbose_name=_("boutiques")
    )

    class Meta:
        verbose_name = _("accès à une société")
        verbose_name_plural = _("accès aux sociétés")
        constraints = [
            models.UniqueConstraint(fields=["user", "company"], name="membership_once_per_company"),
            # Somebody must be able to grant everything: the role of administrator is never cut down.
            models.CheckConstraint(
                condition=~models.Q(role=Role.ADMINISTRATOR) | models.Q(permissions__isnull=True),
                name="membership_administrator_is_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.company} · {self.get_role_display()}"


class MembershipShop(models.Model):
    """A shop named in a membership, with permissions of its own or those of the membership (NULL)."""

    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="grants", verbose_name=_("accès"))
    shop = models.ForeignKey("shops.Shop", on_delete=models.CASCADE, related_name="+", verbose_name=_("boutique"))
    permissions = CodeSetField(_("droits sur la boutique"), null=True, blank=True, default=None)

    class Meta:
        verbose_name = _("droits sur une boutique")
        verbose_name_plural = _("droits par boutique")
        constraints = [models.UniqueConstraint(fields=["membership", "shop"], name="grant_once_per_shop")]

    def __str__(self) -> str:
        return f"{self.membership} · {self.shop}"
