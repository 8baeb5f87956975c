"""Mails about accounts and addresses."""

from django.utils.translation import gettext as _

from companies import user_agents
from companies.models import SftpAccount, User

from .base import LINK_MARK, Content, Context, changed_text, composer, page_url, when_text


@composer("user_account")
def _user_account(context: Context) -> Content:
    user, data = context.account, context.data
    assert isinstance(user, User)
    facts = [(_("Société"), context.event.company.name), (_("Identifiant"), user.login)]
    if context.event.type == "user_account.created":
        paragraphs = []
        action = (_("Se connecter"), page_url("/"))
        if data.get("link"):
            paragraphs = [
                _(
                    "Choisissez votre mot de passe en suivant le lien ci-dessous. Il sert une seule fois, pendant 48 heures."
                )
            ]
            action = (_("Choisir mon mot de passe"), LINK_MARK)
        return Content(
            subject=_("Identifiants de connexion - %(company)s") % {"company": context.event.company.name},
            headline=_("Un compte utilisateur vient d'être créé pour vous dans le Back Office Marchand."),
            facts=facts,
            paragraphs=[*paragraphs, _("Ce compte est personnel : ne le partagez pas.")],
            action=action,
        )
    return Content(
        subject=_("Votre compte utilisateur %(login)s a été modifié") % {"login": user.login},
        headline=_("Votre compte utilisateur du Back Office Marchand a été modifié."),
        facts=[*facts, (_("Modifié"), changed_text(data)), (_("Date"), when_text(context.event.occurred_at))],
        paragraphs=[_("Si cette modification vous surprend, prévenez l'administrateur de votre société.")],
        action=(_("Choisir mon mot de passe"), LINK_MARK)
        if data.get("link")
        else (_("Voir mon compte"), page_url("/account/")),
    )


@composer("sftp_account")
def _sftp_account(context: Context) -> Content:
    account, data = context.account, context.data
    assert isinstance(account, SftpAccount)
    facts = [(_("Société"), context.event.company.name), (_("Identifiant"), account.login)]
    link = _("Le mot de passe s'affiche une seule fois, par le lien ci-dessous, pendant 48 heures.")
    reveal = (_("Afficher le mot de passe"), LINK_MARK) if data.get("link") else None
    if context.event.type == "sftp_account.created":
        return Content(
            subject=_("Compte SFTP %(login)s créé") % {"login": account.login},
            headline=_("Un compte SFTP vient d'être créé."),
            facts=facts,
            paragraphs=[link] if reveal else [],
            action=reveal,
        )
    return Content(
        subject=_("Compte SFTP %(login)s modifié") % {"login": account.login},
        headline=_("Un compte SFTP a été modifié."),
        facts=[*facts, (_("Modifié"), changed_text(data)), (_("Date"), when_text(context.event.occurred_at))],
        paragraphs=[link] if reveal else [],
        action=reveal,
    )


def second_factor_text(change: str) -> str:
    """What happened to a second factor (`companies.security.FACTOR_CHANGES`), in words."""
    return {
        "totp_activated": _("application d'authentification activée"),
        "totp_deactivated": _("application d'authentification désactivée"),
        "webauthn_added": _("clé d'accès ajoutée"),
        "webauthn_removed": _("clé d'accès retirée"),
        "codes_generated": _("nouveaux codes de secours"),
    }.get(change, change)


@composer("account_security")
def _account_security(context: Context) -> Content:
    account = context.account
    assert account
    facts = [(_("Identifiant"), account.login), (_("Date"), when_text(context.event.occurred_at))]
    surprise = _("Si vous n'êtes pas à l'origine de cette demande, prévenez l'administrateur de votre société.")
    if context.event.type == "account.address_changed":
        new = str(context.data.get("new_address", ""))
        return Content(
            subject=_("L'adresse e-mail du compte %(login)s a changé") % {"login": account.login},
            headline=_("L'adresse e-mail de ce compte a changé ; cette adresse ne recevra plus ses messages."),
            facts=[*facts, (_("Nouvelle adresse"), new)],
            paragraphs=[surprise],
        )
    if context.event.type == "account.locked":
        return Content(
            subject=_("Le compte %(login)s est verrouillé") % {"login": account.login},
            headline=_(
                "Ce compte est verrouillé pour un quart d'heure au moins après plusieurs mots de passe erronés."
            ),
            facts=facts,
            paragraphs=[
                _(
                    "Il s'ouvre ensuite de lui-même, et reste ouvert aux navigateurs où vous vous êtes déjà connecté. Pour "
                    "l'ouvrir partout tout de suite, choisissez un nouveau mot de passe par le lien ci-dessous ; il sert "
                    "une seule fois, pendant 48 heures."
                ),
                _("Si ces essais ne viennent pas de vous, prévenez l'administrateur de votre société."),
            ],
            action=(_("Choisir mon mot de passe"), LINK_MARK),
        )
    if context.event.type == "account.new_device":
        device = user_agents.describe(str(context.data.get("user_agent", "")))
        return Content(
            subject=_("Connexion au compte %(login)s depuis un nouvel appareil") % {"login": account.login},
            headline=_("Quelqu'un s'est connecté à ce compte depuis un appareil que nous n'avions pas encore vu."),
            facts=[
                *facts,
                (_("Appareil"), device),
                (_("Adresse IP"), str(context.data.get("ip_address", "")) or "–"),
            ],
            paragraphs=[
                _(
                    "C'est vous ? Il n'y a rien à faire. Sinon, changez votre mot de passe, ce qui ferme toutes les "
                    "sessions, et prévenez l'administrateur de votre société."
                )
            ],
            action=(_("Voir mes sessions"), page_url("/account/sessions/")),
        )
    if context.event.type == "account.password_changed":
        return Content(
            subject=_("Le mot de passe du compte %(login)s a changé") % {"login": account.login},
            headline=_("Le mot de passe de ce compte vient d'être changé."),
            facts=facts,
            paragraphs=[surprise],
        )
    if context.event.type == "account.second_factor_changed":
        happened = second_factor_text(str(context.data.get("second_factor", "")))
        return Content(
            subject=_("Double authentification du compte %(login)s : changement") % {"login": account.login},
            headline=_("La double authentification de ce compte vient de changer."),
            facts=[*facts, (_("Changement"), happened)],
            paragraphs=[
                _(
                    "Si ce n'est pas vous, changez votre mot de passe, fermez vos autres sessions et prévenez "
                    "l'administrateur de votre société."
                )
            ],
            action=(_("Voir mes sessions"), page_url("/account/sessions/")),
        )
    return Content(
        subject=_("Réinitialisation de votre mot de passe"),
        headline=_("Une réinitialisation du mot de passe de ce compte a été demandée."),
        facts=facts,
        paragraphs=[_("Le lien ci-dessous sert une seule fois, pendant 48 heures."), surprise],
        action=(_("Choisir mon mot de passe"), LINK_MARK),
    )


@composer("address_check")
def _address_check(context: Context) -> Content:
    return Content(
        subject=_("Message de test"),
        headline=_("Ceci est un message de test : cette adresse reçoit bien nos e-mails."),
        facts=[(_("Société"), context.event.company.name), (_("Date"), when_text(context.event.occurred_at))],
    )
