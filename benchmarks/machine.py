"""What the figures were measured on."""

import os
import platform
import sqlite3
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "langchain-core",
    "langchain-openai",
    "langchain-community",
    "diskcache",
    "SQLAlchemy",
    "ipython",
    "anywidget",
    "jupyterlab",
    "langgraph-checkpoint-sqlite",
    "dspy",
    "joblib",
)


def describe(folder: Path) -> dict[str, str]:
    """Machine and versions; `folder` is where the stores lie. No names or paths of the machine."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": f"{_memory() / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "file system": _file_system(folder),
        "load before the run": f"{load} (1, 5, 15 minutes)",
        "Python": f"{platform.python_implementation()} {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "packages": ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
    }


def _processor() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _file_system(folder: Path) -> str:
    """The type of the mount that holds `folder`."""
    mounts = {Path(place): kind for _, place, kind, *_ in map(str.split, _lines("/proc/mounts"))}
    return next((mounts[place] for place in (folder, *folder.parents) if place in mounts), "unknown")


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"
