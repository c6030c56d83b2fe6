"""Secrets are taken out of what others will read; and nothing else is."""

import base64
import copy
import json
import random
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcache.replay.secrets.likely_rules import likely_rules, long_runs
from nbcache.replay.secrets.rule import folded
from nbcache.replay.secrets.rules import rules
from nbcache.replay.secrets.scrubber import SECRET, Scrubber
from tests.replay.token_examples import examples

SCRUBBER = Scrubber()
ALNUM = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"  # 36 letters and digits
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA1c7+9z5Pad7OejecsQ0bu3aumYn\n-----END RSA PRIVATE KEY-----"

# What each service hands out, and what it is called in a report.
KEYS = {
    f"sk-{ALNUM}": "an OpenAI key",
    f"sk-proj-{ALNUM[:12]}_{ALNUM[12:]}": "an OpenAI key",
    "sk-abcdefghijklmnopqrst": "an OpenAI key",
    f"sk-ant-api03-{ALNUM}-AA": "an Anthropic key",
    f"sk-or-v1-{'0a' * 32}": "an OpenRouter key",
    f"gsk_{ALNUM}": "a Groq key",
    f"xai-{ALNUM}": "an xAI key",
    f"lsv2_pt_{'0a' * 16}_{'0a' * 5}": "a LangSmith key",
    f"tvly-dev-{ALNUM}": "a Tavily key",
    f"AIza{ALNUM[:34]}_": "a Google key",
    f"hf_{ALNUM[:34]}": "a Hugging Face token",
    **{f"gh{sort}_{ALNUM}": "a GitHub token" for sort in "pousr"},
    f"github_pat_{ALNUM[:22]}_{ALNUM}": "a GitHub token",
    f"glpat-{ALNUM[:20]}": "a GitLab token",
    f"glpat-{ALNUM[:20]}.01.{ALNUM[:9]}": "a GitLab token",
    **{f"xox{sort}-123456789012-{ALNUM[:24]}": "a Slack token" for sort in "baprs"},
    "AKIAIOSFODNN7EXAMPLE": "an AWS key",
    "ASIAIOSFODNN7EXAMPLE": "an AWS key",
    f"sk_live_{ALNUM[:24]}": "a Stripe key",
    f"sk_test_{ALNUM[:24]}": "a Stripe key",
    f"whsec_{ALNUM}": "a Stripe secret",
    f"xapp-1-A1B2-123456-{ALNUM}": "a Slack token",
    f"SG.{ALNUM[:22]}.{ALNUM}": "a SendGrid key",
    f"npm_{ALNUM}": "an npm token",
    f"pypi-AgEIcHlwaS5vcmc{ALNUM}": "a PyPI token",
    f"GOCSPX-{ALNUM[:28]}": "a Google secret",
    f"ya29.{ALNUM}": "a Google token",
    f"dop_v1_{'0a' * 32}": "a DigitalOcean token",
    f"nvapi-{ALNUM}": "an NVIDIA key",
    f"pplx-{ALNUM}": "a Perplexity key",
    f"r8_{ALNUM}": "a Replicate token",
    f"csk-{ALNUM}": "a Cerebras key",
    f"fw_{ALNUM[:24]}": "a Fireworks key",
    f"rk_live_{ALNUM[:24]}": "a Stripe key",
    JWT: "a JSON web token",
    f"{JWT.rpartition('.')[0]}.": "a JSON web token",
    PEM: "a private key",
    PEM.replace("\n", "\\n"): "a private key",
    PEM.replace("RSA ", ""): "a private key",
    PEM.replace("RSA ", "PGP ").replace("KEY-", "KEY BLOCK-"): "a private key",
}


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# Texts, with the secret between « and ».
HITS = {
    "an Authorization header, listed": [
        'headers: [{"name": "Authorization", "value": "«Basic abc»"}]',
        '["Authorization", "«Bearer abc»"]',
        r'{"a": "{\"headers\": {\"Authorization\": \"«Basic abc»\"}}"}',
    ],
    "a cookie, listed": ["[{'name': 'Cookie', 'value': '«sid=abc123»'}]", '{"cookie": ["«a=b»"], "x": 1.50}'],
    "a key, listed": [
        r'"[{\"name\": \"X-Api-Key\", \"value\": \"«a1b2c3d4»\"}]"',
        '{"api_key": "«abc»", "list": [1,   2], "e": "\\u00e9"}',
        r'{"a": "{\"api_key\": \"«abc»\"}"}',
        r'{"tool": "{\"headers\": [[\"X-Api-Key\", \"«a1b2c3d4e5»\"]]}"}',
    ],
    "a password of a command": [
        "mysql -u root -p«hunter2» shop",
        "mysqldump --host=db -u me -p«correcthorse» db > x.sql",
        "$ mysql -uroot -p'«my pass»' db",
        "mariadb -u root -p«letmein»",
        "`mysql -p«abc123» -e 'select 1'`",
        "mongosh --host x -u me -p «hunter2»",
        "docker login -u me -p «hunter2» registry.example",
        "sshpass -p '«hunter2»' ssh me@host",
        "curl -u me:«hunter2» https://example.org",
        "curl --user 'me:«hunter2»' https://example.org",
    ],
    "a password of letters alone": [
        "DB_PASSWORD=«correcthorse»\nX=1",
        "export PGPASSWORD=«correcthorse»",
        "?user=me&password=«correcthorse»&x=1",
        "Server=x;Uid=me;Pwd=«correcthorse»;",
        "host=x user=me password=«correcthorse» dbname=z",
        "tool --password=«correcthorse» run",
        "username: me\npassword: «correcthorse»\n",
        "Login: me\nPassword: «letmein»",
        r'"username: me\npassword: «correcthorse»\n"',
        '{"user": "me", "pass": "«correct»"}',
    ],
    "a password at a machine": [
        "connect to john.doe:«12345»@host",
        "psql me:«hunter2»@localhost/db",
        "root:«s3cret!»@db.example.com:3306/x",
        "me:«hunter2»@10.0.0.1",
    ],
    "a password, listed": [
        "- name: DB_PASSWORD\n  value: «hunter22»\n",
        '<input name="password" value="«hunter2»">',
        '<add key="ClearTextPassword" value="«hunter2»" />',
        '{"pass": "«hunter2»"}',
    ],
    "a password in Basic authentication": [
        "Basic «dXNlcjpwYXNzd29yZA==»",
        '{"auths": {"https://index.docker.io/v1/": {"auth": "«dXNlcjpwYXNzd29yZA==»"}}}',
    ],
    "an Anthropic key in Base64": [f"see «{in_base64('sk-ant-api03-' + ALNUM)}»."],
    "an AWS key in Base64": [f"data:\n  id: «{in_base64('AKIAIOSFODNN7EXAMPLE')}»\n"],
    "a private key in Base64": [
        f"«{in_base64(PEM)}»",
        f"«{base64.encodebytes(PEM.encode()).decode().strip()}»\nThanks",
    ],
    "a password in Base64": [f"x = '«{in_base64('user=me password=hunter22')}»'"],
    "an Authorization header": [
        "Authorization: «Basic dXNlcjpwYXNz»",
        "authorization:«Bearer abc»\nHost: x",
        'GET / HTTP/1.1\r\nProxy-Authorization: «Digest username="Mufasa", response="6629fae4"»\r\nHost: x',
        "curl -H 'Authorization: «Token abc»' https://example.org",
        'curl -H "Authorization: «Basic dXNlcjpwYXNz»" https://example.org',
        "curl -H 'Proxy-Authorization: «Basic dXNlcjpwYXNz»' https://example.org",
        "send `Authorization: «a1b2c3»` with it",
        "Authorization: «abcdefghijklmnopqrst»",
        r'{"request": "GET /\r\nAuthorization: «Basic dXNlcjpwYXNz»\r\nHost: x", "status": 401}',
        r'"curl -H \"Authorization: «Basic dXNlcjpwYXNz»\" https://example.org"',
        '{"Authorization": "«Basic dXNlcjpwYXNz»", "Accept": "*/*"}',
        'headers["Authorization"] = "«Basic dXNlcjpwYXNz»"',
    ],
    "a cookie": [
        'Cookie: «theme="dark"; session=abc»\nHost: x',
        "set-cookie:«sid=abc; Path=/; HttpOnly»\r\n",
        "curl -H 'Cookie: «a=\"b\"; c=d»' https://example.org",
        'curl -H "Set-Cookie: «a=b»" https://example.org',
        "{'cookie': '«sid=abc; theme=dark»'}",
    ],
    "a bearer token": [
        "Bearer «abcdefghijklmno1»",
        "bearer «abcdefghijklmnopqrstuvwxyz»",
        "a bearer  «a.b~c+d/e-f_g0123=» in the header",
    ],
    "a password in a URL": [
        "postgresql://«user:pass»@localhost:5432/db",
        "postgresql://«john.doe:12345»@host/x",
        "postgresql://«user:1234»@localhost:5432/db",
        "redis://«:pass»@host",
        "see <https://«user:p@ss»@example.org/a?b=c@d>",
        "git clone https://«a1b2c3d4e5f6a7b8c9d0»@example.org/repo.git",
        "curl https://«a1b2c3d4e5f6a7b8c9d0:»@example.org",
        r'{"url": "http:\/\/«user:pass1»@host\/a"}',
    ],
    "a password": [
        "password: «hunter22»",
        "PASSWORD=«hunter22»",
        "connect(user='me', password='«correct horse»')",
        "connect(password=«hunter22», user=me)",
        "Server=db;Password=«hunter22»;Database=x",
        '{"db_passwd" : "«hun\\"ter22»", "n": 1}',
        r'"{\"password\": \"«hunter22»\", \"n\": 1}"',
        "the `password`: `«hunter22»`",
        "passphrase = '«it\\'s mine»'",
        '{"password": "«cut off he»',
        r'"arguments": "{\"password\": \"«hunter2»\"}"',
        "password=«hunter2»",
        "DB_PASS=«hunter2»",
        '{"user": "me", "pass": "«hunter2»"}',
        'password = """«hunter2»"""',
        "Uid=me;Pwd=«hunter2»;Database=x",
        "login --password «hunter2»",
        "密码 password\uff1a«hunter22»\uff0c请帮我看看",
        "<server><id>a</id><db:password>«hunter22»</db:password></server>",
        '<password type="x">\n  «hunter22»\n</password>',
        "<password><![CDATA[«hunter22»]]></password>",
    ],
    "a key": [
        "api_key=«a1b2c3d4»",
        "export OPENAI_API_KEY=«a1b2c3d4» # mine",
        "openaiApiKey: '«abcdefgh»'",
        'api_key: str = "«abcdefgh»"',
        'os.environ["OPENAI_API_KEY"] = "«abcdefgh»"',
        'Client(api_key=f"«abc-{date}»")',
        "X-API-Key: «a1b2c3d4»",
        "my API key: «a1b2c3d4».",
        "https://example.org/?key=1&api-key=«a1b2c3d4»&page=2",
        r"A=b\nSECRET_KEY=«a1b2c3d4»\nC=d",
        "aws_secret_access_key = «wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»",
        '{"SecretAccessKey": "«wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»"}',
        "AccountName=x;AccountKey=«ab+/12345==»",
        "master-key => «a1b2c3d4»",
        "api-key=«sk.abc.def1234»",
        "api_key: «proj.live.a8f3k2j9»",
    ],
    "a token": [
        "token=«a1b2c3d4»",
        r"A=b\nTOKEN=«a1b2c3d4»\nC=d",
        "HF_TOKEN := «a1b2c3d4»",
        "accessToken: «a1b2c3d4»",
        'if token == "«abcdefg1»":',
        'TOKEN = "«abcdefghijklmnopqrst»"',
        "İstanbul token=«a1b2c3d4» İ",  # the lower case of İ is two signs
    ],
    "a secret": ["client_secret=«a1b2c3d4»", 'SECRET = "«abcdefgh»"', "secret=«ab&cd1234»"],
}
PLAIN = [
    "",
    SECRET,
    "sk-test and sk-learn",
    "sk-toggleable__label-arrow sk-estimator-doc-link sk-container-id-1",
    "task-3f2a1b4c-5d6e-4f80-9a0b-1c2d3e4f5a6b",
    "the disk-encryption-at-rest-2024-guide",
    "xoxo-hugs-and-kisses, xoxb-is-how-they-begin",
    "AKIAIOSFODNN7EXAMPLEANDMORE ASIAIOSFODNN7EXAMPLEandmore",
    "A Bearer of bad news, bearer ________________________",
    "Authorization: see below. Cookie: a small, sweet biscuit",
    "password: see below, or token: something of ours",
    "Passwords: 12345678; password_hash: 12345678",
    "max_tokens: 12345678, token_count=12345678, tokens=12345678, secretary: a1b2c3d4, tokenizer='abcdefgh'",
    'eos_token="<|endoftext|>", next_page_token: "CAUQAA12345", input_cost_per_token: 0.00000015',
    'api_key=os.environ["OPENAI_API_KEY_2"]',
    "token = tokens[0].text2",
    "self.token = parser1.next; password = form2.value",
    "API key: https://example.org/keys?page=2, token: 2024-11-21",
    "Define: bearer responsibilities, bearer telecommunications",
    "A file begins with -----BEGIN PRIVATE KEY----- . What is 1+1?",
    "http://localhost:8080@now",
    "--- PASS: TestLogin2 (0.00s)\nPASS: test_name_1",
    "PWD=/home/me/project2; OLDPWD=/tmp/a1b2c3",
    "docker://alpine:3.18@sha256:c5b1261d6d3e43071626931fc004f70149baeba2c8ec672bd4f27761f8e1ad6b",
    'token == \'function\', TOKEN=\'KEYWORD_DEF\', {token: "identifier"}, "input_token": "NextToken"',
    '{"username": "string", "password": "string"}',
    "import SG.GraphicsViewControllers.GraphicsSceneManager",
    "sk-button--primary-large2",
    "https://a-user-of-ours-with-a-name@example.org ssh://deploy2@example.org",
    "<secret>The cat is called Tom 2.</secret> <token>word</token> if password>12345678</3:",
    "password = getpass2('Password: ')",
    "api_key=short12",
    "primary_key: a1b2c3d4, cache_key='abcdefgh', key=a1b2c3d4",
    "3f2a1b4c-5d6e-4f80-9a0b-1c2d3e4f5a6b",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    r"$\int_0^1 \mathrm{token}(x)\,dx = \frac{1}{2}$ and $K_{key}=12345678$",
    "| token | secret |\n|-------|--------|\n| a1b2c3d4 | b2c3d4e5f6 |",
    "http://localhost:8080?email=me@example.org ssh://git@github.com:22/x me@example.org https://x/@user:1",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
    f"/AIza{ALNUM}/{ALNUM}==",
    "eyJhbGciOiJIUzI1NiJ9 alone",
    'secret = "The cat is called Tom"',
    "token: 'a word of ours', api_key = \"the one that you have\"",
    'headers = {"Authorization": f"Bearer {token}"}; curl -H "Authorization: Bearer $TOKEN" https://example.org',
    'user_pass = f"{username}:{password}"',
    "password=${DB_PASSWORD_2}, password: $PASS_1, password = '<your password 1>', api_key='your-key-123', password='****'",
    "connect(user=user, password=password)",
    "def login(\n    username=name,\n    password=password,\n)",
    "class User:\n    username: str\n    password: str\n",
    "PASSWORD=PASSWORD, --password=PASSWORD, --password PASSWORD, password=None",
    "mysql -u root -p shop; mysql -P 3306; mysql -p$PASS; cp -pr a b; mkdir -p abc",
    "docker run -u 1000 -p 8080:80 nginx; curl -u $USER:$PASS https://example.org",
    '{"pass": "The test has passed", "fail": "0"}, {"pass": true}, {"pass": "n/a"}',
    '{"auth": "required"}, {"auth": "basicauthentication"}, Basic understanding of Basic programming',
    '["password", "username"], ["secret", "key"], {"name": "password", "type": "string", "required": true}',
    '{"name": "max_tokens", "value": "12345678"}',
    "email:john.doe1985@example.com, mailto:john1985@example.com, at 12:30@home, localhost:8080@now, app:1234@sha256:abcd",
    "example.com:8080@now, npm:react@18.2.0, std::x1y2@z, pkg:pypi/requests2@2.3",
    in_base64("The cat sat on the mat, and the dog sat on the log."),
    "aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ= internationalization/localization/documentation",
]


