"""Which defects show in the accepted lengths that engines report."""
