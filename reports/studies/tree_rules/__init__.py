"""UniVer, Traversal, greedy draft sampling and RRSw on chains, binary and ternary trees: who gains how much."""
