"""The forms of the keys and tokens of known services: what each is called, how it begins, and what follows.

They are taken from the services' documentation and examples. To add a service, write a line into _FORMS, and a made-up
example with a near miss into `tests/replay/token_examples.py`. What follows the beginning is a regular expression. It
must not look ahead over an unlimited number of characters, or a long text takes too long.
"""

# At least 20 characters, with two capitals or digits among them, or 16 lower-case letters in a row. Names of CSS
# classes and of files may begin like a key: `sk-chasing-dots-inner-child`. But they consist of shorter words in lower
# case, with one number at most.
NO_WORDS = r"(?=[a-z_-]*(?:[A-Z0-9](?=[\w-]*[A-Z0-9])|(?<=[a-z]{16})))[\w-]{20,}"
_HEX = "[a-f0-9]"
_UUID = rf"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_ALNUM = "[A-Za-z0-9]"
_END = rf"(?!{_ALNUM})"
_BASE64 = "[A-Za-z0-9+/]"
_WITH_DIGIT = r"(?=[A-Za-z_-]{0,64}\d)"

# The digest that stands in a key's document in place of a credential (`nbcache/keys/credential_names.py`).
CREDENTIAL = "a credential", "!secret:", rf"{_HEX}{{16}}"
# What the key is called, how it begins, what follows. Several beginnings are separated by spaces. A beginning may have
# classes of characters: `gh[pousr]_`. A dot is written as `[.]`.
_FORMS = (
    # Models
    ("an Anthropic key", "sk-ant-", NO_WORDS),
    ("an OpenRouter key", "sk-or-", NO_WORDS),
    ("an OpenAI key", "sk-", NO_WORDS),
    ("a Groq key", "gsk_", rf"{_ALNUM}{{20,}}"),
    ("an xAI key", "xai-", NO_WORDS),
    ("a LangSmith key", "lsv2_", r"\w{20,}"),
    ("a Tavily key", "tvly-", NO_WORDS),
    ("a Google key", "AIza", r"[\w-]{35,}+(?![+/=])"),  # but not within Base64
    ("a Hugging Face token", "hf_ api_org_", rf"{_ALNUM}{{30,}}"),
    ("an NVIDIA key", "nvapi-", NO_WORDS),
    ("a Perplexity key", "pplx-", rf"{_ALNUM}{{32,}}"),
    ("a Replicate token", "r8_", rf"{_ALNUM}{{32,}}"),
    ("a Cerebras key", "csk-", rf"{_ALNUM}{{32,}}"),
    ("a Fireworks key", "fw_", rf"(?=[A-Za-z]{{0,64}}\d){_ALNUM}{{20,}}"),
    ("a Together key", "tgp_v1_", r"[\w-]{40,}"),
    ("a Voyage key", "pa-", rf"{_WITH_DIGIT}[\w-]{{40,}}"),
    ("a Jina key", "jina_", r"[\w-]{40,}"),
    ("a Pinecone key", "pcsk_", r"\w{40,}"),
    ("an E2B key", "e2b_", rf"{_HEX}{{40}}{_END}"),
    ("a Firecrawl key", "fc-", rf"{_HEX}{{32}}{_END}"),
    ("an ElevenLabs key", "sk_", rf"{_HEX}{{48}}{_END}"),
    ("a Weights & Biases key", "wandb_v1_", r"\w{40,}"),
    ("a Brave key", "BSA", r"(?=[A-Za-z_-]{0,40}\d)[\w-]{24,40}(?![\w-])"),
    ("a Devin key", "apk_", rf"(?:user_)?{_BASE64}{{80,}}={{0,2}}"),
    ("a Devin key", "cog_", rf"[a-z2-7]{{52}}{_END}"),
    ("a PostHog key", "phx_", r"[\w-]{40,}"),
    # Code
    ("a GitHub token", "gh[pousr]_", rf"{_ALNUM}{{36,}}"),
    ("a GitHub token", "github_pat_", r"\w{20,}"),
    (
        *("a GitLab token", "glpat- glptt- gldt- glrt- glcbt- glft- gloas- glsoat- glimt- glagent- glffct- GR1348941"),
        r"[\w-]{20,}(?:\.[\w-]+)*",
    ),
    ("an npm token", "npm_", rf"{_ALNUM}{{36,}}"),
    ("a NuGet key", "oy2", rf"[a-z0-9]{{43}}{_END}"),
    ("a PyPI token", "pypi-", r"AgE[\w-]{20,}"),
    ("a RubyGems key", "rubygems_", rf"{_HEX}{{48}}"),
    ("a Clojars token", "CLOJARS_", r"[A-Za-z0-9]{60}"),
    ("an Artifactory key", "AKCp", rf"{_ALNUM}{{68,}}"),
    ("an Artifactory key", "cmVmd", rf"{_ALNUM}{{59}}{_END}"),
    ("a Docker token", "dckr_pat_ dckr_oat_", r"[\w-]{27,}"),
    ("a CircleCI token", "CCIPAT_", rf"{_ALNUM}{{10,}}_{_ALNUM}{{20,}}"),
    ("a SonarQube token", "sq[pua]_", rf"{_HEX}{{40}}{_END}"),
    ("a Sourcegraph token", "sgp_", r"(?:local_)?[a-fA-F0-9_]{40,}"),
    ("a Sentry token", "sntrys_", r"[\w+/=-]{40,}"),
    ("a Sentry token", "sntryu_", rf"{_HEX}{{64}}"),
    ("a Postman key", "PMAK-", rf"{_HEX}{{24}}-{_HEX}{{34}}"),
    ("a Canva secret", "cnvca", r"(?=[A-Za-z_-]{0,50}\d)[\w-]{51}(?![\w-])"),
    ("a Figma token", "figd_", r"[\w-]{38,}"),
    ("a Linear key", "lin_api_", rf"{_ALNUM}{{32,}}"),
    ("a Notion token", "ntn_", rf"{_ALNUM}{{40,}}"),
    ("a Notion token", "secret_", rf"(?=[A-Za-z]{{0,64}}\d){_ALNUM}{{43}}{_END}"),
    ("an Airtable token", "pat", rf"{_ALNUM}{{14}}\.{_HEX}{{64}}{_END}"),
    ("an Atlassian token", "ATATT3 ATCTT3", r"[\w=-]{60,}"),
    ("a Bitbucket password", "ATBB", rf"{_ALNUM}{{32}}{_END}"),
    ("an Aikido secret", "AIK_CI_ AIK_SECRET_", rf"{_ALNUM}{{20,}}"),
    ("an Infracost key", "ico-", rf"(?=[A-Za-z]{{0,40}}\d){_ALNUM}{{32}}{_END}"),
    ("a Deno token", "ddp_", rf"{_ALNUM}{{36}}{_END}"),
    ("a Harness key", "pat[.] sat[.]", rf"[\w-]{{22}}\.{_HEX}{{24}}\.{_ALNUM}{{20}}"),
    ("an Octopus Deploy key", "API-", rf"(?=[A-Z]{{0,30}}\d)[A-Z0-9]{{26}}{_END}"),
    ("a ReadMe key", "rdme_", r"[a-z0-9]{70}"),
    ("a ConfigCat key", "configcat-sdk-", r"1/[\w-]{22}/[\w-]{22}"),
    # Messages and mail
    ("a Slack token", "xox[abcdeoprs]-", r"(?=[A-Za-z-]{0,64}\d)[\w+/%=-]{10,}"),
    ("a Slack token", "xapp-", r"(?=[A-Za-z-]{0,64}\d)[A-Za-z0-9-]{20,}"),
    (
        "a Slack webhook",
        r"hooks[.]slack[.]com/",
        rf"(?:services/T\w+/B|workflows/T\w+/A|triggers/[ET])[\w/]+/{_ALNUM}{{20,}}",
    ),
    ("a Discord webhook", r"discord[.]com/", r"api/webhooks/\d{15,22}/[\w-]{50,}"),
    ("a Teams webhook", r"webhook[.]office[.]com/", rf"webhookb2/{_UUID}@{_UUID}/IncomingWebhook/{_HEX}{{32}}/{_UUID}"),
    ("a SendGrid key", "SG[.]", r"(?=[\w-]{0,64}[.]?[\w-]{0,64}\d)[\w-]{16,}\.[\w-]{16,}"),
    ("a Brevo key", "xkeysib-", rf"{_HEX}{{64}}-{_ALNUM}{{16}}"),
    ("a Mailgun key", "key-", rf"{_HEX}{{32}}{_END}"),
    ("a Resend key", "re_", rf"{_ALNUM}{{8}}_{_ALNUM}{{20,}}"),
    ("a Twilio key", "SK", rf"[a-fA-F0-9]{{32}}{_END}"),
    ("a Facebook token", "EAAM EAAC", rf"{_ALNUM}{{100,}}"),
    # Clouds
    ("an AWS key", "AKIA ASIA ABIA ACCA A3T[A-Z0-9]", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("an AWS Bedrock key", "ABSK", r"[A-Za-z0-9+/=]{60,}"),
    ("an AWS Bedrock key", "bedrock-api-key-", r"YmVk[A-Za-z0-9+/=]{24,}"),
    ("a Google secret", "GOCSPX-", r"[\w-]{20,}"),
    ("a Google token", "ya29[.]", r"[\w-]{15,}[\w.-]{4,}[\w-]"),
    ("a Google token", "1//0", r"[\w-]{40,}"),
    ("an Alibaba key", "LTAI", rf"{_ALNUM}{{16,26}}{_END}"),
    ("an Alibaba key", "STS[.]", rf"(?=[A-Za-z]{{0,64}}\d){_ALNUM}{{16,}}"),
    ("a Tencent key", "AKID", rf"{_ALNUM}{{32}}{_END}"),
    ("a Yandex key", "AQVN", r"[\w-]{35,}"),
    ("a Cloudflare key", "v1[.]0-", rf"{_HEX}{{24}}-{_HEX}{{64,}}"),
    ("a DigitalOcean token", "do[opr]_v1_", rf"{_HEX}{{64,}}"),
    ("a Heroku key", "HRKU-", r"[\w-]{36,}"),
    ("a Fly.io token", "fo1_", r"[\w-]{40,}"),
    ("a Fly.io token", "fm2_", r"[\w+/=-]{60,}"),
    ("a Netlify token", "nfp_", rf"{_ALNUM}{{36,}}"),
    ("a Render key", "rnd_", rf"{_ALNUM}{{24,}}"),
    ("a Vercel token", "vck_ vca_ vcr_ vci_ vcp_", r"[\w-]{56}(?![\w-])"),
    ("a Databricks token", "dapi", rf"{_HEX}{{32}}{_END}"),
    ("a Vault token", "hv[sb][.]", r"[\w-]{24,}"),
    ("a Pulumi token", "pul-", rf"{_HEX}{{40}}{_END}"),
    ("a Doppler token", "dp[.]pt[.] dp[.]ct[.] dp[.]sa[.]", rf"{_ALNUM}{{40,}}"),
    ("a PlanetScale token", "pscale_tkn_ pscale_oauth_", r"[\w-]{5,}[\w.=-]{26,}[\w=-]"),
    ("a PlanetScale password", "pscale_pw_", r"[\w-]{5,}[\w.=-]{26,}[\w=-]"),
    ("a Supabase token", "sbp_", rf"(?=[a-z_-]{{0,40}}\d)[a-z0-9_-]{{40}}{_END}"),
    ("a Supabase key", "sb_secret_", r"[\w-]{20,}"),
    ("a MongoDB Atlas secret", "mdb_sa_sk_", r"[\w-]{40}"),
    ("a CockroachDB key", "CCDB1_", rf"{_ALNUM}{{22}}_{_ALNUM}{{40}}"),
    ("a ClickHouse key", "4b1d", rf"(?=[a-z0-9]{{0,40}}[A-Z]){_ALNUM}{{38}}{_END}"),
    ("an Elastic key", "essu_", r"[\w-]{60,}={0,2}"),
    ("an UpCloud token", "ucat_", rf"(?=[A-Za-z]{{0,32}}\d){_ALNUM}{{24,}}"),
    ("an Exoscale key", "EXO", rf"(?=[A-Za-z]{{0,30}}\d){_ALNUM}{{24,30}}{_END}"),
    ("a Scalingo token", "tk-us-", r"[\w-]{48}(?![\w-])"),
    ("a Tailscale key", "tskey-", rf"[a-z]{{3,10}}-{_ALNUM}{{8,}}-{_ALNUM}{{16,}}"),
    ("an OpenShift token", "sha256~", r"[\w-]{43}(?![\w-])"),
    ("a Prefect key", "pnu_", rf"{_ALNUM}{{36}}{_END}"),
    ("a 1Password token", "ops_", r"eyJ[\w+/-]{60,}={0,2}"),
    (
        "a 1Password key",
        "A3-",
        rf"[A-Z0-9]{{6}}-(?:[A-Z0-9]{{11}}|[A-Z0-9]{{6}}-[A-Z0-9]{{5}})(?:-[A-Z0-9]{{5}}){{3}}{_END}",
    ),
    ("an age key", "AGE-SECRET-KEY-", r"1[A-Z0-9]{58}"),
    ("an Adobe secret", "p8e-", rf"(?=[A-Za-z]{{0,32}}\d){_ALNUM}{{32}}{_END}"),
    # Monitoring
    ("a Grafana token", "glsa_", rf"{_ALNUM}{{32}}_[A-Fa-f0-9]{{8}}"),
    ("a Grafana token", "glc_", r"[A-Za-z0-9+/=]{32,}"),
    ("a Grafana key", "eyJrIjoi", rf"{_BASE64}{{40,}}={{0,2}}"),
    ("a Dynatrace token", "dt0c01[.]", rf"{_ALNUM}{{24}}\.{_ALNUM}{{64}}"),
    ("a New Relic key", "NRII-", r"[\w-]{32}(?![\w-])"),
    ("a New Relic key", "NRJS-", rf"{_HEX}{{19}}{_END}"),
    ("a New Relic key", "NRAK-", r"[A-Z0-9]{27}(?![A-Za-z0-9])"),
    ("a LaunchDarkly key", "sdk- api-", _UUID),
    # Shops and banks
    ("a Stripe key", "[sr]k_live_ [sr]k_test_ [sr]k_prod_", rf"{_ALNUM}{{10,}}"),
    ("a Stripe secret", "whsec_", r"[A-Za-z0-9+/=]{20,}"),
    ("a Shopify token", "shpat_ shpca_ shppa_ shpss_", rf"[a-fA-F0-9]{{32}}{_END}"),
    ("a Square token", "sq0atp- sq0csp-", r"[\w-]{22,}"),
    ("a Square token", "EAAA", r"(?=[A-Za-z_-]{0,64}\d)[\w-]{22,}+(?![+/=])"),
    ("a Plaid token", "access-production-", _UUID),
    ("a HubSpot token", "pat-[en][ua]\\d-", _UUID),
    ("a Shippo token", "shippo_live_ shippo_test_", rf"[a-fA-F0-9]{{40}}{_END}"),
    ("a Duffel token", "duffel_test_ duffel_live_", r"[\w=-]{43}"),
    ("an EasyPost key", "EZAK EZTK", rf"{_ALNUM}{{54}}{_END}"),
    ("a Flutterwave key", "FLWSECK_TEST-", r"[a-h0-9]{12}(?:[a-h0-9]{20}-X)?"),
    ("a Frame.io token", "fio-u-", r"[\w=-]{64}"),
    ("a Contentful token", "CFPAT-", r"[\w-]{43}"),
    ("a Typeform token", "tfp_", r"(?=[A-Za-z_]{0,64}\d)\w{40,}"),
    ("a SettleMint token", "sm_aat_ sm_pat_ sm_sat_", rf"{_ALNUM}{{16}}{_END}"),
    ("an Intra42 secret", "s-s4t2ud- s-s4t2af-", rf"{_HEX}{{64}}"),
    ("a JSON web token", "eyJ", r"[\w-]{12,}\.eyJ[\w-]+\.[\w-]*"),
)
TOKENS = tuple((kind, beginning, rest) for kind, beginnings, rest in _FORMS for beginning in beginnings.split())
# These are recognised by a text in their middle: what the token is called, that text, and the pattern of the whole
# token.
INNER_TOKENS = (
    ("an Azure secret", "Q~", r"[\w~.]{3}\dQ~[\w~.-]{30,33}[\w~-](?![\w~-])"),
    ("a Terraform token", ".atlasv1.", rf"{_ALNUM}{{14}}\.atlasv1\.[\w=-]{{60,70}}"),
    ("a MaxMind key", "_mmk", rf"{_ALNUM}{{6}}_{_ALNUM}{{29}}_mmk(?!\w)"),
    (
        *("an Authress key", ".acc"),
        r"(?:authress|scauth|ext|sc)_[a-z0-9]{5,30}\.[a-z0-9]{4,6}\.acc[_-][a-z0-9-]{10,32}\.[\w+/=-]{30,}",
    ),
    ("a Telegram token", ":AA", r"\d{8,10}:AA[\w-]{33}(?![\w-])"),
    ("a Mailchimp key", "-us", rf"{_HEX}{{32}}-us\d{{1,2}}(?!\w)"),
    ("a Mapbox token", "sk.eyJ", r"sk\.eyJ[\w-]{20,}\.[\w-]{16,}"),
)
