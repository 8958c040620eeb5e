"""What users register, and how it becomes ready to run."""
