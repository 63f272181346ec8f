"""`brain support-bundle`: what somebody far away needs to see, without speech and secrets."""
