"""Pods that are missing, not ready, restarting or full."""

from tests.monitoring.cases.case import OTHER, POD, Case, pod

PODS = (
    Case("TicketRouterAbsent", "nothing, then a pod", {pod("ready"): "_x10 1x10"}, fires=(6, 9), quiet=(3, 15)),
    Case(
        "TicketRouterAbsent",
        "all pods of one namespace vanish, those of another stay, then one returns",
        {
            pod("ready"): "1x60 _x60 1x20",
            'ticket_router_ready{namespace="m", job="ticket-router", instance="c"}': "1x140",
        },
        fires=(72, 120),
        quiet=(60, 64, 130),
    ),
    Case(
        "TicketRouterAbsent",
        "a namespace that was removed is forgotten after a day",
        {pod("ready"): "1x6 _x300", 'ticket_router_ready{namespace="m", job="ticket-router", instance="c"}': "1x310"},
        fires=(120, 1400),
        quiet=(30, 1530),
        every=5,
    ),
    Case("TicketRouterAbsent", "one pod of two", {pod("ready"): "1x10 _x60", pod("ready", OTHER): "1x70"}, quiet=(40,)),
    Case("TicketRouterAbsent", "a pod that is not ready is not absent", {pod("ready"): "0x20"}, quiet=(6, 20)),
    Case(
        "TicketRouterNoneReady",
        "both not ready, then one ready",
        {pod("ready"): "1x4 0x5 1x10", pod("ready", OTHER): "1x4 0x20"},
        fires=(8, 9),
        quiet=(4, 6, 12),
    ),
    Case(
        "TicketRouterNoneReady",
        "one of two is enough",
        {pod("ready"): "0x20", pod("ready", OTHER): "1x20"},
        quiet=(5, 20),
    ),
    Case("TicketRouterPodNotReady", "one without a model", {pod("ready"): "0x15 1x9"}, fires=(11, 15), quiet=(9, 17)),
    Case("TicketRouterPodNotReady", "a start takes minutes", {pod("ready"): "0x8 1x9"}, quiet=(5, 8, 12)),
    Case("TicketRouterTargetDown", "down, and back", {f"up{{{POD}}}": "1x2 0x9 1x9"}, fires=(9, 11), quiet=(2, 7, 13)),
    Case(
        "TicketRouterRestarting",
        "three starts in half an hour, then none",
        {f"process_start_time_seconds{{{POD}}}": "1x5 2x5 3x5 4x60"},
        fires=(18, 30),
        quiet=(13, 60),
    ),
    Case(
        "TicketRouterRestarting",
        "two starts are a roll-out",
        {f"process_start_time_seconds{{{POD}}}": "1x5 2x5 3x60"},
        quiet=(7, 12, 30),
    ),
    Case(
        "TicketRouterMemoryNearLimit",
        "full, then freed",
        {f"process_resident_memory_bytes{{{POD}}}": "95x20 50x9", pod("memory_limit_bytes"): "100x30"},
        fires=(16, 20),
        quiet=(14, 23),
    ),
    Case(
        "TicketRouterMemoryNearLimit",
        "the pod is full, by the kernel's count",
        {
            f"process_resident_memory_bytes{{{POD}}}": "50x30",
            pod("memory_used_bytes"): "95x20 50x9",
            pod("memory_limit_bytes"): "100x30",
        },
        fires=(16, 20),
        quiet=(14, 23),
    ),
    Case(
        "TicketRouterMemoryNearLimit",
        "resident memory above the limit, but not by the kernel's count",
        {
            f"process_resident_memory_bytes{{{POD}}}": "190x30",
            pod("memory_used_bytes"): "70x30",
            pod("memory_limit_bytes"): "100x30",
        },
        quiet=(16, 30),
    ),
    Case(
        "TicketRouterMemoryNearLimit",
        "85 % used",
        {pod("memory_used_bytes"): "85x30", pod("memory_limit_bytes"): "100x30"},
        quiet=(25,),
    ),
    Case(
        "TicketRouterMemoryNearLimit",
        "two models for the minutes of a reload",
        {f"process_resident_memory_bytes{{{POD}}}": "60x5 95x5 60x20", pod("memory_limit_bytes"): "100x30"},
        quiet=(7, 10, 30),
    ),
)
