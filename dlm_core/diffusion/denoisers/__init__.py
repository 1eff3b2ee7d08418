"""The networks f(x_t, t, previous x_0_hat): a Transformer, a U-Net, BERT; and one shown codes."""
