"""UUID version 7 (RFC 9562, section 5.7): the time in milliseconds first, so that ids sort by it.

Unique, not secret: a generator seeded by the system spares a system call for each id.
"""

import random
from datetime import datetime
from random import SystemRandom

_random = random.Random(SystemRandom().getrandbits(128)).getrandbits  # noqa: S311 - see above


def uuid7(moment: datetime) -> str:
    """A fresh id that begins with `moment`, in the usual text form."""
    milliseconds = int(moment.timestamp() * 1000)
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | _random(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
