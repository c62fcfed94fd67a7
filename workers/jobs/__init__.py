"""The jobs that Waybill ships."""
