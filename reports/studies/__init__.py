"""Studies: committed tables that anybody can compute again."""
