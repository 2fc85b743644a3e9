"""What a job runs on: graphics cards and precision, several processes, and what a record says of
the machine.
"""
