"""E-mail addresses: what is accepted, what is the same, how a list is split (docs/rules.md 4.4 and 4.6)."""

import time
import unicodedata

import pytest
from django.core.exceptions import ValidationError

from backoffice.text import addresses, targets
from notifications.calls.url_rules import check_url

LOCAL_64 = "a" * 64


@pytest.mark.parametrize(
    "address",
    [
        "claire@lumiere.example",
        "o'brien@lumiere.example",
        "claire+alerte@lumiere.example",
        "c.l-a_i.r=e@lumiere.example",
        f"{LOCAL_64}@lumiere.example",
        "Claire@LUMIERE.example",
        "contact@bücher.example",
        "contact@BÜCHER.example",
        "contact@" + unicodedata.normalize("NFD", "bücher") + ".example",
        "contact@straße.example",
        "contact@xn--bcher-kva.example",
        "contact@sub-domaine.lumiere.example",
        "  claire@lumiere.example\n",
        "\u00a0claire@lumiere.example",
    ],
)
def test_an_address_that_can_receive_mail_is_kept_as_typed_and_trimmed(address: str) -> None:
    assert addresses.validate_single(address) == address.strip()
    assert addresses.for_sending(address).isascii()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "vide"),
        ("   ", "vide"),
        ("claire", "il faut un nom, un @ et un domaine"),
        ("@lumiere.example", "il faut un nom"),
        ("claire@", "il faut un nom"),
        (f"{LOCAL_64}a@lumiere.example", "dépasse 64 caractères"),
        ("hélène@lumiere.example", "ni accent"),
        ("用户@lumiere.example", "ni accent"),
        (".claire@lumiere.example", "avant le @"),
        ("claire.@lumiere.example", "avant le @"),
        ("cl..aire@lumiere.example", "avant le @"),
        ('"claire morel"@lumiere.example', "claire morel"),
        ('"claire"@lumiere.example', "avant le @"),
        ("claire@morel@lumiere.example", "avant le @"),
        ("<claire@lumiere.example>", "avant le @"),
        ("claire@lum\u202eiere.example", "U+202E"),
        ("claire@lumiere", "domaine"),
        ("claire@lumiere.example.", "domaine"),
        ("claire@.lumiere.example", "domaine"),
        ("claire@lumiere..example", "domaine"),
        ("claire@-lumiere.example", "domaine"),
        ("claire@lumiere_.example", "domaine"),
        ("claire@127.0.0.1", "domaine"),
        ("claire@[127.0.0.1]", "domaine"),
        (f"claire@{'a' * 64}.example", "domaine"),
        ("claire@lum\u200biere.example", "domaine"),
        ("claire@lum\u00adiere.example", "domaine"),
        ("claire\x00@lumiere.example", "claire�@lumiere.example"),
        ("claire@lumiere.example\nBcc:x@y.example", "une seule adresse"),
        ("claire@lumiere\u00a0.example", "une seule adresse"),
        ("claire@lumiere.example; hugo@agence.example", "une seule adresse"),
        ("claire@lumiere.example;", "une seule adresse"),
        ("claire@lumiere.example,hugo@agence.example", "une seule adresse"),
        (f"{LOCAL_64}@{'.'.join(['a' * 60] * 4)}.example", "254"),
    ],
)
def test_an_address_that_cannot_receive_mail_is_refused_with_the_reason(address: str, said: str) -> None:
    with pytest.raises(addresses.InvalidAddress) as refused:
        addresses.validate_single(address)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Claire@Lumiere.Example", " claire@lumiere.example "),
        ("a@BÜCHER.example", "a@xn--bcher-kva.example"),
        ("a@" + unicodedata.normalize("NFD", "bücher") + ".example", "a@bücher.example"),
        ("a@straße.example", "a@xn--strae-oqa.example"),
        ("a@STRAẞE.example", "a@straße.example"),
        ("a@βόλος.example", "a@xn--nxasmm1c.example"),
        ("a@XN--BCHER-KVA.example", "a@bücher.example"),
        ("a@bücher。example", "a@bücher.example"),
    ],
)
def test_spellings_of_one_mailbox_compare_equal(one: str, other: str) -> None:
    assert addresses.normalise(one) == addresses.normalise(other)
    assert addresses.for_sending(one).lower() == addresses.for_sending(other).lower()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a@straße.example", "a@strasse.example"),
        ("a@faß.example", "a@fass.example"),
        ("a@βόλος.example", "a@βόλοσ.example"),
        ("a@نامه\u200cای.example", "a@نامهای.example"),
        ("a@ශ්\u200dරී.example", "a@ශ්රී.example"),
    ],
)
def test_domains_that_are_two_under_idna_2008_stay_two(one: str, other: str) -> None:
    assert addresses.normalise(one) != addresses.normalise(other)
    assert addresses.for_sending(one) != addresses.for_sending(other)
    assert addresses.validate(one) == one


