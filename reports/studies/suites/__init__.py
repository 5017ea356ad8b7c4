"""Every verifier, policy and setting on a real pair, predictions held against measurements."""