def hits() -> list[Any]:
    return [pytest.param(text, kind, id=f"{kind}-{n}") for kind, texts in HITS.items() for n, text in enumerate(texts)]


# Texts


@pytest.mark.parametrize(("key", "kind"), KEYS.items())
def test_a_key_is_known_by_its_form(key: str, kind: str) -> None:
    for before, after in [("", ""), ("my key is ", ", keep it"), ("KEY=", "\n"), ("`", "`"), ('{"a":"', '"}')]:
        assert SCRUBBER.text(before + key + after) == before + SECRET + after
        assert SCRUBBER.kinds_in(before + key + after) == [kind]


@pytest.mark.parametrize(("key", "near"), [*examples()])
def test_a_token_is_known_by_its_form_and_what_is_too_short_for_it_stays(key: str, near: str) -> None:
    for before, after in [("", ""), ("my key is ", ", keep it."), ("`", "`"), ('{"a":"', '"}'), (r"\n", "\n")]:
        assert SCRUBBER.text(before + key + after) == before + SECRET + after
        assert SCRUBBER.text(before + near + after) == before + near + after


def test_each_form_of_tokens_has_an_example() -> None:
    forms = [rule for rule in rules() if rule.is_token]
    lacking = [rule for rule in forms if not any(rule.pattern.fullmatch(key) for key, _ in examples())]
    assert [(rule.kind, rule.prefix or rule.words) for rule in lacking] == []
    assert len(forms) > 150


