"""Memory and utilisation of the GPUs that this process may use, from NVIDIA's management library."""

import contextlib
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.metrics.metrics import PREFIX

_HELP = {
    "memory_used_bytes": "GPU memory in use, by all processes.",
    "memory_total_bytes": "GPU memory.",
    "utilization_ratio": "Share of the last moments in which the GPU was busy.",
}


class GpuGauges(Collector):
    """No metrics without the package `nvidia-ml-py` (dependency group `service-gpu`), a driver or a GPU."""

    def __init__(self) -> None:
        self._devices: list[object] = []
        try:
            import pynvml
        except ModuleNotFoundError:
            return
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlInit()
            self._devices = [pynvml.nvmlDeviceGetHandleByIndex(each) for each in range(pynvml.nvmlDeviceGetCount())]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        if not self._devices:
            return
        import pynvml

        families = {
            name: GaugeMetricFamily(f"{PREFIX}_gpu_{name}", text, labels=["gpu"]) for name, text in _HELP.items()
        }
        for number, device in enumerate(self._devices):
            with contextlib.suppress(pynvml.NVMLError):
                memory = pynvml.nvmlDeviceGetMemoryInfo(device)
                families["memory_used_bytes"].add_metric([str(number)], memory.used)
                families["memory_total_bytes"].add_metric([str(number)], memory.total)
            with contextlib.suppress(pynvml.NVMLError):  # a part of a GPU (MIG) has no figure of its own
                busy = pynvml.nvmlDeviceGetUtilizationRates(device).gpu / 100
                families["utilization_ratio"].add_metric([str(number)], busy)
        yield from families.values()
