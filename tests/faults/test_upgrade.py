"""The upgrade without downtime in short, on SQLite; the whole of it on both databases by `make faults`."""

import pytest

from tests.faults import upgrade

pytestmark = [pytest.mark.slow, pytest.mark.faults]


@pytest.mark.skipif(bool(upgrade.absent()), reason=upgrade.absent())
def test_nothing_is_lost_while_the_release_before_and_this_one_run_side_by_side() -> None:
    with upgrade.Upgrade("sqlite") as lab:
        upgrade.roll(lab, 4, commands=())
        figures, wrong = upgrade.judged(lab)
    assert not wrong
    assert figures["accepted"] == figures["arrived"] >= 16
