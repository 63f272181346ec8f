"""The robot's side inside the Reachy Mini conversation app. The core knows nothing of fastrtc."""
