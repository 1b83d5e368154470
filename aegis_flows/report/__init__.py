"""The ledger for people: one HTML file, one Prefect artifact, one terminal table. All of them show the same times."""

from aegis_flows.report.page import render, write
from aegis_flows.report.text import markdown, table

__all__ = ["markdown", "render", "table", "write"]
