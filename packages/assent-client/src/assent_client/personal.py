"""Personal data by patterns, with the checksums that their standards publish.

Names and postal addresses of people have no pattern and are not found. Each pattern is bounded in length.
"""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

PERSONAL: Mapping[str, str] = {
    "email": r"\b[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b",
    "phone": r"(?<![\w+])\+[1-9](?:[ .()-]{0,2}\d){7,14}(?!\d)",
    "card": r"(?<![\d-])\d(?:[ -]?\d){12,18}(?![\d-])",
    "iban": r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
    "ssn": r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])",
    "nhs": r"(?<![\d-])\d{3}[ -]\d{3}[ -]\d{4}(?![\d-])",
    "ip": r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?![\w.:]?\w)",
}


def _digits(text: str) -> Sequence[int]:
    return [int(one) for one in text if one.isdecimal() and one.isascii()]


def is_card(text: str) -> bool:
    """Tell by Luhn's checksum whether digits may be a payment card's. Source: ISO/IEC 7812-1, annex B."""
    digits = _digits(text)
    doubled = [sum(divmod(2 * one, 10)) for one in digits[-2::-2]]
    return len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_iban(text: str) -> bool:
    """Tell by the remainder of 97 whether it may be an account. Source: ISO 13616-1, annex A."""
    plain = text.replace(" ", "")
    moved = plain[4:] + plain[:4]
    return 15 <= len(plain) <= 34 and int("".join(str(int(one, 36)) for one in moved)) % 97 == 1  # noqa: PLR2004 -- the standard's


def is_nhs(text: str) -> bool:
    """Tell by its check digit whether it may be an NHS number. Source: NHS Data Dictionary, modulus 11."""
    digits = _digits(text)
    check = 11 - sum(weight * digit for weight, digit in zip(range(10, 1, -1), digits[:9], strict=True)) % 11
    return digits[9] == check % 11


def is_phone(text: str) -> bool:
    """Tell whether there are as many digits as E.164 allows, not all in a row upwards."""
    digits = _digits(text)
    return 8 <= len(digits) <= 15 and any(b - a != 1 for a, b in pairwise(digits))  # noqa: PLR2004 -- E.164


def is_address(text: str) -> bool:
    """Tell whether it is an address of a network, and of no documentation, loopback or private one."""
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


CHECKS: Mapping[str, Callable[[str], bool]] = {
    "card": is_card,
    "iban": is_iban,
    "nhs": is_nhs,
    "phone": is_phone,
    "ip": is_address,
}
