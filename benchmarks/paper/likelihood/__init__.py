"""Likelihood models (App. F): diffusion over one-hot words against an autoregressive model."""
