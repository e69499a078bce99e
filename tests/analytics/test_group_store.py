"""Groups as readers see them and as people decide about them."""

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from analytics.accounts import add_user, remove_user
from analytics.exceptions import BadRequest, Conflict, NotFound
from analytics.filters import Filters
from analytics.group_store import add_note, assign, ignore, merge, reopen, resolve, split
from analytics.groups import (
    NOBODY,
    GroupFilters,
    breakdown,
    group_details,
    list_groups,
    members_of,
    version_of,
    whole_group,
)
from analytics.latest import latest_errors
from analytics.queries import error_series
from analytics.store import Store
from ingest.database import Connection, connect
from jobs.mirror import Mirror
from jobs.tally import Tally
from tests.seeding import insert_error, now

HOUR = timedelta(hours=1)


def seed(connection: Connection, **counts: int) -> Tally:
    """`a=3` makes three errors of the group `a`, a minute apart, the last one just now; later groups are newer."""
    moment = now() - timedelta(seconds=len(counts))
    for number, (fingerprint, count) in enumerate(counts.items()):
        for index in range(count):
            at = moment + timedelta(seconds=number) - timedelta(minutes=index)
            insert_error(connection, fingerprint=fingerprint, title=f"{fingerprint} failed", timestamp=at)
    tally = Tally(connection)
    tally.tick()
    return tally


def listed(store: Store, filters: GroupFilters | None = None, **options: Any) -> list[tuple[str, int]]:
    moment = now() + timedelta(seconds=1)
    found = list_groups(store, moment - options.pop("back", HOUR), moment, filters, **options)
    return found.groups.select("fingerprint", "errors").rows()


def kinds(store: Store, fingerprint: str) -> list[str]:
    return [line["kind"] for line in reversed(group_details(store, fingerprint).history)]


def state(store: Store, fingerprint: str) -> str:
    return str(group_details(store, fingerprint).group["state"])


# Reading


def test_the_list_is_sorted_cut_into_pages_and_counted(connection: Connection, store: Store) -> None:
    seed(connection, a=3, b=1, c=2)
    assert listed(store) == [("c", 2), ("b", 1), ("a", 3)]
    assert listed(store, sort="errors") == [("a", 3), ("c", 2), ("b", 1)]
    assert listed(store, sort="first_seen") == [("b", 1), ("c", 2), ("a", 3)]
    assert listed(store, sort="errors", limit=2, page=2) == [("b", 1)]
    moment = now()
    assert list_groups(store, moment - HOUR, moment, limit=1).matching == 3


def test_each_group_has_a_spark_line_that_adds_up(connection: Connection, store: Store) -> None:
    seed(connection, a=30, b=2)
    moment = now()
    found = list_groups(store, moment - HOUR, moment + timedelta(seconds=1), points=12)
    assert found.interval_seconds == 310
    assert {len(series) for series in found.groups["series"]} == {len(found.buckets)}
    assert [sum(series) for series in found.groups["series"]] == found.groups["errors"].to_list() == [2, 30]
    assert sum(value > 0 for value in found.groups["series"][1]) >= 6


@pytest.mark.parametrize("back", [HOUR, timedelta(days=3)])
def test_the_rollup_and_the_lake_tell_the_same_groups(
    connection: Connection, store: Store, lake_dir: Path, back: timedelta
) -> None:
    tally = seed(connection, a=3, b=1)
    Mirror(connection, lake_dir, max_rows=1, max_lag_seconds=0).tick()
    assert store.listing("errors").parts
    insert_error(connection, fingerprint="a")
    tally.tick()
    assert sorted(listed(store, back=back)) == [("a", 4), ("b", 1)]
    found = list_groups(store, now() - back, now() + timedelta(seconds=1), sort="errors")
    assert [sum(series) for series in found.groups["series"]] == [4, 1]


def test_a_group_that_is_not_counted_yet_is_listed_all_the_same(
    connection: Connection, database_url: str, store: Store
) -> None:
    tally = seed(connection, a=1)
    with connect(database_url, "open", autocommit=False) as horizon:
        insert_error(horizon, fingerprint="never")
        insert_error(connection, fingerprint="fresh", title="fresh failed", severity="high")
        insert_error(connection, fingerprint="a")
        tally.tick()
        assert sorted(listed(store)) == [("a", 2), ("fresh", 1)]
        assert listed(store, GroupFilters(text="FRESH")) == [("fresh", 1)]
        found = group_details(store, "fresh").group
        assert (found["state"], found["title"], found["total"], found["severity"]) == (
            "open",
            "fresh failed",
            1,
            "high",
        )
        assert group_details(store, "a").group["total"] == 2
        horizon.rollback()


