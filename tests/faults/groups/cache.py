"""The shared cache: limits and used codes. Without it people log in, and operators are told."""

import re
import time
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

from tests.faults.laboratory import Laboratory
from tests.faults.registry import fault


def _log_in(port: int, password: str = "a-long-password-of-the-lab") -> tuple[int, str]:
    """Status and address where a browser ends that logs in."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    page = opener.open(f"http://127.0.0.1:{port}/accounts/login/", timeout=20).read().decode()
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
    data = urllib.parse.urlencode({**fields, "login": "staff", "password": password}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/accounts/login/", data, {"Referer": f"http://127.0.0.1:{port}/accounts/login/"}
    )
    try:
        with opener.open(request, timeout=30) as answer:
            return answer.status, answer.url
    except urllib.error.HTTPError as error:
        return error.code, str(error.url)


def _works_without(lab: Laboratory, port: int) -> None:
    status, url = _log_in(port)
    assert status == 200 and "/accounts/login" not in url, (status, url)
    status, body = lab.get(port, "/readyz")
    assert status == 200 and "cache" in body, (status, body)
    assert "cache" in lab.problems()
    refused = [_log_in(port, "wrong")[0] for _try in range(12)]
    assert all(code < 500 for code in refused), refused
    status, url = _log_in(port)
    assert "/accounts/login" in url, "twelve wrong tries are no limit"


@fault("Redis is gone: log-in works, limits count, health names it", cache="redis", quick=True)
def _redis_gone(lab: Laboratory) -> None:
    _web, port = lab.web()
    assert _log_in(port)[0] == 200
    lab.services["redis"].kill()
    _works_without(lab, port)
    lab.publish(2)
    lab.worker()
    lab.settled()


@fault("Redis takes connections and says nothing", cache="redis")
def _redis_silent(lab: Laboratory) -> None:
    _web, port = lab.web()
    lab.services["redis"].freeze()
    began = time.monotonic()
    status, url = _log_in(port)
    assert status == 200 and "/accounts/login" not in url, (status, url)
    assert time.monotonic() - began < 60, "people wait for the cache"
    assert "cache" in lab.get(port, "/readyz")[1]


@fault("Redis comes back: it is used again", cache="redis")
def _redis_back(lab: Laboratory) -> None:
    _web, port = lab.web()
    lab.services["redis"].kill()
    assert _log_in(port)[0] == 200
    lab.services["redis"].start()
    lab.until(lambda: "cache" not in lab.get(port, "/readyz")[1], "it is not found again")
    assert _log_in(port)[0] == 200


@fault("the network to Redis is cut between two requests", cache="redis")
def _redis_cut(lab: Laboratory) -> None:
    _web, port = lab.web()
    for _time in range(3):
        assert _log_in(port)[0] == 200
        lab.gates["redis"].cut()


@fault("the table of the cache is gone")
def _table_gone(lab: Laboratory) -> None:
    _web, port = lab.web()
    lab.execute("DROP TABLE shared_cache")
    _works_without(lab, port)
    lab.run("createcachetable")
    lab.until(lambda: "cache" not in lab.get(port, "/readyz")[1], "it is not found again")
