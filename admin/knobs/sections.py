"""The settings of a running node, by the names of the configuration's sections: read, and put in their place.

Settings are frozen values, checked as a whole when they are made; so a change is another value in the same
place, and no part ever sees half of one. On the hub's task only.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from admin.knobs.loglevel import LogLevel
from admin.statistics.service import Statistics
from node.hub.adjusting import adjust
from node.running import Running

Services = Mapping[type[Any], Any]


@attrs.frozen
class Section:
    """read: what holds now; None where the node runs without this part. put: lets another value hold."""

    read: Callable[[Running, Services], Any]
    put: Callable[[Running, Services, Any], None]


def _put_mail(node: Running, services: Services, settings: Any) -> None:
    node.service.mail.settings = settings


def _put_session(node: Running, services: Services, settings: Any) -> None:
    node.service.settings = settings
    node.service.entrance.adjust(settings)


def _moves(node: Running, services: Services) -> Any:
    return None if node.cluster is None else node.cluster.operate.rebalancer.settings


def _put_moves(node: Running, services: Services, settings: Any) -> None:
    assert node.cluster is not None
    node.cluster.operate.rebalancer.settings = settings


def _alarms(node: Running, services: Services) -> Any:
    found = services.get(Statistics)
    return None if found is None else found.settings.alarms


def _put_alarms(node: Running, services: Services, settings: Any) -> None:
    found = services[Statistics]
    found.settings = attrs.evolve(found.settings, alarms=settings)


SECTIONS: Final[Mapping[str, Section]] = MappingProxyType(
    {
        "mail": Section(lambda node, _: node.service.mail.settings, _put_mail),
        "session": Section(lambda node, _: node.service.settings, _put_session),
        "limits": Section(
            lambda node, _: node.hub.settings, lambda node, _, settings: adjust(node.hub, settings)
        ),
        "registration": Section(
            lambda node, _: node.service.accounts.settings,
            lambda node, _, settings: node.service.accounts.adjust(settings),
        ),
        "node": Section(
            lambda _, services: services[LogLevel].settings,
            lambda _, services, settings: services[LogLevel].put(settings),
        ),
        "cluster": Section(_moves, _put_moves),
        "statistics.alarms": Section(_alarms, _put_alarms),
    }
)
