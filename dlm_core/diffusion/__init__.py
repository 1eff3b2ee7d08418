"""The Diffusion-LM itself: noise, denoiser, rounding, samplers (§3 and §4 of the paper)."""
