"""Mails about calls to notification URLs that fail, and that work again."""

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from notifications.calls import requests as calls
from notifications.core import wording
from notifications.mail.composers.base import Content, Context, amount_text, composer, page_url, shop_facts, when_text

# Calls named one by one in a mail about several; the journal has the rest.
NAMED_CALLS = 20


@composer("ipn_failure")
def _ipn_failure(context: Context) -> Content:
    if context.event.type == "ipn.recovered":
        return _recovered(context)
    told = context.data["calls"]
    return _one_failure(context, told[0]) if len(told) == 1 else _several_failures(context, told)


def mark(call: dict[str, Any]) -> str:
    """[tentative infructueuse n° 1] … [dernière tentative], as the subject has it."""
    if call["last"]:
        return _("[dernière tentative]")
    return _("[tentative infructueuse n° %(n)s]") % {"n": call["number"]}


def _one_failure(context: Context, call: dict[str, Any]) -> Content:
    event, rule = context.event, context.rule
    assert event.shop and rule
    reference = _reference(call)
    values = {"shop": event.shop.name, "reference": reference, "mark": mark(call)}
    subject = (
        _("%(shop)s - Tr. réf. %(reference)s / ÉCHEC lors de l'appel de votre URL de notification %(mark)s")
        if reference
        else _("%(shop)s / ÉCHEC lors de l'appel de votre URL de notification %(mark)s")
    )
    return Content(
        subject=subject % values,
        headline=_("L'appel de l'URL de notification de la boutique %(shop)s a échoué.") % values,
        facts=[
            *shop_facts(event),
            (_("Date de l'échec"), when_text(event.occurred_at)),
            *([(_("Référence de la transaction"), reference)] if reference else []),
            *_amount(call),
            (_("Événement"), wording.trigger_label(call["trigger"])),
            (_("Règle de notification"), rule.display_label),
            (_("URL appelée"), call["url"]),
            (_("Code d'erreur"), call["code"]),
            (_("Problème rencontré"), calls.failure_label(call["code"])),
            (_("Prochain essai"), _next(call)),
        ],
        paragraphs=[
            cause(call["code"]),
            _consequences_of_a_test()
            if event.mode == "TEST"
            else _(
                "Conséquences : le paiement n'est pas modifié par cet échec, mais votre site marchand n'en connaît "
                "peut-être pas le résultat. Une commande payée peut y rester en attente."
            ),
            *_what_to_do(call),
        ],
        action=(_("Exécuter l'URL de notification"), page_url("call_replay", call["delivery"])),
        # Every attempt of one call.
        thread=f"call-{call['delivery']}",
        preview=" · ".join(
            part
            for part in (calls.failure_label(call["code"]), *(value for _label, value in _amount(call)), call["url"])
            if part
        ),
    )


def _several_failures(context: Context, told: list[dict[str, Any]]) -> Content:
    event, rule = context.event, context.rule
    assert event.shop and rule
    marks = {mark(call) for call in told}
    values = {"shop": event.shop.name, "n": len(told)}
    subject = (
        ngettext(
            "%(shop)s / %(n)d ÉCHEC lors de l'appel de votre URL de notification",
            "%(shop)s / %(n)d ÉCHECS lors de l'appel de votre URL de notification",
            len(told),
        )
        % values
    )
    if len(marks) == 1:
        subject = f"{subject} {marks.pop()}"
    codes = list(dict.fromkeys(call["code"] for call in told))
    # What is the same of all is told once.
    urls = {call["url"] for call in told}
    listed = [(_("URL appelée"), urls.pop())] if len(urls) == 1 else []
    for call in told[:NAMED_CALLS]:
        parts = [call["code"], mark(call), *([call["url"]] if urls else []), _next(call)]
        listed.append((_reference(call) or call["event"], " · ".join(parts)))
    if len(told) > NAMED_CALLS:
        listed.append((_("Autres appels"), str(len(told) - NAMED_CALLS)))
    return Content(
        subject=subject,
        headline=_(
            "%(n)d appels de l'URL de notification de la boutique %(shop)s ont échoué au cours du même quart d'heure."
        )
        % values,
        facts=[*shop_facts(event), (_("Règle de notification"), rule.display_label), *listed],
        paragraphs=[
            *[cause(code) for code in codes[:3]],
            _consequences_of_a_test()
            if event.mode == "TEST"
            else _(
                "Conséquences : les paiements ne sont pas modifiés par ces échecs, mais votre site marchand n'en "
                "connaît peut-être pas le résultat. Des commandes payées peuvent y rester en attente."
            ),
            *_what_to_do({"last": all(call["last"] for call in told)}),
        ],
        action=(
            _("Voir ces appels dans le journal"),
            page_url("journal", channel="ipn", status="failed", rule=rule.reference, shop=event.shop.site_id),
        ),
    )


