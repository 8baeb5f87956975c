"""The most telling faults, with the tests; all of them by `make faults`."""

import os
from collections.abc import Iterator
from importlib import import_module
from operator import attrgetter

import pytest

from tests.faults import checker
from tests.faults.crashes import POINTS, Point
from tests.faults.laboratory import Laboratory
from tests.faults.registry import GROUPS, Fault, all_faults
from tests.faults.running import run_one

pytestmark = [pytest.mark.slow, pytest.mark.faults]
QUICK = [one for one in all_faults() if one.quick and "sqlite" in one.databases and not one.broker and not one.cache]


@pytest.fixture(scope="module")
def lab() -> Iterator[Laboratory]:
    with Laboratory() as laboratory:
        yield laboratory


@pytest.mark.parametrize("fault", QUICK, ids=lambda one: f"{one.group}: {one.name}")
def test_what_is_promised_holds(fault: Fault, lab: Laboratory) -> None:
    result = run_one(lab, fault)
    if result["verdict"] == "skipped":
        if os.environ.get("CI"):
            pytest.fail(result["said"])
        pytest.skip(result["said"])
    assert result["verdict"] == "held", result["said"]


def test_the_checker_sees_what_is_lost_and_what_is_doubled(lab: Laboratory) -> None:
    lab.fresh()
    lab.publish(4)
    lab.worker()
    lab.settled()
    assert (lab.count().arrived, lab.count().wrong) == (4, [])
    doubled = next(raw for raw in lab.smtp.mails if b"LAB-000002" in raw)
    lab.smtp.mails[:] = [raw for raw in lab.smtp.mails if b"LAB-000001" not in raw] + [doubled]
    lab.accepted.append("LAB-999999")
    count = lab.count()
    assert (count.accepted, count.arrived, count.lost, count.duplicates, count.most_copies) == (5, 3, 2, 1, 2)
    assert any("LAB-000001 is sent" in line for line in count.wrong)
    assert any("LAB-999999 was acknowledged" in line for line in count.wrong)


def test_there_are_sixty_faults_in_every_group_with_names_of_their_own() -> None:
    names = [(one.group, one.name) for one in all_faults()]
    assert len(names) == len(set(names)) >= 60
    assert {group for group, _name in names} == set(GROUPS)


def test_an_order_is_read_out_of_a_mail_as_it_came() -> None:
    raw = b"Message-ID: <a@b>\r\nSubject: x\r\nContent-Type: text/plain\r\n\r\nC LAB-000007\r\n"
    assert checker.orders_in_mail(raw) == ("<a@b>", "LAB-000007")


@pytest.mark.parametrize("point", POINTS, ids=lambda one: one.name)
def test_a_crash_point_names_something_that_is_there(point: Point) -> None:
    """A name that was changed would be a process that ends by itself, and proves nothing."""
    module, _colon, path = point.at.partition(":")
    assert callable(attrgetter(path)(import_module(module)))
