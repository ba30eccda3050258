"""Rolling KPIs, customer profiles and the live board: consumes voz.enriched and voz.cases, answers over HTTP."""
