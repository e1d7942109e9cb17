"""The process and its machine: stops, kills, clock, disks and log pipes."""
