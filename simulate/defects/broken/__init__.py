"""The pieces that were wrong, by what they are a part of; and right ones that look wrong."""
