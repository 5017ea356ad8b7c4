"""``veridraft audit``: is a function, seen from outside, a lossless verifier?"""
