"""One chart as data, and the panel that Grafana's builders make of it.

`outside.py` and `inside.py` write charts, `build.py` places them.

Queries are written with two stand-ins for label matchers: `PODS` for what each pod tells, `JOB` for what the recording
rules have summed up over pods.
"""

from dataclasses import dataclass
from typing import Literal

from grafana_foundation_sdk.builders import common as options
from grafana_foundation_sdk.builders import dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import DataSourceRef, DataTransformerConfig, Threshold, ThresholdsMode
from grafana_foundation_sdk.models.dashboard import Panel as Built
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
MATCHERS = {
    "PODS": 'namespace=~"$namespace", job=~"$job", instance=~"$instance"',
    "JOB": 'namespace=~"$namespace", job=~"$job"',
}
SERIES_HEIGHT, NUMBER_HEIGHT = 8, 4
PanelBuilder = timeseries.Panel | stat.Panel | table.Panel


@dataclass(frozen=True, slots=True)
class Query:
    """`legend` names each series by its labels; Grafana's `{{label}}`."""

    expr: str
    legend: str

    @property
    def expanded(self) -> str:
        text = self.expr
        for name, matchers in MATCHERS.items():
            text = text.replace(name, matchers)
        return text


@dataclass(frozen=True, slots=True)
class Chart:
    """What one panel shows. `bounds`: from which values on it turns yellow, then red; or red to green if they fall.

    `kind`: a curve over time, one large number, or a table of labels. `width` is in the grid's 24 columns.
    """

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: Literal["series", "number", "table"] = "series"
    width: int = 8
    bounds: tuple[float, float] | None = None
    stacked: bool = False

    def panel(self, number: int) -> Built:
        """With this id, which no other panel of the dashboard may have."""
        builder = _DRAWN[self.kind](self)
        builder.id(number).title(self.title).description(self.description).unit(self.unit)
        builder.datasource(SOURCE).span(self.width)
        builder.height(NUMBER_HEIGHT if self.kind == "number" else SERIES_HEIGHT)
        if self.bounds is not None:
            builder.thresholds(_thresholds(*self.bounds))
        for letter, query in zip("ABCDEF", self.queries, strict=False):
            builder.with_target(self._target(query).ref_id(letter))
        return builder.build()

    def _target(self, query: Query) -> prometheus.Dataquery:
        target = prometheus.Dataquery().expr(query.expanded).legend_format(query.legend)
        target.datasource(SOURCE)
        if self.kind == "table":
            return target.instant().format(PromQueryFormat.TABLE)
        return target.instant() if self.kind == "number" else target.range()


@dataclass(frozen=True, slots=True)
class Row:
    """Charts under a title, as many side by side as fit."""

    title: str
    charts: tuple[Chart, ...]


def _series(chart: Chart) -> PanelBuilder:
    legend = options.VizLegendOptions().show_legend(True)
    legend.display_mode(common.LegendDisplayMode.LIST).placement(common.LegendPlacement.BOTTOM)
    tooltip = options.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    panel = timeseries.Panel().legend(legend).tooltip(tooltip).min(0).show_points(common.VisibilityMode.NEVER)
    if chart.bounds is not None:
        panel.thresholds_style(options.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED))
    if chart.stacked:
        panel.fill_opacity(40).stacking(options.StackingConfig().mode(common.StackingMode.NORMAL))
    return panel


def _number(_chart: Chart) -> PanelBuilder:
    last = options.ReduceDataOptions().calcs(["lastNotNull"])
    return stat.Panel().reduce_options(last).graph_mode(common.BigValueGraphMode.NONE)


def _table(_chart: Chart) -> PanelBuilder:
    hidden = dict.fromkeys(("Time", "Value", "__name__", "container", "endpoint", "pod", "service"), True)
    organize = DataTransformerConfig(id_val="organize", options={"excludeByName": hidden})
    return table.Panel().with_transformation(organize)


def _thresholds(first: float, second: float) -> dashboard.ThresholdsConfig:
    colours = ("green", "yellow", "red") if first < second else ("red", "yellow", "green")
    low, high = sorted((first, second))
    steps = [Threshold(value, colour) for value, colour in zip((None, low, high), colours, strict=True)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


_DRAWN = {"series": _series, "number": _number, "table": _table}
