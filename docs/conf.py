"""The site that `make docs` builds: the README, the pages beside this file, the notebooks, and the API from docstrings."""

from ipython_pygments_lexers import IPython3Lexer
from sphinx.application import Sphinx

import nbcache

project = "nbcache"
author = "the nbcache developers"
copyright = f"{author}; MIT licence"  # noqa: A001 - Sphinx's name for it
version = release = nbcache.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/*.md", "notebooks/*.ipynb"]
exclude_patterns = [".*", "nbcache", "tests", "benchmarks", "requirements", "docs/_*"]

myst_heading_anchors = 3  # so that links to headings are the same here and on a forge, and are checked
myst_enable_extensions: list[str] = []  # no formulas: a dollar is money here
nb_execution_mode = "off"  # the tests run them; here they are shown as they are
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # a page loads nothing from elsewhere
default_role = "code"  # docstrings write names in single backticks
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"

html_theme = "furo"
html_title = f"nbcache {release}"
html_copy_source = False
templates_path = ["_templates"]
html_additional_pages = {"index": "index.html"}

_CONTENTS = {
    "Tasks": (
        *("docs/see-what-was-saved", "docs/control", "docs/functions", "docs/warm-up", "docs/ci", "docs/share"),
        *("docs/teams", "docs/delete", "docs/terminal", "docs/clients", "docs/upgrading"),
    ),
    "What it does": (
        *("docs/what-is-cached", "docs/money", "docs/store", "docs/privacy", "docs/limits", "docs/figures"),
    ),
    "Reference": ("docs/commands", "docs/settings", "docs/api"),
    "Examples": (
        *(
            "notebooks/quickstart",
            "notebooks/clients",
            "notebooks/dashboard",
            "notebooks/agents",
            "notebooks/functions",
            "notebooks/team",
        ),
        "notebooks/replay",
    ),
    "For developers": ("docs/architecture", "docs/glossary", "CONTRIBUTING", "CHANGELOG"),
}


def _add_contents(_app: Sphinx, page: str, source: list[str]) -> None:
    """Give the README the list of pages, which only the site shows."""
    if page == root_doc:
        for caption, pages in _CONTENTS.items():
            source[0] += "\n".join(["\n```{toctree}", ":hidden:", f":caption: {caption}", *pages, "```\n"])


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.add_lexer("python", IPython3Lexer)  # the examples are cells, and have magics
    app.connect("source-read", _add_contents)
