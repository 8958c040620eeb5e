"""A key set in a file, read again when the file changes."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from musterd.auth.jwks import JWKS_MAX_BYTES, KeysNotLoadedError, parse_jwks
from musterd.auth.keys import VerificationKey


class JwksFile:
    """Loads the keys of a JWKS file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: tuple[int, int, int] | None = None

    @property
    def place(self) -> str:
        """The file's path."""
        return str(self._path)

    async def load(self) -> Sequence[VerificationKey] | None:
        """Return the keys, or None when the file is the one that was read last. Raises KeysNotLoadedError."""
        return await asyncio.to_thread(self._read)

    async def close(self) -> None:
        """Nothing is kept open."""

    def _read(self) -> Sequence[VerificationKey] | None:
        last_version, self._version = self._version, None
        try:
            with self._path.open("rb") as file:
                stat = os.fstat(file.fileno())
                version = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
                keys = None if version == last_version else parse_jwks(file.read(JWKS_MAX_BYTES + 1))
        except OSError as error:
            raise KeysNotLoadedError(f"cannot read it: {error.strerror}") from error
        self._version = version
        return keys
