"""`make guide`: the pictures of docs/guide/, from a demonstration of its own: `python -m tools.guide`.

A site with a data base of its own runs under a clock that always begins at the same moment; Chromium opens the pages
named below, at one size, in both languages. Pictures of pages that have not changed come out the same.
"""

import io
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tools.environment import ROOT, fail, say

PICTURES = ROOT / "docs" / "guide" / "pictures"
# A Wednesday morning: the month that the demonstration tells of lies before it.
MOMENT = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
SIZE: Any = {"width": 1280, "height": 760}
# The heaviest that a picture may be, in bytes.
HEAVIEST = 150_000
COLOURS = 64
# Seconds that the demonstration has to answer.
PATIENCE = 240
# name → page, and what is typed into the search first.
PAGES: dict[str, tuple[str, str]] = {
    "home": ("/", ""),
    "search": ("/", "lumi"),
    "coverage": ("/notifications/coverage/", ""),
    "addresses": ("/notifications/addresses/", ""),
    "journal": ("/notifications/journal/", ""),
    "rules": ("/settings/notification-rules/?shop=10000001&type=merchant_email", ""),
    "shops": ("/settings/shops/10000001/configuration/", ""),
    "users": ("/settings/company/users/3/", ""),
    "payment_orders": ("/payment-orders/", ""),
}
LANGUAGES = {"fr": "Français", "en": "English"}


def main() -> None:
    began = time.monotonic()
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="guide-") as folder, site(Path(folder)) as address:
        taken = list(pictures(address))
    for stale in set(PICTURES.glob("*.png")) - set(taken):
        stale.unlink()
    say(f"{len(taken)} pictures in docs/guide/pictures, {time.monotonic() - began:.0f} s")


# --- The site -------------------------------------------------------------------------------------


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """A demonstration that answers at the address given, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://localhost:{port}"
    environment = os.environ | {
        "BASE_URL": address,
        "DATABASE_URL": f"sqlite:///{folder / 'guide.sqlite3'}",
        "EMAIL_URL": f"filemail:///{folder / 'mail'}",
        "CELERY_BROKER_URL": "",
        "REDIS_URL": "",
        "MFA_REQUIRED": "false",
        "DEBUG": "true",
        "SECRET_KEY": secrets.token_urlsafe(48),
    }
    log = folder / "server.log"
    command = [sys.executable, "-m", "tools.guide", "serve", str(port)]
    with log.open("wb") as said:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=subprocess.STDOUT)
    try:
        if not _answers(f"{address}/livez", process):
            fail(f"The demonstration did not start:\n{log.read_text(encoding='utf-8')[-4000:]}")
        yield address
    finally:
        process.terminate()
        process.wait()


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(url, timeout=2):  # noqa: S310 (a fixed local address)
            return True
        time.sleep(0.3)
    return False


def serve(port: int) -> None:
    """Fill the data base and answer, under the fixed clock."""
    import time_machine

    with time_machine.travel(MOMENT, tick=True):
        os.environ["DJANGO_SETTINGS_MODULE"] = "backoffice.settings"
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        call_command("createcachetable", verbosity=0)
        call_command("demo", stdout=io.StringIO())
    # The clock begins again, however long that took.
    with time_machine.travel(MOMENT, tick=True):
        call_command("runserver", f"127.0.0.1:{port}", use_reloader=False, use_threading=True, verbosity=0)


# --- Pictures -------------------------------------------------------------------------------------


def pictures(address: str) -> Iterator[Path]:
    from playwright.sync_api import sync_playwright

    from backoffice.demo.document import PASSWORDS

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--font-render-hinting=none"]
        )
        context = browser.new_context(viewport=SIZE, color_scheme="light", reduced_motion="reduce", locale="fr-FR")
        page = context.new_page()
        page.goto(f"{address}/")
        page.fill("input[name=login]", "claire")
        page.fill("input[name=password]", PASSWORDS["claire"])
        page.press("input[name=password]", "Enter")
        page.wait_for_url(f"{address}/")
        for language, label in LANGUAGES.items():
            page.locator(f".languages button[aria-label={label}]").click()
            page.wait_for_selector(f'html[lang="{language}"]')
            for name, (path, typed) in PAGES.items():
                yield _taken(page, f"{address}{path}", typed, PICTURES / f"{name}-{language}.png")
        browser.close()


def _taken(page: Any, url: str, typed: str, path: Path) -> Path:
    page.goto(url)
    if typed:
        page.fill("#shell-search", typed)
        page.press("#shell-search", "End")
        page.locator("#search-found [role=option]").first.wait_for()
    page.wait_for_load_state("networkidle")
    path.write_bytes(_small(page.screenshot(caret="hide", animations="disabled")))
    if path.stat().st_size > HEAVIEST:
        fail(f"{path.name} has {path.stat().st_size} bytes; a picture has {HEAVIEST} at most.")
    return path


def _small(png: bytes) -> bytes:
    """The same picture in few colours: flat surfaces and text lose nothing that one sees."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        few = image.convert("RGB").quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    small = io.BytesIO()
    few.save(small, "PNG", optimize=True)
    return small.getvalue()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]))
    else:
        main()
