"""Where outgoing calls may lead: names and addresses, judged as text and as resolvers give them. Pure."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from assent.kernel.errors import Invalid

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

METADATA_HOSTS = frozenset({"metadata.google.internal", "metadata.goog", "metadata", "instance-data"})
METADATA_ADDRESSES = frozenset(
    ipaddress.ip_address(one)
    for one in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
)
"""Where clouds hand out credentials outside the link-local ranges: Alibaba, Azure, Oracle, AWS, Google."""

MAX_URL = 2048
_VISIBLE = re.compile(r"[\x21-\x7e]+\Z")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LAST = 2**32 - 1
_NUMBER = re.compile(r"[0-9]+\Z|0[xX][0-9a-fA-F]*\Z")
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\Z")


@dataclass(frozen=True, slots=True)
class Allowed:
    """What an operator lets calls reach although it is not public: hosts by name, addresses by network."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def has(self, host: str, address: Address) -> bool:
        """Tell whether a call to this host at this address is let through."""
        return host in self.hosts or any(
            address in one for one in self.networks if one.version == address.version
        )


def parse_allowed(entries: Iterable[str]) -> Allowed:
    """Read an operator's list of host names, addresses and networks (CIDR). Raises: ValueError."""
    hosts, networks = set(), []
    for entry in entries:
        text = entry.strip().rstrip(".").lower()
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError as error:
            if not _HOST.match(text) or is_odd_number(text):
                raise ValueError(f"{entry!r} is neither a host name nor a network like 10.0.0.0/8") from error
            hosts.add(text)
    return Allowed(frozenset(hosts), tuple(networks))


def carried(address: Address) -> Address:
    """Give the IPv4 address that an IPv6 one carries (mapped, 6to4, NAT64), or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & _LAST)
    return address.ipv4_mapped or address.sixtofour or address


def never(address: Address) -> str | None:
    """Say why no call may ever lead to an address, whatever is allowed; None where one may."""
    inner = carried(address)
    if inner.is_link_local or inner in METADATA_ADDRESSES:
        return "a link-local or metadata address"
    if inner.is_multicast or inner.is_unspecified or int(inner) == _LAST:
        return "no host"
    return None


def not_public(address: Address) -> str | None:
    """Say which kind of address that is not public this is; None for a public one."""
    inner = carried(address)
    if inner.is_loopback:
        return "a loopback address"
    if inner.is_private:
        return "a private address"
    if isinstance(inner, ipaddress.IPv6Address) and inner.is_site_local:
        return "a private address"
    return None if inner.is_global and not inner.is_reserved else "a reserved address"


def is_odd_number(host: str) -> bool:
    """Tell whether resolvers read this as an address: 2852039166, 0xa9.0xfe.0xa9.0xfe, 169.254.43518."""
    return _NUMBER.match(host.rpartition(".")[2]) is not None


def expect_let_through(allowed: Allowed, host: str, text: str) -> None:
    """Check one address that a host leads to. Raises: Invalid."""
    address = ipaddress.ip_address(text)
    always = never(address)
    kind = always or (None if allowed.has(host, address) else not_public(address))
    if kind is not None:
        raise Invalid(
            f"The host {host} leads to {text}, {kind}; webhooks do not go there.",
            remedy=None if always else "An operator can allow the host or network: ASSENT_HOOK_ALLOW.",
        )


def checked_url(url: str, *, http: bool) -> tuple[str, int, str]:
    """Judge the text of a webhook's URL; gives its host, its port and its origin.

    The address is not repeated in an error, because what follows the host is often a secret. Raises: Invalid.
    """
    problem = _url_problem(url, http=http)
    if problem:
        raise Invalid(f"The URL {problem}.", remedy="Write one like https://hooks.example.com/assent.")
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return host, port, f"{parts.scheme}://{parts.netloc}"


def _url_problem(url: str, *, http: bool) -> str | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "cannot be read"
    if not _VISIBLE.match(url) or len(url) > MAX_URL or "\\" in url:
        return f"must be 1 to {MAX_URL} visible ASCII characters, without a backslash"
    if parts.scheme not in {"http", "https"}:
        return "must begin with https://"
    if parts.scheme == "http" and not http:
        return "is plain http; ASSENT_HOOK_HTTP would allow that"
    if not host or port == 0:
        return "names no host that can be called"
    if "@" in parts.netloc:
        return "holds a name or password"
    if parts.fragment or url.endswith("#"):
        return "holds a fragment"
    return _host_problem(host.rstrip("."))


def _host_problem(host: str) -> str | None:
    if host in METADATA_HOSTS:
        return f"leads to {host}, which hands out a machine's credentials"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return f"names {host}, an address in an unusual spelling" if is_odd_number(host) else None
    return None
