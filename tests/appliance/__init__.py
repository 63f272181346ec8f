"""The appliance as a whole: a real systemd as PID 1, `deploy/install.sh`, whatever may befall it.

Run by `make test-appliance`, as root; `make test` leaves it out.
"""
