"""What taking images in costs, against bare puts into the same store, and what memory it takes."""
