"""Alerts and dashboard ask for figures that exist, and the run book knows every alert."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from prometheus_client import REGISTRY

# Figures are registered when their modules are loaded.
import backoffice.urls  # noqa: F401
import notifications.sending.metrics  # noqa: F401

DEPLOY = Path(settings.BASE_DIR) / "deploy"
ALERTS_FILE = DEPLOY / "prometheus" / "alerts.yml"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(ALERTS_FILE.read_text("utf-8"))["groups"] for rule in group["rules"]
]
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text("utf-8"))
EXPRESSIONS = [rule["expr"] for rule in RULES] + [
    target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]
]
# What the scraper itself adds.
OF_PROMETHEUS = {"up"}
WORDS = {"max", "min", "sum", "by", "on", "or", "and", "unless", "absent", "offset", "max_over_time"}
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}


def known_metrics() -> set[str]:
    kinds = ((metric.name, SUFFIXES.get(metric.type, ("",))) for metric in REGISTRY.collect())
    return {name + suffix for name, suffixes in kinds for suffix in suffixes}


def asked_metrics(expression: str) -> set[str]:
    bare = re.sub(r'\{[^}]*\}|"[^"]*"|\bby \([^)]*\)|\bon \([^)]*\)|\[[^]]*\]|\boffset \w+', " ", expression)
    return set(re.findall(r"[a-zA-Z_:][\w:]*", bare)) - WORDS - OF_PROMETHEUS


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_is_asked_for_exists(expression: str) -> None:
    asked = asked_metrics(expression)
    assert asked or "up{" in expression
    assert asked <= known_metrics()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_labels_that_are_asked_for_exist(expression: str) -> None:
    labels = {
        metric.name: set(getattr(REGISTRY._names_to_collectors.get(metric.name), "_labelnames", ()))
        for metric in REGISTRY.collect()
    }
    for name in asked_metrics(expression):
        grouped = re.findall(rf"by \(([^)]*)\) \({name}\b", expression)
        wanted = {label for part in grouped for label in part.split(", ")}
        wanted |= set(re.findall(rf"{name}\{{(\w+)[=!]", expression))
        assert wanted - {"job", "instance"} <= labels.get(name, set()), name


def test_every_rule_says_who_gets_up_and_what_happened() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))
    for rule in RULES:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"].endswith(".")
        assert re.fullmatch(r"\d+[mh]", rule.get("for", "1m"))


def test_the_run_book_says_what_to_do_about_each_alert() -> None:
    page = (Path(settings.BASE_DIR) / "docs" / "operations.md").read_text("utf-8")
    told = set(re.findall(r"^\| `(Backoffice\w+)` \|", page, re.MULTILINE))
    assert told == {rule["alert"] for rule in RULES}


def test_panels_stand_beside_each_other() -> None:
    taken = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _y in taken) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_accepts_the_rules() -> None:
    done = subprocess.run(["promtool", "check", "rules", str(ALERTS_FILE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
