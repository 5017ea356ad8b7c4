"""How good the auditor is: defects found, false alarms, sensitivity."""
