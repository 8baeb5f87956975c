"""What mails say, as composed and sent: tests promise no money, buyers read the shop, accounts read what changed."""

import ast
import email
import re
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.utils import parseaddr
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import transaction
from django.test import Client
from django.utils import timezone

from companies.audit import Actor
from companies.models import Role
from companies.team import services as team_services
from notifications.checks import consistency
from notifications.checks import words as consistency_words
from notifications.core import catalogue
from notifications.core.catalogue import RuleType
from notifications.events.publishing import Particulars, publish
from notifications.mail import emails, samples
from notifications.mail.composers import COMPOSERS
from notifications.models import Event, NotificationRule
from notifications.worker import loop
from shops.models import Shop
from shops.orders import services as orders
from shops.orders import text as order_text
from tests.factories import (
    NotificationRuleFactory,
    SftpAccountFactory,
    ShopFactory,
    UserFactory,
)
from tests.smtp import Received, SmtpServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_database]
ACTOR = Actor.command("test")
LANGUAGES = ["fr", "en"]


def rule_of(shop: Shop, kind: str, trigger: str) -> NotificationRule:
    rule: NotificationRule = NotificationRuleFactory(shop=shop, type=kind, triggers=[trigger], reference="essai")
    return rule


def order(shop: Shop, **fields: Any) -> Any:
    given: dict[str, Any] = {
        "mode": "PRODUCTION",
        "channel": "email",
        "recipients": ["jeanne@acheteur.example"],
        "amount": 24900,
        "currency": "EUR",
        "valid_until": timezone.localdate() + timezone.timedelta(days=20),
    } | fields
    return orders.payment_order_create(shop=shop, actor=ACTOR, new=orders.NewOrder(**given))[0]


def sentences(text: str) -> list[str]:
    """The sentences of a text part, without its foot and the lines of its facts."""
    body = text.partition("\n-- \n")[0].replace("\n", " ")
    return [one.strip() for one in re.split(r"(?<=[.!?])\s+", body) if len(one.split()) > 3]


# --- TEST -----------------------------------------------------------------------------------------

