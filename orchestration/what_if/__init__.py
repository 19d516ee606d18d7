"""What would be if something else were agreed: a carrier's deck (`deck.py`), a partner's plan (`plan.py`). The models
answer, on a copy (`scratch.py`), and nothing of the home is changed.
"""
