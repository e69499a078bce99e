"""Secrets that must be used again, such as a webhook's address, are kept encrypted (Fernet: AES-128-CBC and HMAC)."""

from cryptography.fernet import Fernet, InvalidToken

from ingest.exceptions import IngestError
from ingest.settings import PREFIX


class VaultClosed(IngestError):
    """A secret can't be encrypted or read with the key that is set."""


class Vault:
    """Encrypts with the installation's key."""

    def __init__(self, key: str) -> None:
        self._key = key

    def encrypt(self, text: str) -> bytes:
        """Raises VaultClosed without a usable key."""
        return self._fernet().encrypt(text.encode())

    def decrypt(self, token: bytes) -> str:
        """Raises VaultClosed when the secret was encrypted with another key."""
        try:
            return self._fernet().decrypt(token).decode()
        except InvalidToken:
            raise VaultClosed(f"This secret was stored with another {PREFIX}SECRET_KEY. Enter it again.") from None

    def _fernet(self) -> Fernet:
        try:
            return Fernet(self._key)
        except ValueError:
            raise VaultClosed(
                f"Set {PREFIX}SECRET_KEY to 32 url-safe base64 bytes, the same for every process; `up` makes one."
            ) from None