# Said of a payment that is none, each of these would be false.
MONEY_MOVES = re.compile(
    r"est remis|sera remise|remis(e)? à la|arrive sur votre compte|somme revient|débit|prélev|preuve de paiement|"
    r"vient d'être rembours|vient de rembours|êtes remboursé|préparer la commande|expédi|"
    r"captured|reaches your account|money returns|charge|refunded your|have been refunded|has just been refunded|"
    r"debited|about to debit|proof of payment|prepare the order|ship",
    re.IGNORECASE,
)
TRIGGERS = [trigger.code for trigger in catalogue.TRIGGERS if trigger.code != "production_key.regenerated"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", [RuleType.MERCHANT_EMAIL, RuleType.BUYER_EMAIL])
def test_a_test_never_says_that_money_moves(shop: Shop, kind: str, language: str) -> None:
    for trigger in TRIGGERS:
        mail = samples.rehearse(rule_of(shop, kind, trigger), samples.sample_event(shop, trigger, "TEST"), language)
        NotificationRule.objects.all().delete()
        if trigger == "form.invalid" and kind == RuleType.MERCHANT_EMAIL:
            continue  # about a form, in both modes
        for part in (mail.subject, mail.text, mail.html.partition("</style>")[2]):
            found = MONEY_MOVES.search(part)
            assert not found, (trigger, found)
        assert mail.subject.startswith("[TEST] ")
        note = "aucun mouvement d'argent" if language == "fr" else "no money moves"
        assert note in mail.text and note in mail.html.replace("&#x27;", "'")
        real = samples.rehearse(
            rule_of(shop, kind, trigger), samples.sample_event(shop, trigger, "PRODUCTION"), language
        )
        NotificationRule.objects.all().delete()
        assert note not in real.text


def test_every_mail_of_a_test_is_marked_whatever_composes_it(shop: Shop, smtp_server: SmtpServer) -> None:
    """All that a TEST event can cause: rules, failed calls, orders with their copies and problems."""
    for number, kind in enumerate((RuleType.MERCHANT_EMAIL, RuleType.BUYER_EMAIL)):
        NotificationRuleFactory(
            shop=shop, type=kind, triggers=["payment.accepted"], reference=f"r{number}",
            recipients=["@shop_manager"] if kind == RuleType.MERCHANT_EMAIL else [],
        )  # fmt: skip
    calls = NotificationRuleFactory(
        shop=shop, type=RuleType.IPN_CALL, triggers=["payment.accepted"], reference="ipn",
        url_test="http://127.0.0.1:9/", url_production="http://127.0.0.1:9/",
    )  # fmt: skip
    assert calls.enabled
    data = {"amount": 1990, "currency": "EUR", "transaction_id": "a1b2c3", "buyer_email": "jeanne@acheteur.example"}
    with transaction.atomic():
        publish(
            type="payment.accepted", company=shop.company, shop=shop, data=data, particulars=Particulars(mode="TEST")
        )
    sent = order(shop, mode="TEST", copy_to_manager=True, extra_copy="atelier@lumiere.example")
    orders.payment_order_report_problem(
        order=sent, name="Jeanne", email="jeanne@acheteur.example", message="Rien ne marche", nonce="a" * 32
    )
    loop.deliver_until_idle()
    found = {str(mail.message["X-BOM-Notification"]): mail for mail in smtp_server.received}
    assert set(found) == {
        "merchant_email", "buyer_email", "ipn_failure", "payment_order", "payment_order_copy",
        "payment_order_extra_copy", "payment_order_problem",
    }  # fmt: skip
    for code, mail in found.items():
        assert "aucun mouvement d'argent" in mail.text, code
        assert "commande payée" not in mail.text, code
        assert mail.message["Subject"].startswith("[TEST] "), code


# --- Buyers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Lumière Paris", "Lumière Paris via Back Office Marchand"),
        ("Morel, Claire", "Morel, Claire via Back Office Marchand"),
        ('Chez "Jo" <boss@bank.example>', 'Chez "Jo" <boss@bank.example> via Back Office Marchand'),
        ("Ligne\r\nBcc: x@y.example", "Ligne Bcc: x@y.example via Back Office Marchand"),
        ("=?utf-8?q?Banque?=", "=?utf-8?q?Banque?= via Back Office Marchand"),
        ("É" * 120, "É" * 60 + " via Back Office Marchand"),
        ("ルミエール", "ルミエール via Back Office Marchand"),
    ],
)
def test_mail_to_a_buyer_is_from_the_shop_by_name_and_from_us_by_address(
    shop: Shop, smtp_server: SmtpServer, name: str, shown: str
) -> None:
    Shop.objects.filter(pk=shop.pk).update(name=name)
    shop.refresh_from_db()
    NotificationRuleFactory(shop=shop, type=RuleType.BUYER_EMAIL, triggers=["payment.accepted"], recipients=[])
    data = {"amount": 1990, "currency": "EUR", "buyer_email": "jeanne@acheteur.example"}
    with transaction.atomic():
        publish(type="payment.accepted", company=shop.company, shop=shop, data=data)
    order(shop, copy_to_manager=True)
    loop.deliver_until_idle()
    found = {str(mail.message["X-BOM-Notification"]): mail for mail in smtp_server.received}
    for code in ("buyer_email", "payment_order"):
        raw = email.message_from_bytes(found[code].raw)["From"]
        assert max(map(len, raw.splitlines())) <= 78
        name_read, address = parseaddr(" ".join(raw.splitlines()).replace("  ", " "))
        # The parser of the standard library puts a space between two encoded words of a name.
        assert str(make_header(decode_header(name_read))) == shown
        assert address == "ne-pas-repondre@backoffice.example"
        assert found[code].mail_from == "ne-pas-repondre@backoffice.example"
        assert found[code].message["Bcc"] is None
        assert "249" in found[code].message["Subject"] or "19,90" in found[code].message["Subject"]
    (own,) = found["payment_order_copy"].message["From"].addresses
    assert own.display_name == "Back Office Marchand", "the shop's own mail is the platform's"


