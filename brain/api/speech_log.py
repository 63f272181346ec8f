"""Where speech is logged, if the house asks for it (LOG_SPEECH), and nowhere else.

One name for all of it, so that it can be left out of what is shown to others
(`brain.ops.doctor.service.SPEECH_LOGGER`).
"""

from __future__ import annotations

import logging

speech = logging.getLogger("brain.speech")
