"""The places that users write: one store, or several in tiers."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache

import nbcache
from nbcache.stores import DiskStore, MemoryStore, ReadOnly, RedisStore, Store, TieredStore, open_store
from nbcache.stores.opening import places, shown

pytest.importorskip("redis")
MEMORY = MemoryStore()
URL = "redis://cache.lab:6379/0?prefix=vision"


def tiers_of(place: Any, folder: Path) -> tuple[Store, ...]:
    store = open_store(place, own_folder=lambda: folder)
    assert isinstance(store, TieredStore)
    return store.tiers


def test_tiers_are_a_text_with_commas_and_spaces_or_a_list(tmp_path: Path) -> None:
    for place in (f"disk, {URL}", f"  disk,   {URL} ", ["disk", URL], (tmp_path, RedisStore(URL))):
        first, second = tiers_of(place, tmp_path)
        assert isinstance(first, DiskStore)
        assert first.folder == tmp_path
        assert isinstance(second, RedisStore)
        assert second.url == URL
    assert len(tiers_of(["memory://", "disk", URL], tmp_path)) == 3


def test_disk_is_the_notebooks_own_folder_and_a_folder_of_that_name_is_written_with_a_dot(tmp_path: Path) -> None:
    own, named = open_store("disk", own_folder=lambda: tmp_path), open_store("./disk", own_folder=lambda: tmp_path)
    assert isinstance(own, DiskStore)
    assert isinstance(named, DiskStore)
    assert (own.folder, named.folder) == (tmp_path, Path.cwd() / "disk")


def test_blanks_around_a_place_do_not_count(tmp_path: Path) -> None:
    own, named = (
        open_store(place, own_folder=lambda: tmp_path / "own") for place in (" disk ", f" {tmp_path}/other :ro ")
    )
    assert isinstance(own, DiskStore)
    assert own.folder == tmp_path / "own"
    assert isinstance(named, TieredStore)
    assert named.tiers[0].url == f"disk://{tmp_path}/other"


def test_a_folder_may_look_like_a_server_where_it_is_written_as_a_path(tmp_path: Path) -> None:
    for place in (f"{tmp_path}/cache.lab:6379", Path(f"{tmp_path}/redis:6379")):
        store = open_store(place)
        assert isinstance(store, DiskStore)
        assert store.folder == Path(place)


def test_a_folder_with_a_comma_is_a_folder(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "a,b"))
    assert isinstance(store, DiskStore)
    assert store.folder == tmp_path / "a,b"
    first, _ = tiers_of([str(tmp_path / "a, b"), "memory://"], tmp_path)
    assert isinstance(first, DiskStore)
    assert first.folder == tmp_path / "a, b"


@pytest.mark.parametrize("place", ["{0}:ro", "disk://{0}:ro", f"{URL}:ro", "disk:ro"])
def test_a_place_that_ends_in_ro_is_only_read(tmp_path: Path, place: str) -> None:
    place = place.format(tmp_path / "own")
    store = open_store(f"memory://, {place}", own_folder=lambda: tmp_path / "own")
    assert isinstance(store, TieredStore)
    assert store.writable == {0}
    assert store.tiers[1].url in {URL, f"disk://{tmp_path}/own"}
    alone = open_store(place, own_folder=lambda: tmp_path / "own")
    assert isinstance(alone, TieredStore)
    assert alone.writable == frozenset()
    assert alone.url.endswith(":ro")


def test_objects_are_only_read_as_read_only(tmp_path: Path) -> None:
    store = open_store([tmp_path, ReadOnly(RedisStore(URL)), ReadOnly("memory://")])
    assert isinstance(store, TieredStore)
    assert store.writable == {0}
    assert [type(tier) for tier in store.tiers] == [DiskStore, RedisStore, MemoryStore]


def test_one_place_in_a_list_is_that_place(tmp_path: Path) -> None:
    assert isinstance(open_store([tmp_path]), DiskStore)


@pytest.mark.parametrize(
    ("place", "advice"),
    [
        ("disk,redis://lab/0", "a comma and a space"),
        ("disk,", "a comma and a space"),
        ("disk, ", "a comma and a space"),
        (", disk", "a comma and a space"),
        ([], "or a list of them"),
        (["disk", ""], "write a folder"),
        (["disk", None], "write a folder"),
        (["disk", 7], "write a folder"),
        (["disk", []], "write a folder"),
        ([["disk"]], "all tiers in one list"),
        (["disk", TieredStore([MemoryStore()])], "all tiers in one list"),
        (ReadOnly(["disk"]), "all tiers in one list"),  # type: ignore[arg-type]
        (ReadOnly(None), "write a folder"),  # type: ignore[arg-type]
        (MemoryStore, r"such as MemoryStore\("),
        (["disk", RedisStore], r"such as RedisStore\("),
        (["disk", InMemoryCache()], r"LangChainStore\(cache\)"),
        ([MEMORY, MEMORY], "there twice"),
        ("disk, sqlite:///x.db", "write a folder"),
        ("disk, redis://lab/0?prefx=a", "prefix"),
        (":ro", "write a folder"),
        ("disk, disk", "there twice"),
        ("redis://lab/0, redis://lab/0", "there twice"),
        ("redis//lab:6379/0", "redis://host"),
        ("redis:/lab/0", "redis://host"),
        ("Valkey+cluster//lab", "redis://host"),
        ("cache.lab:6379", "redis://host"),
        ("disk, cache.lab:6379/0?prefix=vision", "as ./cache.lab:6379/0"),
        ("disk:/srv/course", "a folder of this name as ./disk:/srv"),
        ('"disk, redis://lab/0"', "quotation marks"),
        ("disk redis://lab/0", "a comma and a space"),
    ],
)
def test_what_is_wrong_raises_and_says_what_to_write(tmp_path: Path, place: Any, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        open_store(place, own_folder=lambda: tmp_path)


def test_no_message_has_a_password(tmp_path: Path) -> None:
    place = "redis://:s3cret@lab/0, redis://ann:s3cret@lab/0?nothing=1"
    with pytest.raises(ValueError) as raised:
        open_store(place, own_folder=lambda: tmp_path)
    assert "s3cret" not in str(raised.value) + shown(place)
    assert "s3cret" not in open_store(f"disk, {place.split(',', maxsplit=1)[0]}", own_folder=lambda: tmp_path).url
    with pytest.raises(ValueError) as raised:
        places(f"{place}, ")
    assert "s3cret" not in str(raised.value)
    for misspelt in ("redis//:s3cret@lab/0", "ann:s3cret@lab:6379/0"):
        with pytest.raises(ValueError, match="redis://host") as raised:
            open_store(misspelt)
        assert "s3cret" not in str(raised.value)


def test_wrong_tiers_change_nothing(tmp_path: Path) -> None:
    before = nbcache.install(tmp_path)
    with pytest.raises(ValueError, match="there twice"):
        nbcache.install(store=[tmp_path, tmp_path])
    assert nbcache.installed() is before


def test_the_stores_are_there_after_a_bare_import() -> None:
    import subprocess
    import sys

    code = "import sys, nbcache; assert 'nbcache.stores' not in sys.modules; nbcache.stores.MemoryStore()"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_environment_names_tiers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBCACHE_STORE", f"disk, {tmp_path}/course/.nbcache:ro")
    monkeypatch.setenv("NBCACHE_DIR", str(tmp_path / "own"))
    store = nbcache.install().store
    assert isinstance(store, TieredStore)
    assert store.names == (f"disk://{tmp_path}/own", f"disk://{tmp_path}/course/.nbcache:ro")


def test_the_users_store_can_be_a_tier(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    store = nbcache.install(store="memory://, user").store
    assert isinstance(store, TieredStore)
    assert store.names[1] == f"disk://{tmp_path}/nbcache/store"
