"""What a selector learns from: texts, roots along them in shards, numbers of their rows, and all of it read again."""