def test_two_forms_do_not_have_one_beginning() -> None:
    sources = [rule.source for rule in rules()]
    assert len({*sources}) == len(sources)


@pytest.mark.parametrize("key", [key for key in KEYS if key != PEM])
def test_and_after_an_escape_or_a_color(key: str) -> None:
    for before in (
        r"\n",
        r"\f",
        r"\x1b",
        r"\u94a5",
        "%3D",
        "\x1b[m",
        "\x1b[0m",
        "\x1b[1;32m",
        "\x1b[38;5;208m",
        "密钥",
    ):
        assert SCRUBBER.text(f"it:{before}{key}") == f"it:{before}{SECRET}"


@pytest.mark.parametrize(("text", "kind"), hits())
def test_a_secret_is_known_by_what_stands_beside_it(text: str, kind: str) -> None:
    asked = text.replace("«", "").replace("»", "")
    assert SCRUBBER.text(asked) == re.sub("«.*»", SECRET, text, flags=re.DOTALL)
    assert [found.partition(" in ")[0] for found in SCRUBBER.kinds_in(asked)] == [re.split(",| in | at | of ", kind)[0]]


@pytest.mark.parametrize("text", PLAIN)
def test_nothing_else_is_touched(text: str) -> None:
    assert SCRUBBER.text(text) == text
    assert SCRUBBER.kinds_in(text) == []


