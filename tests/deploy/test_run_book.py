"""docs/operations.md against what it tells of: settings, files, commands, links within the page."""

import re
from pathlib import Path

from django.conf import settings
from django.core.management import get_commands, load_command_class

ROOT = Path(settings.BASE_DIR)
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")


def part(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_setting_is_on_the_page() -> None:
    known = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
    first_cells = [line.split("|")[1] for line in part("Settings").splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`([A-Z_]+)`", " ".join(first_cells))) == known


def test_defaults_on_the_page_are_those_of_the_example() -> None:
    """Where the page gives a value; what it tells in words is for readers."""
    example = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
    compared = 0
    for line in part("Settings").splitlines():
        if not line.startswith("| `"):
            continue
        _nothing, names, defaults, *_rest = line.split("|")
        named, told = re.findall(r"`([A-Z_]+)`", names), [cell.strip() for cell in defaults.split(", ")]
        if len(named) != len(told):
            continue
        for name, value in zip(named, told, strict=True):
            if value == "–":
                assert example[name] == "", name
            elif re.fullmatch(r"`[^`]+`", value):
                assert example[name] == value.strip("`"), name
            else:
                continue
            compared += 1
    assert compared > 20


def test_no_command_stands_twice_in_the_table() -> None:
    rows = re.findall(r"^\| `((?:[^`\\]|\\.)+)`", part("Commands"), re.MULTILINE)
    assert len(rows) == len(set(rows))


def test_commands_and_files_that_the_page_names_exist() -> None:
    known = get_commands()
    asked = re.findall(r"manage\.py ([a-z]\w+)", PAGE)
    assert asked and [name for name in asked if name not in known] == []
    paths = re.findall(r"\bdeploy/[\w./-]*\w(?![\w*-])", PAGE)
    assert [path for path in paths if not (ROOT / path).exists() and path != "deploy/compose.env"] == []


def asked_options() -> dict[str, set[str]]:
    """Command → the options that the page gives it, in its examples and in the table of commands."""
    asked: dict[str, set[str]] = {}
    # Cells escape the bar within them.
    rows = [
        re.sub(r"\\\|", "|", line) for line in re.findall(r"^\| `((?:[^`\\]|\\.)+)`", part("Commands"), re.MULTILINE)
    ]
    examples = re.findall(r"manage\.py ([^`\n#]+)", PAGE)
    for text in [*rows, *examples]:
        name, _space, rest = text.partition(" ")
        if name == "…":
            continue
        asked.setdefault(name, set()).update(re.findall(r"(?<![\w-])--[a-z][a-z-]+", rest))
    return asked


def test_every_option_that_the_page_gives_a_command_exists() -> None:
    apps = get_commands()
    asked = asked_options()
    assert {"pause", "resume", "requeue", "cancel", "status", "limit", "after_restore"} <= asked.keys()
    for name, options in sorted(asked.items()):
        command = load_command_class(apps[name], name) if isinstance(apps[name], str) else apps[name]
        parser = command.create_parser("manage.py", name)
        known = {option for action in parser._actions for option in action.option_strings}
        assert options <= known, name


def test_units_that_the_page_names_exist() -> None:
    units = {path.name for path in (ROOT / "deploy" / "systemd").iterdir()}
    named = set(re.findall(r"\bbackoffice-(?:web|worker|celery|purge|backup)(?:@|\.\w+)?", PAGE))
    for name in named:
        assert {name, f"{name}.service", f"{name}@.service"} & units, name


def test_links_within_the_page_lead_to_a_title() -> None:
    titles = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    assert [link for link in re.findall(r"\]\(#([\w-]+)\)", PAGE) if link not in anchors] == []
