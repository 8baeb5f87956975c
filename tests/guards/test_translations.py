"""The check of the English catalogue finds what it is for."""

from pathlib import Path

import polib
import pytest

from tools import translations

HEADER = (
    'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\nPlural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n'
)


def catalogue(folder: Path, text: str) -> Path:
    path = folder / "django.po"
    path.write_text(HEADER + text, encoding="utf-8")
    polib.pofile(str(path)).save_as_mofile(str(path.with_suffix(".mo")))
    return path


def test_a_complete_catalogue_has_no_problem(tmp_path: Path) -> None:
    text = (
        'msgctxt "recipient"\nmsgid "À"\nmsgstr "To"\n\nmsgid "%(n)d boutique"\nmsgid_plural "%(n)d boutiques"\n'
        'msgstr[0] "%(n)d shop"\nmsgstr[1] "%(n)d shops"\n'
    )
    assert translations.problems(catalogue(tmp_path, text)) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('msgid "Boutique"\nmsgstr ""\n', "missing: 'Boutique'"),
        ('msgid "a"\nmsgid_plural "b"\nmsgstr[0] "c"\nmsgstr[1] ""\n', "missing: 'a'"),
        ('#, fuzzy\nmsgid "Boutique"\nmsgstr "Store"\n', "fuzzy: 'Boutique'"),
        ('#~ msgid "Ancien"\n#~ msgstr "Old"\n', "obsolete: 'Ancien'"),
        ('msgid "de %(name)s"\nmsgstr "of %(nom)s"\n', "other placeholders: 'de %(name)s' → 'of %(nom)s'"),
    ],
)
def test_each_kind_of_problem_is_named(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in translations.problems(catalogue(tmp_path, text))


def test_a_stale_compiled_catalogue_is_found(tmp_path: Path) -> None:
    path = catalogue(tmp_path, 'msgid "Boutique"\nmsgstr "Store"\n')
    path.write_text(path.read_text(encoding="utf-8").replace("Store", "Shop"), encoding="utf-8")
    assert translations.problems(path) == ["django.mo is older than django.po: run make messages"]


def test_a_missing_catalogue_is_said(tmp_path: Path) -> None:
    assert translations.problems(tmp_path / "django.po") == ["django.po does not exist: run make messages"]