MERCHANTS_PAGE = re.compile(r"/(notifications|settings|payment-orders|account|reports|billing|admin)/")


@pytest.mark.parametrize("language", LANGUAGES)
def test_mail_to_a_buyer_links_no_page_of_merchants_and_names_shop_and_amount(shop: Shop, language: str) -> None:
    for trigger in TRIGGERS:
        event = samples.sample_event(shop, trigger, "PRODUCTION")
        mail = samples.rehearse(rule_of(shop, RuleType.BUYER_EMAIL, trigger), event, language)
        NotificationRule.objects.all().delete()
        assert not MERCHANTS_PAGE.search(mail.text) and not MERCHANTS_PAGE.search(mail.html), trigger
        assert "Lumière Paris" in mail.subject
        assert bool(re.search("19[.,]90", mail.subject)) == ("amount" in event.data), trigger


@pytest.mark.parametrize(
    ("body", "before", "after"),
    [
        (None, "Ouvrez le lien pour le régler :", "Un problème, ou un message mal affiché ?"),
        ("Bonjour,\n\nLe voici :\n%url%\nMerci.", "Le voici :", "Merci."),
        ("Bonjour,\n\nPayez ici : %url%\n\nMerci.", "Payez ici : ", "Merci."),
        ("Bonjour,\n\nMerci.", "Merci.", "Référence"),
    ],
)
def test_the_link_stands_right_under_the_sentence_that_announces_it(
    shop: Shop, smtp_server: SmtpServer, body: str | None, before: str, after: str
) -> None:
    sent = order(shop, copy_to_manager=True, extra_copy="atelier@lumiere.example", **({"body": body} if body else {}))
    loop.deliver_until_idle()
    url = order_text.public_url(sent)
    for address in ("jeanne@acheteur.example", "paris@lumiere.example", "atelier@lumiere.example"):
        (mail,) = smtp_server.to(address)
        lines = [line for line in mail.text.splitlines() if line.strip()]
        button = max(number for number, line in enumerate(lines) if line == url)
        label = "Voir et payer" if address.startswith("jeanne") else "Copie du lien envoyé à l'acheteur"
        assert lines[button - 1] == f"{label} :"
        assert before.strip() in " ".join(lines[: button - 1][-3:]), "right above it"
        if address.startswith("jeanne") or after != "Référence":
            assert after in lines[button + 1], "and what followed it follows it"
        html = mail.html.replace("&#x27;", "'")
        assert html.index(before.strip()) < html.index(f'href="{url}">{label}<')


def test_a_mail_to_a_buyer_says_nothing_twice(shop: Shop, smtp_server: SmtpServer) -> None:
    order(shop)
    loop.deliver_until_idle()
    (mail,) = smtp_server.received
    assert mail.text.count("vous adresse un ordre de paiement") == 1
    assert "notifications/addresses" not in mail.text + mail.html


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("mode", ["PRODUCTION", "TEST"])
def test_no_rule_mail_says_a_sentence_twice(shop: Shop, language: str, mode: str) -> None:
    for kind in (RuleType.MERCHANT_EMAIL, RuleType.BUYER_EMAIL):
        for trigger in (*TRIGGERS, "production_key.regenerated"):
            event = samples.sample_event(shop, trigger, mode)
            mail = samples.rehearse(rule_of(shop, kind, trigger), event, language)
            NotificationRule.objects.all().delete()
            said = sentences(mail.text)
            assert len(said) == len(set(said)), (kind, trigger)


# --- Accounts -------------------------------------------------------------------------------------


def only(server: SmtpServer, code: str) -> Received:
    (mail,) = [mail for mail in server.received if mail.message["X-BOM-Notification"] == code]
    return mail


