"""Commands about seconds and drafts: latency, speed, what-if, distil."""