def test_filters_narrow_the_list_down(connection: Connection, store: Store) -> None:
    insert_error(connection, fingerprint="web", source="webhook", title="100% of it")
    insert_error(connection, fingerprint="both", severity="high")
    insert_error(connection, fingerprint="both", severity="low")
    Tally(connection).tick()
    add_user(connection, "anna", "a long password")
    assign(connection, "web", "anna", "anna")
    resolve(connection, "both", "anna")
    assert listed(store, GroupFilters(dimensions=Filters(source=("webhook",)))) == [("web", 1)]
    assert listed(store, GroupFilters(dimensions=Filters(severity=("low",)))) == [("both", 1)]  # those alone count
    assert listed(store, GroupFilters(state=("resolved",))) == [("both", 2)]
    assert listed(store, GroupFilters(state=("open", "regressed"))) == [("web", 1)]
    assert listed(store, GroupFilters(assignee="anna")) == [("web", 1)]
    assert listed(store, GroupFilters(assignee=NOBODY)) == [("both", 2)]
    assert listed(store, GroupFilters(text="0% OF")) == [("web", 1)]
    assert listed(store, GroupFilters(text="_")) == []
    assert listed(store, GroupFilters(text="both")) == [("both", 2)]  # a whole fingerprint


def test_groups_without_errors_in_the_range_are_listed_where_they_are_asked_for(
    connection: Connection, store: Store
) -> None:
    seed(connection, a=1)
    insert_error(connection, fingerprint="old", source="webhook", timestamp=now() - timedelta(hours=3))
    Tally(connection).tick()
    assert listed(store) == [("a", 1)]
    assert listed(store, idle=True) == [("a", 1), ("old", 0)]
    assert listed(store, GroupFilters(dimensions=Filters(source=("webhook",))), idle=True) == [("old", 0)]


@pytest.mark.parametrize("options", [{"limit": 0}, {"limit": 201}, {"page": 0}, {"points": 0}, {"back": -HOUR}])
def test_a_page_that_cannot_be_is_refused(store: Store, options: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        listed(store, **options)


def test_one_group_whole(connection: Connection, store: Store) -> None:
    seed(connection, a=3)
    insert_error(connection, fingerprint="a", source="webhook")
    Tally(connection).tick()
    found = group_details(store, "a")
    assert (found.group["total"], found.group["members"]) == (4, ["a"])
    assert [(member.joined, member.version) for member in found.members] == [("head", None)]
    moment = now() + timedelta(seconds=1)
    assert error_series(store, moment - HOUR, moment, 60, found.filters())["errors"].sum() == 4
    assert latest_errors(store, moment - HOUR, moment, found.filters()).height == 4
    split_up = breakdown(store, moment - HOUR, moment, found.filters(), "source")
    assert split_up.rows() == [("worker", 3), ("webhook", 1)]
    assert breakdown(store, moment - HOUR, moment, found.filters(), "workflow_id").rows() == [(None, 4)]
    with pytest.raises(NotFound):
        group_details(store, "nobody")


@pytest.mark.parametrize(
    ("fingerprint", "version"), [("1-0123456789abcdef", 1), ("12-0123456789abcdef", 12), ("1-own", None), ("x", None)]
)
def test_a_fingerprint_tells_its_version(fingerprint: str, version: int | None) -> None:
    assert version_of(fingerprint) == version


# Deciding


def test_a_decision_is_kept_with_who_made_it(connection: Connection, store: Store) -> None:
    seed(connection, a=1)
    resolve(connection, "a", "anna")
    found = group_details(store, "a").group
    assert (found["state"], found["changed_by"]) == ("resolved", "anna")
    assert now() - found["resolved_at"] < timedelta(seconds=10)
    resolve(connection, "a", "bert")
    assert group_details(store, "a").group["changed_by"] == "anna"  # it was already
    reopen(connection, "a", "bert")
    found = group_details(store, "a").group
    assert (found["state"], found["resolved_at"], found["changed_by"]) == ("open", None, "bert")
    assert kinds(store, "a") == ["new", "resolved", "reopened"]
    assert [line["by"] for line in group_details(store, "a").history] == ["bert", "anna", None]


def test_a_resolved_group_comes_back(connection: Connection, store: Store) -> None:
    tally = seed(connection, a=1)
    resolve(connection, "a", "anna")
    insert_error(connection, fingerprint="a", timestamp=now() + timedelta(milliseconds=1))
    tally.tick()
    assert state(store, "a") == "regressed"
    resolve(connection, "a", "anna")
    assert kinds(store, "a") == ["new", "resolved", "regressed", "resolved"]


def test_a_group_is_ignored_until_it_has_happened_so_many_more_times(connection: Connection, store: Store) -> None:
    tally = seed(connection, a=5)
    ignore(connection, "a", "anna", until=now() + HOUR, errors=2)
    assert group_details(store, "a").history[0]["detail"].endswith("UTC or for 2 more errors")
    insert_error(connection, fingerprint="a")
    tally.tick()
    assert state(store, "a") == "ignored"
    insert_error(connection, fingerprint="a")
    tally.tick()
    assert state(store, "a") == "open"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"until": now() - HOUR}, "in the future"),
        ({"until": now() + timedelta(days=4000)}, "ten years"),
        ({"errors": 0}, "further errors"),
    ],
)
def test_a_group_cannot_be_ignored_for_what_makes_no_sense(
    connection: Connection, options: dict[str, Any], says: str
) -> None:
    seed(connection, a=1)
    with pytest.raises(BadRequest, match=says):
        ignore(connection, "a", "anna", **options)


