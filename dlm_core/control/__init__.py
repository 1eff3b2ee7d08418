"""What a control is: spec, grammar, composition, protocol, verdict. No model in it."""
