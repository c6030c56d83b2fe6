"""`python docs/check_site.py FOLDER`: every link of a built site leads somewhere, and no page loads anything from elsewhere."""

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {
    ("script", "src"),
    ("link", "href"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("object", "data"),
}


class _Page(HTMLParser):
    """The links, the loaded files and the anchors of one page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif (tag, name) in _LOADED and value:
                self.loaded.add(value)
            elif (tag, name) == ("a", "href") and value:
                self.links.add(value)


def problems(site: Path) -> Iterator[str]:
    """What is wrong, a line each."""
    pages = {path: _Page(path) for path in site.resolve().rglob("*.html")}
    for path, page in pages.items():
        for address in sorted(page.links | page.loaded):
            if reason := _problem(address, path, pages, is_loaded=address in page.loaded):
                yield f"{path.relative_to(site.resolve())}: {address}: {reason}"


def _problem(address: str, path: Path, pages: dict[Path, _Page], *, is_loaded: bool) -> str | None:
    url = urlsplit(address)
    if url.scheme == "data":
        return None
    if url.scheme or url.netloc:
        return "is loaded from elsewhere" if is_loaded else None
    target = (path.parent / unquote(url.path)).resolve() if url.path else path
    if not target.is_file():
        return "there is no such file"
    if url.fragment and target in pages and unquote(url.fragment) not in pages[target].anchors:
        return "there is no such anchor"
    return None


if __name__ == "__main__":
    lines = list(problems(Path(sys.argv[1])))
    print(*lines, sep="\n", file=sys.stderr)
    sys.exit(bool(lines))
