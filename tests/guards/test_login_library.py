"""The log-in library's internals have one door, so that an update of the library is read against one file."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

ROOT = Path(settings.BASE_DIR)
APPS = ("backoffice", "companies", "notifications", "shops")
DOOR = "companies/login_library.py"


def sources() -> Iterator[tuple[str, ast.Module]]:
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def internals(tree: ast.Module) -> set[str]:
    """The names of the library that a file imports and that it promises to nobody."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if re.match(r"allauth\.(.*\.)?(internal\b|_)", name)}


def hidden(path: Path) -> set[str]:
    """Names with one underscore in front that the classes and modules of the library define."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
    return {name for name in found if re.match(r"_[a-z]", name)}


def test_one_module_imports_the_internals_of_the_log_in_library() -> None:
    found = {name: internals(tree) for name, tree in sources()}
    assert {name for name, used in found.items() if used} == {DOOR}


def test_one_module_uses_its_private_attributes() -> None:
    """Asked of the files that deal with the library: there a private name of the library is no name of ours."""
    import allauth

    library = Path(allauth.__file__).parent
    private = {name for part in ("account", "core", "mfa") for path in (library / part).rglob("*.py")
               if "tests" not in path.parts for name in hidden(path)}  # fmt: skip
    used: dict[str, set[str]] = {}
    for name, tree in sources():
        text = ast.unparse(tree)
        if "allauth" not in text and "login_library" not in text:
            continue
        ours = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        ours |= {
            node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        }
        attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        if found := (attributes - ours) & private:
            used[name] = found
    assert used == {DOOR: {"_check_password", "_mark_code_used", "_stash_user"}}


def test_each_name_of_the_door_is_used() -> None:
    door = next(tree for name, tree in sources() if name == DOOR)
    listed = {
        text
        for node in door.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        for text in ast.literal_eval(node.value)
    }
    taken = {
        alias.name
        for _name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "companies.login_library"
        for alias in node.names
    }
    assert listed == taken
