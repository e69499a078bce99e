"""UUID version 7 (RFC 9562, section 5.7): the time in milliseconds first, so that ids sort by it.

Unique, not secret: a generator seeded by the system spares a system call for each id.
"""

import random
from datetime import UTC, datetime
from random import SystemRandom
from uuid import UUID

_random = random.Random(SystemRandom().getrandbits(128)).getrandbits  # noqa: S311 - see above


def uuid7(moment: datetime) -> str:
    """A fresh id that begins with `moment`, in the usual text form."""
    milliseconds = int(moment.timestamp() * 1000)
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | _random(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def moment_of_uuid7(value: UUID) -> datetime | None:
    """When an id of version 7 was made, in UTC; None for any other, and for a time after the year 9999."""
    if value.version != 7:
        return None
    try:
        return datetime.fromtimestamp((value.int >> 80) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
