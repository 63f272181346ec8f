"""Who the robot is: its character, its moods, and what it is told about its own state."""
