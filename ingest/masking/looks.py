"""All that is recognised by its looks, in the order in which it is looked for."""

from ingest.masking.credentials import CREDENTIALS
from ingest.masking.people import ALSO, EMAIL, PEOPLE
from ingest.masking.vendor_keys import VENDOR_KEYS

__all__ = ["ALSO", "LATE_LOOKS", "LOOKS"]

LOOKS = (*CREDENTIALS, *VENDOR_KEYS)  # before the names, which would take a part of them
LATE_LOOKS = (EMAIL, *PEOPLE)  # after the names; all but the first of them after what is percent-encoded
