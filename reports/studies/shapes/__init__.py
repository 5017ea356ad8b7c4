"""DySpec's trees against those of SpecInfer, Sequoia, EAGLE-2 and OPT-Tree at equal budgets, and lists by rule."""
