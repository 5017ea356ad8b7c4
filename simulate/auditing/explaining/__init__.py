"""What a finding means: where the law departs, which mistake or known mechanism does the same, one trial to debug."""