def test_a_private_key_that_is_cut_off_goes_to_the_end() -> None:
    assert SCRUBBER.text(f"a\n{PEM[:60]}\nMIIE") == f"a\n{SECRET}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I send Authorization: Bearer abc1 with curl?", "How do I send Authorization: Bearer abc1 with httpx?"),
        ("Authorization: OAuth2 tokens. The capital of France?", "Authorization: OAuth2 tokens. The capital of Peru?"),
        ("Set-Cookie: a=b is what? In French", "Set-Cookie: a=b is what? In German"),
        (f"{PEM[:60]}\nMIIE\n. What is 1+1?", f"{PEM[:60]}\nMIIE\n. What is 2+2?"),
    ],
)
def test_what_goes_on_after_a_secret_stays(one: str, other: str) -> None:
    assert SECRET in SCRUBBER.text(one)
    assert SCRUBBER.text(one) != SCRUBBER.text(other)


@pytest.mark.parametrize("value", ["BTC", " the", "don't", "2024", "Washington"])
def test_a_word_is_no_token(value: str) -> None:
    assert SCRUBBER.value({"token": value}) == {"token": value}
    assert SCRUBBER.value({"access_token": value}) == {"access_token": SECRET}


def test_images_are_left_as_they_are() -> None:
    pixels = random.Random(0).randbytes(1_000_000)
    for encoded in (base64.b64encode(pixels).decode(), base64.b64encode(bytes(300_000)).decode()):
        text = f"What's the key idea of this? data:image/png;base64,{encoded}"
        assert SCRUBBER.text(text) == text


