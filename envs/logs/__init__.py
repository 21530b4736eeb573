"""Logs of phones, spreadsheets and simulators as strict tables, for whatever is made of them."""
