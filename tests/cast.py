"""The people and shops that tests speak of: Maison Lumière, its shops, and who works there.

Each is made when a test names it. Fixtures that give a company, a shop or a user stand here alone, which
tests/guards/test_cast.py holds. A file whose tests need more of one of these (a key, a rule) adds it by a fixture that
asks for it and gives nothing; a test that needs another company makes it with tests/factories.py.
"""

import pytest

from companies.models import Company, Membership, Role, User
from companies.rights.permissions import MANAGE_USERS, PERMISSIONS, VIEW
from shops.models import Shop
from tests.factories import CompanyFactory, ShopFactory, StaffFactory, UserFactory


@pytest.fixture
def company(db: None) -> Company:
    """Maison Lumière. Claire is its Contact gestionnaire, Hugo of an agency its Contact technique."""
    return CompanyFactory(
        reference="lumiere",
        name="Maison Lumière",
        with_technical=True,
        manager__email="claire@lumiere.example",
        technical__email="hugo@agence.example",
    )


@pytest.fixture
def paris(company: Company) -> Shop:
    """The shop that has a manager address of its own."""
    return ShopFactory(company=company, site_id="10000001", name="Lumière Paris", manager_email="paris@lumiere.example")


@pytest.fixture
def lyon(company: Company) -> Shop:
    """A shop that inherits the address of the Contact gestionnaire."""
    return ShopFactory(company=company, site_id="10000002", name="Lumière Lyon")


@pytest.fixture
def nice(company: Company) -> Shop:
    """Another shop that inherits it."""
    return ShopFactory(company=company, site_id="10000003", name="Lumière Nice")


@pytest.fixture
def shop(paris: Shop) -> Shop:
    """The shop of a test that needs only one."""
    return paris


@pytest.fixture
def claire(company: Company) -> User:
    """The administrator."""
    return UserFactory(
        company=company,
        login="claire",
        email="claire@lumiere.example",
        first_name="Claire",
        last_name="Morel",
        language="fr",
        role=Role.ADMINISTRATOR,
    )


@pytest.fixture
def paul(company: Company) -> User:
    """The manager of all shops."""
    return UserFactory(
        company=company,
        login="paul",
        email="paul@lumiere.example",
        first_name="Paul",
        last_name="Girard",
        role=Role.MANAGER,
    )


@pytest.fixture
def lea(company: Company, paris: Shop) -> User:
    """Reads the shop in Paris, and no other."""
    return UserFactory(
        company=company,
        login="lea",
        email="lea@lumiere.example",
        first_name="Léa",
        last_name="Roux",
        role=Role.VIEWER,
        shops=[paris],
    )


@pytest.fixture
def emma(company: Company, paris: Shop, lyon: Shop) -> User:
    """Manages the users of Paris, and sees no other shop."""
    user = UserFactory(
        company=company, login="emma", first_name="Emma", last_name="Petit", role=Role.VIEWER, shops=[paris]
    )
    Membership.objects.filter(user=user).update(permissions=frozenset({VIEW, MANAGE_USERS}))
    return user


@pytest.fixture
def marc(company: Company, paris: Shop, lyon: Shop, nice: Shop) -> User:
    """Manager of Paris, viewer of Lyon, a stranger to Nice."""
    return UserFactory(
        company=company,
        login="marc",
        first_name="Marc",
        last_name="Blanc",
        role=Role.VIEWER,
        shops=[lyon],
        grants={paris: PERMISSIONS[Role.MANAGER]},
    )


@pytest.fixture
def ines(db: None) -> User:
    """A superuser of the platform's team."""
    return StaffFactory(login="ines", email="ines@plateforme.example", first_name="Inès", last_name="Roche")
