"""Real servers of llama.cpp, audited from outside."""
