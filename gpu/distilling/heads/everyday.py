"""Everyday requests: what is asked, about which subject.  Some of each are for held-out texts alone."""

from __future__ import annotations

ASKED: tuple[str, ...] = (
    "Explain {} to a child.",
    "Write a short poem about {}.",
    "List five facts about {}.",
    "What should a beginner know about {}?",
    "Write a story of three paragraphs about {}.",
    "Why is {} important?",
    "Give me a plan for a week of learning about {}.",
    "Write a polite letter that asks for information about {}.",
    "What are the advantages and disadvantages of {}?",
    "Describe the history of {} in a few sentences.",
    "Write a dialogue between a teacher and a pupil about {}.",
    "Name three common mistakes with {}, and how to avoid them.",
    "Write a Python program that has to do with {}, and explain it.",
    "How does {} work?",
    "Write an advertisement for a book about {}.",
    "What would the world be like without {}?",
    "Ask me five questions about {}, with the answers.",
    "Compare {} with something similar.",
    "Write a speech in favour of {}.",
    "Give step by step instructions that involve {}.",
)

SUBJECTS: tuple[str, ...] = (
    "bread", "bicycles", "the sea", "chess", "volcanoes", "money", "friendship", "trains", "honey bees", "gravity",
    "sleep", "the Roman empire", "electric cars", "coffee", "fractions", "earthquakes", "music", "gardening", "glass",
    "the heart", "democracy", "dinosaurs", "paper", "vaccines", "bridges", "stars", "football", "cats", "probability",
    "rice", "winter", "computers", "mountains", "public libraries", "light bulbs", "taxes", "rivers", "cooking pasta",
    "job interviews", "photography", "whales", "sorting algorithms", "recycling", "clocks", "forests", "insurance",
    "the human eye", "soap", "painting", "airports", "sugar", "maps", "swimming", "batteries", "deserts", "poetry",
    "databases", "wool", "elections", "rockets", "healthy breakfasts", "prime numbers", "birds", "tea", "camping",
    "the internet", "teeth", "theatre", "steel", "patience", "wolves", "calendars", "running a small shop", "opera",
    "recursion", "wheat", "lightning", "cheese", "time zones", "robots",
)  # fmt: skip

ABOUT_TEXT: tuple[str, ...] = (
    "Explain the following in simple words.\n\n{}",
    "Summarise this in two sentences.\n\n{}",
    "Rewrite this so that a beginner understands it.\n\n{}",
    "Which questions does this text answer?\n\n{}",
    "Translate the first sentence of this into French.\n\n{}",
    "Write an example that goes with this description.\n\n{}",
    "What could be missing in this description?\n\n{}",
    "Make a list of the main points.\n\n{}",
)

APART = 10
"""One subject in so many is for held-out texts alone."""


def subjects(held_out: bool) -> tuple[str, ...]:
    """The subjects that are, or are not, set apart for held-out texts."""
    return tuple(one for place, one in enumerate(SUBJECTS) if (place % APART == APART - 1) == held_out)
