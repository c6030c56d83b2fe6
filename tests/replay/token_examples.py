"""Made-up keys of each form in which services hand them out, and what is just none.

A key's beginning and its rest stand apart, so that nobody's search for secrets stumbles over this file.
"""

from collections.abc import Callable, Iterator

_SIGNS = "q7R2mZ0xB9cK4vT1nW8sD5yH3gL6jP_a-FbEuNdXiVoCrQtMkYlUeJwGhSzOpIA"


def any_sign(number: int) -> str:
    """Letters, digits, dashes and underscores."""
    return (_SIGNS * 8)[:number]


def letters(number: int) -> str:
    return (_SIGNS.replace("_", "").replace("-", "") * 8)[:number]


def lower(number: int) -> str:
    return letters(number).lower()


def upper(number: int) -> str:
    return letters(number).upper()


def words(number: int) -> str:
    return any_sign(number + 8).replace("-", "")[:number]


def hexa(number: int) -> str:
    return ("3f9a0c7e52b81d64" * 12)[:number]


def base32(number: int) -> str:
    return ("k3v7m2q5zd6w4xhb" * 8)[:number]


UUID = "3f2a1b4c-5d6e-4f80-9a0b-1c2d3e4f5a6b"
_ACC = "1a2b3c4d5e.a1b2.acc_0a1b2c3d4e5f."
# How it begins, of what signs the rest is, how many a real one has, and how many are too few.
_RUNS: tuple[tuple[str, Callable[[int], str], int, int], ...] = (
    ("sk-ant-", any_sign, 95, 15),
    ("sk-or-", lambda n: "v1-" + hexa(n), 64, 10),
    ("sk-", letters, 48, 19),
    ("gsk_", letters, 52, 19),
    ("xai-", letters, 80, 19),
    ("lsv2_", lambda n: "pt_" + hexa(n), 43, 14),
    ("tvly-", letters, 32, 19),
    ("AIza", any_sign, 35, 34),
    ("hf_", letters, 34, 29),
    ("api_org_", letters, 34, 29),
    ("nvapi-", any_sign, 64, 19),
    ("pplx-", letters, 48, 31),
    ("r8_", letters, 37, 31),
    ("csk-", lower, 48, 31),
    ("fw_", letters, 24, 19),
    ("tgp_v1_", any_sign, 43, 39),
    ("pa-", any_sign, 43, 39),
    ("jina_", any_sign, 60, 39),
    ("pcsk_", words, 70, 39),
    ("e2b_", hexa, 40, 39),
    ("fc-", hexa, 32, 31),
    ("sk_", hexa, 48, 47),
    ("wandb_v1_", words, 77, 39),
    ("BSA", letters, 28, 23),
    ("apk_", letters, 90, 79),
    ("cog_", base32, 52, 51),
    ("phx_", letters, 47, 39),
    *((f"gh{sort}_", letters, 36, 35) for sort in "pousr"),
    ("github_pat_", words, 82, 19),
    *((f"{sort}-", any_sign, 20, 19) for sort in ("glpat", "gldt", "glrt", "glft", "glsoat", "glffct")),
    ("glptt-", hexa, 40, 19),
    ("glcbt-", lambda n: "64_" + letters(n), 20, 16),
    ("gloas-", hexa, 64, 19),
    ("glimt-", any_sign, 25, 19),
    ("glagent-", any_sign, 50, 19),
    ("GR1348941", any_sign, 20, 19),
    ("npm_", letters, 36, 35),
    ("oy2", base32, 43, 42),
    ("pypi-", lambda n: "AgEIcHlwaS5vcmc" + any_sign(n), 80, 7),
    ("rubygems_", hexa, 48, 47),
    ("CLOJARS_", lower, 60, 59),
    ("AKCp", letters, 69, 67),
    ("cmVmd", letters, 59, 58),
    ("dckr_pat_", any_sign, 27, 26),
    ("dckr_oat_", any_sign, 32, 26),
    ("CCIPAT_", lambda n: letters(22) + "_" + hexa(n), 40, 19),
    *((f"sq{sort}_", hexa, 40, 39) for sort in "pua"),
    ("sgp_", hexa, 40, 39),
    ("sntrys_", lambda n: "eyJpYXQiOjE3" + letters(n), 120, 27),
    ("sntryu_", hexa, 64, 63),
    ("PMAK-", lambda n: hexa(24) + "-" + hexa(n), 34, 33),
    ("cnvca", any_sign, 51, 50),
    ("figd_", any_sign, 40, 37),
    ("lin_api_", letters, 40, 31),
    ("ntn_", letters, 46, 39),
    ("secret_", letters, 43, 42),
    ("pat", lambda n: letters(14) + "." + hexa(n), 64, 63),
    ("ATATT3", any_sign, 186, 59),
    ("ATCTT3", any_sign, 120, 59),
    ("ATBB", letters, 32, 31),
    ("AIK_CI_", letters, 40, 19),
    ("AIK_SECRET_", letters, 64, 19),
    ("ico-", letters, 32, 31),
    ("ddp_", letters, 36, 35),
    *((f"{sort}.", lambda n: any_sign(22) + "." + hexa(24) + "." + letters(n), 20, 19) for sort in ("pat", "sat")),
    ("API-", upper, 26, 25),
    ("rdme_", lower, 70, 69),
    ("configcat-sdk-", lambda n: "1/" + any_sign(22) + "/" + any_sign(n), 22, 21),
    *(
        (f"xox{sort}-", lambda n: "123456789012-" + letters(n) if n else "hugs-and-kisses", 24, 0)
        for sort in "abcdeoprs"
    ),
    ("xapp-", lambda n: "1-A1B2C3-" + hexa(n), 64, 10),
    ("hooks.slack.com/", lambda n: "services/T01ABCDEF/B01ABCDEF/" + letters(n), 24, 0),
    ("discord.com/", lambda n: "api/webhooks/123456789012345678/" + any_sign(n), 68, 49),
    ("webhook.office.com/", lambda n: f"webhookb2/{UUID}@{UUID}/IncomingWebhook/{hexa(n)}/{UUID}", 32, 31),
    ("SG.", lambda n: any_sign(22) + "." + any_sign(n), 43, 15),
    ("xkeysib-", lambda n: hexa(64) + "-" + letters(n), 16, 15),
    ("key-", hexa, 32, 31),
    ("re_", lambda n: letters(8) + "_" + letters(n), 24, 19),
    ("SK", hexa, 32, 31),
    *((f"EAA{sort}", letters, 180, 99) for sort in "MC"),
    *((prefix, upper, 16, 15) for prefix in ("AKIA", "ASIA", "ABIA", "ACCA", "A3TX")),
    ("ABSK", letters, 110, 59),
    ("bedrock-api-key-", lambda n: "YmVk" + letters(n), 100, 23),
    ("GOCSPX-", any_sign, 28, 19),
    ("ya29.", any_sign, 100, 14),
    ("1//0", any_sign, 99, 39),
    ("LTAI", letters, 20, 15),
    ("STS.", letters, 24, 15),
    ("AKID", letters, 32, 31),
    ("AQVN", any_sign, 36, 34),
    ("v1.0-", lambda n: hexa(24) + "-" + hexa(n), 146, 63),
    *((f"do{sort}_v1_", hexa, 64, 63) for sort in "opr"),
    ("HRKU-", any_sign, 60, 35),
    ("fo1_", any_sign, 43, 39),
    ("fm2_", letters, 120, 59),
    ("nfp_", letters, 36, 35),
    ("rnd_", letters, 28, 23),
    *((f"vc{sort}_", any_sign, 56, 55) for sort in "karip"),
    ("dapi", hexa, 32, 31),
    *((f"hv{sort}.", any_sign, 95, 23) for sort in "sb"),
    ("pul-", hexa, 40, 39),
    *((f"dp.{sort}.", letters, 43, 39) for sort in ("pt", "ct", "sa")),
    *((f"pscale_{sort}_", any_sign, 43, 31) for sort in ("tkn", "oauth", "pw")),
    ("sbp_", hexa, 40, 39),
    ("sb_secret_", any_sign, 31, 19),
    ("mdb_sa_sk_", any_sign, 40, 39),
    ("CCDB1_", lambda n: letters(22) + "_" + letters(n), 40, 39),
    ("4b1d", letters, 38, 37),
    ("essu_", any_sign, 90, 59),
    ("ucat_", letters, 28, 23),
    ("EXO", letters, 26, 23),
    ("tk-us-", any_sign, 48, 47),
    ("tskey-", lambda n: "auth-" + letters(12) + "-" + letters(n), 32, 15),
    ("sha256~", any_sign, 43, 42),
    ("pnu_", letters, 36, 35),
    ("ops_", lambda n: "eyJ" + letters(n), 250, 59),
    ("A3-", lambda n: f"{upper(6)}-{upper(11)}-{upper(5)}-{upper(5)}-{upper(n)}", 5, 4),
    ("AGE-SECRET-KEY-", lambda n: "1" + upper(n), 58, 57),
    ("p8e-", letters, 32, 31),
    *((prefix, lambda n: _ACC + any_sign(n), 60, 29) for prefix in ("authress_", "scauth_", "ext_", "sc_")),
    ("glsa_", lambda n: letters(32) + "_" + hexa(n), 8, 7),
    ("glc_", letters, 100, 31),
    ("eyJrIjoi", letters, 60, 39),
    ("dt0c01.", lambda n: upper(24) + "." + upper(n), 64, 63),
    ("NRII-", any_sign, 32, 31),
    ("NRJS-", hexa, 19, 18),
    ("NRAK-", upper, 27, 26),
    *((f"{sort}-", lambda n: UUID[:n], 36, 35) for sort in ("sdk", "api", "access-production", "pat-na1", "pat-eu1")),
    *((f"{sort}_{what}_", letters, 24, 9) for sort in ("sk", "rk") for what in ("live", "test", "prod")),
    ("whsec_", letters, 32, 19),
    *((f"shp{sort}_", hexa, 32, 31) for sort in ("at", "ca", "pa", "ss")),
    *((f"sq0{sort}-", any_sign, 22, 21) for sort in ("atp", "csp")),
    ("EAAA", any_sign, 60, 21),
    *((f"shippo_{what}_", hexa, 40, 39) for what in ("live", "test")),
    *((f"duffel_{what}_", any_sign, 43, 42) for what in ("live", "test")),
    *((f"EZ{sort}K", letters, 54, 53) for sort in "AT"),
    ("FLWSECK_TEST-", hexa, 12, 11),
    ("fio-u-", any_sign, 64, 63),
    ("CFPAT-", any_sign, 43, 42),
    ("tfp_", words, 59, 39),
    *((f"sm_{sort}_", letters, 16, 15) for sort in ("aat", "pat", "sat")),
    *((f"s-s4t2{sort}-", hexa, 64, 63) for sort in ("ud", "af")),
    ("eyJ", lambda n: "hbGciOiJIUzI1NiJ9."[: 18 * min(n, 1)] + "eyJzdWIiOiIxMjM0In0." + any_sign(n), 43, 0),
)
# Of those that are known by what is in their middle: before it, it, after it, and too little after it.
_INNER = (
    (letters(3) + "8", "Q~", any_sign(34), any_sign(30)),
    (letters(14), ".atlasv1.", any_sign(66), any_sign(59)),
    (letters(6) + "_" + letters(29), "_mmk", "", "x"),
    ("1234567890", ":AA", any_sign(33), any_sign(32)),
    (hexa(32), "-us", "21", ""),
    ("", "sk.eyJ", letters(60) + "." + any_sign(22), letters(60) + "." + any_sign(15)),
)


def examples() -> Iterator[tuple[str, str]]:
    """A made-up key of each form, and one that is too short for it."""
    for prefix, signs, real, few in _RUNS:
        yield prefix + signs(real), prefix + signs(few)
    for before, middle, after, few_after in _INNER:
        yield before + middle + after, before + middle + few_after
