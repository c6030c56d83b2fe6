"""The names of the APIs that the setting `clients` takes."""

from collections.abc import Iterable

ALL, LANGCHAIN = "all", "langchain"
API_NAMES = ("anthropic", "bedrock", "cohere", "google", "huggingface", "ollama", "openai")

_registered: set[str] = set()


def register_name(name: str) -> None:
    """Let `name` be that of an API, too. Raises ValueError for a name that is taken by nbcache itself."""
    if name in {ALL, LANGCHAIN, *API_NAMES}:
        raise ValueError(f"register_api({name!r}): nbcache has this name itself; write another one")
    _registered.add(name)


def unregister_name(name: str) -> None:
    """Forget the name of an API that was registered."""
    _registered.discard(name)


def checked_clients(given: str | Iterable[str]) -> tuple[str, ...]:
    """The names of APIs whose calls are cached whatever library makes them. Raises ValueError for an unknown name."""
    if not isinstance(given, Iterable):
        raise ValueError(f"clients={given!r}: write a name, or a list of names")  # noqa: TRY004 - as for other settings
    names = (given,) if isinstance(given, str) else tuple(given)
    known = (*API_NAMES, *sorted(_registered))
    for name in names:
        if name not in {ALL, LANGCHAIN, *known}:
            takes = f"{ALL}, {LANGCHAIN}, or names of APIs: {', '.join(known)}"
            raise ValueError(f"clients={name!r}: write {takes}; several as a list")
    return names
