"""From a graph to a Plan: an order in phases, lifetimes, one arena with aligned offsets."""

from __future__ import annotations

from pipeline.plan.build import make_plan, state_layout
from pipeline.plan.text import print_memory, print_plan

__all__ = ["make_plan", "print_memory", "print_plan", "state_layout"]
