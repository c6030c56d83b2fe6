"""The README as the package index shows it, where the pages and pictures beside it are not."""

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE = re.compile(r"!\[[^]]*\]\([^)]*\)\n\n")
_LINK = re.compile(r"\[([^]]+)\]\((?!https?:)([^)]+)\)")


class CustomMetadataHook(MetadataHookInterface):
    """Hatchling finds it by this name."""

    def update(self, metadata: dict[str, object]) -> None:
        """Leave the pictures out, and name the file in the source distribution instead of a link that leads nowhere."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = _LINK.sub(r"\1 (`\2`)", _PICTURE.sub("", text)).replace(
            "## Read on\n", "## Read on\n\nThese files come with the source distribution:\n"
        )
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
