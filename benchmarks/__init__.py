"""What is measured, against whom. `README.md` says how; `results/` and `RESULTS.md` keep it."""