def test_the_mail_about_a_changed_user_tells_what_it_was_what_it_is_and_who_did_it(
    shop: Shop, smtp_server: SmtpServer
) -> None:
    boss = UserFactory(company=shop.company, first_name="Claire", last_name="Morel")
    user = UserFactory(company=shop.company, role=Role.VIEWER, email="old@lumiere.example", first_name="Ines")
    actor = Actor(boss.get_full_name(), boss)
    team_services.user_update(user=user, actor=actor, company=shop.company, email="new@lumiere.example", first_name="Inès", rights=team_services.Rights(role=Role.MANAGER, all_shops=False, shops=[shop]))  # fmt: skip
    loop.deliver_until_idle()
    mail = only(smtp_server, "user_account")
    for part in (mail.text, mail.html):
        assert "old@lumiere.example → new@lumiere.example" in part
        assert "Ines → Inès" in part
        assert "Lecteur" in part or "Consultation" in part or "→" in part
        assert "toutes → 10000001" in part
        assert re.search(r"Modifié par\W.*Claire Morel|Modifié par</td>.*Claire Morel", part)


def test_a_secret_is_named_without_a_value(shop: Shop, smtp_server: SmtpServer) -> None:
    boss = UserFactory(company=shop.company)
    user = UserFactory(company=shop.company, role=Role.VIEWER)
    team_services.user_reset(user=user, actor=Actor("Claire Morel", boss), company=shop.company)
    account = SftpAccountFactory(company=shop.company)
    team_services.sftp_password_reset(account=account, actor=Actor("Claire Morel", boss))
    loop.deliver_until_idle()
    for code in ("user_account", "sftp_account"):
        text = only(smtp_server, code).text
        assert "Mot de passe : remplacé" in text and "Modifié par : Claire Morel" in text
        assert "•" not in text and account.unrevealed_password not in text


def test_an_unlocked_account_reads_so(shop: Shop, smtp_server: SmtpServer) -> None:
    user = UserFactory(company=shop.company, locked_until=timezone.now() + timezone.timedelta(minutes=9))
    team_services.user_unlock(user=user, actor=ACTOR, company=shop.company)
    loop.deliver_until_idle()
    assert "Modifié : état" in only(smtp_server, "user_account").text


@pytest.mark.parametrize("what", ["created", "modified", "reset"])
def test_the_mails_of_an_sftp_account_name_server_port_and_user(
    settings: Any, shop: Shop, smtp_server: SmtpServer, what: str
) -> None:
    settings.SFTP_HOST, settings.SFTP_PORT = "fichiers.lumiere.example", 2222
    if what == "created":
        team_services.sftp_account_create(
            company=shop.company, actor=ACTOR, login="lumiere-compta", email="compta@lumiere.example"
        )
    else:
        account = SftpAccountFactory(company=shop.company, login="lumiere-compta", email="compta@lumiere.example")
        if what == "modified":
            team_services.sftp_account_update(account=account, actor=ACTOR, login="lumiere-compta", email="c@x.example")
        else:
            team_services.sftp_password_reset(account=account, actor=ACTOR)
    loop.deliver_until_idle()
    mail = only(smtp_server, "sftp_account")
    assert "Serveur : fichiers.lumiere.example\nPort : 2222\nIdentifiant : lumiere-compta\n" in mail.text.replace(
        "\r\n", "\n"
    )
    assert "fichiers.lumiere.example" in mail.html and "2222" in mail.html


# --- Support --------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_mail_that_sends_people_to_the_support_team_links_where_it_is(
    settings: Any, shop: Shop, language: str
) -> None:
    """Every composer: where the text of a mail says support, the link to the page stands right under the sentence."""
    told = {
        "production_key_generated": ("production_key.regenerated", {}),
        "three_d_secure_activated": ("three_d_secure.activated", {"contract": "5785350", "network": "CB"}),
        "data_form_go_live": ("data_form.live", {"title": "T", "number": 2, "author": "Claire", "url": "https://x"}),
        "data_form_go_live_confirmation": (
            "data_form.live", {"title": "T", "number": 2, "author": "Claire", "url": "https://x"}),
        "shop_created": ("shop.created", {}),
    }  # fmt: skip
    asking = 0
    for code, (kind, data) in told.items():
        event = Event(
            company=shop.company, shop=shop, event_id="e", type=kind, mode="PRODUCTION", data=data,
            occurred_at=datetime(2026, 11, 23, tzinfo=UTC),
        )  # fmt: skip
        message = emails.compose(event, code, language)
        asking += links_support(message.text)
    rule = rule_of(shop, RuleType.MERCHANT_EMAIL, "production_key.regenerated")
    event = samples.sample_event(shop, "production_key.regenerated", "PRODUCTION")
    asking += links_support(samples.rehearse(rule, event, language).text)
    assert asking == 4
    assert set(told) <= set(COMPOSERS)