def test_a_key_is_called_by_its_own_form_rather_than_by_its_name() -> None:
    key = f"sk-ant-api03-{ALNUM}"
    assert SCRUBBER.kinds_in([f"export MY_TOKEN={key}"]) == ["an Anthropic key"]
    assert SCRUBBER.kinds_in({"api_key": key}) == ["an Anthropic key"]
    assert SCRUBBER.kinds_in({"api_key": PEM}) == ["a private key"]
    assert SCRUBBER.kinds_in({"Authorization": f"Bearer {key}"}) == ["an Authorization header"]


def test_what_holds_a_key_is_taken_out_whole() -> None:
    held = f"one two sk-{ALNUM} three"
    assert SCRUBBER.text(f'password="{held}"; Cookie: a=sk-{ALNUM}') == f'password="{SECRET}"; Cookie: {SECRET}'


# JSON values


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(
            (name, "an Authorization header")
            for name in ("authorization", "Proxy-Authorization", "proxy_authorization")
        ),
        *((name, "a cookie") for name in ("cookie", "Set-Cookie", "set_cookie")),
        *((name, "a key") for name in ("x-api-key", "api_key", "apikey", "API-KEY", "OPENAI_API_KEY", "apiKey")),
        *((name, "a key") for name in ("secret_key", "aws_secret_access_key", "private_key", "SecretAccessKey")),
        *((name, "a key") for name in ("account-key", "auth_key", "encryption_key", "master_key", "signing_key")),
        ("Ocp-Apim-Subscription-Key", "a key"),
        *((name, "a token") for name in ("access_token", "refresh-token", "id_token", "accessToken")),
        *((name, "a secret") for name in ("secret", "client_secret", "Client-Secret")),
        *((name, "a password") for name in ("password", "passwd", "PGPASSWORD", "db.password", "pwd", "db_pass")),
    ],
)
def test_the_text_under_a_name_of_secrets_is_one(name: str, kind: str) -> None:
    asked = [{"headers": {"a": "b", name: "x y", "c": 1}}]
    assert SCRUBBER.value(asked) == [{"headers": {"a": "b", name: SECRET, "c": 1}}]
    assert SCRUBBER.kinds_in(asked) == [kind]


