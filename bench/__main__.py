"""Run every measurement, each in a process and on a database of its own; then draw the picture.

`--quick` measures less of each, for a look while working.
"""

import argparse
import subprocess
import sys
import time

from bench import picture, rivals

ALL = ("tables", "mail", "calls", "jobs", "accepting", "claims", "workers", "pages")
# What a quick run asks for; what stands in none of these is left out of it.
QUICK: dict[str, tuple[str, ...]] = {
    "mail": ("--count", "800"),
    "calls": ("--count", "1500", "--quick"),
    "jobs": ("--count", "4000"),
    "accepting": ("--count", "200"),
    "claims": ("--many", "20000"),
    "workers": ("--count", "400"),
}


def main(names: list[str], *, quick: bool) -> int:
    """Returns how many measurements missed what they guard."""
    rivals.install()
    failed = []
    for name in names:
        start = time.monotonic()
        options = QUICK.get(name, ()) if quick else ()
        if subprocess.run([sys.executable, "-m", f"bench.{name}", *options]).returncode:
            failed.append(name)
        print(f"  {name}: {time.monotonic() - start:.0f} s\n", flush=True)
    picture.draw()
    if failed:
        print(f"failed: {', '.join(failed)}")
    return len(failed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *ALL], help="only these")
    parser.add_argument("--quick", action="store_true", help="less of each, a few minutes in all")
    chosen = parser.parse_args()
    wanted = chosen.names or [name for name in ALL if not chosen.quick or name in QUICK]
    raise SystemExit(main(wanted, quick=chosen.quick))
