"""`waybill demo`: what Waybill does, shown on real input."""
