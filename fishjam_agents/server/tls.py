"""HTTPS of the server: with a certificate of the user's, or one made on the spot.

Browsers give no microphone to a page that came over plain HTTP from another machine (W3C Secure Contexts).
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

from ..errors import ConfigError
from ..loopback import is_loopback
from .address import is_wildcard, machine_addresses, machine_names

Tls: TypeAlias = "Literal['auto', 'off'] | tuple[str | os.PathLike[str], str | os.PathLike[str]]"
"""`auto`: HTTPS where other machines can reach the server, with a certificate made on the spot; it needs the
extra `webrtc`, without which no browser has media. `off`: never. Or the PEM files of a certificate, with its
chain, and of its key."""

LIFETIME_DAYS = 90
"""Days a certificate of ours is valid; Apple's systems take none of more than 398."""


def tls_context(tls: Tls, host: str) -> ssl.SSLContext | None:
    """Make the server's TLS; None where it speaks plain HTTP alone.

    Args:
        tls: What the user wants.
        host: Address the server listens on.

    Raises:
        ConfigError: The files are no certificate and its key.
    """
    if tls == "off" or (tls == "auto" and is_loopback(host)):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    if tls != "auto":
        _load(context, *tls)
        return context
    try:
        pem = self_signed(holders(host))
    except ModuleNotFoundError:
        return None
    # OpenSSL reads a key from a file only. The folder is this user's alone, and gone at once.
    with tempfile.TemporaryDirectory(prefix="fishjam-agents-") as folder:
        file = Path(folder) / "server.pem"
        file.write_bytes(pem)
        context.load_cert_chain(file)
    return context


def holders(host: str) -> list[str]:
    """Addresses and names of this machine, and that at which the server listens."""
    ours = ["localhost", "127.0.0.1", "::1", *machine_names(), *machine_addresses()]
    return ours if is_wildcard(host) else [*ours, host]


def self_signed(names: Iterable[str]) -> bytes:
    """A new key and a certificate that it signed itself, PEM (RFC 5280).

    Args:
        names: IP addresses and host names it is for; what no certificate can hold is left out.

    Raises:
        ModuleNotFoundError: cryptography is not installed.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fishjam_agents on this machine")])
    now = datetime.datetime.now(datetime.UTC)
    alternatives: list[x509.GeneralName] = []
    for name in dict.fromkeys(names):
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            if name.isascii():
                alternatives.append(x509.DNSName(name))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # The clock of whoever looks may be behind.
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=LIFETIME_DAYS))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


class _LockedError(Exception):
    """The key asks for a password."""


def _load(context: ssl.SSLContext, certificate: str | os.PathLike[str], key: str | os.PathLike[str]) -> None:
    def refuse() -> str:
        # OpenSSL would ask the terminal.
        raise _LockedError

    for what, file in (("certificate", certificate), ("key", key)):
        try:
            Path(file).read_bytes()
        except OSError as error:
            raise ConfigError(
                f"cannot read the {what} {file} ({error.strerror}): give a PEM file for tls.{what}"
            ) from error
    try:
        context.load_cert_chain(certificate, key, password=refuse)
    except _LockedError:
        raise ConfigError(
            f"the key {key} is locked with a password: give one without, as `openssl pkey` writes it"
        ) from None
    except ssl.SSLError as error:
        why = (
            "they do not belong together"
            if error.reason == "KEY_VALUES_MISMATCH"
            else "they are not both PEM"
        )
        raise ConfigError(
            f"cannot use the certificate {certificate} with the key {key} ({why}): "
            "give a certificate, with its chain, and the key it was made for"
        ) from error
