"""Processes of the bench."""

import os
import subprocess
from pathlib import Path

from . import BenchError

ROOT = Path(__file__).parents[1]
_PATIENCE = 1_800  # seconds
# What measures our tests, and would be in the figures; and what lets each process compile nbcache anew.
_LEFT_OUT = ("COVERAGE", "COV_", "PYTHONDONTWRITEBYTECODE")


def output_of(program: list[str], folder: Path) -> str:
    """Run `program` in `folder`, which may import the bench. Returns what it prints; if it fails or warns, so does the bench.

    What it compiles of its modules is kept, as it is of an installed package, whatever this environment says.
    """
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_LEFT_OUT)}
    environment |= {"PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": "0", "IPYTHONDIR": str(folder / "ipython")}
    done = subprocess.run(
        program, capture_output=True, text=True, timeout=_PATIENCE, env=environment, cwd=folder, check=False
    )
    if done.returncode or "NbcacheWarning" in done.stderr:
        raise BenchError(f"{' '.join(program)} failed:\n{done.stdout[-2000:]}{done.stderr[-3000:]}")
    return done.stdout
