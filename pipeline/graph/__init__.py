"""The op graph: immutable, made through a Builder, verified, printed."""
