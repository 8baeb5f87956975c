"""Headers of every kind of answer, judged by the published rules of Mozilla's HTTP Observatory: A+ everywhere."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client

from tests.factories import CompanyFactory, DeliveryFactory, EventFactory, ShopFactory, StaffFactory, UserFactory
from tests.walk import account_makers, admin_makers, makers_of, put, routes, state_makers

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
HALF_A_YEAR = 15_768_000


def directives(policy: str) -> dict[str, list[str]]:
    parts = (part.split() for part in policy.split(";"))
    return {part[0]: part[1:] for part in parts if part}


def score(response: HttpResponse) -> tuple[int, list[str]]:
    """Points of one https answer, 100 and more being A+, and what was taken off."""
    points, lost = 100, []

    def take(n: int, why: str) -> None:
        nonlocal points
        points -= n
        lost.append(why)

    policy = directives(response.headers.get("Content-Security-Policy", ""))
    scripts = policy.get("script-src", policy.get("default-src", []))
    styles = policy.get("style-src", policy.get("default-src", []))
    if not policy:
        take(25, "no policy")
    elif {"'unsafe-inline'", "'unsafe-eval'", "data:", "*", "https:", "http:"} & set(scripts) or not scripts:
        take(20, "unsafe scripts")
    elif {"'unsafe-inline'", "data:", "*", "https:"} & set(styles):
        take(10, "unsafe styles")
    if policy.get("default-src") != ["'none'"]:
        take(5, "default-src is not 'none'")
    for name in ("base-uri", "form-action", "frame-ancestors"):
        if name not in policy:
            take(5, f"no {name}")
    hsts = response.headers.get("Strict-Transport-Security", "")
    age = next((int(part.split("=")[1]) for part in hsts.split(";") if part.strip().startswith("max-age=")), 0)
    if age < HALF_A_YEAR or "includeSubDomains" not in hsts:
        take(20, f"HSTS: {hsts!r}")
    if response.headers.get("X-Content-Type-Options") != "nosniff":
        take(5, "no nosniff")
    if response.headers.get("Referrer-Policy", "") not in ("same-origin", "no-referrer", "strict-origin"):
        take(5, "referrers")
    if response.headers.get("Cross-Origin-Resource-Policy") != "same-origin":
        take(5, "CORP")
    if response.headers.get("Cross-Origin-Opener-Policy") != "same-origin":
        take(5, "COOP")
    if "Access-Control-Allow-Origin" in response.headers:
        take(50, "CORS")
    for name, cookie in response.cookies.items():
        if not (cookie["secure"] and cookie["httponly"] and cookie["samesite"]):
            take(20, f"cookie {name}")
    return points, lost


@pytest.fixture
def over_https(settings: Any) -> dict[str, Any]:
    """Settings as `BASE_URL=https://…` makes them."""
    settings.SECURE_HSTS_SECONDS = 63_072_000
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = settings.SECURE_HSTS_PRELOAD = True
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = settings.LANGUAGE_COOKIE_SECURE = True
    return {"secure": True, "headers": {"host": "localhost"}}


def test_every_kind_of_answer_is_an_a_plus(
    over_https: dict[str, Any], client_for: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    company = CompanyFactory()
    shop = ShopFactory(company=company)
    delivery = DeliveryFactory(event=EventFactory(shop=shop))
    user, staff = client_for(UserFactory(company=company)), client_for(StaffFactory())
    viewer = client_for(UserFactory(company=company, role="viewer"))
    nobody = Client(raise_request_exception=False)
    asked = {
        "log-in": nobody.get("/accounts/login/", **over_https),
        "redirect to log-in": nobody.get("/", **over_https),
        "page": user.get("/settings/company/", **over_https),
        "list": user.get("/notifications/journal/", **over_https),
        "CSV": user.get("/settings/company/history/?format=csv", **over_https),
        "mail": user.get(f"/notifications/journal/{delivery.pk}/html/", **over_https),
        "public": nobody.get("/status/", **over_https),
        "admin": staff.get("/admin/", **over_https),
        "admin list": staff.get("/admin/companies/company/", **over_https),
        "403": viewer.post("/settings/company/", **over_https),
        "404": nobody.get("/nowhere/", **over_https),
        "405": user.post("/notifications/journal/", **over_https),
        "static": nobody.get("/static/backoffice.css", **over_https),
        "static 404": nobody.get("/static/nothing.css", **over_https),
        "API 401": nobody.get("/api/v1/deliveries", **over_https),
        "API 404": nobody.get("/api/v1/nothing", **over_https),
        "API 405": nobody.delete("/api/v1/events", **over_https),
        "API 413": nobody.post(
            "/api/v1/events", b"x" * (2 * 1024 * 1024 + 1), content_type="application/json", **over_https
        ),
        "API description": nobody.get("/api/v1/openapi.json", **over_https),
        "health": nobody.get("/livez", **over_https),
        "metrics": nobody.get("/metrics", **over_https),
        "switch of language": nobody.post("/language/", {"language": "en"}, **over_https),
    }

    def broken(request: HttpRequest) -> HttpResponse:
        raise RuntimeError("broken")

    monkeypatch.setattr("companies.accounts.auth.LoginBackend.authenticate", lambda *args, **kwargs: broken(args[1]))
    asked["500"] = nobody.post("/accounts/login/", {"login": "x", "password": "y"}, **over_https)
    statuses = {name: response.status_code for name, response in asked.items()}
    assert (statuses["page"], statuses["403"], statuses["404"], statuses["500"]) == (200, 403, 404, 500)
    assert (statuses["405"], statuses["API 413"], statuses["static"]) == (405, 413, 200)
    types = {name: response.headers.get("Content-Type", "") for name, response in asked.items()}
    bodies = {name for name, response in asked.items() if response.streaming or response.content}
    assert {name for name in bodies if not types[name]} == set()
    assert {
        name: of for name, of in types.items() if of.startswith("text/") and "charset=utf-8" not in of.replace('"', "")
    } == {}
    judged = {name: score(response) for name, response in asked.items()}
    assert {name: lost for name, (points, lost) in judged.items() if points < 100} == {}


def test_every_route_is_an_a_plus_for_nobody_and_for_the_fitting_user(
    over_https: dict[str, Any], client_for: Callable[..., Client]
) -> None:
    company = CompanyFactory(with_technical=True)
    shop = ShopFactory(company=company)
    claire = UserFactory(company=company)
    nobody, user, staff = Client(), client_for(claire, fresh=True), client_for(StaffFactory())
    makers = {
        **state_makers(company),
        **account_makers(claire),
        **admin_makers(shop),
        **makers_of(company, shop),
    }
    judged: dict[str, list[str]] = {}
    statuses = set()
    for route in sorted(set(routes(admin=True))):
        path = put(route, makers)
        for visitor in (nobody, staff if route.startswith("admin/") else user):
            answer = visitor.get(path, **over_https)
            points, lost = score(answer)
            statuses.add(answer.status_code)
            kind = answer.headers.get("Content-Type", "")
            if kind.startswith("text/") and "charset=utf-8" not in kind.replace('"', ""):
                judged[f"{path} {answer.status_code} type"] = [kind]
            if points < 100:
                judged[f"{path} {answer.status_code}"] = lost
    assert judged == {}
    assert {200, 302, 401, 403, 404, 405} <= statuses


@pytest.mark.parametrize(
    "path",
    [
        "/static/", "/static/admin/", "/static/admin/css/", "/.git/config", "/.git/HEAD", "/.env",
        "/static/../.env", "/static/%2e%2e/.env", "/static/..%2f.env", "/static/%252e%252e/.env", "/static//etc/passwd",
        "/var/backoffice.sqlite3", "/backoffice/settings.py", "/requirements.txt", "/docs/", "/media/",
    ],
)  # fmt: skip
def test_no_folder_no_repository_and_no_file_of_the_program_is_served(path: str) -> None:
    response = Client().get(path)
    assert response.status_code == 404
    assert b"Index of" not in response.content and b"SECRET_KEY" not in response.content


@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/api/v1/events", "/api/v1/deliveries", "/admin/", "/livez"])
def test_nobody_gets_the_own_request_back(path: str) -> None:
    """TRACE would show a script the cookies it must not read."""
    answer = Client().generic("TRACE", path, headers={"x-planted": "planted"})
    assert answer.status_code == 405
    assert b"planted" not in answer.content


def test_what_a_proxy_may_say_is_not_believed_of_anybody_else(client_for: Callable[..., Client]) -> None:
    """Without trusted proxies X-Forwarded-… is what a visitor typed."""
    said = {"x-forwarded-host": "evil.example", "x-forwarded-proto": "https", "x-forwarded-for": "127.0.0.1"}
    answer = Client().get("/", headers={**said, "x-real-ip": "127.0.0.1"})
    assert answer.headers["Location"] == "/accounts/login/?next=/"
    assert "Strict-Transport-Security" not in answer.headers
    outside = {"headers": {**said, "host": "localhost"}, "REMOTE_ADDR": "192.0.2.1"}
    assert Client().get("/metrics", **outside).status_code == 404


def test_no_policy_allows_anything_inline(client_for: Callable[..., Client]) -> None:
    staff = client_for(StaffFactory())
    for path in ("/accounts/login/", "/admin/", "/admin/companies/company/", "/nowhere/"):
        policy = staff.get(path).headers["Content-Security-Policy"]
        assert "unsafe" not in policy


def test_every_test_that_the_documents_name_exists() -> None:
    root = Path(settings.BASE_DIR)
    text = "".join((root / "docs" / name).read_text() for name in ("security.md", "asvs.md"))
    names = re.findall(r"`(tests/[\w/]+\.py|test_\w+\.py)(?:::\w+)?`", text)
    assert len(names) > 150
    assert [name for name in names if not list(root.glob(name if "/" in name else f"tests/**/{name}"))] == []
