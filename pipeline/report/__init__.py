"""What people look at: pictures from curves, scores and policies, and pages that stand alone."""
