"""`waybill import`: files become objects of a bucket, once each, however often it is stopped."""