DISGUISES = ["ｌｕmiere.example", "①.example", "ﬁn.example", "lumiere．example", "bücher。example", "ℒumiere.example",
             "\u212aelvin.example", "lumiereª.example", "x².example", "ｶﾀ.example", "ĳs.example", "ﺷ.example"]  # fmt: skip


@pytest.mark.parametrize("domain", DISGUISES)
def test_a_domain_in_disguise_is_refused_and_the_characters_are_named_in_addresses_and_urls_alike(domain: str) -> None:
    disguised = next(character for character in domain if not character.isascii() and character != "ü")
    for refused, check in ((addresses.InvalidAddress, addresses.validate), (ValidationError, check_url)):
        with pytest.raises(refused) as error:
            check(f"claire@{domain}" if check is addresses.validate else f"https://{domain}/")
        assert "caractères déguisés" in str(error.value)
        assert f"U+{ord(disguised):04X}" in str(error.value)


# Names that are none under IDNA 2008, a symbol and a wrong label in ASCII among them.
@pytest.mark.parametrize(
    "domain", ["☃.example", "i♥x.example", "xn--n3h.example", "xn--a.example", "a\u0308.-x.example"]
)
def test_a_domain_that_is_none_is_refused_in_addresses_and_urls_alike(domain: str) -> None:
    with pytest.raises(addresses.InvalidAddress):
        addresses.validate(f"claire@{domain}")
    with pytest.raises(ValidationError):
        check_url(f"https://{domain}/")


@pytest.mark.parametrize("domain", ["straße.example", "bücher.example", "βόλος.example", "例え.example", "نامه\u200cای.example", "xn--strae-oqa.example"])  # fmt: skip
def test_an_address_and_a_url_lead_to_the_same_server(domain: str) -> None:
    assert addresses.for_sending(f"a@{domain}") == f"a@{targets.read(f'https://{domain}/').host}"


@pytest.mark.parametrize("other", ["claire+a@lumiere.example", "cl.aire@lumiere.example", "claire@lumieres.example"])
def test_no_alias_is_guessed(other: str) -> None:
    assert addresses.normalise("claire@lumiere.example") != addresses.normalise(other)


def test_comparing_never_fails_whatever_the_text() -> None:
    for text in ("", "@", "a@", "a@" + "é" * 300, "a@x..y", "İ" * 500, "a@\ud800.example"):
        assert isinstance(addresses.normalise(text), str)


def test_a_typed_list_is_split_at_every_usual_separator_and_shown_with_semicolons() -> None:
    typed = "a@x.example;b@x.example , c@x.example\n d@x.example\u00a0e@x.example;;"
    found = addresses.split(typed)
    assert found == [f"{name}@x.example" for name in "abcde"]
    assert addresses.join(found) == "a@x.example; b@x.example; c@x.example; d@x.example; e@x.example"


