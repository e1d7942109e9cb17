"""Behaviour of each alert on synthetic series: when it fires, when it clears, and changes for which it must stay
silent."""

from tests.monitoring.cases.case import Case
from tests.monitoring.cases.challengers import CHALLENGERS
from tests.monitoring.cases.cluster import CLUSTER
from tests.monitoring.cases.helpdesks import HELPDESKS
from tests.monitoring.cases.keys import KEYS
from tests.monitoring.cases.misroutes import MISROUTES
from tests.monitoring.cases.model import MODEL
from tests.monitoring.cases.pods import PODS
from tests.monitoring.cases.records import RECORDS
from tests.monitoring.cases.service_levels import SERVICE_LEVELS
from tests.monitoring.cases.traffic import TRAFFIC

CASES: tuple[Case, ...] = (
    *SERVICE_LEVELS,
    *PODS,
    *TRAFFIC,
    *KEYS,
    *MODEL,
    *CHALLENGERS,
    *RECORDS,
    *MISROUTES,
    *HELPDESKS,
    *CLUSTER,
)
