"""The demo: a real brain, and a robot that talks to it. `python -m tools.demo`."""
