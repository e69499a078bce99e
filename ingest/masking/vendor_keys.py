"""Keys and tokens that their makers have given a form of its own."""

from ingest.masking.look import END, START, Look, look_of


def _key(kind: str, hints: str, expression: str, example: str, trigger: str = "") -> Look:
    return look_of(kind, hints, START + expression, example, trigger)


VENDOR_KEYS = (
    _key("aws_key", "akia|asia", rf"(?:AKIA|ASIA)[0-9A-Z]{{16}}{END}", "AKIAIOSFODNN7EXAMPLE", "a[ks]ia[0-9a-z]{16}"),
    _key("slack_token", "xox|xapp-", r"(?:xox[abeoprs]|xapp)-[\w-]{8,}", "xoxb-123456789-abcdefgh"),
    _key(
        "github_token",
        "gh|github_pat_",
        r"(?:gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,})",
        "ghp_abcdefghijklmnopqrst",
        "gh[opsur]_|github_pat_",
    ),
    _key("gitlab_token", "glpat-", r"glpat-[\w-]{16,}", "glpat-a1B2a1B2a1B2a1B2a1B2"),
    _key("npm_token", "npm_", r"npm_[A-Za-z0-9]{30,}", f"npm_{'a1B2' * 9}"),
    _key(
        "stripe_key",
        "k_live_|k_test_|whsec_",
        r"(?i:[srp]k_(?:live|test)_|whsec_)[A-Za-z0-9]{8,}",
        "sk_live_abcdefgh12345678",
    ),
    _key(
        "google_key",
        "aiza|ya29.|gocspx-|1//0",
        r"(?:AIza[\w-]{30,}|ya29\.[\w.-]{20,}|GOCSPX-[\w-]{20,}|1//0[\w-]{30,})",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    ),
    look_of(
        "azure_key",
        "8q~",
        r"(?<![\w~.-])[\w~.-]{3}8Q~[\w~.-]{31,34}(?![\w~-])",
        "abc8Q~a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2",
        "8q~[a-z0-9_~.-]{31}",
    ),
    look_of(
        "azure_key",
        "+ast",
        r"(?<![\w+/])[\w+/]{76}\+ASt[\w+/]{2,6}={0,2}(?![\w+/=])",
        f"{'a1B2' * 19}+AStXyZ==",
    ),
    _key(
        "api_key",
        "dop_v1_|doo_v1_|shpat_|hvs.|pypi-|hf_|dckr_pat_|sb_secret_|sbp_|atatt3|lin_api_|glsa_|dapi|nrak-|pmak-",
        r"(?:do[op]_v1_[0-9a-f]{40,}|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{20,}|hvs\.[\w-]{24,}|pypi-[\w-]{40,}|hf_[A-Za-z]{30,}"
        r"|dckr_pat_[\w-]{20,}|sb_secret_[\w-]{20,}|sbp_[0-9a-f]{30,}|ATATT3[\w=-]{50,}|lin_api_\w{30,}|glsa_\w{30,}"
        r"|dapi[0-9a-f]{32}|NRAK-[A-Z0-9]{20,}|PMAK-[0-9a-f-]{40,})",
        f"dop_v1_{'0a1b2c3d' * 8}",
        r"do[op]_v1_|shp(?:at|ca|pa|ss)_|hvs\.[a-z0-9_-]{8}|pypi-[a-z0-9_-]{40}|hf_[a-z]{30}|dckr_pat_|sb_secret_|sbp_[0-9a-f]{8}"
        r"|atatt3|lin_api_|glsa_|dapi[0-9a-f]{32}|nrak-[a-z0-9]{20}|pmak-",
    ),
    _key("api_key", "key-", rf"key-[0-9a-f]{{32}}{END}", f"key-{'0a1b2c3d' * 4}", "key-[0-9a-f]{32}"),
    look_of(
        "telegram_token",
        ":aa",
        r"(?<!\d)\d{8,10}:AA[\w-]{32,36}(?![\w-])",
        f"bot123456789:AA{'a1B2' * 8}c",
        "[0-9]{8}:aa[a-z0-9_-]{32}",
    ),
    _key("api_key", "sk-", r"sk-[A-Za-z0-9_-]{20,}", "sk-a1B2a1B2a1B2a1B2a1B2", "sk-[a-z0-9_-]{20}"),
    _key(
        "api_key",
        "sg.",
        r"SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,}",
        f"SG.{'a1B2' * 5}.{'c3D4' * 10}",
        r"sg\.[a-z0-9_-]{16}",
    ),
    _key("api_key", "sk", rf"SK[0-9a-f]{{32}}{END}", f"SK{'0123456789abcdef' * 2}", "sk[0-9a-f]{32}"),
    _key(
        "api_key",
        "mh_",
        r"mh_(?:ingest|read|admin)_[A-Za-z0-9_-]{16,}",
        "mh_ingest_abcdefghijklmnopqrst",
        "mh_(?:ingest|read|admin)_",
    ),
    look_of(  # half of one, where a limit has cut the text
        "cut_key",
        "gh|glpat-|akia|asia|aiza|sk-",
        rf"{START}(?:gh[opsur]_\w{{3,19}}|github_pat_\w{{1,19}}|glpat-[\w-]{{2,15}}|A[KS]IA[0-9A-Z]{{4,15}}|AIza[\w-]{{3,29}}"
        r"|sk-(?:proj|ant|svcacct|admin)-[\w-]{0,15})(?=[\"' ]{0,2}(?:…|\.{3}|\[cut)|\Z)",
        "ghp_a1B2c3…",
        r"(?:gh[opsur]_|github_pat_|glpat-|a[ks]ia|aiza|sk-[a-z]{3,7}-)[a-z0-9_-]{0,30}"
        r"[\"' ]{0,2}(?:…|\.{3}|\[cut|\\|\"|$)",
    ),
)
