"""Training a Diffusion-LM, and the heads of controls."""
