"""Training beside PyTorch; run by `make parity`, which installs it."""