@pytest.mark.parametrize(
    "name", ["max_tokens", "token_count", "tokens", "secretary", "eos_token", "key", "prompt_cache_key", "secret_name"]
)
def test_the_text_under_another_name_is_none(name: str) -> None:
    asked = {name: "a text"}
    assert SCRUBBER.value(asked) == asked
    assert SCRUBBER.kinds_in(asked) == []


def test_each_of_several_texts_under_a_name_of_secrets_is_one() -> None:
    asked = {"cookie": ["a=b", ["c=d"], 1, {"name": "e"}, ""], "token": ["BTC", "a1b2c3d4"], "passwords": ["hunter2"]}
    assert SCRUBBER.value(asked) == {
        "cookie": [SECRET, [SECRET], 1, {"name": "e"}, ""],
        "token": ["BTC", SECRET],
        "passwords": [SECRET],
    }
    assert SCRUBBER.kinds_in(asked) == ["a cookie", "a token", "a password"]
    told = {"password": ["username"], "errors": {"password": ["This field is required."]}, "secret": "Optional"}
    assert SCRUBBER.kinds_in(told) == []


def test_a_pattern_that_would_go_on_sign_by_sign_takes_the_whole() -> None:
    assert Scrubber("^a").text("aab") == f"{SECRET}{SECRET}b"
    assert Scrubber("^a").text("a" * 100_000 + "b") == SECRET


def test_what_is_no_text_has_no_secret() -> None:
    asked: dict[str, Any] = {
        "password": {"type": "string"},
        "token": None,
        "secret": "",
        "api_key": 12345678,
        "cookie": [],
        "a": 1.5,
    }
    assert SCRUBBER.value(asked) == asked
    assert SCRUBBER.kinds_in(asked) == []


def test_secrets_in_the_names_of_a_dict_are_taken_out() -> None:
    assert SCRUBBER.value({f"key sk-{ALNUM}": 1, 2: "a"}) == {f"key {SECRET}": 1, 2: "a"}
    assert SCRUBBER.kinds_in({f"sk-{ALNUM}": 1}) == ["an OpenAI key"]
    assert SCRUBBER.value({f"sk-{ALNUM}": 1, f"sk-{ALNUM}2": 2}) == {SECRET: 1, f"{SECRET} 2": 2}