def test_a_group_is_somebodys_until_that_user_is_gone(connection: Connection, store: Store) -> None:
    seed(connection, a=1)
    add_user(connection, "anna", "a long password")
    assign(connection, "a", "bert", "anna")
    assert group_details(store, "a").group["assignee"] == "anna"
    with pytest.raises(BadRequest, match="no user 'carl'"):
        assign(connection, "a", "bert", "carl")
    remove_user(connection, "anna")
    assert group_details(store, "a").group["assignee"] is None
    assert [line["detail"] for line in group_details(store, "a").history if line["kind"] == "assigned"] == ["anna"]


def test_notes_are_kept_newest_first_and_masked(connection: Connection, store: Store) -> None:
    seed(connection, a=1)
    add_note(connection, "a", "anna", "first\r\nwith a second line")
    add_note(connection, "a", "bert", "the key was Bearer abcdefghijklmnopqrstuvwxyz012345")
    notes = group_details(store, "a").notes
    assert [(note["author"], note["note"].split("\n")[0][:11]) for note in notes] == [
        ("bert", "the key was"),
        ("anna", "first"),
    ]
    assert notes[1]["note"] == "first\nwith a second line"
    assert "abcdefgh" not in notes[0]["note"]
    for wrong in ("  ", "x" * 10_001, "a\0b"):
        with pytest.raises(BadRequest):
            add_note(connection, "a", "anna", wrong)


@pytest.mark.parametrize("action", [resolve, reopen, ignore])
def test_a_group_that_nobody_knows_or_that_is_merged_cannot_be_decided_about(
    connection: Connection, action: Any
) -> None:
    seed(connection, a=1, b=1)
    with pytest.raises(NotFound):
        action(connection, "nobody", "anna")
    merge(connection, "a", ["b"], "anna")
    with pytest.raises(Conflict, match="'b' was merged into 'a'"):
        action(connection, "b", "anna")


# Merging and splitting


def test_merged_groups_are_one(connection: Connection, store: Store) -> None:
    tally = seed(connection, a=3, b=2, c=1)
    add_note(connection, "b", "bert", "about b")
    resolve(connection, "b", "bert")
    merge(connection, "a", ["b"], "anna")
    assert listed(store, sort="errors") == [("a", 5), ("c", 1)]
    found = group_details(store, "b")  # by the name of a member, too
    assert (found.group["fingerprint"], found.group["state"], found.group["total"]) == ("a", "open", 5)
    assert [(member.fingerprint, member.joined) for member in found.members] == [("a", "head"), ("b", "merged")]
    assert [note["note"] for note in found.notes] == ["about b"]
    assert found.history[0] | {"at": None} == {
        "at": None,
        "kind": "merged",
        "by": "anna",
        "detail": None,
        "fingerprint": "a",
        "member": "b",
    }
    insert_error(connection, fingerprint="b")
    tally.tick()
    assert listed(store, sort="errors") == [("a", 6), ("c", 1)]
    assert members_of(connection, ["b"]) == members_of(connection, ["a"]) == ("a", "b")
    assert whole_group(store, Filters(fingerprint=("b",), source=("worker",))) == Filters(
        source=("worker",), fingerprint=("a", "b")
    )


def test_chains_of_merges_are_flat_and_have_no_end_in_themselves(connection: Connection, store: Store) -> None:
    seed(connection, a=1, b=1, c=1)
    merge(connection, "b", ["c"], "anna")
    merge(connection, "a", ["b"], "anna")
    assert listed(store) == [("a", 3)]
    rows = connection.execute("select fingerprint, head, merged_into from error_groups order by 1").fetchall()
    assert rows == [("a", "a", None), ("b", "a", "a"), ("c", "a", "a")]
    for into, others in (("b", ["a"]), ("a", ["b"])):
        with pytest.raises(Conflict, match="was merged into 'a'"):
            merge(connection, into, others, "anna")
    for others in (["a"], [], [str(number) for number in range(101)]):
        with pytest.raises(BadRequest):
            merge(connection, "a", others, "anna")


