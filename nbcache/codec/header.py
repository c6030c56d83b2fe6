"""The header of an entry: all that is kept of it besides the answer.

**Unknown means newer.** A later release adds a field to `EntryHeader`, `EntryMeta` or `Usage` with a default, and such
that it changes neither what the other fields mean nor what the answer is. Then no version changes: this release passes
over a field that it doesn't know. What does change a meaning takes another `payload.FORMAT_VERSION`: this release leaves
such an entry alone, and says that a newer one wrote it. Neither is damage. (Releases before 0.5 take an unknown field
for damage, and their `check --fix` deletes the entry. They leave payloads of version 3 alone.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.version import VERSION

from nbcache import __version__
from nbcache.entry.believable import believed
from nbcache.entry.records import EntryMeta, InnerCall, Usage
from nbcache.keys.api_names import LANGCHAIN
from nbcache.keys.request import document

VERSIONS: Mapping[str, str] = {"nbcache": __version__, "langchain-core": VERSION}


@dataclass(frozen=True, slots=True)
class EntryHeader:
    """The row of an entry, the prompt as LangChain wrote it, the call's identity (JSON), and what the call used.

    `said` is the canonical prompt, where it can't be worked out from the prompt. `versions` are those of nbcache and
    langchain-core that stored the answer, by their names. `calls` are those that were made inside of a function; None if the
    entry is of no function.
    """

    meta: EntryMeta
    prompt: str
    identity: str
    endpoint: str
    usage: Usage | None = None  # payloads of 0.1 have none
    said: str | None = None
    versions: Mapping[str, str] | None = None  # payloads of before 0.5, and recordings of a cassette, have none
    calls: Sequence[InnerCall] | None = None

    @property
    def shown_prompt(self) -> str:
        """The prompt that people see: of an SDK's request without one, what else it says."""
        return shown_prompt(self.prompt, self.meta.client, self.identity)


def shown_prompt(prompt: str, client: str | None, identity: str | bytes) -> str:
    """The prompt of a call of `client` as people see it: of an SDK's request without one, what else it says."""
    if prompt or client in {None, LANGCHAIN}:
        return prompt
    from nbcache.entry.text import request_text  # noqa: PLC0415 - few requests lack a prompt

    return request_text(document(identity))


def header_in(values: dict[str, Any]) -> EntryHeader:
    """The header that was written as these JSON values. Raises whatever garbage may raise, also for figures that can't be right."""
    row = known_fields(EntryMeta, values["meta"])
    row |= {"tags": tuple(row["tags"]), "notebooks": tuple(row["notebooks"])}
    others = known_fields(EntryHeader, values)
    if not all(isinstance(others.get(name, ""), str | None) for name in ("prompt", "identity", "endpoint", "said")):
        raise TypeError("a text is none")
    others |= {"usage": _usage_in(values.get("usage")), "calls": _calls_in(values.get("calls"))}
    if not isinstance(others.get("versions"), dict | None):
        raise TypeError("its versions are no object")
    return EntryHeader(**others | {"meta": believed(EntryMeta(**row))})


def _usage_in(values: dict[str, Any] | None) -> Usage | None:
    return believed(Usage(**known_fields(Usage, values))) if values else None


def _calls_in(calls: list[dict[str, Any]] | None) -> tuple[InnerCall, ...] | None:
    if calls is None:
        return None
    inner = (InnerCall(**known_fields(InnerCall, call) | {"usage": _usage_in(call.get("usage"))}) for call in calls)
    return tuple(map(believed, inner))


def known_fields(cls: type, values: dict[str, Any]) -> dict[str, Any]:
    """The values of the fields that `cls` has: the others are a newer release's."""
    fields: dict[str, Any] = cls.__dataclass_fields__  # type: ignore[attr-defined]
    if values.keys() <= fields.keys():
        return dict(values)
    return {name: value for name, value in values.items() if name in fields}
