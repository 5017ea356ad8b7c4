"""The actions of 2602.16994: its verifiers over all delayed trees, at eight samplings, on synthetic pairs."""
