"""The two companies of the demonstration as a file of provisioning, and the names by which others know them."""

from typing import Any

REFERENCES = ("maison-lumiere", "atelier-boreal")
PARIS, LYON, ONLINE, TRADE, BOREAL = "10000001", "10000002", "10000003", "10000004", "20000001"
ONLINE_URL = "https://www.lumiere.example/paiement/ipn"
FAILING_ADDRESS = "export@ancien-prestataire.example"
# Log-in → password, in the order in which they are shown.
PASSWORDS = {
    "claire": "demo-claire-2026",
    "paul": "demo-paul-2026",
    "lea": "demo-lea-2026",
    "boreal": "demo-boreal-2026",
    "equipe": "demo-equipe-2026",
}

_FORM_ERROR = {
    "reference": "mail-form-error",
    "type": "merchant_email",
    "label": "E-mail sur formulaire de paiement invalide",
    "triggers": ["form.invalid"],
}
_BUYER = {
    "reference": "buyer-payment",
    "type": "buyer_email",
    "label": "E-mail de confirmation de paiement",
    "triggers": ["payment.accepted"],
    "recipients": [],
}
DOCUMENT: dict[str, Any] = {
    "companies": [
        {
            "reference": "maison-lumiere",
            "name": "Maison Lumière SAS",
            "registration_number": "732829320",
            "address": "1 rue de la Paix, 75002 Paris",
            "country": "FR",
            "language": "fr",
            "time_zone": "Europe/Paris",
            "manager_contact": {
                "title": "Mme",
                "first_name": "Claire",
                "last_name": "Morel",
                "email": "claire@lumiere.example",
                "phone": "+33102030405",
            },
            "technical_contact": {
                "title": "M.",
                "first_name": "Hugo",
                "last_name": "Petit",
                "email": "hugo@agence.example",
            },
            "incident_emails": ["astreinte@lumiere.example"],
            "users": [
                {
                    "login": "claire",
                    "email": "claire@lumiere.example",
                    "first_name": "Claire",
                    "last_name": "Morel",
                    "role": "administrator",
                    "shops": "*",
                    "password": PASSWORDS["claire"],
                },
                {
                    "login": "paul",
                    "email": "paul@lumiere.example",
                    "first_name": "Paul",
                    "last_name": "Girard",
                    "role": "manager",
                    "shops": [PARIS, LYON],
                    "password": PASSWORDS["paul"],
                },
                {
                    "login": "lea",
                    "email": "lea@lumiere.example",
                    "first_name": "Léa",
                    "last_name": "Fontaine",
                    "role": "viewer",
                    "shops": "*",
                    "password": PASSWORDS["lea"],
                },
            ],
            "sftp_accounts": [{"login": "lumiere-compta", "email": "compta@lumiere.example"}],
            "shops": [
                {
                    "site_id": PARIS,
                    "name": "Lumière Paris",
                    "url": "https://paris.lumiere.example",
                    "language": "fr",
                    "manager_email": None,
                    "contracts": [{"number": "5785350", "network": "CB", "three_d_secure": False}],
                    "keys": {"production": "DemoCleProdParis"},
                },
                {
                    "site_id": LYON,
                    "name": "Lumière Lyon",
                    "url": "https://lyon.lumiere.example",
                    "language": "fr",
                    "manager_email": "lyon@lumiere.example",
                    "contracts": [{"number": "5785351", "network": "CB", "three_d_secure": True}],
                    "keys": {"production": "DemoCleProdLyon1"},
                    "rules": [
                        {
                            "reference": "mail-payment",
                            "type": "merchant_email",
                            "label": "E-mail de confirmation de paiement",
                            "triggers": ["payment.accepted"],
                        },
                        _BUYER,
                        _FORM_ERROR,
                    ],
                },
                {
                    "site_id": ONLINE,
                    "name": "Lumière en ligne",
                    "url": "https://www.lumiere.example",
                    "language": "fr",
                    "manager_email": None,
                    "contracts": [
                        {"number": "5785352", "network": "CB", "three_d_secure": True},
                        {"number": "9412077", "network": "SEPA", "three_d_secure": False},
                    ],
                    "keys": {"production": "DemoCleProdLigne"},
                    "rules": [
                        {
                            "reference": "ipn-end",
                            "type": "ipn_call",
                            "label": "URL de notification à la fin du paiement",
                            "triggers": ["payment.accepted", "payment.refused"],
                            "recipients": ["@shop_manager", "hugo@agence.example"],
                            "url_test": "https://recette.lumiere.example/paiement/ipn",
                            "url_production": ONLINE_URL,
                            "auto_retry": True,
                        },
                        {
                            "reference": "mail-payment",
                            "type": "merchant_email",
                            "label": "E-mail de confirmation de paiement",
                            "triggers": ["payment.accepted"],
                            "conditions": [{"variable": "amount", "operator": "gt", "value": 10000}],
                            "recipients": [
                                "@shop_manager",
                                "commandes@lumière-boutique.example",
                                "compta+paiements@lumiere.example",
                            ],
                        },
                        {
                            "reference": "mail-deferred-refused",
                            "type": "merchant_email",
                            "label": "E-mail de refus de paiement différé",
                            "triggers": ["transaction.declined_by_batch"],
                            "conditions": [{"variable": "instalments", "operator": "eq", "value": False}],
                            "recipients": ["compta+impayes@lumiere.example", FAILING_ADDRESS],
                        },
                        _BUYER,
                        _FORM_ERROR,
                    ],
                },
                {
                    "site_id": TRADE,
                    "name": "Lumière Pro",
                    "url": "https://pro.lumiere.example",
                    "language": "fr",
                    "manager_email": "pro@lumiere.example",
                    "contracts": [{"number": "5785353", "network": "CB", "three_d_secure": False}],
                    "rules": [
                        {
                            "reference": "ipn-end",
                            "type": "ipn_call",
                            "label": "URL de notification à la fin du paiement",
                            "triggers": ["payment.accepted", "payment.refused"],
                            "url_test": "https://pro.lumiere.example/paiement/ipn-test",
                            "url_production": "https://pro.lumiere.example/paiement/ipn",
                        },
                        {
                            "reference": "mail-payment",
                            "type": "merchant_email",
                            "label": "E-mail de confirmation de paiement",
                            "triggers": ["payment.accepted"],
                        },
                        _FORM_ERROR,
                    ],
                },
            ],
        },
        {
            "reference": "atelier-boreal",
            "name": "Atelier Boréal",
            "registration_number": "1176543210",
            "address": "12 rue Saint-Paul, Montréal",
            "country": "CA",
            "language": "en",
            "time_zone": "America/Toronto",
            "manager_contact": {"first_name": "Nora", "last_name": "Tremblay", "email": "nora@boreal.example"},
            "technical_contact": None,
            "incident_emails": [],
            "users": [
                {
                    "login": "boreal",
                    "email": "nora@boreal.example",
                    "first_name": "Nora",
                    "last_name": "Tremblay",
                    "language": "en",
                    "role": "administrator",
                    "shops": "*",
                    "password": PASSWORDS["boreal"],
                }
            ],
            "shops": [
                {
                    "site_id": BOREAL,
                    "name": "Boréal Online",
                    "url": "https://www.boreal.example",
                    "language": "en",
                    "manager_email": None,
                    "contracts": [{"number": "8800112", "network": "VISA", "three_d_secure": True}],
                }
            ],
        },
    ]
}