def test_two_who_merge_crosswise_make_no_circle(connection: Connection, database_url: str, store: Store) -> None:
    seed(connection, a=1, b=1)

    def try_to(into: str, other: str) -> bool:
        with connect(database_url, "crosswise") as own:
            try:
                merge(own, into, [other], into)
            except Conflict:
                return False
            return True

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(try_to, ("a", "b"), ("b", "a"))) == [False, True]
    assert [errors for _, errors in listed(store)] == [2]


@pytest.mark.parametrize(
    "change",
    [
        lambda own: merge(own, "a", ["c"], "anna"),
        lambda own: split(own, "a", "b", "anna"),
        lambda own: remove_user(own, "anna"),
    ],
    ids=["merge", "split", "remove a user"],
)
def test_what_changes_several_groups_waits_for_the_tick(connection: Connection, database_url: str, change: Any) -> None:
    """Both lock rows of groups, in different orders: they would wait for each other now and then."""
    seed(connection, a=1, b=1, c=1)
    merge(connection, "a", ["b"], "anna")
    add_user(connection, "anna", "a long password")
    with connect(database_url, "own") as own, connect(database_url, "tick", autocommit=False) as ticking:
        Tally(ticking).tick()
        with ThreadPoolExecutor(1) as threads:
            changed = threads.submit(change, own)
            with pytest.raises(NotYet):
                changed.result(0.3)
            ticking.commit()
            changed.result(10)


def test_what_is_merged_into_a_resolved_group_and_was_seen_since_opens_it(connection: Connection, store: Store) -> None:
    tally = seed(connection, a=1, b=1)
    resolve(connection, "a", "anna")
    insert_error(connection, fingerprint="c", timestamp=now() + timedelta(milliseconds=1))
    tally.tick()
    merge(connection, "a", ["b"], "anna")
    assert state(store, "a") == "resolved"
    merge(connection, "a", ["c"], "anna")
    assert (state(store, "a"), kinds(store, "a")[-1]) == ("open", "reopened")


def test_merging_shortens_no_ignoring(connection: Connection, store: Store) -> None:
    tally = seed(connection, a=1, b=50)
    ignore(connection, "a", "anna", errors=3)
    merge(connection, "a", ["b"], "anna")
    insert_error(connection, fingerprint="b")
    tally.tick()
    assert state(store, "a") == "ignored"
    split(connection, "a", "b", "anna")
    for fingerprint in ("a", "b"):
        insert_error(connection, fingerprint=fingerprint)
    tally.tick()
    assert (state(store, "a"), state(store, "b")) == ("ignored", "ignored")
    for fingerprint in ("a", "b"):
        insert_error(connection, fingerprint=fingerprint)
    tally.tick()
    assert (state(store, "a"), state(store, "b")) == ("open", "open")


def test_a_member_is_split_off_as_it_stood(connection: Connection, store: Store) -> None:
    tally = seed(connection, a=1, b=2, c=1)
    merge(connection, "a", ["b", "c"], "anna")
    resolve(connection, "a", "anna")
    split(connection, "a", "b", "bert")
    assert sorted(listed(store)) == [("a", 2), ("b", 2)]
    assert (state(store, "a"), state(store, "b")) == ("resolved", "resolved")
    insert_error(connection, fingerprint="b", timestamp=now() + timedelta(milliseconds=1))
    assert [row.fingerprint for row in tally.tick().groups] == ["b"]
    assert (state(store, "a"), state(store, "b")) == ("resolved", "regressed")
    assert kinds(store, "b") == ["new", "merged", "split", "regressed"]
    with pytest.raises(Conflict, match="is no member"):
        split(connection, "a", "b", "bert")
    with pytest.raises(BadRequest):
        split(connection, "a", "a", "bert")


def test_what_carries_a_version_on_goes_along_and_can_be_split(connection: Connection, store: Store) -> None:
    old, new = "1-00000000000000aa", "2-00000000000000aa"
    tally = seed(connection, x=1, **{old: 2})
    insert_error(connection, fingerprint=new, metadata=f'{{"fingerprint_before": "{old}"}}')
    tally.tick()
    assert sorted(listed(store)) == [(old, 3), ("x", 1)]
    assert [(member.joined, member.version) for member in group_details(store, new).members] == [
        ("head", 1),
        ("continues", 2),
    ]
    merge(connection, "x", [old], "anna")
    assert listed(store) == [("x", 4)]
    split(connection, "x", old, "anna")
    assert sorted(listed(store)) == [(old, 3), ("x", 1)]
    split(connection, old, new, "anna")
    assert sorted(listed(store)) == [(old, 2), (new, 1), ("x", 1)]
    insert_error(connection, fingerprint=new, metadata=f'{{"fingerprint_before": "{old}"}}')
    tally.tick()
    assert sorted(listed(store)) == [(old, 2), (new, 2), ("x", 1)]  # it stays apart
