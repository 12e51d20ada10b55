"""A development CA: its own certificate, and the certificates it signs. X.509 is `cryptography`'s.

A leaf carries one URI name, `spiffe://interlock/<name>`, which says who it is; servers carry besides the DNS names
and addresses they are reached by. https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

IDENTITY_PREFIX: Final = "spiffe://interlock/"
CA_LIFE: Final = timedelta(days=365)
LEAF_LIFE: Final = timedelta(days=30)
"""For development; in production a day, renewed by a program."""
CLOCKS_APART: Final = timedelta(minutes=5)
"""Valid from a little in the past, for machines whose clocks are behind."""

SERVER: Final = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT: Final = ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True, slots=True)
class Leaf:
    """A signed certificate and its key, in PEM."""

    certificate: bytes
    key: bytes
    valid_until: datetime


class Authority:
    """A CA in memory: EC P-256, for one level of leaves."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        """Hold both; `new` or `read` makes them."""
        self._certificate = certificate
        self._key = key

    @classmethod
    def new(cls, name: str) -> Self:
        """Make a CA of that name with a new key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        usage = _usage(signs_certificates=True)
        builder = _builder(subject, subject, key.public_key(), CA_LIFE)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(usage, critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        return cls(builder.sign(key, SHA256()), key)

    @classmethod
    def read(cls, certificate: bytes, key: bytes) -> Self:
        """Read a CA from PEM.

        Raises:
            ValueError: no PEM, no EC key, a key that is another's, or a CA that has expired.
        """
        read, private = x509.load_pem_x509_certificate(certificate), load_pem_private_key(key, None)
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != read.public_key():
            raise ValueError("the key is not that of the CA's certificate")
        if read.not_valid_after_utc < datetime.now(UTC) + LEAF_LIFE:
            raise ValueError(f"the CA is valid until {read.not_valid_after_utc:%Y-%m-%d}, less than a leaf lives")
        return cls(read, private)

    @property
    def certificate(self) -> bytes:
        """The CA's certificate in PEM: what everyone trusts."""
        return self._certificate.public_bytes(Encoding.PEM)

    @property
    def key(self) -> bytes:
        """Its key in PEM."""
        return _pem(self._key)

    def leaf(
        self,
        name: str,
        *,
        purposes: Sequence[x509.ObjectIdentifier] = (CLIENT,),
        hosts: Sequence[str] = (),
        uris: Sequence[str] | None = None,
        valid_until: datetime | None = None,
    ) -> Leaf:
        """Sign a certificate for `name` with a new key.

        Args:
            name: the common name, for people, and the identity unless `uris` says otherwise.
            purposes: which end of a connection it may be.
            hosts: DNS names and IP addresses under which a server is reached.
            uris: all URI names; by default the identity alone.
            valid_until: by default LEAF_LIFE from now; may lie in the past.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        until = datetime.now(UTC) + LEAF_LIFE if valid_until is None else valid_until
        builder = _builder(_name(name), self._certificate.subject, key.public_key(), LEAF_LIFE, until)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        names = [
            *map(x509.UniformResourceIdentifier, [IDENTITY_PREFIX + name] if uris is None else uris),
            *map(_host, hosts),
        ]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        signed = builder.sign(self._key, SHA256())
        return Leaf(signed.public_bytes(Encoding.PEM), _pem(key), until)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    life: timedelta,
    until: datetime | None = None,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    end = until or now + life
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now - CLOCKS_APART, end - CLOCKS_APART))
        .not_valid_after(end)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
