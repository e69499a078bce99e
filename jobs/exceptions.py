"""What can go wrong in the jobs package; every message says what to do."""

from datetime import timedelta


class JobError(Exception):
    """Base of this package's errors."""


class StartFailed(JobError):
    """A part of the product can't start; the message is for the person at the terminal."""


class LeadershipLost(JobError):
    """The leader's connection is gone, and the lock with it: nothing may be published any more."""


class ClusterChanged(JobError):
    """The transaction ids that something of ours remembers belong to another Postgres cluster."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} was taken in another Postgres cluster: the database was restored or moved, and its transaction "
            "ids mean nothing here. Nothing was skipped or published; see docs/operations.md, «Restoring Postgres»."
        )


class ClockSetBack(JobError):
    """The system's clock was set back; what was planned by it begins again."""

    def __init__(self, by: timedelta) -> None:
        super().__init__(f"The clock was set back by {by.total_seconds():.0f} s: all work begins again.")


class PublishFailed(JobError):
    """A part can't be written to the lake; nothing of it has appeared."""


class SealRefused(JobError):
    """A day isn't as it should be, and stays as it is; the message says what to do."""


class EraseRefused(JobError):
    """What is to be erased can't be found, or not now; the message says why and what to do."""


class ExchangeUnsupported(JobError):
    """The lake's file system can't exchange two directories."""

    def __init__(self, directory: str, reason: str) -> None:
        super().__init__(
            f"{directory} can't be exchanged in one step ({reason}), so no day is sealed; all else goes on. Put the "
            "lake on a local ext4, XFS, Btrfs or tmpfs of Linux to have closed days merged."
        )


class LakeMismatch(JobError):
    """The lake and this database's claims tell different stories."""

    def __init__(self, lake_dir: str, dataset: str, *, lake_is_ahead: bool) -> None:
        self.lake_is_ahead = lake_is_ahead
        story = (
            f"has {dataset} that this database never claimed: it belongs to another database, or Postgres was restored "
            "from an older backup"
            if lake_is_ahead
            else f"lacks {dataset} that were published: files are missing, or LAKE_URL points elsewhere than before"
        )
        super().__init__(
            f"The lake at {lake_dir} {story}. Nothing was published. Point LAKE_URL at this database's lake, or see "
            "docs/operations.md, «Restoring Postgres»."
        )
