import pytest
from langchain_core.language_models import FakeListChatModel
import nbcache
m = FakeListChatModel(responses=["at noon"])

def test_ok(nbcache_cassette):
    assert m.invoke("boat?").text == "at noon"

def test_two(nbcache_cassette):
    (m | (lambda x: x)).invoke("cat?")

@pytest.fixture
def asks(nbcache_cassette):
    return m.invoke("in fixture")

def test_fixture(asks): pass

@pytest.fixture
def asks_late(nbcache_cassette):
    yield
    m.invoke("late")

def test_late(asks_late): pass

@pytest.fixture(scope="module")
def asks_module():
    nbcache.install("/tmp/pp/st", mode="replay")
    m.invoke("mod")

def test_m1(asks_module): pass
def test_m2(asks_module): pass
