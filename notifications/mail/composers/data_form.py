"""Mails about putting a data collection form online: to the company's Contact gestionnaire."""

from django.utils.translation import gettext as _

from notifications.mail.composers.base import (
    Content,
    Context,
    composer,
    one_line,
    page_url,
    shop_facts,
    support_link,
    when_text,
)


def _facts(context: Context) -> list[tuple[str, str]]:
    data = context.data
    return [
        *shop_facts(context.event),
        (_("Formulaire"), one_line(str(data.get("title", "")))),
        (_("Version"), str(data.get("number", ""))),
        (_("Demandée par") if context.event.type == "data_form.requested" else _("Par"), one_line(str(data["author"]))),
        (_("Date"), when_text(context.event.occurred_at)),
    ]


def _settings_page(context: Context) -> str:
    shop = context.event.shop
    assert shop
    return page_url("data_form", shop.site_id)


@composer("data_form_go_live")
def _data_form_go_live(context: Context) -> Content:
    """The mail about going online: requested while the shop is in TEST, done by the merchant afterwards."""
    values = {"shop": context.shop_name}
    if context.event.type == "data_form.requested":
        return Content(
            subject=_("Mise en production demandée : formulaire de collecte de données, %(shop)s") % values,
            headline=_("La mise en ligne du formulaire de collecte de données de la boutique %(shop)s est demandée.")
            % values,
            facts=_facts(context),
            paragraphs=[
                _(
                    "C'est la première fois que cette boutique met un formulaire en ligne : l'équipe de la plateforme le "
                    "relit, puis le met en ligne."
                ),
                _("Un second e-mail vous le confirmera. En cas de refus, le motif se lit sur la page du formulaire."),
            ],
            action=(_("Suivre la demande"), _settings_page(context)),
        )
    return Content(
        subject=_("Mise en production : formulaire de collecte de données, %(shop)s") % values,
        headline=_("Le formulaire de collecte de données de la boutique %(shop)s vient d'être mis en production.")
        % values,
        facts=_facts(context),
        paragraphs=[
            _("Cette version remplace aussitôt la précédente, à la même adresse."),
            _("Si vous n'êtes pas à l'origine de cette opération, retirez le formulaire et contactez le support."),
            support_link(),
        ],
        action=(_("Voir le formulaire"), _settings_page(context)),
    )


@composer("data_form_go_live_confirmation")
def _data_form_go_live_confirmation(context: Context) -> Content:
    values = {"shop": context.shop_name}
    confirmed = context.event.type == "data_form.confirmed"
    return Content(
        subject=_("Confirmation de mise en production : formulaire de collecte de données, %(shop)s") % values,
        headline=_("Le formulaire de collecte de données de la boutique %(shop)s est en ligne.") % values,
        facts=[*_facts(context), (_("Adresse publique"), str(context.data["url"]))],
        paragraphs=[
            *(
                [
                    _(
                        "L'équipe de la plateforme a accepté votre demande. Les prochaines mises en ligne de cette boutique "
                        "se feront sans elle."
                    )
                ]
                if confirmed
                else []
            ),
            _("Donnez son adresse à vos clients : chaque réponse crée un ordre de paiement de la boutique."),
        ],
        action=(_("Ouvrir le formulaire"), str(context.data["url"])),
    )
