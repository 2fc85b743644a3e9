"""Episodes → scores → statistics → tables (`tables/`, a plug-in a kind), figures and pages."""
