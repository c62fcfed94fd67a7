"""The extractors that Waybill brings; docs/extractors.md says what each one makes."""
