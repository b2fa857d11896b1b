"""Tariffs and what appliances make of them (docs/tariff-table.md). No clock, no I/O; times are SOC."""
