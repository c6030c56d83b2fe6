"""What kind of file system a folder is on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

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
    """The name of the network file system that the folder is on. None if it is on a disk of this machine."""
    kind = kind_of_mount(folder)
    is_fuse = kind.startswith("fuse") and kind not in _LOCAL_FUSE
    return kind if kind in _NETWORK or is_fuse else None


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
