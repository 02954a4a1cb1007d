from pathlib import Path

try:
    Path("/no/such/settings.ini").read_text()
except FileNotFoundError as exc:
    raise RuntimeError("\x1b[2Jthe settings cannot be read") from exc
