"""What the images are made of: bills of materials, licences, and known advisories, from the installed metadata."""
