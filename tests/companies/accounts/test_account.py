"""Mon compte: what a user changes about the own account."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user
from django.test import Client
from django.urls import reverse

from companies.models import AuditEntry, User
from notifications.models import Event
from tests.factories import PASSWORD, CompanyFactory, UserFactory

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
NEW = "cheval-agrafe-pile-correcte"


def saved(client: Client, **changed: str) -> Any:
    form = {
        "title": "",
        "first_name": "Claire",
        "last_name": "Morel",
        "phone": "",
        "email": "claire@lumiere.example",
        "current_password": "",
        "language": "fr",
        "time_zone": "",
    }
    return client.post(reverse("account"), {**form, **changed}, follow=True)


def text(response: Any) -> str:
    return response.content.decode().replace("&#x27;", "'")


def test_saving_says_what_changed(client_for: ClientFor, claire: User) -> None:
    response = saved(client_for(claire), title="Mme", phone="+33102030405")
    assert "Modifié : Civilité, Téléphone." in text(response)
    claire.refresh_from_db()
    assert (claire.title, claire.phone) == ("Mme", "+33102030405")
    assert AuditEntry.objects.get(action="user.updated").actor == claire


def test_saving_nothing_says_so_and_writes_nothing(client_for: ClientFor, claire: User) -> None:
    assert "Rien n'a changé." in text(saved(client_for(claire)))
    assert not AuditEntry.objects.exists()


def test_a_new_address_asks_for_the_current_password(client_for: ClientFor, claire: User) -> None:
    client = client_for(claire)
    for password in ("", "faux"):
        response = saved(client, email="c.morel@lumiere.example", current_password=password)
        assert "mot de passe actuel" in text(response)
        assert "c.morel@lumiere.example" in text(response), "the typed text is kept"
    claire.refresh_from_db()
    assert claire.email == "claire@lumiere.example"


def test_a_new_address_is_told_to_both_addresses(client_for: ClientFor, claire: User) -> None:
    response = saved(client_for(claire), email="c.morel@lumiere.example", current_password=PASSWORD)
    assert "l'ancienne adresse claire@lumiere.example en est prévenue" in text(response)
    claire.refresh_from_db()
    assert claire.email == "c.morel@lumiere.example"
    assert set(Event.objects.values_list("type", flat=True)) == {"user_account.modified", "account.address_changed"}


def test_another_spelling_of_the_same_address_needs_no_password(client_for: ClientFor, claire: User) -> None:
    saved(client_for(claire), email="Claire@Lumiere.example")
    claire.refresh_from_db()
    assert claire.email == "Claire@Lumiere.example"


@pytest.mark.parametrize("typed", ["claire@", "a@x.example; b@x.example", "élise@lumiere.example", "sans-arobase"])
def test_a_malformed_address_is_named_and_kept(client_for: ClientFor, claire: User, typed: str) -> None:
    response = saved(client_for(claire), email=typed, current_password=PASSWORD)
    assert f"« {typed} »" in text(response)
    assert f'value="{typed}"' in text(response)
    claire.refresh_from_db()
    assert claire.email == "claire@lumiere.example"


def test_the_language_shows_at_once_and_sends_no_mail(client_for: ClientFor, claire: User) -> None:
    response = saved(client_for(claire), language="en")
    assert '<html lang="en">' in text(response)
    assert not Event.objects.exists()


def test_times_follow_the_own_zone_else_the_companys(client_for: ClientFor) -> None:
    user = UserFactory(company=CompanyFactory(time_zone="Pacific/Noumea"), email="claire@lumiere.example")
    client = client_for(user)
    assert "Celui de la société (Pacific/Noumea)" in text(client.get(reverse("account")))
    saved(client, time_zone="America/Cayenne")
    user.refresh_from_db()
    assert user.time_zone == "America/Cayenne"


def test_an_unknown_zone_is_refused(client_for: ClientFor, claire: User) -> None:
    assert saved(client_for(claire), time_zone="Europe/Atlantis").context["form"].errors["time_zone"]


def test_nobody_changes_role_or_state_here(client_for: ClientFor, claire: User) -> None:
    saved(client_for(claire), is_staff="on", role="administrator", login="root", is_active="")
    claire.refresh_from_db()
    assert (claire.login, claire.is_staff, claire.is_active) == ("claire", False, True)


def test_changing_the_password_closes_the_other_sessions_only(client_for: ClientFor, claire: User) -> None:
    here, elsewhere = client_for(claire), client_for(claire)
    form = {"current_password": PASSWORD, "password": NEW, "password_again": NEW}
    response = here.post(reverse("account_change_password"), form, follow=True)
    assert "Votre mot de passe est changé" in text(response)
    assert get_user(here) == claire  # type: ignore[arg-type]
    assert get_user(elsewhere).is_anonymous  # type: ignore[arg-type]
    assert Event.objects.filter(type="account.password_changed").count() == 1


def test_a_wrong_current_password_changes_nothing(client_for: ClientFor, claire: User) -> None:
    form = {"current_password": "faux", "password": NEW, "password_again": NEW}
    response = client_for(claire).post(reverse("account_change_password"), form)
    assert "Ce n'est pas votre mot de passe actuel" in text(response)
    assert User.objects.get(pk=claire.pk).check_password(PASSWORD)


def test_who_came_by_an_operators_link_sets_a_first_password(client_for: ClientFor) -> None:
    user = UserFactory(password=None)
    client = client_for(user)
    assert "current_password" not in client.get(reverse("account_change_password")).context["form"].fields
    client.post(reverse("account_change_password"), {"password": NEW, "password_again": NEW})
    assert User.objects.get(pk=user.pk).check_password(NEW)
