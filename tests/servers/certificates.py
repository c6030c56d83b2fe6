"""An authority of the tests, and certificates by it, for servers on loopback."""

import datetime as dt
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """The files of a certificate and its key, as PEM."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates. `file` is its own."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        made = self._signed(name, self._key, is_authority=True)
        self.file = _written(folder / f"{name}.pem", made.public_bytes(serialization.Encoding.PEM))

    def sign(self, host: str = "127.0.0.1", *, expired: bool = False) -> Certificate:
        """A certificate for a host's name or address."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._signed(host, key, days_ago=10 if expired else 0)
        name = self._folder / f"{self._name}-{host}{'-expired' * expired}"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Certificate(
            _written(name.with_name(f"{name.name}.pem"), made.public_bytes(serialization.Encoding.PEM)),
            _written(name.with_name(f"{name.name}.key"), private),
        )

    def _signed(
        self, name: str, key: ec.EllipticCurvePrivateKey, *, days_ago: int = 0, is_authority: bool = False
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC) - days_ago * _DAY
        names = x509.DNSName(name) if name[:1].isalpha() else x509.IPAddress(ip_address(name))
        usage = x509.KeyUsage(
            **dict.fromkeys(("digital_signature", "key_cert_sign", "crl_sign"), True),
            **dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False),
            encipher_only=False,
            decipher_only=False,
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(_called(name))
            .issuer_name(_called(self._name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + 2 * _DAY)
            .add_extension(x509.SubjectAlternativeName([names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if is_authority:
            builder = builder.add_extension(usage, critical=True)
        return builder.sign(self._key, hashes.SHA256())


def _called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
