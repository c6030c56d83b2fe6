"""Characters that drive a terminal, written out: what others wrote is shown, and does nothing."""

import re

# Control characters but for tabs and ends of lines, what turns the order in which letters are shown, and halves of a
# character, which no terminal's encoding has.
_DRIVES = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def harmless(text: str) -> str:
    """`text` with what drives a terminal written out: an answer may say anything."""
    return _DRIVES.sub(lambda match: match[0].encode("unicode_escape").decode(), text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """The same of a name, with its ends of lines and tabs: none can look like a line of ours."""
    return harmless(text.replace("\r\n", "\n")).replace("\n", "\\n").replace("\t", "\\t")
