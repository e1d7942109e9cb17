"""Opens signed mails whose content is wrapped in a signature (S/MIME "opaque"), which takes no key."""

from asn1crypto import cms

from models.mail.mime import Part

SMIME_TYPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
OPAQUE_TYPES = SMIME_TYPES | {"application/pgp-encrypted", "application/ms-tnef", "application/vnd.ms-tnef"}
"""Containers that may hold the whole message: encrypted, or Outlook's own (winmail.dat)."""
_OPAQUE_NAMES = frozenset({"smime.p7m", "winmail.dat", "encrypted.asc"})
_RIGHTS_MANAGED = "application/x-microsoft-rpmsg-message"

_MAX_STREAMED = 20_000
"""Bytes in BER's indefinite form: the library needs up to 2.5 ms for each 1,000."""
_INDEFINITE = 0x80


def may_be_signed_mail(part: Part) -> bool:
    """Whether a mail may be inside: Italian invoices are signed files of the same type, with names of their own."""
    name = part.filename.lower()
    return name == "smime.p7m" or (part.content_type in SMIME_TYPES and not name)


def is_opaque(part: Part) -> bool:
    """By type, or by name where a gateway made the type a mere sequence of octets."""
    return part.content_type in OPAQUE_TYPES or part.filename.lower() in _OPAQUE_NAMES


def is_rights_managed(part: Part) -> bool:
    """Rights management: always the whole message, the text beside it only says so."""
    return part.content_type == _RIGHTS_MANAGED or part.filename.lower().endswith(".rpmsg")


def signed_content(part: Part) -> bytes | None:
    """The mail inside; None where it is encrypted, or nothing that can be read."""
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
