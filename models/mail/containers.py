"""Containers around a message. Opaque-signed S/MIME is opened without a key; encrypted containers stay closed."""

from asn1crypto import cms

from models.mail.mime import Part

SMIME_TYPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
OPAQUE_TYPES = SMIME_TYPES | {"application/pgp-encrypted", "application/ms-tnef", "application/vnd.ms-tnef"}
"""Containers that may hold the whole message: encrypted, or Outlook's winmail.dat."""
_OPAQUE_NAMES = frozenset({"smime.p7m", "winmail.dat", "encrypted.asc"})
_RIGHTS_MANAGED = "application/x-microsoft-rpmsg-message"

_MAX_STREAMED = 20_000
"""Limit for BER's indefinite form: asn1crypto needs up to 2.5 ms for 1,000 bytes."""
_INDEFINITE = 0x80


def may_be_signed_mail(part: Part) -> bool:
    """Whether a mail may be inside. Italian invoices are signed files of the same type, but with other names."""
    name = part.filename.lower()
    return name == "smime.p7m" or (part.content_type in SMIME_TYPES and not name)


def is_opaque(part: Part) -> bool:
    """By type, or by name if a gateway changed the type to application/octet-stream."""
    return part.content_type in OPAQUE_TYPES or part.filename.lower() in _OPAQUE_NAMES


def is_rights_managed(part: Part) -> bool:
    """Rights management: the container is the whole message; the text beside it is a notice."""
    return part.content_type == _RIGHTS_MANAGED or part.filename.lower().endswith(".rpmsg")


def signed_content(part: Part) -> bytes | None:
    """The mail inside; None if it is encrypted or damaged."""
    data = part.decoded()
    if len(data) < 2 or (data[1] == _INDEFINITE and len(data) > _MAX_STREAMED):
        return None
    try:
        info = cms.ContentInfo.load(data)
        if info["content_type"].native != "signed_data":
            return None
        content = info["content"]["encap_content_info"]["content"].native
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError):
        return None  # what asn1crypto raises on damage
    return content if isinstance(content, bytes) else None
