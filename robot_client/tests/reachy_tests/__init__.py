"""Tests of the robot's side in the Reachy Mini app; they need the environment .venv-reachy."""