def links_support(text: str) -> bool:
    body = text.partition("\n-- \n")[0]
    asks = bool(re.search(r"\bsupport\b", body.replace("/support/", "").replace("Contacter le support", "")))
    assert asks == ("http://localhost:8000/support/" in body)
    return asks


def test_the_support_page_says_where_to_write_and_what_to_have_at_hand(
    settings: Any, shop: Shop, client: Client, client_for: Any
) -> None:
    settings.SUPPORT_EMAIL, settings.SUPPORT_URL = "aide@plateforme.example", "https://aide.plateforme.example"
    other = ShopFactory(company=shop.company, name="Cachée", site_id="10000099")
    user = UserFactory(company=shop.company, role=Role.VIEWER, shops=[shop])
    for visitor in (client, client_for(user)):
        page = visitor.get("/support/").content.decode()
        assert 'href="mailto:aide@plateforme.example"' in page and 'href="https://aide.plateforme.example"' in page
    assert shop.company.reference in page and "10000001" in page
    assert other.name not in page and other.site_id not in page, "only the shops the reader may see"
    assert shop.company.reference not in client.get("/support/").content.decode()
    settings.SUPPORT_EMAIL = settings.SUPPORT_URL = ""
    assert "interlocuteur de la plateforme" in client.get("/support/").content.decode()
    assert 'href="/support/"' in client_for(user).get("/").content.decode(), "one click away from every page"
    assert 'href="/support/"' in client.get("/accounts/login/").content.decode()


ROOT = Path(django_settings.BASE_DIR)
TO_SUPPORT = re.compile(r"\b(?:le|au|du) support\b|l'assistance", re.IGNORECASE)
# Says with whom the Technical contact talks, and sends nobody there.
SENDS_NOBODY = {"templates/notifications/tables/addresses_one.html"}
# Program text about support → where its readers find the link: `support_link` in the mail, or the foot of every page.
IN_PROGRAMS = {
    "notifications/mail/composers/data_form.py",
    "notifications/mail/composers/shops.py",
    "notifications/mail/default_texts.py",  # `_merchant_email` adds the link
    "notifications/checks/company.py",  # `consistency_words.ASK_SUPPORT` in the mail, the foot on the page
    "notifications/checks/shops.py",  # the same
    "shops/selectors.py",  # the foot of the page of contracts
}


def test_no_text_sends_people_to_support_without_saying_where_it_is() -> None:
    for path in (ROOT / "templates").rglob("*"):
        name = str(path.relative_to(ROOT))
        if not path.is_file() or name in SENDS_NOBODY or name == "templates/support.html":
            continue
        source = path.read_text(encoding="utf-8")
        if any(map(TO_SUPPORT.search, re.findall(r"{% (?:translate|blocktranslate)(.*?)%}", source))):
            assert "{% url 'support' %}" in source or 'href="/support/"' in source, name
    found = set()
    for app in ("backoffice", "companies", "notifications", "shops"):
        for path in (ROOT / app).rglob("*.py"):
            texts = (
                node.value
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            )
            if any(TO_SUPPORT.search(text.replace("Contacter le support", "")) for text in texts):
                found.add(str(path.relative_to(ROOT)))
    assert found == IN_PROGRAMS
    advising = {check.code for check in consistency.CHECKS if TO_SUPPORT.search(str(check.advice))}
    assert advising == consistency_words.ASK_SUPPORT
