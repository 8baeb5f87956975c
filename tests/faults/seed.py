"""Fills an empty database with what the faults are done to, and prints the token of its platform as the last line.

Two companies: `lab`, whose shop 80000001 mails a payment to its manager and whose shop 80000002 calls a URL, and
`neighbour`, whose shop 80000003 mails.
"""

import os
import sys


def main(url: str) -> None:
    # A release of before fills its own database under its own settings (`upgrade.py`).
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.faults.settings")
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    from companies.audit import Actor
    from companies.models import Company, Contact, User
    from notifications.models import NotificationRule
    from notifications.tokens import token_create
    from shops.models import Shop, ShopKey

    lab = Company.objects.create(reference="lab", name="Laboratoire")
    neighbour = Company.objects.create(reference="neighbour", name="Voisine")
    for company in (lab, neighbour):
        email = f"gestion@{company.reference}.example"
        Contact.objects.create(company=company, kind=Contact.Kind.MANAGER, email=email)
    for number, company in ((1, lab), (3, neighbour)):
        shop = Shop.objects.create(
            company=company, site_id=f"8000000{number}", name="Boutique", manager_email=f"boutique@{company.reference}.example"
        )  # fmt: skip
        NotificationRule.objects.create(
            shop=shop, reference="mail", type="merchant_email", label="Paiement accepté", triggers=["payment.accepted"],
            recipients=["@shop_manager"],
        )  # fmt: skip
    shop = Shop.objects.create(company=lab, site_id="80000002", name="Appelée")
    ShopKey.objects.create(shop=shop, kind="production", value="1122334455667788")
    NotificationRule.objects.create(
        shop=shop, reference="call", type="ipn_call", label="Fin de paiement", triggers=["payment.accepted"],
        recipients=[], url_production=url, auto_retry=True, http_confirmed=True,
    )  # fmt: skip
    User.objects.create_superuser(login="staff", email="staff@lab.example", password="a-long-password-of-the-lab")
    _token, text = token_create(name="lab", company=None, actor=Actor.command("seed"))
    # All of it stands in the file that is copied, nothing in a log beside it.
    connection.close()
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main(sys.argv[1])
