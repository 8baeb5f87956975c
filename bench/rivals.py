"""What ours is measured against, in a folder of its own: `bench/rivals.txt`, installed into `var/bench-rivals`.

The product and its tests know nothing of it. Where ours and a rival share a process, the rivals' folder comes last, so
that both use the same framework.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "var" / "bench-rivals"
WANTED = Path(__file__).with_name("rivals.txt")
_MARK = FOLDER / "installed.txt"


def install() -> Path:
    """Install what is not there in this version; returns the folder."""
    wanted = WANTED.read_text(encoding="utf-8")
    if not _MARK.exists() or _MARK.read_text(encoding="utf-8") != wanted:
        print("installing the rivals …", flush=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
        subprocess.run([*pip, "--target", str(FOLDER), "-r", str(WANTED)], check=True, stderr=subprocess.DEVNULL)
        _MARK.write_text(wanted, encoding="utf-8")
    return FOLDER


def add() -> None:
    """Let this process import them; what the product brings comes first."""
    folder = str(install())
    if folder not in sys.path:
        sys.path.append(folder)
