"""One carrier's own records of the month's calls, with mistakes of their own.

Belongs here: what the carrier writes of a call, and which calls it leaves out, lists twice, lengthens or invents. Does
not belong here: its invoice (`invoices`), which has other mistakes. Which calls are hit hangs on the events' random
keys alone, so it does not matter how many are held in memory.
"""

import gzip
from collections import defaultdict
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from simulation.invoices import ERRING
from simulation.rating import billed_quantity, charged
from simulation.terms import AllTerms, Month
from simulation.traffic import Traffic, senders_of
from simulation.usage import Events, event_ids, text

LISTING = ("nordlink", "voice", "outbound")
COLUMNS = (
    "carrier_id", "record_id", "service", "direction", "calling_number", "called_number", "started_at", "duration",
    "billed_quantity", "quantity_unit", "invoice_number",
)  # fmt: skip
# Of a thousand calls: so many from the first on.
LEFT_OUT, LISTED_TWICE, LENGTHENED, INVENTED = range(0, 5), range(5, 8), range(8, 18), range(18, 20)
HIDDEN_DIGITS = 3


class CallRecords(AbstractContextManager):
    """Writes the carrier's list as one file. It writes the wall clock of its zone and names no zone, `00` before the
    number called, and `xxx` over the end of the caller's.
    """

    def __init__(self, landing: Path, traffic: Traffic, terms: AllTerms, month: Month, invoice_number: str) -> None:
        carrier_id, service, direction = LISTING
        folder = landing / "carrier_cdrs" / "native"
        folder.mkdir(parents=True, exist_ok=True)
        self.month, self.invoice_number = month, invoice_number
        self.zone, self.terms, self.erring = terms.carriers[carrier_id].zone, terms.rating[LISTING], ERRING[LISTING]
        self.midnights = month.midnights(self.zone)
        self.is_listed = np.array([(one.carrier_id, one.service, one.direction) == LISTING for one in traffic.lanes])
        self.senders = pa.array([sender.removeprefix("+") for lane in traffic.lanes for sender in senders_of(lane)])
        self.words = {"carrier_id": carrier_id, "service": service, "direction": direction, "quantity_unit": "second"}
        self.mistakes: dict[str, list[str]] = defaultdict(list)
        self._sink = gzip.GzipFile(folder / f"{carrier_id}_calls_{month.first:%Y-%m}.csv.gz", "wb", 1, mtime=0)
        self._sink.write((",".join(COLUMNS) + "\n").encode())

    def __exit__(self, *exception) -> None:
        self._sink.close()

    def write(self, events: Events) -> None:
        """The records of the chunk's calls."""
        calls = np.flatnonzero(
            self.is_listed[events.lane]
            & ~events.ghost
            & charged(events.status, self.terms.charged_on)
            & (events.started >= self.midnights[0])
            & (events.started < self.midnights[-1])
        )
        fate = np.array([int(key[:8], 16) % 1000 for key in events.ids[calls]], dtype=np.int64)
        hit = {
            "left_out": np.isin(fate, LEFT_OUT),
            "listed_twice": np.isin(fate, LISTED_TWICE),
            "lengthened": np.isin(fate, LENGTHENED),
            "invented_beside": np.isin(fate, INVENTED),
        }
        for mistake, those in hit.items():
            self.mistakes[mistake] += event_ids(events, calls[those]).to_pylist()
        seconds = events.quantity[calls] + np.where(hit["lengthened"], 7 + fate * 11 % 50, 0)
        listed = ~hit["left_out"]
        self._write(events, calls[listed], seconds[listed], "")
        self._write(events, calls[hit["listed_twice"]], seconds[hit["listed_twice"]], "-2")
        self._write(events, calls[hit["invented_beside"]], seconds[hit["invented_beside"]] + 600, "-3", later=1800)

    def truth(self) -> dict:
        """Whose records, and the keys of the events that each mistake hit."""
        return {"carrier_id": LISTING[0], **{name: sorted(events) for name, events in self.mistakes.items()}}

    def _write(self, events: Events, calls: np.ndarray, seconds: np.ndarray, suffix: str, later: int = 0) -> None:
        started = events.started[calls] + later
        day = np.searchsorted(self.midnights, events.started[calls], side="right")
        errs = day >= self.erring.increments_from_day
        minimum = np.where(errs, self.erring.minimum, self.terms.minimum)
        increment = np.where(errs, self.erring.increment, self.terms.increment)
        callers = self.senders.take(pa.array(events.lane[calls] * 20 + events.sender[calls]))
        columns = {
            **{name: pa.repeat(word, len(calls)) for name, word in self.words.items()},
            "record_id": pa.array([f"NL{key[8:24].decode()}{suffix}" for key in events.ids[calls]], pa.string()),
            "calling_number": pc.binary_join_element_wise(
                pc.utf8_slice_codeunits(callers, 0, -HIDDEN_DIGITS), "x" * HIDDEN_DIGITS, ""
            ),
            "called_number": pc.binary_join_element_wise("00", text(events.number[calls]), ""),
            "started_at": self._wall_clock(started),
            "duration": text(seconds),
            "billed_quantity": text(billed_quantity(seconds, minimum, increment, self.terms.method)),
            "invoice_number": pa.repeat(self.invoice_number, len(calls)),
        }
        table = pa.table({name: columns[name] for name in COLUMNS})
        pa.csv.write_csv(table, self._sink, pa.csv.WriteOptions(include_header=False, quoting_style="none"))

    def _wall_clock(self, seconds: np.ndarray) -> pa.Array:
        hours, place = np.unique(seconds // 3600, return_inverse=True)
        moments = [datetime.fromtimestamp(int(hour) * 3600, UTC) for hour in hours]
        offsets = [int(moment.astimezone(self.zone).utcoffset().total_seconds()) for moment in moments]
        local = seconds + np.array(offsets, dtype=np.int64)[place]
        return pa.array(local.astype("datetime64[s]")).cast(pa.string())
