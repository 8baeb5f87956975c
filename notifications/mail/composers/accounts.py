"""Mails about accounts and addresses."""

from django.conf import settings
from django.utils.translation import gettext as _

from backoffice.text import user_agents
from companies.models import SftpAccount, User
from notifications.mail.composers import contacts
from notifications.mail.composers.base import (
    LINK_MARK,
    Composer,
    Content,
    Context,
    changed_facts,
    composer,
    page_url,
    when_text,
)


@composer("user_account")
def _user_account(context: Context) -> Content:
    user, data = context.account, context.data
    assert isinstance(user, User)
    facts = [(_("Société"), context.event.company.name), (_("Identifiant"), user.login)]
    if context.event.type == "user_account.created":
        paragraphs = []
        action = (_("Se connecter"), page_url("home"))
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
    if not user.is_active:
        return Content(
            subject=_("Votre compte utilisateur %(login)s est désactivé") % {"login": user.login},
            headline=_(
                "Votre compte utilisateur du Back Office Marchand est désactivé : il ne permet plus de se connecter."
            ),
            facts=[*facts, *changed_facts(context), (_("Date"), when_text(context.event.occurred_at))],
            paragraphs=[
                _("Cette adresse ne reçoit plus de message sur ce compte tant qu'il n'est pas réactivé."),
                _("Si cette modification vous surprend, prévenez l'administrateur de votre société."),
            ],
            action=(_("Contacter le support"), page_url("support")),
        )
    paragraphs = [_("Si cette modification vous surprend, prévenez l'administrateur de votre société.")]
    if data.get("to_confirm"):
        confirm = _(
            "Connectez-vous et confirmez cette adresse dans Mon compte : d'ici là, les liens qui ouvrent le compte et les "
            "messages de sécurité arrivent à l'ancienne."
        )
        paragraphs.insert(0, confirm)
    return Content(
        subject=_("Votre compte utilisateur %(login)s a été modifié") % {"login": user.login},
        headline=_("Votre compte utilisateur du Back Office Marchand a été modifié."),
        facts=[*facts, *changed_facts(context), (_("Date"), when_text(context.event.occurred_at))],
        paragraphs=paragraphs,
        action=(_("Choisir mon mot de passe"), LINK_MARK)
        if data.get("link")
        else (_("Voir mon compte"), page_url("account")),
    )


@composer("sftp_account")
def _sftp_account(context: Context) -> Content:
    account, data = context.account, context.data
    assert isinstance(account, SftpAccount)
    facts = [
        (_("Société"), context.event.company.name),
        (_("Serveur"), settings.SFTP_HOST),
        (_("Port"), str(settings.SFTP_PORT)),
        (_("Identifiant"), account.login),
    ]
    link = _("Le mot de passe s'affiche une seule fois, par le lien ci-dessous, pendant 48 heures.")
    reveal = (_("Afficher le mot de passe"), LINK_MARK) if data.get("link") else None
    listed = (_("Voir les comptes SFTP"), page_url("sftp_accounts"))
    if context.event.type == "sftp_account.created":
        return Content(
            subject=_("Compte SFTP %(login)s créé") % {"login": account.login},
            headline=_("Un compte SFTP vient d'être créé."),
            facts=facts,
            paragraphs=[link] if reveal else [],
            action=reveal or listed,
        )
    if not account.is_active:
        return Content(
            subject=_("Compte SFTP %(login)s désactivé") % {"login": account.login},
            headline=_("Un compte SFTP est désactivé : il n'échange plus de fichiers."),
            facts=[*facts, *changed_facts(context), (_("Date"), when_text(context.event.occurred_at))],
            paragraphs=[_("Cette adresse ne reçoit plus de message sur ce compte tant qu'il n'est pas réactivé.")],
            action=listed,
        )
    return Content(
        subject=_("Compte SFTP %(login)s modifié") % {"login": account.login},
        headline=_("Un compte SFTP a été modifié."),
        facts=[*facts, *changed_facts(context), (_("Date"), when_text(context.event.occurred_at))],
        paragraphs=[link] if reveal else [],
        action=reveal or listed,
    )


def second_factor_text(change: str) -> str:
    """What happened to a second factor (`companies.security.FACTOR_CHANGES`), in words."""
    return {
        "totp_activated": _("application d'authentification activée"),
        "totp_deactivated": _("application d'authentification désactivée"),
        "webauthn_added": _("clé d'accès ajoutée"),
        "webauthn_removed": _("clé d'accès retirée"),
        "codes_generated": _("nouveaux codes de secours"),
        "removed": _("retirée par l'équipe de la plateforme"),
    }.get(change, change)


@composer("account_security")
def _account_security(context: Context) -> Content:
    type = context.event.type
    return contacts.COMPOSED[type](context) if type in contacts.COMPOSED else _SECURITY[type](context)


def _identified(context: Context, *more: tuple[str, str]) -> list[tuple[str, str]]:
    """The facts that each mail on the security of an account starts with, and its own."""
    assert context.account
    return [(_("Identifiant"), context.account.login), (_("Date"), when_text(context.event.occurred_at)), *more]


def _named(context: Context) -> dict[str, str]:
    assert context.account
    return {"login": context.account.login}


def _surprise() -> str:
    return _("Si vous n'êtes pas à l'origine de cette demande, prévenez l'administrateur de votre société.")


