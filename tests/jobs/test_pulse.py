"""The pulse: one beat of tally and evaluator."""

from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest

import jobs.pulse
from analytics.store import Store
from ingest.database import Connection
from jobs.alert_message import Composer
from jobs.exceptions import ClockSetBack
from jobs.pulse import Pulse


class Clock(datetime):
    """A clock that was set back by a day."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.now(tz) - timedelta(days=1)


def test_a_clock_that_is_set_back_makes_all_work_begin_again(
    connection: Connection, database_url: str, lake_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The windows would wait for a day, and so would the mirror's next turn."""
    composer = Composer(Store(database_url, lake_dir), "http://app.example")
    pulse = Pulse(connection, 2, composer, lambda: None, lambda: None)
    pulse.tick()
    monkeypatch.setattr(jobs.pulse, "datetime", Clock)
    with pytest.raises(ClockSetBack, match="86400 s"):
        pulse.tick()
