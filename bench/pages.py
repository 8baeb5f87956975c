"""What pages cost on a platform of full size: time and statements, against a page that does nothing.

A small platform by itself; `--companies 1000 --deliveries 1000000` with `BENCH_DATABASE_URL` is the one of the aims.
Times are those of the view, its database and its template.
"""

import argparse
import os
import statistics
import time
from typing import Any

from bench.environment import database, fresh_database, machine
from bench.results import report
from bench.size import FIRST_SITE, LOGIN, STAFF, Size, fill

AIM_MS, WORST_MS, AIM_STATEMENTS = 300, 1000, 15

MERCHANT = {
    "home": "/",
    "addresses": "/notifications/addresses/",
    "one address": "/notifications/addresses/?address=boutique1@geant.example",
    "addresses as CSV": "/notifications/addresses/?format=csv",
    "by notification": "/notifications/by-notification/",
    "configuration": f"/settings/shops/{FIRST_SITE + 2}/configuration/",
    "shops": "/settings/shops/",
    "rules": "/settings/notification-rules/",
    "journal": "/notifications/journal/",
    "journal, page 100": "/notifications/journal/?page=100",
    "journal, by state": "/notifications/journal/?status=dead",
    "journal, sorted": "/notifications/journal/?sort=-attempts",
    "journal, an address": "/notifications/journal/?q=acheteur30@client.example",
    "journal, a part": "/notifications/journal/?q=acheteur",
    "journal, an event": "/notifications/journal/?event=evt-00000030",
    "journal, nothing": "/notifications/journal/?q=introuvable",
    "history": "/settings/company/history/",
    "history, a part": "/settings/company/history/?q=introuvable",
}
TEAM = {
    "admin deliveries": "/admin/notifications/delivery/",
    "admin deliveries, an address": "/admin/notifications/delivery/?q=acheteur30@client.example",
    "admin deliveries, nothing": "/admin/notifications/delivery/?q=introuvable",
    "admin deliveries, dead": "/admin/notifications/delivery/?status__exact=dead",
    "admin events": "/admin/notifications/event/",
    "admin events, one": "/admin/notifications/event/?q=evt-00000030",
    "admin events, nothing": "/admin/notifications/event/?q=introuvable",
    "admin history": "/admin/companies/auditentry/",
}


def measure(client: Any, url: str, repeats: int) -> tuple[list[float], int]:
    """Milliseconds of each request after the first, and the statements of one."""
    from django.db import connection

    statements: list[str] = []

    def count(execute: Any, sql: str, *arguments: Any) -> Any:
        statements.append(sql)
        return execute(sql, *arguments)

    connection.ensure_connection()
    with connection.execute_wrapper(count):
        answer = client.get(url)
        size = sum(map(len, answer)) if answer.streaming else len(answer.content)
    assert answer.status_code == 200 and size, (url, answer.status_code)
    taken = []
    for _repeat in range(repeats):
        start = time.perf_counter()
        answer = client.get(url)
        if answer.streaming:
            for _piece in answer:
                pass
        taken.append((time.perf_counter() - start) * 1000)
    return taken, len(statements)


def main(repeats: int, *, kept: bool = True) -> None:
    from django.conf import settings
    from django.test import Client

    from companies.models import User

    settings.DEBUG, settings.ALLOWED_HOSTS = False, ["*"]
    settings.MFA_REQUIRED = False
    merchant, team = Client(), Client()
    merchant.force_login(User.objects.get(login=LOGIN))
    team.force_login(User.objects.get(login=STAFF))
    print(f"  {'page':<34} {'p50 ms':>8} {'p95 ms':>8} {'statements':>11} {'× /livez':>9}")
    floor, _none = measure(merchant, "/livez", 20)
    base = statistics.median(floor)
    print(f"  {'/livez':<34} {base:>8.1f} {max(floor):>8.1f} {0:>11} {1:>9.1f}")
    every: list[float] = []
    most = 0
    for client, pages in ((merchant, MERCHANT), (team, TEAM)):
        for name, url in pages.items():
            taken, statements = measure(client, url, repeats)
            middle, worst = statistics.median(taken), sorted(taken)[int(len(taken) * 0.95)]
            if "csv" not in url:
                every += taken
                most = max(most, statements)
            mark = " !" if worst > AIM_MS or statements > AIM_STATEMENTS else ""
            print(f"  {name:<34} {middle:>8.1f} {worst:>8.1f} {statements:>11} {middle / base:>9.1f}{mark}")
    p95 = sorted(every)[int(len(every) * 0.95)]
    print(f"  {f'p95 of all, aim {AIM_MS}; worst, aim {WORST_MS}':<34} {p95:>17.1f} {max(every):>8.1f}")
    if not kept:
        ratios = {
            f"pages, p95 of all / {AIM_MS} ms (1 at most)": (p95 / AIM_MS, 1.0),
            f"pages, worst / {WORST_MS} ms (1 at most)": (max(every) / WORST_MS, 1.0),
            "pages, most statements of one (15 at most)": (float(most), float(AIM_STATEMENTS)),
        }
        report(database(), machine(), ratios)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=20_000)
    parser.add_argument("--companies", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--kept", action="store_true", help="measure the filled database of `DATABASE_URL`")
    chosen = parser.parse_args()
    if chosen.kept:
        import django

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.settings")
        django.setup()
        main(chosen.repeats)
    else:
        with fresh_database():
            begun = time.perf_counter()
            fill(Size(companies=chosen.companies, deliveries=chosen.deliveries))
            filled = time.perf_counter() - begun
            print(f"Pages of a company of 500 shops, one of {chosen.companies}, {chosen.deliveries} deliveries;")
            print(f"filled in {filled:.0f} s. {database()}, {machine()}")
            main(chosen.repeats, kept=False)
