"""What calls cost, and what they saved."""
