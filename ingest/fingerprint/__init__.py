"""Which errors have the same cause: a short, versioned key made of what stays the same when an error repeats.

`fingerprint` is the version of today. An older one is kept beside it unchanged, so that a group which it made can be
recognised in the group that continues it (`predecessors`).
"""

from ingest.fingerprint.own import own_fingerprint, refers_to_default
from ingest.fingerprint.predecessors import Predecessors, previous
from ingest.fingerprint.version_2 import VERSION, fingerprint

__all__ = ["VERSION", "Predecessors", "fingerprint", "own_fingerprint", "previous", "refers_to_default"]
