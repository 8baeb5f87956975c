"""What all tests in a browser share: clicks that end with the page there, axe-core, and what is too wide.

Playwright ends a click as soon as the next document begins to arrive. Counting, reading or running a script then meets
a page without elements on a slow machine, so here a click ends when the page has loaded.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Error, Locator, Page, expect

AXE = Axe().axe_script
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
# How long an element may take to come. Only a test that fails ever waits as long, so it costs nothing to be patient.
PATIENCE = 60_000
ATTEMPTS = 5


def install() -> None:
    """Make every click and every pressed key of an element end with a loaded page, and be patient; once per process."""
    for owner in (Locator, Page):
        for name in ("click", "press"):
            act = getattr(owner, name)
            if not hasattr(act, "__wrapped__"):
                setattr(owner, name, _loading(act))
    if not hasattr(Browser.new_context, "__wrapped__"):
        Browser.new_context = _patient(Browser.new_context)  # type: ignore[method-assign]
    expect.set_options(timeout=PATIENCE)


def _patient(make: Callable[..., BrowserContext]) -> Callable[..., BrowserContext]:
    @wraps(make)
    def new_context(*args: Any, **options: Any) -> BrowserContext:
        context = make(*args, **options)
        context.set_default_timeout(PATIENCE)
        return context

    return new_context


def _loading(act: Callable[..., None]) -> Callable[..., None]:
    @wraps(act)
    def act_and_wait(acted_on: Any, *args: Any, **options: Any) -> None:
        act(acted_on, *args, **options)
        page = acted_on if isinstance(acted_on, Page) else acted_on.page
        if not page.is_closed():
            page.wait_for_load_state()

    return act_and_wait


def loaded(page: Any, script: str, argument: Any = None) -> Any:
    """What a script answers on the page once it has loaded; asked again when another page came meanwhile."""
    for attempt in range(ATTEMPTS):
        page.wait_for_load_state()
        try:
            return page.evaluate(script, argument)
        except Error as error:
            if attempt == ATTEMPTS - 1 or not _went_away(error):
                raise
    raise AssertionError("unreachable")


def _went_away(error: Error) -> bool:
    return any(text in error.message for text in ("Execution context was destroyed", "navigation", "of null"))


def violations(page: Any, ignored: Iterable[str] = ()) -> list[str]:
    """axe-core's findings on the page as it is now, one line each."""
    # In one call: between two the page may change. The script is sent only to a page that lacks it.
    if not loaded(page, "'axe' in window"):
        loaded(page, AXE)
    return loaded(
        page,
        # Without preload: it puts style sheets into the page, which the policy refuses.
        """ignored => axe.run(document, {resultTypes: ["violations"], iframes: false, preload: false})
             .then(found => found.violations.filter(rule => !ignored.includes(rule.id)).flatMap(rule => rule.nodes.map(
               node => `${location.pathname} [${rule.id}] ${node.target} ${node.html.slice(0, 160)}`)))""",
        list(ignored),
    )


def overflow(page: Any) -> list[str]:
    """What makes the page wider than the window; empty when nothing does."""
    return loaded(
        page,
        """() => {
          const root = document.documentElement, width = root.clientWidth;
          if (root.scrollWidth <= width) return [];
          const wide = [...document.querySelectorAll("main *")].filter(e => e.getBoundingClientRect().right > width + 1);
          return [location.pathname + " is " + root.scrollWidth + " px wide in a window of " + width]
            .concat(wide.slice(0, 5).map(e => e.tagName + "." + e.className));
        }""",
    )
