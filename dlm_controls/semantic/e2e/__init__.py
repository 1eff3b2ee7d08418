"""What is E2E's alone: its fields and values, and the rules that read and judge them."""
