"""What can go wrong in the jobs package; every message says what to do."""


class JobError(Exception):
    """Base of this package's errors."""


class StartFailed(JobError):
    """A part of the product can't start; the message is for the person at the terminal."""


class LeadershipLost(JobError):
    """The leader's connection is gone, and the lock with it: nothing may be published any more."""
