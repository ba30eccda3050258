"""JSON Web Tokens (RFC 7515, 7519) that prove to a source who asks."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

_COORDINATE_BYTES = 32


def signed(header: Mapping[str, Any], claims: Mapping[str, Any], private_key: str) -> str:
    """A token signed with a PEM key: RS256 with one of RSA, ES256 with one on P-256. Raises ValueError for others."""
    try:
        key = load_pem_private_key(private_key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("the private key can't be read: it must be PEM, without a password") from error
    algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    said = ".".join(_part(orjson.dumps(dict(part))) for part in ({**header, "alg": algorithm, "typ": "JWT"}, claims))
    return f"{said}.{_part(_signature(key, said.encode()))}"


def _signature(key: object, said: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(said, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        numbers = decode_dss_signature(key.sign(said, ec.ECDSA(hashes.SHA256())))
        return b"".join(number.to_bytes(_COORDINATE_BYTES, "big") for number in numbers)
    raise ValueError("the key must be one of RSA or on the curve P-256")


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
