"""Mails about a shop and its settings."""

from django.utils.translation import gettext as _

from notifications.mail.composers.base import Content, Context, composer, page_url, shop_facts, support_link, when_text


@composer("shop_created")
def _shop_created(context: Context) -> Content:
    event = context.event
    shop = event.shop
    assert shop
    return Content(
        subject=_("Votre boutique %(shop)s est créée") % {"shop": shop.name},
        headline=_("La boutique %(shop)s vient d'être créée.") % {"shop": shop.name},
        facts=[
            (_("Société"), event.company.name),
            (_("Boutique"), shop.name),
            (_("Identifiant boutique"), shop.site_id),
            *([(_("URL"), shop.url)] if shop.url else []),
            (_("Date"), when_text(event.occurred_at)),
        ],
        paragraphs=[
            _("La clé de test est disponible dès maintenant ; la clé de production le sera après la phase de test."),
            _("Vérifiez l'e-mail gestionnaire de la boutique et l'URL de notification à la fin du paiement."),
        ],
        action=(_("Voir la configuration de la boutique"), page_url("shop_configuration", shop.site_id)),
    )


@composer("production_key_generated")
def _production_key_generated(context: Context) -> Content:
    shop = context.event.shop
    assert shop
    again = context.event.type == "production_key.regenerated"
    values = {"shop": shop.name}
    return Content(
        subject=(_("Clé de production régénérée : %(shop)s") if again else _("Clé de production générée : %(shop)s"))
        % values,
        headline=(
            _("La clé de production de la boutique %(shop)s vient d'être régénérée.")
            if again
            else _("La clé de production de la boutique %(shop)s vient d'être générée.")
        )
        % values,
        facts=[
            *shop_facts(context.event),
            *([(_("Auteur"), str(context.data["author"]))] if context.data.get("author") else []),
            (_("Date"), when_text(context.event.occurred_at)),
        ],
        paragraphs=[
            (
                _("L'ancienne clé ne sert plus : votre site marchand doit signer avec la nouvelle dès maintenant.")
                if again
                else _("Le mode PRODUCTION est disponible ; le mode TEST et sa clé le restent.")
            ),
            _("La clé ne figure pas dans ce message. Reportez-la dans la configuration de votre site marchand."),
            _("Si vous n'êtes pas à l'origine de cette opération, contactez le support sans attendre."),
            support_link(),
        ],
        action=(_("Voir les clés de la boutique"), page_url("shop_keys", shop.site_id)),
    )


@composer("three_d_secure_activated")
def _three_d_secure_activated(context: Context) -> Content:
    return Content(
        subject=_("3D Secure activé : %(shop)s") % {"shop": context.shop_name},
        headline=_("Le 3D Secure est activé sur un contrat de la boutique %(shop)s.") % {"shop": context.shop_name},
        facts=[
            *shop_facts(context.event),
            (_("Contrat"), str(context.data.get("contract", ""))),
            (_("Réseau"), str(context.data.get("network", ""))),
            (_("Date"), when_text(context.event.occurred_at)),
        ],
        paragraphs=[_("Seule votre banque ou le support peut désactiver le 3D Secure d'un contrat."), support_link()],
        action=(_("Voir l'enrôlement des contrats"), page_url("authentication")),
    )
