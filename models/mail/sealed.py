"""Opens signed mails whose content is wrapped in a signature (S/MIME "opaque"), which takes no key."""

from asn1crypto import cms

from models.mail.mime import Part

SMIME = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
SEALED = SMIME | {"application/pgp-encrypted", "application/ms-tnef", "application/vnd.ms-tnef"}
"""Containers that may hold the whole message: encrypted, or Outlook's own (winmail.dat)."""
_SEALED_NAMES = frozenset({"smime.p7m", "winmail.dat", "encrypted.asc"})
_PROTECTED = "application/x-microsoft-rpmsg-message"

_MAX_STREAMED = 20_000
"""Bytes in BER's indefinite form: the library needs up to 2.5 ms for each 1,000."""
_INDEFINITE = 0x80


def is_signed_mail(part: Part) -> bool:
    """Whether a mail may be inside: Italian invoices are signed files of the same type, with names of their own."""
    name = part.filename.lower()
    return name == "smime.p7m" or (part.content_type in SMIME and not name)


def is_sealed(part: Part) -> bool:
    """By type, or by name where a gateway made the type a mere sequence of octets."""
    return part.content_type in SEALED or part.filename.lower() in _SEALED_NAMES


def is_protected(part: Part) -> bool:
    """Rights management: always the whole message, the text beside it only says so."""
    return part.content_type == _PROTECTED or part.filename.lower().endswith(".rpmsg")


def open_signed(part: Part) -> bytes | None:
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
