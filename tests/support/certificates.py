"""A certificate authority for tests."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """Issues certificates, as PEM files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = _name(f"Test authority {uuid4().hex}")
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = folder / "authority.pem"
        self.certificate.write_bytes(
            self._sign(self._name, self._key.public_key(), x509.BasicConstraints(ca=True, path_length=0))
        )

    def issue(self, host: str) -> tuple[Path, Path]:
        """A new certificate for a host's name or address, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        stem = uuid4().hex
        certificate_path, key_path = self._folder / f"{stem}.pem", self._folder / f"{stem}.key"
        names = x509.SubjectAlternativeName([_of_host(host)])
        certificate_path.write_bytes(self._sign(_name(host), key.public_key(), names))
        key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate_path, key_path

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType) -> bytes:
        now = datetime.now(UTC)
        own = isinstance(extension, x509.BasicConstraints)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(extension, critical=own)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)


def _of_host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
