"""Episodes → scores → statistics → tables (`tables/`, a plug-in each), figures and pages."""
