"""Kinds of users: declared, loaded, allowed."""