def _address_changed(context: Context) -> Content:
    paragraphs = [_surprise()]
    headline = _("L'adresse e-mail de ce compte a changé ; cette adresse ne recevra plus ses messages.")
    if context.data.get("links_stay"):
        headline = _("L'adresse e-mail de ce compte a changé.")
        kept = _(
            "Les liens qui ouvrent le compte et les messages de sécurité continuent d'arriver ici tant que le "
            "titulaire, une fois connecté, n'a pas confirmé la nouvelle adresse."
        )
        paragraphs.insert(0, kept)
    if context.data.get("link_ended"):
        paragraphs.insert(0, _("Le lien reçu à cette adresse ne fonctionne plus."))
    return Content(
        subject=_("L'adresse e-mail du compte %(login)s a changé") % _named(context),
        headline=headline,
        facts=_identified(context, (_("Nouvelle adresse"), str(context.data.get("new_address", "")))),
        paragraphs=paragraphs,
        # Whoever has lost the account can no longer open it.
        action=(_("Contacter le support"), page_url("support")),
    )


def _locked(context: Context) -> Content:
    return Content(
        subject=_("Le compte %(login)s est verrouillé") % _named(context),
        headline=_(
            "Ce compte est verrouillé pour un quart d'heure au moins après plusieurs mots de passe ou codes erronés."
        ),
        facts=_identified(context),
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


def _new_device(context: Context) -> Content:
    device = user_agents.describe(str(context.data.get("user_agent", "")))
    address = str(context.data.get("ip_address", "")) or "–"
    return Content(
        subject=_("Connexion au compte %(login)s depuis un nouvel appareil") % _named(context),
        headline=_("Quelqu'un s'est connecté à ce compte depuis un appareil que nous n'avions pas encore vu."),
        facts=_identified(context, (_("Appareil"), device), (_("Adresse IP"), address)),
        paragraphs=[
            _(
                "C'est vous ? Il n'y a rien à faire. Sinon, changez votre mot de passe, ce qui ferme toutes les "
                "sessions, et prévenez l'administrateur de votre société."
            )
        ],
        action=(_("Voir mes sessions"), page_url("account_sessions")),
    )


def _password_changed(context: Context) -> Content:
    return Content(
        subject=_("Le mot de passe du compte %(login)s a changé") % _named(context),
        headline=_("Le mot de passe de ce compte vient d'être changé."),
        facts=_identified(context),
        paragraphs=[_surprise()],
        action=(_("Demander un nouveau mot de passe"), page_url("account_reset_password")),
    )


def _second_factor_changed(context: Context) -> Content:
    happened = second_factor_text(str(context.data.get("second_factor", "")))
    return Content(
        subject=_("Double authentification du compte %(login)s : changement") % _named(context),
        headline=_("La double authentification de ce compte vient de changer."),
        facts=_identified(context, (_("Changement"), happened)),
        paragraphs=[
            _(
                "Si ce n'est pas vous, changez votre mot de passe, fermez vos autres sessions et prévenez "
                "l'administrateur de votre société."
            )
        ],
        action=(_("Voir mes sessions"), page_url("account_sessions")),
    )


def _password_reset(context: Context) -> Content:
    return Content(
        subject=_("Réinitialisation de votre mot de passe"),
        headline=_("Une réinitialisation du mot de passe de ce compte a été demandée."),
        facts=_identified(context),
        paragraphs=[_("Le lien ci-dessous sert une seule fois, pendant 48 heures."), _surprise()],
        action=(_("Choisir mon mot de passe"), LINK_MARK),
    )


_SECURITY: dict[str, Composer] = {
    "account.address_changed": _address_changed,
    "account.locked": _locked,
    "account.new_device": _new_device,
    "account.password_changed": _password_changed,
    "account.second_factor_changed": _second_factor_changed,
    "account.password_reset_requested": _password_reset,
}


@composer("address_check")
def _address_check(context: Context) -> Content:
    """A test, or the mail whose link confirms an address."""
    if context.event.type == "address.verification_asked":
        return _verification(context)
    return Content(
        subject=_("Message de test"),
        headline=_("Ceci est un message de test : cette adresse reçoit bien nos e-mails."),
        facts=[(_("Société"), context.event.company.name), (_("Date"), when_text(context.event.occurred_at))],
        paragraphs=[_("Il n'y a rien à faire.")],
        action=(_("Voir les adresses contactées"), page_url("addresses")),
    )


def _verification(context: Context) -> Content:
    named = {"address": str(context.data.get("address", "")), "company": context.event.company.name}
    return Content(
        subject=_("Confirmez votre adresse pour les messages de %(company)s") % named,
        headline=_("%(company)s souhaite vous envoyer des notifications à l'adresse %(address)s.") % named,
        facts=[
            (_("Société"), named["company"]),
            (_("Adresse"), named["address"]),
            (_("Demandé par"), str(context.data.get("author", ""))),
            (_("Date"), when_text(context.event.occurred_at)),
        ],
        paragraphs=[
            _("Confirmez que vous lisez cette boîte. Le lien ci-dessous est valable 30 jours."),
            _("Si cette société ne vous dit rien, ne faites rien : l'adresse reste non vérifiée."),
        ],
        action=(_("Confirmer mon adresse"), LINK_MARK),
    )
