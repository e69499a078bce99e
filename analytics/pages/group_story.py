"""What people said and did about a group: notes, members, history."""

from datetime import UTC, datetime
from html import escape
from typing import Any

import streamlit as st

from analytics import group_store
from analytics.group_store import LONGEST_NOTE
from analytics.groups import GroupDetails, Member
from analytics.pages.chrome import signed_in, zone
from analytics.pages.group_actions import attempt, plain_label
from analytics.pages.group_rows import ago
from ingest.database import Connection

Json = dict[str, Any]
_DONE = {
    "new": "Seen for the first time",
    "regressed": "It came back",
    "resolved": "resolved it",
    "ignored": "ignored it",
    "reopened": "opened it again",
    "merged": "merged another group into it",
    "split": "split a member off",
    "assigned": "assigned it",
}


def notes_section(details: GroupDetails) -> None:
    """The notes, the newest first, and a field for another one."""
    if not details.notes and signed_in() is None:
        return
    st.subheader("Notes", anchor=False)
    if signed_in():
        fingerprint = details.group["fingerprint"]
        with st.form("note_form", border=False):
            st.text_area(
                "Note",
                key=f"note_{fingerprint}",
                height=80,
                max_chars=LONGEST_NOTE,
                placeholder="What is known, what was tried",
                label_visibility="collapsed",
            )
            st.form_submit_button("Add note", on_click=_add_note, args=(fingerprint,))
    now = datetime.now(UTC)
    if details.notes:
        st.html("".join(_note(note, now) for note in details.notes))


def _note(note: Json, now: datetime) -> str:
    return (
        f'<div class="mh-note"><div><b><bdi>{escape(note["author"])}</bdi></b> '
        f'<span class="mh-dim">{ago(note["at"], zone(), now)}</span></div>'
        f'<p dir="auto">{escape(note["note"])}</p></div>'
    )


def _add_note(fingerprint: str) -> None:
    """What was refused stays in the field."""
    text = st.session_state[f"note_{fingerprint}"]

    def keep(connection: Connection, by: str) -> None:
        group_store.add_note(connection, fingerprint, by, text)

    if attempt("The note is added.", keep):
        st.session_state[f"note_{fingerprint}"] = ""


def members_section(details: GroupDetails) -> None:
    """The fingerprints of a group that has several; each but its own can be split off."""
    if len(details.members) < 2:
        return
    st.subheader(f"Members · {len(details.members)}", anchor=False)
    user = signed_in()
    now = datetime.now(UTC)
    for member in details.members:
        with st.container(
            key=f"member_{member.fingerprint}", horizontal=True, vertical_alignment="center", gap="small"
        ):
            st.html(_member(member, now))
            if user and member.joined != "head":
                st.button(
                    "Split off",
                    key=f"split_{member.fingerprint}",
                    help=f"Make {plain_label(member.title)} a group of its own again",
                    on_click=_split,
                    args=(details.group["fingerprint"], member.fingerprint),
                )


def _member(member: Member, now: datetime) -> str:
    how = {
        "head": "the group's own",
        "merged": "merged",
        "continues": "what a later version calls it",
    }[member.joined]
    version = "a caller's own fingerprint" if member.version is None else f"version {member.version}"
    title = escape(member.title)
    return (
        f'<div class="mh-member"><span title="{title}"><bdi>{title}</bdi></span>'
        f"<small>{how} · {version} · {member.total:,} errors · last {ago(member.last_seen, zone(), now)}</small></div>"
    )


def _split(fingerprint: str, member: str) -> None:
    attempt(
        "It is a group of its own again.", lambda connection, by: group_store.split(connection, fingerprint, member, by)
    )


def history_html(details: GroupDetails, zone_name: str, now: datetime) -> str:
    """What became of the group, the newest first."""
    if not details.history:
        return '<p class="mh-dim">It was here before groups had a history.</p>'
    titles = {member.fingerprint: member.title for member in details.members}
    head = details.group["fingerprint"]
    lines = "".join(_line(event, head, titles, zone_name, now) for event in details.history)
    return f'<ol class="mh-story">{lines}</ol>'


def _line(event: Json, head: str, titles: dict[str, str], zone_name: str, now: datetime) -> str:
    by, detail, member = event["by"], event["detail"], event["member"]
    kind: str = event["kind"]
    done = _DONE.get(kind, kind)
    if kind == "assigned":
        done = "assigned it to nobody" if detail is None else f"assigned it to {detail}"
        detail = None
    text = escape(done) if by is None else f"<b><bdi>{escape(by)}</bdi></b> {escape(done)}"
    if by is None and kind == "reopened":
        text = "Open again"
    other: str = member or (event["fingerprint"] if event["fingerprint"] != head else "")
    texts: list[str] = [part for part in (detail, titles.get(other, other)) if part]
    about = " · ".join(map(escape, texts))
    more = f'<small dir="auto">{about}</small>' if about else ""
    return f'<li class="{escape(kind)}"><span>{text} {more}</span>{ago(event["at"], zone_name, now)}</li>'
