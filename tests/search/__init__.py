"""Tests of `pipeline/search`."""
