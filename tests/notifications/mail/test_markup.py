"""The small formatting of letters: what it knows, and that nothing else gets through."""

import pytest

from notifications.mail.markup import parse, to_html, to_text


@pytest.mark.parametrize(
    ("typed", "html"),
    [
        ("Un.\nDeux.\n\nTrois.", "<p>Un. Deux.</p>\n<p>Trois.</p>"),
        ("## Titre\nTexte", "<h2>Titre</h2>\n<p>Texte</p>"),
        ("## Un\n## Deux", "<h2>Un</h2>\n<h2>Deux</h2>"),
        ("- a\n- b\nsuite", "<ul><li>a</li><li>b</li></ul>\n<p>suite</p>"),
        ("Du **gras** ici", "<p>Du <strong>gras</strong> ici</p>"),
        ("[là](https://x.example/a?b=1&c=2).", '<p><a href="https://x.example/a?b=1&amp;c=2">là</a>.</p>'),
        ("", ""),
        ("** seul **\n2 * 3 * 4", "<p><strong> seul </strong> 2 * 3 * 4</p>"),
    ],
)
def test_it_knows_paragraphs_headings_lists_bold_and_links(typed: str, html: str) -> None:
    assert to_html(parse(typed)) == html


@pytest.mark.parametrize(
    "typed",
    [
        "<script>alert(1)</script>",
        '[x](https://x.example/"onmouseover=alert(1))',
        "[x](javascript:alert(1))",
        "[x](data:text/html,1)",
        "## <img src=x onerror=alert(1)>",
        "- **<b onclick=x>**",
        "[<i>](https://x.example/)",
    ],
)
def test_what_is_typed_never_becomes_markup_of_its_own(typed: str) -> None:
    html = to_html(parse(typed))
    known = ("<p>", "</p>", "<h2>", "</h2>", "<ul>", "</ul>", "<li>", "</li>", "<strong>", "</strong>", "</a>", '<a href="https://x.example/">')  # fmt: skip
    for mark in known:
        html = html.replace(mark, "")
    assert "<" not in html and '"' not in html and "href" not in html.replace("&quot;", "")


def test_the_text_part_reads_well_in_a_terminal() -> None:
    text = to_text(parse("## Titre\nVoir [là](https://x.example/) et **ici**.\n- un\n- deux"))
    assert text == "Titre\n-----\n\nVoir là <https://x.example/> et ici.\n\n- un\n- deux"
