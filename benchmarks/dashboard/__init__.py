"""What figures cost when there are many reports, and how soon a report is in them."""
