"""Mail: one message in text and HTML over SMTP."""

import ipaddress
import smtplib
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import blake2b
from html import escape
from pathlib import Path
from string import Template

from ingest.settings import PREFIX, Settings
from jobs.delivery.message import Group, Message
from jobs.delivery.transport import TIMEOUT_SECONDS, Destination, PassingFailure, PermanentFailure, Transport

_PAGE = Template((Path(__file__).parent / "message.html").read_text(encoding="utf-8"))
_COLOURS = {"firing": "#c4382b", "resolved": "#2f855a"}
_MOST_BARS = 36


class MailTransport(Transport):
    """Sends through the mail server of the settings."""

    def __init__(self, options: Settings) -> None:
        self._options = options

    def send(self, message: Message, to: Destination) -> str:
        """See Transport."""
        options = self._options
        if not options.smtp_host or not options.smtp_from:
            raise PermanentFailure(f"No mail server is set: see {PREFIX}SMTP_HOST and {PREFIX}SMTP_FROM.")
        mail = compose(message, options.smtp_from, list(to.settings.get("to", [])), to.dedup_key)
        try:
            server = self._connect()
            try:
                refused = server.send_message(mail)
            finally:
                _leave(server)
        except smtplib.SMTPRecipientsRefused as error:
            codes = sorted({code for code, _ in error.recipients.values()})
            raise _failure(codes[0], f"Every recipient was refused ({', '.join(map(str, codes))}).") from None
        except smtplib.SMTPResponseException as error:
            raise _failure(error.smtp_code, f"The mail server answered {error.smtp_code}.") from None
        except (smtplib.SMTPException, OSError) as error:
            raise PassingFailure(f"The mail server can't be used ({type(error).__name__}).") from None
        return "Accepted by the mail server" + (f", {len(refused)} recipients refused" if refused else "")

    def _connect(self) -> smtplib.SMTP:
        options = self._options
        password = options.smtp_password.get_secret_value()
        if options.smtp_security == "none" and password and not _is_loopback(options.smtp_host):
            raise PermanentFailure(
                f"{PREFIX}SMTP_SECURITY is none: the password would be readable on its way. Use starttls or tls."
            )
        if options.smtp_security == "tls":
            context = ssl.create_default_context()
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                options.smtp_host, options.smtp_port, timeout=TIMEOUT_SECONDS, context=context
            )
        else:
            server = smtplib.SMTP(options.smtp_host, options.smtp_port, timeout=TIMEOUT_SECONDS)
        try:
            if options.smtp_security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if options.smtp_user:
                server.login(options.smtp_user, password)
        except BaseException:
            server.close()
            raise
        return server


def _leave(server: smtplib.SMTP) -> None:
    """Say good-bye; what is answered to that changes nothing: an accepted mail stays accepted."""
    with suppress(smtplib.SMTPException, OSError):
        server.quit()
    server.close()


def _failure(code: int, detail: str) -> PassingFailure | PermanentFailure:
    return PermanentFailure(detail) if 500 <= code < 600 else PassingFailure(detail)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def compose(message: Message, sender: str, recipients: list[str], dedup_key: str) -> EmailMessage:
    """The mail. Its id comes from the notification, so a resend is the same mail; a resolve answers its firing."""
    mail = EmailMessage()
    mail["Subject"] = f"[{message.kind}] {_one_line(message.headline())}"
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Date"] = format_datetime(message.resolved_at or message.fired_at or datetime.now(UTC))
    mail["Message-ID"] = _message_id(dedup_key, sender)
    mail["Auto-Submitted"] = "auto-generated"
    if not message.is_firing:
        first = _message_id(dedup_key.replace(":resolved:", ":firing:"), sender)
        mail["In-Reply-To"] = first
        mail["References"] = first
    mail.set_content(plain_text(message))
    mail.add_alternative(html_text(message), subtype="html")
    return mail


def _message_id(key: str, sender: str) -> str:
    domain = sender.rpartition("@")[2].strip("> ") or "localhost"
    return f"<{blake2b(key.encode(), digest_size=16).hexdigest()}@{domain}>"


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 150 else f"{line[:149]}…"


