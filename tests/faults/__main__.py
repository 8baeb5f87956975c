"""`make faults`: run the laboratory and write docs/reliability.md.

Results are kept in var/faults.json as they come, so that a run may be split (`--group`), interrupted and gone on with
(`--resume`: kills and deaths add up to the numbers asked for), or run as several at once: each has servers, ports and a folder
of its own.
"""

import argparse
import signal
import sys

from tests.faults import running
from tests.faults.registry import BOTH, GROUPS


def main() -> None:
    parser = argparse.ArgumentParser(prog="make faults ARGS=…", description=__doc__)
    parser.add_argument(
        "--group", action="append", choices=[*GROUPS, "kills", "crashes", "upgrade"], help="only this group; repeated"
    )
    parser.add_argument(
        "--only", metavar="TEXT", help="only faults, or with --group crashes points, whose name contains this"
    )
    parser.add_argument("--database", action="append", choices=BOTH, help="only on this database")
    parser.add_argument("--kills", type=int, default=1000, metavar="N", help="random kills in all; 0 for none")
    parser.add_argument("--crashes", type=int, default=50, metavar="N", help="deaths at each crash point; 0 for none")
    parser.add_argument("--no-faults", action="store_true", help="only kills, crash points and the upgrade")
    parser.add_argument("--seed", type=int, default=14, help="of the dice of the kills")
    parser.add_argument(
        "--resume", action="store_true", help="leave out what held before; delete var/faults.json to begin anew"
    )
    parser.add_argument("--report", action="store_true", help="only write the document again from the results kept")
    parser.add_argument("--list", action="store_true", help="name the faults")
    # An end that was asked for takes the services of the laboratory along.
    signal.signal(signal.SIGTERM, lambda *_args: sys.exit(143))
    sys.exit(running.main(parser.parse_args()))


if __name__ == "__main__":
    main()