def test_what_a_name_says_without_its_secrets_is_what_counts() -> None:
    scrubber = Scrubber("eos_")  # without it, the name of a token that is none
    assert scrubber.value({"eos_token": "a1"}) == {f"{SECRET}token": SECRET}
    assert scrubber.value({f"sk-{ALNUM}_password": "a"}) == {SECRET: "a"}


def test_a_value_is_not_changed_in_place() -> None:
    asked = [{"password": "a", "messages": [f"sk-{ALNUM}"]}]
    before = copy.deepcopy(asked)
    assert SCRUBBER.value(asked) == [{"password": SECRET, "messages": [SECRET]}]
    assert asked == before


def test_each_kind_is_told_once_in_the_order_in_which_they_come() -> None:
    asked = [
        f"Bearer {ALNUM} and ACME-1 and sk-{ALNUM}",
        {"cookie": "a", "b": [f"sk-{ALNUM}", "https://a:b@c, ACME-2"], "password": "c"},
    ]
    assert Scrubber(r"ACME-\d+").kinds_in(asked) == [
        "a bearer token",
        r"your pattern 'ACME-\d+'",
        "an OpenAI key",
        "a cookie",
        "a password in a URL",
        "a password",
    ]


def test_values_may_be_deep() -> None:
    deep: Any = {"password": "a"}
    scrubbed: Any = {"password": SECRET}
    for _ in range(150):
        deep, scrubbed = {"a": [deep]}, {"a": [scrubbed]}
    assert SCRUBBER.value(deep) == scrubbed
    assert SCRUBBER.kinds_in(deep) == ["a password"]


# The user's own patterns


def test_the_users_patterns_are_sought_besides() -> None:
    scrubber = Scrubber(pattern for pattern in [r"ACME-\d+", r"(?i)project (?P<secret>\w+)", r"(a)\1b"])
    assert scrubber.patterns == (r"ACME-\d+", r"(?i)project (?P<secret>\w+)", r"(a)\1b")
    assert scrubber.text(f"ACME-12 in Project Manhattan, aab sk-{ALNUM}") == (
        f"{SECRET} in Project {SECRET}, {SECRET} {SECRET}"
    )
    assert Scrubber("ab").patterns == ("ab",)
    assert Scrubber().patterns == ()


@pytest.mark.parametrize(
    "pattern", ["secret", r"\[", r"\w", ".", r"(?s).+", r"\b", "(?=a)", r"x(?P<secret>y)?", "a$", "^b"]
)
def test_no_pattern_takes_a_placeholder_for_a_secret(pattern: str) -> None:
    scrubber = Scrubber(pattern)
    for text in (SECRET, f"aa sk-{ALNUM}bb", "the secret x xy [secret", f"b{SECRET}a{SECRET}b", "bbb aaa"):
        once = scrubber.text(text)
        assert scrubber.text(once) == once
        assert bool(scrubber.kinds_in(text)) == (once != text)
        assert scrubber.kinds_in(once) == []


