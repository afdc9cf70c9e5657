"""Small scripts against the `keras` API, run under Keras and under minikeras.

Each module has `main(keras)`: it takes the library, seeds it, makes its own data,
trains, and returns what happened, as a dict of numbers and arrays:

    initial   weights before training: equal bit for bit
    exact     random numbers: equal bit for bit
    any other (history, final, predictions, ...): equal up to rounding

The two never meet in one process, and nothing is copied from one to the other:

    python -m parity_tests.scripts.run_under keras float64 out.npz
    python -m parity_tests.scripts.run_under minikeras float64 out.npz
    python -m parity_tests.scripts.compare       # both, in both dtypes; a table
"""
