"""Training of the models that a separation can use: spectra by NMF, and the gate."""