@pytest.mark.parametrize(
    ("patterns", "why"),
    [
        ("(", r"'\('.*unterminated.*write"),
        (["a", "x*"], r"'x\*'.*empty text.*write"),
        ([""], "''.*empty text.*write"),
        ([1], "=1:.*write"),
        ([re.compile("a")], "no text.*write"),
        (b"a", "=97:.*write"),
        ("a{99999999999}", "too large.*write"),
        (None, "None.*write"),
        (3, "=3.*write"),
    ],
)
def test_a_wrong_pattern_is_an_error(patterns: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Scrubber(patterns)


# Whatever is written


PIECES = st.sampled_from(
    [
        *(
            "sk-",
            "eyJ",
            ".eyJ",
            "AIza",
            ALNUM,
            "token=",
            "password: ",
            "api_key",
            "Cookie: a=",
            "Authorization: ",
            "bearer ",
        ),
        *("://", "u:p@", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", SECRET, "secret", "[", "]"),
        *('"', "'", "\\", "\\n", "\n", " ", ":", "=", "&a=", ",", "1", "İ", "\u017fecret=", "\uff0c", "\ud83d"),
    ]
)
TEXTS = st.text() | st.lists(PIECES | st.text(max_size=3), max_size=12).map("".join)
NAMES = TEXTS | st.sampled_from(["password", "token", "Authorization", "content", f"sk-{ALNUM}_password", "eos_token"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=8)
ANY_SCRUBBER = st.sampled_from([SCRUBBER, Scrubber(["eos_", r"\d+", "e$", "^s"])])
PLANTED = [
    *KEYS,
    "password=hunter22",
    "Bearer a1b2c3d4e5f6g7h8",
    "https://me:hunter22@x",
    "Authorization: Basic aHVudGVy",
]
SECRETS = {*KEYS, "hunter22", "a1b2c3d4e5f6g7h8", "aHVudGVy"}


@given(VALUES, ANY_SCRUBBER)
def test_scrubbing_twice_is_scrubbing_once_and_found_tells_whether_there_is_need(
    value: Any, scrubber: Scrubber
) -> None:
    once = scrubber.value(value)
    assert scrubber.value(once) == once
    assert scrubber.kinds_in(once) == []
    assert bool(scrubber.kinds_in(value)) == (once != value)


@given(TEXTS | st.sampled_from([*KEYS, *(text.replace("«", "") for texts in HITS.values() for text in texts)]))
def test_no_form_is_passed_over_where_its_pattern_matches(text: str) -> None:
    matching = [rule for rule in rules() if rule.pattern.search(folded(text) if rule.folded else text)]
    assert [rule for rule in likely_rules(text, long_runs(text)) if rule in matching] == matching


@given(TEXTS, ANY_SCRUBBER)
def test_a_text_is_scrubbed_alike_alone_and_in_a_value(text: str, scrubber: Scrubber) -> None:
    assert [scrubber.text(text)] == scrubber.value([text])


@given(st.text(), st.sampled_from(PLANTED), st.text(), NAMES)
def test_nothing_of_a_secret_survives(before: str, planted: str, after: str, name: str) -> None:
    text = f"{before} {planted} {after}"
    for scrubbed in (
        SCRUBBER.text(text),
        json.dumps(SCRUBBER.value([{name: [text]}, {text: name}]), ensure_ascii=False),
        SCRUBBER.text(json.dumps([{name: text}])),
    ):
        assert not [secret for secret in SECRETS if secret in planted and secret in scrubbed]


@pytest.mark.parametrize(
    "text",
    [
        *("sk-", "sk-a ", r"\neyJ", "eyJa.", "%41eyJ", "-----BEGIN PRIVATE KEY-----", "-----BEGIN A", "://a:", "://:@"),
        *(
            "bearer ",
            "authorization: ",
            "'authorization:",
            "cookie:a",
            "token=",
            "token='",
            'token=\\"',
            "token=a.",
            "<token>",
            "<a-token>a1 ",
            "://a1-",
            "\\",
        ),
        *(f"npm_{ALNUM}", f"dop_v1_{'0a' * 32}"),
        *("token=1,", "password=hunter22 ", "api_key: str ", "&a=", "A1", " ", '"', SECRET, "[secret", f"sk-{ALNUM} "),
    ],
)
def test_four_times_the_text_takes_no_sixteen_times_as_long(text: str) -> None:
    def seconds(times: int) -> float:
        asked = f"token=eyJ {text * times}"
        started = time.process_time()
        SCRUBBER.text(asked)
        return time.process_time() - started

    assert min(seconds(8_000) for _ in range(3)) < 10 * min(seconds(2_000) for _ in range(3))


def test_the_tokens_of_log_probabilities_are_words() -> None:
    told = {"content": [{"token": "Hello!", "logprob": -0.1, "bytes": None, "top_logprobs": []}]}
    assert SCRUBBER.kinds_in(told) == []
    assert SCRUBBER.kinds_in({"token": "Hello!a1", "logprob": None}) == []
    assert SCRUBBER.kinds_in({"token": "Hello!a1"}) == ["a token"]
    assert SCRUBBER.kinds_in({"password": "hunter22", "logprob": None}) == ["a password"]


def test_what_only_looks_like_base64_is_no_login() -> None:
    text = "Basic abcdefgh\u0130jkl"
    assert Scrubber().text(text) == text
