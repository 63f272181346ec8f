"""Robot Brain: ears, a mind and a mouth for a robot, over the LAN."""

__version__ = "0.1.0"
