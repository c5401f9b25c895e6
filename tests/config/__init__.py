"""Configs, the spec and the command line."""