# What mail programs write, the addresses in it, the names in it.
PASTED = [
    ('"Morel, Claire" <c@x.example>; "Petit, Hugo" <h@y.example>', "c@x.example h@y.example", ["Morel, Claire", "Petit, Hugo"]),
    ("Claire Morel (c@x.example)", "c@x.example", ["Claire Morel"]),
    ('"Morel, Claire" (c@x.example), Hugo Petit ( h@y.example )', "c@x.example h@y.example", ["Morel, Claire", "Hugo Petit"]),
    ("a@x.example (b@y.example)", "a@x.example b@y.example", []),
    ("Claire (c@x.example) <c@x.example>", "c@x.example", ["Claire (c@x.example)"]),
    ("c@x.example (Claire)", "c@x.example (Claire)", []),
    ("Morel, Claire <c@x.example>; Petit, Hugo <h@y.example>", "c@x.example h@y.example", ["Morel, Claire", "Petit, Hugo"]),
    ("Claire Morel <c@x.example>, Hugo <h@y.example>\n", "c@x.example h@y.example", ["Claire Morel", "Hugo"]),
    ("'c@x.example' <c@x.example>", "c@x.example", ["c@x.example"]),
    ("“Morel, C” < c@x.example >", "c@x.example", ["Morel, C"]),
    ("c@x.example <c@x.example>", "c@x.example", ["c@x.example"]),
    ("Claire <mailto:c@x.example>", "c@x.example", ["Claire"]),
    ('"Morel \\"Cl\\"; C" <c@x.example>', "c@x.example", ['Morel "Cl"; C']),
    ("O'Brien, Pat <p@x.example>", "p@x.example", ["O'Brien, Pat"]),
    ("Zoé d’Arc (compta) <z@x.example>", "z@x.example", ["Zoé d’Arc (compta)"]),
    ("<c@x.example>;<d@x.example>", "c@x.example d@x.example", []),
    ("a@x.example; Claire <c@x.example>; b@x.example", "a@x.example c@x.example b@x.example", ["Claire"]),
    ("a@x.example,Claire <c@x.example>,b@x.example", "a@x.example c@x.example b@x.example", ["Claire"]),
    # What « copy the link » gives.
    ("mailto:c@x.example", "c@x.example", []),
    (" MAILTO:c@x.example?subject=Bonjour ", "c@x.example", []),
    ("mailto:c@x.example; Hugo <h@y.example>", "c@x.example h@y.example", ["Hugo"]),
    # Nobody's address is taken for a name.
    ("a@x.example Claire <c@x.example>", "a@x.example c@x.example", ["Claire"]),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "found", "names"), PASTED)
def test_the_addresses_of_what_mail_programs_write_are_kept_and_the_names_told(
    typed: str, found: str, names: list[str]
) -> None:
    assert addresses.named(typed) == (found.split(), names)
    assert addresses.split(typed) == found.split()
    if " " in found:
        with pytest.raises(addresses.InvalidAddress, match="une seule adresse"):
            addresses.single(typed)
    else:
        assert addresses.single(typed) == (found, " ".join(names))


def test_a_long_text_of_brackets_and_quotation_marks_is_read_at_once() -> None:
    # The work of this thread alone: 0.4 s on a usual machine, and hours where it grows with the square of the length.
    started = time.thread_time()
    for text in ("<" + "@" * 10**6, "“" * 10**6 + "<a@b>", "a@b " * 300_000 + "<c@d>", '\\"' * 500_000 + '"<a@b>'):
        addresses.named(text)
    assert time.thread_time() - started < 60


def test_twins_of_a_list_count_once_in_the_first_spelling() -> None:
    assert addresses.unique(["A@x.example", "b@x.example", "a@X.example"]) == ["A@x.example", "b@x.example"]


# --- Within running text --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("email", "text"),
    [
        ("a@x.fr", "Écrivez à a@x.fr."),
        ("a@x.fr", "A@X.FR"),
        ("a@x.fr", "<a@x.fr>, b@x.fr"),
        ("a@x.fr", "mailto:a@x.fr?subject=x"),
        ("a@x.fr", "https://y.example/?address=a%40x.fr&q=1"),
        ("a@x.fr", '{"to": ["a@x.fr"]}'),
        ("jean@société.example", "Jean@SOCIÉTÉ.example a répondu"),
        ("jean@société.example", "jean@xn--socit-esab.example"),
        ("jean@xn--socit-esab.example", "jean@socie\u0301te\u0301.example"),
        ("o'neil+shop@x.fr", "(O'Neil+shop@x.fr)"),
    ],
)
def test_an_address_is_found_in_a_text_in_any_spelling(email: str, text: str) -> None:
    found = addresses.Mentions(email)
    assert found.within(text)
    assert not found.within(found.replaced(text, "[…]"))
    assert "[…]" in found.replaced(text, "[…]")


@pytest.mark.parametrize(
    "text", ["ma@x.fr", "b.a@x.fr", "c+a@x.fr", "a@x.fr.example", "a@xx.fr", "a@x.french", "a@x", "a x.fr", "1-a@x.fr"]
)
def test_a_longer_address_is_another_one(text: str) -> None:
    found = addresses.Mentions("a@x.fr")
    assert not found.within(text)
    assert found.replaced(text, "[…]") == text
