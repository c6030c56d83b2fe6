"""What is derived from a secret."""

import sys

import pytest

from nbcache.errors import DamagedError, MissingPackageError
from nbcache.stores.opening import open_store
from nbcache.stores.sealed.keys import Keys
from tests.stores.contract.entries import key_of
from tests.stores.sealed.conftest import ANOTHER, SECRET


@pytest.mark.parametrize("secret", ["", "x", "fifteen letters", "  fifteen letters \n"])
def test_a_short_secret_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match=r"NBCACHE_SECRET has fewer than 16 .*token_urlsafe") as raised:
        Keys(secret)
    assert not secret.strip() or secret.strip() not in str(raised.value)


def test_blanks_and_line_ends_around_a_secret_do_not_count() -> None:
    assert Keys(f" {SECRET}\n").id == Keys(SECRET).id != Keys(ANOTHER).id


def test_without_the_package_the_error_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBCACHE_SECRET", SECRET)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers", None)
    with pytest.raises(MissingPackageError, match=r'pip install "nbcache\[encrypt\]"'):
        open_store("memory://")


def test_equal_texts_are_equal_and_those_of_other_fields_are_not() -> None:
    keys = Keys(SECRET)
    assert keys.token("model", "gpt") == Keys(SECRET).token("model", "gpt") != keys.token("tag", "gpt")
    assert keys.key(key_of(1)) == Keys(SECRET).key(key_of(1)) != Keys(ANOTHER).key(key_of(1))
    assert len({len(keys.token("status", text)) for text in ("ok", "cut off", "filtered", "")}) == 1


@pytest.mark.parametrize("text", ["", "a", "x" * 31, "x" * 32, "ends in \0", "\x80", "naïve ☃", "\ud83d"])
def test_a_text_comes_back_and_only_with_the_secret_as_the_same_field(text: str) -> None:
    keys = Keys(SECRET)
    token = keys.token("model", text)
    assert keys.text("model", token) == text
    for other, field in ((keys, "tag"), (Keys(ANOTHER), "model")):
        with pytest.raises(DamagedError):
            other.text(field, token)


@pytest.mark.parametrize("token", ["", "gpt-4o", "ä", "====", "A" * 64, "\ud83d", "x" * 100_000])
def test_what_is_no_token_is_damage(token: str) -> None:
    with pytest.raises(DamagedError):
        Keys(SECRET).text("model", token)
