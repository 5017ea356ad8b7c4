"""The actions of 2602.16994 under six machines and batches: where trees, delay and speculation stop to pay."""
