"""Run every measurement, each in a process and on a database of its own."""

import subprocess
import sys

for name in ("tables", "mail", "calls"):
    code = subprocess.run([sys.executable, "-m", f"bench.{name}"]).returncode
    if code:
        raise SystemExit(code)
