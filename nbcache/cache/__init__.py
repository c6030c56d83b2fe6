"""One call: looked up, shared, kept, explained."""

from typing import TYPE_CHECKING

from nbcache._names import handed_on

if TYPE_CHECKING:
    from nbcache.cache.notebook_cache import NotebookCache

__all__ = ["NotebookCache"]
__getattr__ = handed_on("nbcache.cache", dict.fromkeys(__all__, "notebook_cache"))
