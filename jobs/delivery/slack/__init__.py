"""Slack: an incoming webhook with Block Kit."""

import logging
import re
from collections.abc import Iterable
from http.client import HTTPException
from math import isfinite
from typing import Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import HTTPRedirectHandler, Request, build_opener

from slack_sdk.webhook import WebhookClient, WebhookResponse

from jobs.delivery.message import Group, Message
from jobs.delivery.transport import TIMEOUT_SECONDS, Destination, PassingFailure, PermanentFailure, Transport

_COLOURS = {"firing": "#c4382b", "resolved": "#2f855a"}
_MARKS = {"firing": ":red_circle: Firing", "resolved": ":large_green_circle: Resolved"}
_LONGEST_HEADER = 150
_LONGEST_TEXT = 2_900
_OF_URLS = ":/?#@!$&'()*+,;=%~[]"  # not the marks that end a link in Slack's own syntax
_LONGEST_LINK = 3_000  # Slack refuses a message with a longer one
_CODE = re.compile(r"[a-z_]{1,60}")
# The client logs errors whose text may name the secret address. Outside the registry, no configuration reaches it.
_SILENT = logging.Logger(__name__, logging.CRITICAL + 1)


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


class _Client(WebhookClient):
    """Follows no redirect: a sign-in page that answers 200 is no delivery, and the address was checked, not where it
    leads. A success is one without its body, so that a body that can't be read repeats no message."""

    def _perform_http_request_internal(self, url: str, req: Request) -> WebhookResponse:
        with build_opener(_NoRedirects).open(req, timeout=self.timeout) as response:
            return WebhookResponse(url=url, status_code=response.status, body="", headers=dict(response.headers))


class SlackTransport(Transport):
    """Posts to the address in the channel's secret."""

    def send(self, message: Message, to: Destination) -> str:
        """See Transport."""
        if not to.secret:
            raise PermanentFailure("The channel has no webhook address. Create it again.")
        client = _Client(to.secret, timeout=TIMEOUT_SECONDS, logger=_SILENT)
        try:
            response = client.send(text=_plain(message), attachments=[attachment(message)])
        except (URLError, OSError, HTTPException, ValueError) as error:  # their text would name the secret address
            raise PassingFailure(f"Slack can't be reached ({type(error).__name__}).") from None
        detail = f"Slack answered {response.status_code}"
        if 200 <= response.status_code < 300:
            return detail
        if response.status_code == 429 or response.status_code >= 500:
            raise PassingFailure(f"{detail}.", _seconds(response.headers))
        code = _CODE.fullmatch(response.body.strip())  # anything else may repeat the address that was asked for
        raise PermanentFailure(f"{detail}{f' {code[0]}' if code else ''}. Is the webhook still valid?")


def attachment(message: Message) -> dict[str, Any]:
    """The blocks, with the state's colour beside them."""
    facts = "\n".join(f"*{label}*  {escape(text)}" for label, text in message.facts())
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(message.headline(), _LONGEST_HEADER)}},
        {
            "type": "section",
            "text": {"type": "mrkdwn", "text": _cut(f"{_MARKS[message.kind]}\n{facts}", _LONGEST_TEXT)},
        },
    ]
    if message.top_groups:
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": _groups(message.top_groups)}})
    buttons = [
        {"type": "button", "text": {"type": "plain_text", "text": label}, "url": message.links[name]}
        for name, label in (("overview", "Open dashboard"), ("history", "What happened"))
        if message.links.get(name, "").startswith(("http://", "https://")) and len(message.links[name]) <= _LONGEST_LINK
    ]
    if buttons:
        blocks.append({"type": "actions", "elements": buttons})
    return {"color": _COLOURS[message.kind], "blocks": blocks, "fallback": _plain(message)}


def _groups(groups: Iterable[Group]) -> str:
    """A line for each, with its link; no link is cut."""
    text = ""
    for group in groups:
        title, link = escape(_cut(group.title, 200)), group.safe_link()
        linked = f"<{quote(link, safe=_OF_URLS)}|{title}>" if link else title
        line = f"• {group.times('×')}{linked}"
        if len(text) + len(line) < _LONGEST_TEXT:
            text += f"{line}\n"
    return text.rstrip()


def escape(text: str) -> str:
    """Text that Slack shows as it is: the three characters that it asks to escape, and no formatting of its own."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "*_~`":
        text = text.replace(mark, f"\u200b{mark}")
    return text


def _plain(message: Message) -> str:
    text = message.headline().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"[{message.kind}] {text}"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _seconds(headers: dict[str, Any]) -> float | None:
    for name, value in headers.items():
        if name.lower() == "retry-after":
            try:
                seconds = float(value)
            except (TypeError, ValueError):
                return None
            return seconds if isfinite(seconds) else None
    return None
