"""Commands about seconds and drafts: latency, distil."""
