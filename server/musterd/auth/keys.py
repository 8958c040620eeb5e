"""Keys that verify tokens: each with the algorithms of its own family alone, behind one port."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import InvalidKeyError

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

RSA_MIN_BITS = 2048
PEM_MAX_BYTES = 64 * 1024
SECRET_KID = "secret"  # noqa: S105  the name of a secret, not one

SECRET_MIN_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
"""A secret shorter than the hash is weaker than the algorithm claims (RFC 7518, section 3.2)."""

_RSA_ALGORITHMS = frozenset(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"))
_EC_ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_ED_ALGORITHM = "EdDSA"

SYMMETRIC_ALGORITHMS = frozenset(SECRET_MIN_BYTES)
ASYMMETRIC_ALGORITHMS = _RSA_ALGORITHMS | frozenset(_EC_ALGORITHMS.values()) | {_ED_ALGORITHM}
"""Together with the symmetric ones: all algorithms there are. `none` is not among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """One key and the algorithms that it may verify. Equal keys have equal id, algorithms and material."""

    kid: str
    algorithms: frozenset[str]
    fingerprint: bytes = field(repr=False)
    material: PublicKey | bytes = field(repr=False, compare=False)


class KeySource(Protocol):
    """Where keys come from."""

    @property
    def revision(self) -> int:
        """A number that grows whenever a key goes away. Cheap: asked for on every call."""
        ...

    def holds(self, key: VerificationKey) -> bool:
        """Whether `key` may still verify tokens."""
        ...

    async def find(self, kid: str | None, algorithm: str) -> Sequence[VerificationKey]:
        """Return the keys for a token with this key id (None when it names none) and algorithm; mostly one or none.

        Raises KEYS_UNAVAILABLE when the answer is not known.
        """
        ...

    async def open(self) -> None:
        """Load the keys and keep them fresh until `close`."""
        ...

    async def close(self) -> None:
        """Stop all that `open` started."""
        ...


def secret_key(secret: bytes) -> VerificationKey:
    """Return the key for tokens that are signed with a shared secret. Raises ValueError when it is no good secret."""
    algorithms = frozenset(name for name, min_bytes in SECRET_MIN_BYTES.items() if len(secret) >= min_bytes)
    if not algorithms:
        raise ValueError(f"the secret has {len(secret)} bytes; HS256 needs at least {SECRET_MIN_BYTES['HS256']}")
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except InvalidKeyError as error:
        raise ValueError("the secret is a public key, a certificate or a JWK, which others may know") from error
    return VerificationKey(kid=SECRET_KID, algorithms=algorithms, fingerprint=sha256(secret).digest(), material=secret)


def public_key(kid: str, material: object) -> VerificationKey:
    """Return the key for a public key object. Raises ValueError for kinds that sign no tokens, and for weak ones."""
    if not isinstance(material, PublicKey):
        raise ValueError("only RSA, EC (P-256, P-384, P-521) and Ed25519 public keys verify tokens")  # noqa: TRY004 - for users it is a wrong key
    der = material.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return VerificationKey(
        kid=kid, algorithms=_algorithms_of(material), fingerprint=sha256(der).digest(), material=material
    )


def _algorithms_of(material: PublicKey) -> frozenset[str]:
    match material:
        case RSAPublicKey():
            if material.key_size < RSA_MIN_BITS:
                raise ValueError(f"the RSA key has {material.key_size} bits; at least {RSA_MIN_BITS} are needed")
            return _RSA_ALGORITHMS
        case EllipticCurvePublicKey():
            if material.curve.name not in _EC_ALGORITHMS:
                raise ValueError(f"curve {material.curve.name} signs no tokens; use P-256, P-384 or P-521")
            return frozenset((_EC_ALGORITHMS[material.curve.name],))
        case Ed25519PublicKey():
            return frozenset((_ED_ALGORITHM,))


def read_public_key_file(path: Path) -> VerificationKey:
    """Return the public key of a PEM file; its key id is the file's name without suffix.

    Raises ValueError that names the file when it holds no usable public key, OSError when it cannot be read.
    """
    with path.open("rb") as file:
        pem = file.read(PEM_MAX_BYTES)
    if b"PRIVATE KEY" in pem:
        raise ValueError(f"{path} holds a private key; the server needs the public one alone")
    try:
        return public_key(path.stem, load_pem_public_key(pem))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{path} is no PEM file with a public key: {error}") from error


class StaticKeys:
    """Keys that stay as they are. A single key that `takes_any_kid` is found whatever the token names, if anything."""

    def __init__(self, keys: Sequence[VerificationKey], *, takes_any_kid: bool) -> None:
        if takes_any_kid and len(keys) != 1:
            raise ValueError("only a single key can be found without its id")
        self._keys = tuple(keys)
        self._takes_any_kid = takes_any_kid

    @property
    def revision(self) -> int:
        """Never grows."""
        return 0

    def holds(self, key: VerificationKey) -> bool:
        """Whether `key` is one of these."""
        return key in self._keys

    async def find(self, kid: str | None, algorithm: str) -> Sequence[VerificationKey]:
        """Return the keys with this id that take this algorithm."""
        return [key for key in self._keys if (self._takes_any_kid or key.kid == kid) and algorithm in key.algorithms]

    async def open(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to stop."""
