"""What AWS's clients need before they send: where `NBCACHE_MODE=replay` holds, those of Bedrock's models get placeholders.

A session's credentials are those of all its clients. So a client of another service, such as S3, is made without the
placeholders: it says that there are none, as it does without the cache.
"""

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from nbcache.cache.modes import PLACEHOLDER
from nbcache.integrations.patching import Wrapping

_SERVICE = "bedrock-runtime"
_METHOD = "nbcache"  # botocore's `method` of credentials says where they come from
_REGION = "us-east-1"  # any will do: a recording is found whatever its endpoint
_CONFIG = 7  # its place among the arguments of `create_client` after the region


def with_credentials(wrapping: Wrapping, credentials: ModuleType, original: Callable[..., Any]) -> Callable[..., Any]:
    """The look-up of credentials by botocore, with placeholders where it finds none."""

    @wraps(original)
    def load_credentials(resolver: Any) -> Any:
        resolved = original(resolver)
        return resolved if resolved is not None or not _is_replay(wrapping) else _placeholders(credentials.Credentials)

    return load_credentials


def with_credentials_async(
    wrapping: Wrapping, credentials: ModuleType, original: Callable[..., Any]
) -> Callable[..., Any]:
    """The same by aiobotocore."""

    @wraps(original)
    async def load_credentials(resolver: Any) -> Any:
        resolved = await original(resolver)
        return (
            resolved if resolved is not None or not _is_replay(wrapping) else _placeholders(credentials.AioCredentials)
        )

    return load_credentials


def _placeholders(cls: Any) -> Any:
    return cls(PLACEHOLDER, PLACEHOLDER, method=_METHOD)  # botocore signs before it sends


def for_models_only(original: Callable[..., Any]) -> Callable[..., Any]:
    """The constructor of a client's signer. That of another service gets no placeholders."""

    @wraps(original)
    def __init__(signer: Any, service_id: Any, *args: Any, **given: Any) -> None:  # noqa: N807 - the method's own name
        original(signer, service_id, *args, **given)
        is_ours = getattr(signer._credentials, "method", None) == _METHOD  # noqa: SLF001 - botocore has no public name for it
        if is_ours and getattr(service_id, "hyphenize", str)() != _SERVICE:
            signer._credentials = None  # noqa: SLF001

    return __init__


def with_region(wrapping: Wrapping, original: Callable[..., Any]) -> Callable[..., Any]:
    """The method that makes a client. One for Bedrock's models gets a region if none is set anywhere."""

    @wraps(original)
    def create_client(session: Any, service_name: str, region_name: str | None = None, *args: Any, **given: Any) -> Any:
        if service_name == _SERVICE and region_name is None and _is_replay(wrapping):
            config = given.get("config", args[_CONFIG] if len(args) > _CONFIG else None)
            if not (getattr(config, "region_name", None) or session.get_config_variable("region")):
                region_name = _REGION
        return original(session, service_name, region_name, *args, **given)

    return create_client


def _is_replay(wrapping: Wrapping) -> bool:
    """Whether the environment holds this process in mode `replay`."""
    cache = wrapping.cache_now() if wrapping.active else None
    return cache is not None and cache.is_locked
