"""What kind of file system a folder is on, and whether SQLite's log can be used there."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nbcache.errors import StoreError
from nbcache.stores.location import NETWORK_DRIVE

# Several machines may have them open, or a machine and its guest: memory that is mapped is not shared between these.
_NETWORK = frozenset(
    (
        *(
            "nfs",
            "nfs3",
            "nfs4",
            "cifs",
            "smb2",
            "smb3",
            "smbfs",
            "ncpfs",
            "afs",
            "auristorfs",
            "afpfs",
            "coda",
            "webdav",
        ),
        *("9p", "virtiofs", "vboxsf", "vmhgfs", "prl_fs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "orangefs"),
        *("pvfs2", "panfs", "ocfs2", "gfs2", "acfs", "macfuse", "osxfuse"),
    )
)
_WITHOUT_LOCKS = frozenset(
    f"fuse.{name}"
    for name in (
        "sshfs",
        "s3fs",
        "gcsfuse",
        "rclone",
        "goofys",
        "mountpoint-s3",
        "blobfuse",
        "blobfuse2",
        "geesefs",
        "davfs2",
    )
)
WITH_QUOTAS = "btrfs with quotas"
_BTRFS = Path("/sys/fs/btrfs")
_LOCAL_FUSE = (
    "fuseblk",
    "fuse.fuse-overlayfs",
    "fuse.gocryptfs",
    "fuse.encfs",
    "fuse.cryfs",
    "fuse.lxcfs",
    "fuse.portal",
)


def network_of(folder: Path) -> str | None:
    """The name of the file system that the folder is on, if it is a network's. None if it is on a disk of this machine.

    `NBCACHE_NETWORK_DRIVE` (`yes` or `no`) overrides what is found. Raises StoreError for another value. On btrfs with quotas it
    is as on a network: when one is used up, the memory that SQLite's log maps ends the process (SIGBUS).
    """
    kind = kind_of_mount(folder)
    given = os.environ.get(NETWORK_DRIVE, "").lower()
    if given not in {"", "yes", "no"}:
        raise StoreError(f"{NETWORK_DRIVE}={os.environ[NETWORK_DRIVE]!r}: write yes or no")
    if kind == "btrfs" and any(_BTRFS.glob("*/qgroups")):
        return WITH_QUOTAS
    is_network = kind in _NETWORK or (kind.startswith("fuse") and kind not in _LOCAL_FUSE)
    return (kind or "unknown") if given == "yes" or (not given and is_network) else None


def place_of(network: str) -> str:
    """Where a folder on this file system is, for people."""
    return f"on {network}" if network == WITH_QUOTAS else f"on a network file system ({network})"


def lacks_locks(network: str) -> bool:
    """Whether this kind of file system is known to lock files on one machine alone."""
    return network in _WITHOUT_LOCKS


def kind_of_mount(folder: Path) -> str:
    """The kind of file system that the folder is on, as the system calls it; empty if that isn't known."""
    path = os.path.realpath(folder)
    if path.startswith("\\\\"):  # a share, on Windows
        return "cifs"
    best = ("", "")
    with suppress(OSError, ValueError, subprocess.SubprocessError):
        for point, kind in _mounts():
            inside = path == point or path.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(best[0]):  # of two on one folder the later one counts
                best = point, kind
    return best[1]


def _mounts() -> Iterator[tuple[str, str]]:
    """The places where file systems are mounted, and their kinds."""
    if sys.platform == "darwin":
        mounts = subprocess.run(["/sbin/mount"], capture_output=True, text=True, timeout=5, check=True).stdout
        for line in mounts.splitlines():
            place, _, rest = line.partition(" on ")[2].rpartition(" (")
            yield place, rest.split(",")[0].rstrip(")")
        return
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        fields, _, rest = line.partition(" - ")
        yield _unescaped(fields.split(" ")[4]), rest.split(" ")[0]


def _unescaped(path: str) -> str:
    """A path as mountinfo writes it, in which blanks are numbers."""
    for code in ("040", "011", "012", "134"):
        path = path.replace("\\" + code, chr(int(code, 8)))
    return path
