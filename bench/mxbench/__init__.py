"""What bench/pair, bench/compare and bench/scaling share. Python's standard library only."""
