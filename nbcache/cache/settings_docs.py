"""The table in `docs/settings.md`, made from the settings: `python -m nbcache.cache.settings_docs` writes it anew."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nbcache.cache.setting_field import Setting, settings_of
from nbcache.cache.settings_table import SETTINGS, Configuration

PAGE = Path("docs/settings.md")
BEGIN, END = "<!-- settings: begin -->\n", "<!-- settings: end -->\n"
_HEAD = "| argument | `%config NBCache` | environment | default | what it sets |\n|---|---|---|---|---|\n"


def table(settings: Iterable[Setting[Any, Any]], record: type = Configuration) -> str:
    """A Markdown row for each setting. The arguments are those of `record`."""
    arguments = {setting.name for setting in settings_of(record)}
    return _HEAD + "".join(
        "| "
        + " | ".join(
            (
                f"`{setting.name}`" if setting.name in arguments else "",
                f"`{setting.config}`" if setting.config else "",
                f"`{setting.variable}`" if setting.variable else "",
                f"`{setting.default!r}`",
                (setting.help[0].upper() + setting.help[1:]).replace("|", "\\|"),
            )
        )
        + " |\n"
        for setting in settings
    )


def with_table(page: str) -> str:
    """The page with today's table between the marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(SETTINGS)}\n{END}{after}"


if __name__ == "__main__":
    path = Path(*sys.argv[1:2]) if len(sys.argv) > 1 else PAGE
    path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")
