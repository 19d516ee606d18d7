"""A CPaaS month that never happened: usage, decks, exchange rates and invoices of carriers that make known
mistakes.

It serves the demo, load tests, and the proof that mistakes are found: what each line should have been is
written to a file that no model reads. Numbering plan and exchange rates are real and public; parties,
traffic and prices are invented.
"""

from simulation.month import write_month

__all__ = ["write_month"]
