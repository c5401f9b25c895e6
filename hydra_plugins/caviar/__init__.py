"""What Hydra finds by itself: its modules are loaded at every start, so they load nothing heavy."""