def plain_text(message: Message) -> str:
    """The text part."""
    lines = [message.headline(), ""]
    lines += [f"{label}: {text}" for label, text in message.facts()]
    if message.top_groups:
        lines += ["", message.groups_title()]
        for group in message.top_groups:
            lines.append(f"  {group.times('x')}{_one_line(group.title)}")
            lines += [f"    {link}"] if (link := group.safe_link()) else []
    lines += ["", *(f"{name.capitalize()}: {link}" for name, link in message.links.items())]
    return "\n".join(lines) + "\n"


def html_text(message: Message) -> str:
    """The HTML part: no script, no image, nothing loaded from elsewhere."""
    facts = "".join(
        f'<tr><td class="soft" style="padding:3px 14px 3px 0;color:#667381;white-space:nowrap;vertical-align:top;">'
        f'{escape(label)}</td><td class="ink" style="padding:3px 0;color:#1b2430;width:100%;overflow-wrap:anywhere;">'
        f"{escape(text)}</td></tr>"
        for label, text in message.facts()
    )
    return _PAGE.substitute(
        colour=_COLOURS[message.kind],
        state="Firing" if message.is_firing else "Resolved",
        headline=escape(message.headline()),
        rule=escape(message.rule_name),
        facts=facts,
        chart=_chart(message),
        groups=_groups(message),
        links="".join(_link(message, name, label) for name, label in _LINKS if name in message.links),
    )


_LINKS = (("overview", "Open dashboard"), ("history", "What happened"))


def _groups(message: Message) -> str:
    if not message.top_groups:
        return ""
    rows = "".join(
        f'<tr><td class="ink line" style="padding:7px 12px 7px 0;border-top:1px solid #e6eaee;text-align:right;'
        f'font-variant-numeric:tabular-nums;color:#1b2430;vertical-align:top;">{group.times("")}</td>'
        f'<td class="ink line" style="padding:7px 0;border-top:1px solid #e6eaee;width:100%;color:#1b2430;'
        f'overflow-wrap:anywhere;">{_linked(group)}</td></tr>'
        for group in message.top_groups
    )
    return (
        '<p class="soft" style="margin:20px 0 6px;font-size:12px;color:#667381;">'
        f"{message.groups_title()}</p>"
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="font-size:14px;">'
        f"{rows}</table>"
    )


def _linked(group: Group) -> str:
    title, link = escape(group.title), escape(group.safe_link(), quote=True)
    return f'<a class="ink" href="{link}" style="color:#1b2430;">{title}</a>' if link else title


def _chart(message: Message) -> str:
    """Errors per minute as bars made of table cells, which every mail program shows."""
    points = message.series[-_MOST_BARS:]
    highest = max((value for _, value in points), default=0)
    if not highest:
        return ""
    bars = "".join(
        f'<td style="vertical-align:bottom;padding:0 1px;"><div style="height:{max(1, round(52 * value / highest))}px;'
        f'background:{_COLOURS["firing"] if value else "#c3cbd3"};border-radius:2px 2px 0 0;"></div></td>'
        for _, value in points
    )
    return (
        f'<p class="soft" style="margin:20px 0 6px;font-size:12px;color:#667381;">Errors per minute, the last '
        f"{len(points)} minutes (highest {highest:,.0f})</p>"
        '<table role="presentation" width="100%" height="54" cellpadding="0" cellspacing="0" '
        f'style="table-layout:fixed;height:54px;"><tr>{bars}</tr></table>'
    )


def _link(message: Message, name: str, label: str) -> str:
    is_first = name == "overview"
    look = "background:#2b5f8a;color:#ffffff;" if is_first else "background:transparent;color:#2b6ca3;"
    href = escape(message.links[name], quote=True)
    shape = (
        "display:inline-block;padding:9px 14px;border-radius:6px;font-size:14px;font-weight:600;text-decoration:none;"
    )
    return f'<td style="padding-right:8px;"><a href="{href}" style="{shape}{look}">{label}</a></td>'
