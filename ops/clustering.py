"""[cluster]: what a node's configuration says of it as a member of a cluster. Who the others are is not configured: a
node learns that when it joins, and keeps it in its data directory."""

from importlib.metadata import version
from pathlib import Path
from typing import Final

import attrs

from node.founding import UNSAID, Place
from node.membersettings import MemberSettings
from node.routing.settings import RoutingSettings
from replication.clustersettings import ClusterSettings
from replication.membership.member import TEXT_CHARACTERS_MAX, WEIGHT_MAX
from replication.membership.settings import MembershipSettings
from replication.zeromq.address import Address
from replication.zeromq.errors import AddressUnusable
from replication.zeromq.settings import LinkSettings

ANYWHERE: Final = frozenset(("0.0.0.0", "::", "*"))  # noqa: S104 - nothing is bound here


@attrs.frozen(kw_only=True)
class ClusterSection(MembershipSettings):
    """[cluster]"""

    listen: str = ""
    """Where this node listens for others, "host:port". Empty: it stands alone."""
    address: str = ""
    """Where others reach it, if that isn't `listen`."""
    public: str = ""
    """Where phones find this node and no other, "host:port"."""
    server: str = ""
    """What fails together has one label: copies are on different servers. Empty: the host of its address."""
    rack: str = ""
    """The same of what fails together at a larger scale: copies are in different racks, where there are several."""
    weight: int = UNSAID
    """Its share of the partitions, relative to the others'. 0: none. -1: what it was invited with, or changed to."""
    clients_move: bool = False
    """Whether phones are told of their primary's own `public`."""
    ports_first: int = 0
    """The first port for links of single groups. 0: the kernel chooses."""
    ports_last: int = 0
    """The last one."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        for name in ("listen", "address", "public"):
            _check_address(name, getattr(self, name))
        for name in ("server", "rack"):
            if len(getattr(self, name)) > TEXT_CHARACTERS_MAX:
                raise ValueError(f"cluster.{name} has more than {TEXT_CHARACTERS_MAX} characters: shorten it")
        for name, low, high in (
            ("weight", UNSAID, WEIGHT_MAX),
            ("ports_first", 0, 65_535),
            ("ports_last", 0, 65_535),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"cluster.{name} is {value}: choose a value from {low} to {high}")
        if bool(self.ports_first) != bool(self.ports_last) or self.ports_first > self.ports_last:
            raise ValueError("cluster: ports_first <= ports_last must hold: set both, or neither")
        if self.listen and not self.address and Address.parse(self.listen).host in ANYWHERE:
            raise ValueError(
                f"cluster.listen is {self.listen!r}, which is no address that others could reach: set cluster.address"
            )
        if self.clients_move and not self.public:
            raise ValueError("cluster.clients_move wants cluster.public: where phones find this node alone")

    @property
    def reached_at(self) -> str:
        """What others connect to."""
        return self.address or self.listen


def _check_address(name: str, text: str) -> None:
    if text:
        try:
            Address.parse(text)
        except AddressUnusable as error:
            raise ValueError(f'cluster.{name}: {error.cause}: write "host:port"') from None


def place_of(section: ClusterSection) -> Place:
    """What the node says of itself."""
    return Place(
        address=section.reached_at,
        public=section.public,
        server=section.server,
        rack=section.rack,
        weight=section.weight,
    )


def member_settings(section: ClusterSection, routing: RoutingSettings, data: Path) -> MemberSettings | None:
    """What a member is told; None if the node is to stand alone."""
    if not section.listen:
        return None
    ports = (section.ports_first, section.ports_last) if section.ports_first else None
    fields = {field.name: getattr(section, field.name) for field in attrs.fields(MembershipSettings)}
    return MemberSettings(
        cluster=ClusterSettings(
            data=data,
            name="",
            release=version("waystation"),
            links=LinkSettings(listen=Address.parse(section.listen), group_ports=ports),
            membership=MembershipSettings(**fields),
        ),
        place=place_of(section),
        routing=routing,
        clients_move=section.clients_move,
    )