def _recovered(context: Context) -> Content:
    event, rule, call = context.event, context.rule, context.data["calls"][0]
    assert event.shop and rule
    values = {"shop": event.shop.name}
    return Content(
        subject=_("%(shop)s / Votre URL de notification répond de nouveau [rétabli]") % values,
        headline=_("L'URL de notification de la boutique %(shop)s répond de nouveau.") % values,
        facts=[
            *shop_facts(event),
            (_("En échec depuis"), when_text(datetime.fromisoformat(context.data["since"]))),
            (_("Rétabli le"), when_text(event.occurred_at)),
            (_("Règle de notification"), rule.display_label),
            (_("URL appelée"), call["url"]),
        ],
        paragraphs=[
            _(
                "Les appels qui ont échoué entre-temps et ne sont plus rejoués restent à exécuter à la main : le journal "
                "les garde."
            )
        ],
        action=(
            _("Voir les appels abandonnés"),
            page_url("journal", channel="ipn", status="failed", rule=rule.reference, shop=event.shop.site_id),
        ),
    )


def _consequences_of_a_test() -> str:
    return _(
        "Conséquences : votre site marchand ne connaît peut-être pas le résultat de cet essai. En mode PRODUCTION, la "
        "même panne y laisserait des commandes en attente."
    )


def _reference(call: dict[str, Any]) -> str:
    return str(call.get("transaction_id") or call.get("order_id") or "")


def _amount(call: dict[str, Any]) -> list[tuple[str, str]]:
    if not isinstance(call.get("amount"), int):
        return []
    return [(_("Montant"), amount_text(call["amount"], str(call.get("currency") or "")))]


def _next(call: dict[str, Any]) -> str:
    if call["last"] or not call.get("retry_at"):
        return _("aucun : c'était la dernière tentative") if call["last"] else _("dans le quart d'heure")
    return when_text(datetime.fromisoformat(call["retry_at"]))


def _what_to_do(call: dict[str, Any]) -> list[str]:
    how = _(
        "Pour rejouer l'appel : connectez-vous, ouvrez-le dans le journal et choisissez « Exécuter l'URL de "
        "notification ». Le résultat s'affiche aussitôt."
    )
    if call["last"]:
        return [_("L'appel ne sera plus rejoué automatiquement."), how]
    return [_("L'appel sera rejoué automatiquement. Un appel manuel réussi arrête le rejeu."), how]


def cause(code: str) -> str:
    """What most likely went wrong, and where to look, by error code."""
    kind = calls.kind_of(code)
    if code == calls.NO_KEY:
        return _(
            "Cause : la boutique n'a pas de clé pour ce mode, donc l'appel n'a pas pu être signé. Générez la clé dans "
            "Paramétrage > Boutique > Clés."
        )
    known = {
        "TIMEOUT": _(
            "Cause probable : votre serveur n'a pas répondu dans le délai. Répondez dès la réception, et faites les "
            "traitements longs (e-mails, PDF) ensuite."
        ),
        "CONNECTION_REFUSED": _(
            "Cause probable : aucun service n'écoute à cette adresse, ou un pare-feu refuse nos adresses IP."
        ),
        "CONNECTION_INTERRUPTED": _(
            "Cause probable : votre serveur, ou un équipement placé devant lui, a coupé la connexion avant de répondre."
        ),
        "SSL_HANDSHAKE": _(
            "Cause probable : le certificat de votre serveur est expiré, ne couvre pas ce nom, ou sa chaîne est incomplète."
        ),
        "DNS": _("Cause probable : le nom du serveur n'existe pas ou ne se résout plus. Vérifiez l'URL et votre DNS."),
        "FORBIDDEN_ADDRESS": _(
            "Cause : le nom du serveur mène à une adresse privée ou réservée, que la plateforme n'appelle pas."
        ),
        "PLAIN_HTTP": _(
            "Cause : une URL de PRODUCTION en http:// n'est appelée que si vous l'avez confirmé dans la règle."
        ),
        "SERVER_401": _("Cause probable : l'URL est protégée par un mot de passe (.htaccess) ou exige une session."),
        "SERVER_403": _(
            "Cause probable : un pare-feu applicatif, un fichier .htaccess ou un filtrage d'adresses IP refuse l'appel."
        ),
        "SERVER_404": _("Cause probable : l'URL est mal saisie, ou la page a été déplacée."),
        "SERVER_410": _("Cause probable : la page a été supprimée. Corrigez l'URL dans la règle."),
        "SERVER_429": _("Cause probable : votre serveur limite le nombre d'appels. Exemptez nos adresses IP."),
        "SERVER_503": _("Cause probable : la boutique est en maintenance."),
    }
    if kind in known:
        return known[kind]
    if kind.startswith("SERVER_3"):
        return _(
            "Cause : l'URL redirige vers une autre. Les redirections ne sont pas suivies : saisissez l'URL finale."
        )
    if kind.startswith("SERVER_4"):
        return _(
            "Cause probable : votre serveur juge la requête incorrecte. Consultez ses journaux à l'heure de l'échec."
        )
    if kind.startswith("SERVER_5"):
        return _(
            "Cause probable : une erreur dans le programme qui traite l'appel. Consultez les journaux de votre serveur."
        )
    return _("Cause inconnue : la réponse reçue n'est pas une réponse HTTP valable. Le journal en garde le détail.")
