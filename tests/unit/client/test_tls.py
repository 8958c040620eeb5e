from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.unit.client.conftest import QUICK
from tests.unit.client.scripted import ScriptedServer

from musterd_client import MusterdClient, Tls, UnavailableError
from musterd_client.v1.server_service_pb2 import GetServerInfoResponse

NAME = "agents.example.com"


@pytest.fixture(scope="module")
def identity() -> tuple[bytes, bytes]:
    """A private key, and a certificate that it signed for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return private, certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
async def mutual(identity: tuple[bytes, bytes]) -> AsyncIterator[ScriptedServer]:
    """A server that shows the certificate, and asks the client for it, too."""
    credentials = grpc.ssl_server_credentials([identity], root_certificates=identity[1], require_client_auth=True)
    async with ScriptedServer(credentials=credentials) as server:
        yield server


async def test_client_and_server_know_each_other_by_their_certificates(
    mutual: ScriptedServer, identity: tuple[bytes, bytes]
) -> None:
    private_key, certificate = identity
    mutual.will("GetServerInfo", GetServerInfoResponse(version="0.1.0"))
    tls = Tls(root_certificates=certificate, private_key=private_key, certificate_chain=certificate, server_name=NAME)

    async with MusterdClient(mutual.target, tls=tls) as client:
        assert (await client.server_info()).version == "0.1.0"


async def test_a_server_of_another_name_is_not_trusted(mutual: ScriptedServer, identity: tuple[bytes, bytes]) -> None:
    private_key, certificate = identity
    tls = Tls(root_certificates=certificate, private_key=private_key, certificate_chain=certificate)

    async with MusterdClient(mutual.target, tls=tls, retry=QUICK) as client:
        with pytest.raises(UnavailableError):
            await client.server_info()
    assert mutual.asked == []


@pytest.mark.parametrize(
    "given", [{"private_key": b"PEM"}, {"certificate_chain": b"PEM"}], ids=lambda given: next(iter(given))
)
def test_half_an_identity_is_refused(given: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match="give both, or neither"):
        Tls(root_certificates=None, **given)  # pyright: ignore[reportArgumentType] - server_name is not given


def test_a_private_key_does_not_show() -> None:
    assert "PEM" not in repr(Tls(private_key=b"PEM", certificate_chain=b"chain"))
