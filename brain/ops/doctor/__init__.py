"""`brain doctor`: what a field tech would be asked on the phone.

`gather` reads the machine into facts; each `check_*` is pure, from facts to findings.
"""
