"""Droits par boutique: what a user may do on each shop."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from backoffice.base.methods import get_and_post
from backoffice.base.paging import paginate
from companies import selectors
from companies.audit import Actor, StaleVersion
from companies.history import conflicts
from companies.history import entries as history
from companies.models import Membership, Role, User
from companies.rights import access, permissions
from companies.rights.access import CompanyRequest, company_page, fresh_login_required
from companies.team import services as team_services
from companies.team.scope import covers, membership_of, user_or_404

SHOP_PAGE_SIZE = 25


@company_page(permissions.MANAGE_USERS)
@fresh_login_required
@get_and_post
def user_shops(request: CompanyRequest, key: int) -> HttpResponse:
    """« Droits par boutique »: what an account may do on each shop, a page of shops at a time.

    A save touches the shops of the page shown, or with « appliquer » all that the search finds.
    """
    account = user_or_404(request, key)
    member = membership_of(request, account)
    if member is None:
        raise Http404
    may_edit = covers(request.membership, member) and member.role != Role.ADMINISTRATOR
    if request.method == "POST" and not may_edit:
        raise PermissionDenied
    q, only = request.GET.get("q", "").strip()[:254], request.GET.get("only", "")
    shops = access.shops_of(request.membership)
    if q:
        shops = shops.filter(Q(name__icontains=q) | Q(site_id__contains=q))
    if only == "named":
        shops = shops.filter(pk__in=access.access_of(member).shops)
    elif only == "own":
        shops = shops.filter(pk__in=selectors.own_rights(member, request.membership).values("shop"))
    page = paginate(request, shops, default=SHOP_PAGE_SIZE)
    problems: list[str] = []
    conflict = None
    if request.method == "POST":
        try:
            return _shops_save(request, account, member, shops)
        except StaleVersion:
            member = membership_of(request, account)
            if member is None:
                conflicts.tell_by_message(request, ("user", account.pk))
                return redirect("user_edit", account.pk)
            conflict = conflicts.conflict(
                request,
                ("user", account.pk),
                differences=selectors.shop_differences(page.object_list, member, request.POST),
                reload_url=request.get_full_path(),
            )
        except ValidationError as error:
            problems = error.messages
    context = {
        "account": account,
        "member": member,
        "may_edit": may_edit,
        "page": page,
        "rows": selectors.shop_rows(
            page.object_list, member, request.membership, typed=request.POST if conflict or problems else None
        ),
        "conflict": conflict,
        "last_change": history.last_change(request.company.pk, ("user", account.pk)),
        "columns": [(permissions.LABELS[code], permissions.DESCRIPTIONS[code]) for code in permissions.SHOP_LEVEL],
        "q": q,
        "only": only,
        "seen": team_services.fingerprint(account, request.company),
        "problems": problems,
        "bulk": [(code, label) for code, label in selectors.CHOICES.items() if code != selectors.OWN_RIGHTS],
        "general": permissions.ordered(access.general(member)),
        "labels": permissions.LABELS,
    }
    return render(request, "companies/team/user_shops.html", context)


def _shops_save(request: CompanyRequest, account: User, member: Membership, shops: Any) -> HttpResponse:
    """Save what was chosen; ValidationError when refused."""
    held = access.access_of(member)
    grants = dict(held.shops)
    everything = request.POST.get("apply")
    if everything:
        choice = request.POST.get("all", "")
        if choice not in selectors.CHOICES or choice == selectors.OWN_RIGHTS:
            raise ValidationError(_("Choisissez les droits à appliquer."))
        for shop in shops:
            selectors.with_choice(grants, shop.pk, choice, permissions.NOTHING, all_shops=held.all_shops)
    else:
        unchanged = request.POST.get("seen") == team_services.fingerprint(account, request.company)
        mine = access.access_of(request.membership)
        by_site = {shop.site_id: shop for shop in shops.filter(site_id__in=request.POST.getlist("shop"))}
        for site_id in request.POST.getlist("shop"):
            choice = request.POST.get(f"choice-{site_id}", "")
            ticked = frozenset(request.POST.getlist(f"own-{site_id}")) & set(permissions.SHOP_LEVEL)
            if site_id not in by_site or choice not in selectors.CHOICES:
                raise Http404
            if choice == selectors.OWN_RIGHTS and not ticked:
                text = _("Cochez au moins un droit pour la boutique %(shop)s, ou choisissez « Pas d'accès ».")
                raise ValidationError(text % {"shop": by_site[site_id].name})
            pk = by_site[site_id].pk
            # The boxes show what the account may do; touched ones would say something else than the choice.
            chosen: dict[int, frozenset[str] | None] = {}
            selectors.with_choice(chosen, pk, choice, permissions.NOTHING, all_shops=held.all_shops)
            # Boxes that the choice grants anyway contradict nothing.
            beyond = ticked - (chosen.get(pk) or frozenset())
            touched = bool(beyond) and ticked != held.on(pk) & mine.on(pk)
            if choice != selectors.OWN_RIGHTS and unchanged and touched:
                text = _(
                    "Boutique %(shop)s : vous avez choisi « %(choice)s » et coché d'autres droits. Choisissez « Droits "
                    "personnalisés » pour les accorder, ou remettez les cases comme elles étaient."
                )
                raise ValidationError(text % {"shop": by_site[site_id].name, "choice": selectors.CHOICES[choice]})
            selectors.with_choice(grants, by_site[site_id].pk, choice, ticked, all_shops=held.all_shops)
    changes = team_services.user_update(
        user=account,
        actor=Actor.of(request),
        company=request.company,
        seen=request.POST.get("seen", ""),
        rights=team_services.Rights(grants=grants),
    )
    if changes:
        n = max(1, sum(name.startswith("rights.") for name in changes))
        text = ngettext(
            "Les droits sur %(n)d boutique sont enregistrés", "Les droits sur %(n)d boutiques sont enregistrés", n
        )
        told = _("%(email)s en est prévenu.") % {"email": account.email}
        messages.success(request, f"{text % {'n': n}} ; {told}")
    else:
        messages.info(request, _("Rien n'a changé."))
    return redirect(request.get_full_path())
