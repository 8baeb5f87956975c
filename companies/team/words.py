"""Sentences on the pages of an account after a save."""

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from companies import verified
from companies.audit import Changes
from companies.models import Membership, SftpAccount, User
from companies.rights import access, permissions
from companies.team import services as team_services
from shops.models import Shop

# More names than this are counted instead.
NAMED = 5


def rights_sentence(membership: Membership, editor: Membership) -> str:
    """Role and shops of an account, as far as the editor may see the shops."""
    if membership.permissions is None:
        role = str(membership.get_role_display())
    else:
        own = [str(permissions.LABELS[code]) for code in permissions.ordered(access.general(membership))]
        role = _("Droits personnalisés (%(rights)s)") % {"rights": ", ".join(own)}
    return _("Rôle : %(role)s. Boutiques : %(shops)s.") % {"role": role, "shops": _shops(membership, editor)}


def _shops(membership: Membership, editor: Membership) -> str:
    held = access.access_of(membership)
    if held.all_shops:
        return _("toutes, y compris celles à venir")
    covered = [shop for shop, codes in held.shops.items() if codes != permissions.NOTHING]
    if not covered:
        return _("aucune pour l'instant")
    visible: list[Shop] = list(access.shops_of(editor).filter(pk__in=covered)[:NAMED])
    names = ", ".join(f"{shop.name} ({shop.site_id})" for shop in visible)
    rest = len(covered) - len(visible)
    if not rest:
        return names
    more = ngettext("%(n)d autre", "%(n)d autres", rest) % {"n": rest}
    return f"{names} + {more}" if names else more


def saved_sentence(account: User | SftpAccount, former_email: str, changes: Changes) -> str:
    """The sentence after a save: who is told, and which links ended."""
    told = {"email": account.email, "old": former_email}
    pending = isinstance(account, User) and verified.is_pending(account)
    if "email" in changes and team_services.awaits_first_login(account) and not pending:
        return (
            _(
                "Le compte est enregistré ; une nouvelle invitation part vers %(email)s, et le lien envoyé à %(old)s ne "
                "fonctionne plus. L'ancienne adresse en est prévenue."
            )
            % told
        )
    if not team_services.told_changes(changes):
        return _("Le compte est enregistré.")
    if not account.is_active:
        sentence = _("Le compte est enregistré ; désactivé, il ne reçoit pas de message.")
        if "email" in changes:
            sentence += " " + _("L'ancienne adresse %(old)s est prévenue.") % told
        return sentence
    sentence = _("Le compte est enregistré ; son titulaire en est prévenu à %(email)s.") % told
    if "email" in changes:
        sentence += " " + _("L'ancienne adresse %(old)s l'est aussi.") % told
        if pending:
            sentence += " " + _(
                "Les liens et les messages de sécurité y arrivent tant que le titulaire n'a pas confirmé la nouvelle."
            )
    return sentence
