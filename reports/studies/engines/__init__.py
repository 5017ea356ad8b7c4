"""The study ``engines``: samplers of serving engines, out of their own packages, under the auditor."""
