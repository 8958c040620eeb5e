"""How what happens is stored and reaches those who follow."""
