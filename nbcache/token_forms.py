"""The forms in which services hand out keys and tokens: what each is called, how it begins, and what follows.

From what each service says of its own, or shows of it. What follows the beginning is a regular expression that looks
ahead no further than it has to.
"""

# Where keys have dashes, names of CSS classes and of files look alike; those are of shorter words, in lower case, with one
# number at most.
NO_WORDS = r"(?=[a-z_-]*(?:[A-Z0-9](?=[\w-]*[A-Z0-9])|(?<=[a-z]{16})))[\w-]{20,}"
_HEX = "[a-f0-9]"
_UUID = rf"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_LETTERS = "[A-Za-z0-9]"

TOKENS = (
    ("a credential", "!secret:", rf"{_HEX}{{16}}"),  # the digest of one: another user's is another
    # Models
    ("an Anthropic key", "sk-ant-", NO_WORDS),
    ("an OpenRouter key", "sk-or-", NO_WORDS),
    ("an OpenAI key", "sk-", NO_WORDS),
    ("a Groq key", "gsk_", rf"{_LETTERS}{{20,}}"),
    ("an xAI key", "xai-", rf"{_LETTERS}{{20,}}"),
    ("a LangSmith key", "lsv2_", r"\w{20,}"),
    ("a Tavily key", "tvly-", NO_WORDS),
    ("a Google key", "AIza", r"[\w-]{35,}+(?![+/=])"),  # but not within Base64, which has those signs too
    ("a Hugging Face token", "hf_", rf"{_LETTERS}{{30,}}"),
    ("an NVIDIA key", "nvapi-", NO_WORDS),
    ("a Perplexity key", "pplx-", rf"{_LETTERS}{{32,}}"),
    ("a Replicate token", "r8_", rf"{_LETTERS}{{32,}}"),
    ("a Cerebras key", "csk-", rf"{_LETTERS}{{32,}}"),
    ("a Fireworks key", "fw_", rf"(?=[A-Za-z]{{0,64}}\d){_LETTERS}{{20,}}"),
    ("a Together key", "tgp_v1_", r"[\w-]{40,}"),
    ("a Voyage key", "pa-", r"(?=[A-Za-z_-]{0,64}\d)[\w-]{40,}"),
    ("a Jina key", "jina_", r"[\w-]{40,}"),
    ("a Pinecone key", "pcsk_", r"\w{40,}"),
    ("an E2B key", "e2b_", rf"{_HEX}{{40}}(?![A-Za-z0-9])"),
    ("a Firecrawl key", "fc-", rf"{_HEX}{{32}}(?![A-Za-z0-9])"),
    ("an ElevenLabs key", "sk_", rf"{_HEX}{{48}}(?![A-Za-z0-9])"),
    ("a Weights & Biases key", "wandb_v1_", r"\w{40,}"),
    # Code
    ("a GitHub token", "gh[pousr]_", rf"{_LETTERS}{{36,}}"),
    ("a GitHub token", "github_pat_", r"\w{20,}"),
    ("a GitLab token", "glpat-", r"[\w-]{20,}(?:\.[\w-]+)*"),
    *(("a GitLab token", f"{sort}-", r"[\w-]{20,}") for sort in ("glptt", "gldt", "glrt", "glcbt", "glft", "gloas")),
    *(("a GitLab token", f"{sort}-", r"[\w-]{20,}") for sort in ("glsoat", "glimt", "glagent")),
    ("an npm token", "npm_", rf"{_LETTERS}{{36,}}"),
    ("a PyPI token", "pypi-", r"AgE[\w-]{20,}"),
    ("a RubyGems key", "rubygems_", rf"{_HEX}{{48}}"),
    ("a Docker token", "dckr_pat_", r"[\w-]{27,}"),
    ("a Docker token", "dckr_oat_", r"[\w-]{27,}"),
    ("a SonarQube token", "sq[pua]_", rf"{_HEX}{{40}}(?![A-Za-z0-9])"),
    ("a Sourcegraph token", "sgp_", r"[a-f0-9_]{40,}"),
    ("a Sentry token", "sntrys_", r"[\w+/=-]{40,}"),
    ("a Sentry token", "sntryu_", rf"{_HEX}{{64}}"),
    ("a Postman key", "PMAK-", rf"{_HEX}{{24}}-{_HEX}{{34}}"),
    ("a Figma token", "figd_", r"[\w-]{40,}"),
    ("a Linear key", "lin_api_", rf"{_LETTERS}{{32,}}"),
    ("a Notion token", "ntn_", rf"{_LETTERS}{{40,}}"),
    ("a Notion token", "secret_", rf"(?=[A-Za-z]{{0,64}}\d){_LETTERS}{{43}}(?!{_LETTERS})"),
    ("an Atlassian token", "ATATT3", r"[\w=-]{60,}"),
    ("an Atlassian token", "ATCTT3", r"[\w=-]{60,}"),
    ("a Bitbucket password", "ATBB", rf"{_LETTERS}{{32}}(?!{_LETTERS})"),
    # Messages and mail
    ("a Slack token", "xox[abeprs]-", r"(?=[A-Za-z-]{0,64}\d)[A-Za-z0-9-]{10,}"),
    ("a Slack token", "xapp-", r"(?=[A-Za-z-]{0,64}\d)[A-Za-z0-9-]{20,}"),
    ("a Slack webhook", r"hooks[.]slack[.]com/", rf"services/T\w{{6,14}}/B\w{{6,14}}/{_LETTERS}{{20,}}"),
    ("a Discord webhook", r"discord[.]com/", r"api/webhooks/\d{15,22}/[\w-]{50,}"),
    ("a SendGrid key", "SG[.]", r"(?=[\w-]{0,64}[.]?[\w-]{0,64}\d)[\w-]{16,}\.[\w-]{16,}"),
    ("a Brevo key", "xkeysib-", rf"{_HEX}{{64}}-{_LETTERS}{{16}}"),
    ("a Mailgun key", "key-", rf"{_HEX}{{32}}(?!{_LETTERS})"),
    ("a Resend key", "re_", rf"{_LETTERS}{{8}}_{_LETTERS}{{20,}}"),
    ("a Twilio key", "SK", rf"{_HEX}{{32}}(?!{_LETTERS})"),
    # Clouds
    ("an AWS key", "AKIA", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("an AWS key", "ASIA", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("an AWS Bedrock key", "ABSK", r"[A-Za-z0-9+/=]{60,}"),
    ("a Google secret", "GOCSPX-", r"[\w-]{20,}"),
    ("a Google token", "ya29[.]", r"[\w.-]{20,}"),
    ("a Google token", "1//0", r"[\w-]{40,}"),
    ("an Alibaba key", "LTAI", rf"{_LETTERS}{{16,26}}(?!{_LETTERS})"),
    ("a Tencent key", "AKID", rf"{_LETTERS}{{32}}(?!{_LETTERS})"),
    ("a Yandex key", "AQVN", r"[\w-]{35,}"),
    ("a DigitalOcean token", "do[opr]_v1_", rf"{_HEX}{{64,}}"),
    ("a Heroku key", "HRKU-", r"[\w-]{36,}"),
    ("a Fly.io token", "fo1_", r"[\w-]{40,}"),
    ("a Fly.io token", "fm2_", r"[\w+/=-]{60,}"),
    ("a Netlify token", "nfp_", rf"{_LETTERS}{{36,}}"),
    ("a Render key", "rnd_", rf"{_LETTERS}{{24,}}"),
    ("a Databricks token", "dapi", rf"{_HEX}{{32}}(?!{_LETTERS})"),
    ("a Vault token", "hv[sb][.]", r"[\w-]{24,}"),
    ("a Pulumi token", "pul-", rf"{_HEX}{{40}}(?!{_LETTERS})"),
    ("a Doppler token", "dp[.]pt[.]", rf"{_LETTERS}{{40,}}"),
    ("a PlanetScale token", "pscale_tkn_", r"[\w.-]{32,}"),
    ("a PlanetScale password", "pscale_pw_", r"[\w.-]{32,}"),
    ("a Supabase token", "sbp_", rf"{_HEX}{{40}}(?!{_LETTERS})"),
    ("a Supabase key", "sb_secret_", r"[\w-]{20,}"),
    ("a Tailscale key", "tskey-", rf"[a-z]{{3,10}}-{_LETTERS}{{8,}}-{_LETTERS}{{16,}}"),
    ("an OpenShift token", "sha256~", r"[\w-]{43}(?![\w-])"),
    ("a Prefect key", "pnu_", rf"{_LETTERS}{{36}}(?!{_LETTERS})"),
    ("a 1Password token", "ops_", r"eyJ[\w-]{60,}"),
    ("an age key", "AGE-SECRET-KEY-", r"1[A-Z0-9]{58}"),
    # What is watched
    ("a Grafana token", "glsa_", rf"{_LETTERS}{{32}}_{_HEX}{{8}}"),
    ("a Grafana token", "glc_", r"[A-Za-z0-9+/=]{32,}"),
    ("a New Relic key", "NRAK-", r"[A-Z0-9]{27}(?![A-Za-z0-9])"),
    ("a LaunchDarkly key", "sdk-", _UUID),
    ("a LaunchDarkly key", "api-", _UUID),
    # Shops and banks
    ("a Stripe key", "[sr]k_live_", rf"{_LETTERS}{{16,}}"),
    ("a Stripe key", "[sr]k_test_", rf"{_LETTERS}{{16,}}"),
    ("a Stripe secret", "whsec_", r"[A-Za-z0-9+/=]{20,}"),
    *(("a Shopify token", f"shp{sort}_", rf"{_HEX}{{32}}(?!{_LETTERS})") for sort in ("at", "ca", "pa", "ss")),
    *(("a Square token", f"sq0{sort}-", r"[\w-]{22,}") for sort in ("atp", "csp")),
    ("a Plaid token", "access-production-", _UUID),
    ("a HubSpot token", "pat-[en][ua]\\d-", _UUID),
    ("a Shippo token", "shippo_live_", rf"{_HEX}{{40}}(?!{_LETTERS})"),
    ("a JSON web token", "eyJ", r"[\w-]+\.eyJ[\w-]+\.[\w-]*"),
)
