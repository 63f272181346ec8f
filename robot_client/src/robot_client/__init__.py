"""The robot's side of Robot Brain: a connection that lasts, playback with marks, and tools."""
