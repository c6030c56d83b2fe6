"""The names of the APIs that the setting `clients` takes."""

from collections.abc import Iterable

ALL, LANGCHAIN = "all", "langchain"
API_NAMES = ("anthropic", "cohere", "google", "huggingface", "ollama", "openai")


def checked_clients(given: str | Iterable[str]) -> tuple[str, ...]:
    """The names of APIs whose calls are cached whatever library makes them. Raises ValueError for an unknown name."""
    if not isinstance(given, Iterable):
        raise ValueError(f"clients={given!r}: write a name, or a list of names")  # noqa: TRY004 - as for other settings
    names = (given,) if isinstance(given, str) else tuple(given)
    for name in names:
        if name not in {ALL, LANGCHAIN, *API_NAMES}:
            raise ValueError(f"clients={name!r}: write {ALL}, {LANGCHAIN}, or names of APIs: {', '.join(API_NAMES)}")
    return names
