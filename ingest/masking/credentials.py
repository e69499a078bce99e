"""Credentials as programs write them: keys in PEM, tokens, addresses with a password, command lines."""

import re

from ingest.masking.look import START, Found, look_of
from ingest.masking.marks import MARK

_PLAIN_WORD, _PORT = re.compile(r"[A-Z]?[a-z]{1,15}[.:]?"), re.compile(r"\d{1,5}[/?#]")


def _is_credential(found: Found) -> bool:
    """«Bearer authentication required» is prose; a credential is no plain word."""
    return _PLAIN_WORD.fullmatch(found["secret"]) is None


def _is_password(found: Found) -> bool:
    return _PORT.match(found["secret"]) is None


def _is_no_number(found: Found) -> bool:
    """-u 1000:1000 and -p 8080 are none."""
    return not found["secret"].isdigit()


_PEM = r"-----{} [A-Z0-9 ]{{0,40}}PRIVATE KEY(?: BLOCK)?-----"
CREDENTIALS = (
    look_of(
        "private_key",
        "-----begin",
        rf"(?s){_PEM.format('BEGIN')}.*?(?:{_PEM.format('END')}|\Z)",
        "-----BEGIN RSA PRIVATE KEY----- …",
    ),
    look_of(
        "jwt",
        "eyj",
        r"(?<![\w-])(?:[\w-]{0,20}?[_-])?(?P<secret>eyJ[\w-]{8,}+\.(?:[\w-]{4,}+|\.[\w-]++)(?:\.[\w-]++){0,3})",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3",
    ),
    look_of(
        "credential",
        "bearer|basic|token ",
        rf"(?i){START}(?:Bearer|Basic|Token) {{1,4}}(?P<secret>(?:{MARK.pattern})?[\w.~+/=-]{{8,}}+)",
        "Bearer 4c9e1a7b2d",
        holds=_is_credential,
    ),
    look_of(
        "password",
        "@",
        r"(?i)(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{1,30}://[^\s:/@\"'?#\[\]]{0,256}"
        r":(?P<secret>(?:(?!://)[^\s/?#\"']){1,512}|(?:(?!://)[^\s\"']){1,512})@",
        "postgres://app:Zq7Xw9Lm@db/orders",
        r"://[^\s\"]*@",
        holds=_is_password,
    ),
    look_of(
        "user",
        "://",
        r"://(?P<secret>[^\s:/@\"'?#\[\]]{16,256})@",
        "https://0123456789abcdef0123@host/1",
        r"://[^\s\"]*@",
    ),
    look_of(
        "password",
        "thin:",
        r"thin:[\w.$-]{1,64}/(?P<secret>[^\s/@\"']{1,128})@",
        "jdbc:oracle:thin:scott/Zq7Xw9Lm@db:1521/orders",
    ),
    look_of(
        "password",
        "@tcp(|@unix(",
        r"(?<![\w:/.$-])[\w.$-]{1,64}:(?P<secret>[^\s:@\"'/\[\]]{1,128})@(?:tcp|unix)\(",
        "app:Zq7Xw9Lm@tcp(mysql:3306)/orders",
    ),
    look_of(
        "password",
        "-u",
        r"(?<![\w-])(?:-u|--user)[ =]\\*+[\"']?[^\s:\"'/]{1,64}:(?P<secret>[^\s\"'\\]{3,256})",
        "curl -u ann:Zq7Xw9Lm https://host",
        r"-u(?:ser)?[ =][^\s:]{1,72}:",
        holds=_is_no_number,
    ),
    look_of(
        "password",
        "mysql|mariadb",
        r"(?:mysql|mariadb)[\w-]{0,12}(?=[ +])[^\n\"]{0,200}?[ +]-p(?P<secret>[^\s\"'\\]{4,128})",
        "mysqldump -uroot -pZq7Xw9Lm orders",
        r"(?:mysql|mariadb)[a-z_-]{0,12}[ +][^\n\"]{0,200}-p[^\s]",
        holds=_is_no_number,
    ),
    look_of(
        "password",
        " -p| -a| -w",
        r"(?:sshpass|login|redis-cli|ldap[a-z]{3,9}|smbclient|htpasswd)(?= )[^\n\"]{0,120}? -[paw] {1,2}\\*+[\"']?"
        r"(?P<secret>[^\s\"'\\]{4,128})",
        "docker login -u ci -p Zq7Xw9Lm registry",
        r"(?:sshpass|login|redis-cli|ldap[a-z]{3,9}|smbclient|htpasswd) [^\n\"]{0,120}-[paw] ",
        holds=_is_no_number,
    ),
    look_of(
        "password",
        " -u",
        r"(?:smb|rpc)client\b[^\n\"]{0,120}? -U \\*+[\"']?[^\s%]{1,64}%(?P<secret>[^\s\"'\\]{3,128})",
        "smbclient //files/share -U ann%Zq7Xw9Lm",
        r"(?:smb|rpc)client[^\n\"]{0,130}-u ",
    ),
    look_of(
        "password",
        "identified ",
        r"(?i)identified (?:with \S{1,60} )?(?:by|as) \\*+[\"'](?P<secret>[^\"'\\]{1,256})",
        "create user ann identified by 'Zq7Xw9Lm'",
    ),
    look_of(
        "path",
        "hooks.slack",
        r"hooks\.slack\.com/services/(?P<secret>[\w/]{8,})",
        "https://hooks.slack.com/services/T000/B000/XXXXYYYY",
    ),
    look_of(
        "path",
        "/api/webhooks/",
        r"/api/webhooks/[0-9]{8,25}/(?P<secret>[\w-]{20,})",
        "https://discord.com/api/webhooks/123456789012345678/a1B2a1B2a1B2a1B2a1B2",
    ),
)
