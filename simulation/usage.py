"""The events of the month: who sent what to whom, how it ended, when we heard of it, and which records lie
about it.

Belongs here: drawing events in chunks, as arrays, and writing the native usage feed. A chunk depends on the
seed, its day and its number alone, so a month needs no more memory than one chunk. Does not belong here:
Twilio's objects (`twilio`), money.
"""

import gzip
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from simulation.terms import DAY_SECONDS, Month, epoch_second
from simulation.traffic import ACCOUNTS, EMAIL_DOMAINS, Traffic, senders_of

STATUSES = (
    "answered", "no_answer", "busy", "failed", "cancelled",
    "delivered", "undelivered", "expired", "rejected", "unknown", "pending",
)  # fmt: skip
STATUS = {status: number for number, status in enumerate(STATUSES)}
UNIT_OF = {"voice": "second", "sms": "segment", "email": "message"}
# A carrier that no agreement knows: its events are usage all the same.
GHOST_CARRIER = "ghost-tel"
VENDOR_CARRIER = "twilio"

# Share of calls that are answered; the others fail in the same proportions everywhere.
ANSWER_RATIO = {
    "atlantic-voice": 0.62, "nordlink": 0.58, "ponte-wholesale": 0.47, "sakura-tel": 0.66,
    "gulf-connect": 0.45, "twilio": 0.6,
}  # fmt: skip
UNANSWERED = {"no_answer": 0.64, "failed": 0.29, "busy": 0.03, "cancelled": 0.04}
SMS_ENDINGS = {
    "delivered": 0.935, "undelivered": 0.03, "expired": 0.01, "rejected": 0.007, "unknown": 0.013,
    "pending": 0.005,
}  # fmt: skip
TWILIO_SMS_ENDINGS = {"delivered": 0.95, "undelivered": 0.03, "rejected": 0.008, "unknown": 0.012}
EMAIL_ENDINGS = {
    "delivered": 0.97,
    "undelivered": 0.02,
    "rejected": 0.005,
    "unknown": 0.003,
    "pending": 0.002,
}
SEGMENTS = (0.925, 0.055, 0.015, 0.005)
# Percent of calls and messages by local hour, from midnight on.
CALL_HOURS = (
    2.1, 1.3, 0.8, 0.3, 0.2, 0.2, 1.0, 3.0, 3.3, 1.9, 3.3, 4.4, 5.3, 5.5, 7.5, 8.8, 10.5, 9.4, 8.2, 6.5,
    4.4, 4.0, 3.8, 4.1,
)  # fmt: skip
MESSAGE_HOURS = (
    2.9, 1.4, 0.7, 0.5, 0.3, 0.3, 0.6, 1.7, 2.7, 2.4, 3.9, 4.8, 5.1, 5.2, 5.4, 6.8, 7.4, 7.6, 7.4, 7.0,
    7.1, 6.9, 6.7, 5.2,
)  # fmt: skip
WEEKDAY_WEIGHTS = (1.0, 1.03, 1.02, 1.02, 0.98, 0.78, 0.7)
# The day before and the day after the month only feed time zones whose month begins earlier or ends later.
EDGE_DAY_WEIGHT = 0.25

LONGEST_CALL_SECONDS = 4 * 3600
RETRY_RATIO = 0.6
EXACT_DUPLICATE_RATIO = 0.002
NEAR_DUPLICATE_RATIO = 0.0002
GHOST_EVENTS = 5
# Days of the month on which the files misbehave.
GHOST_DAY, BROKEN_DAY, RESENT_DAY = 17, 6, 12
BROKEN_ROWS = (
    "broken-1,voice,outbound,acme-main,atlantic-voice,+12025550143\n",
    "broken-2,sms,outbound,falcon-kw,gulf-connect,FALCON,+96590000001,{day}T10:00:00Z,delivered,1,segment,{day}T10:00:05Z,spare\n",
    "broken-3,voice,outbound,acme-main,atlantic-voice,+12025550143,+14165550100,yesterday,answered,60,second,{day}T10:00:05Z\n",
)
COLUMNS = (
    "event_id", "service", "direction", "account_id", "carrier_id", "origin", "destination",
    "started_at", "status", "quantity",
    "quantity_unit", "received_at",
)  # fmt: skip


@dataclass
class Events:
    """The true events of one chunk, one per index; times are UTC seconds, `ids` random 128-bit keys as 32
    hex digits.

    lane: number into the traffic's lanes; ranges: number into its number ranges; number and key: the number
    called, as it is and left-aligned; wrong_quantity: what the first of two records claims, 0 where there
    is one record; wrong_received: when that record came; repeats: whether the record came twice.
    """

    day: date
    offset: int
    lane: np.ndarray
    started: np.ndarray
    received: np.ndarray
    status: np.ndarray
    quantity: np.ndarray
    ranges: np.ndarray
    number: np.ndarray
    key: np.ndarray
    sender: np.ndarray
    domain: np.ndarray
    ghost: np.ndarray
    wrong_quantity: np.ndarray
    wrong_received: np.ndarray
    repeats: np.ndarray
    ids: np.ndarray

    def records(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The records of the `chosen` events (mask): event, claimed quantity, and time of receipt. Repeats
        and lies come last.
        """
        true, repeated, near = (np.flatnonzero(chosen & mask) for mask in (True, self.repeats, self.wrong_quantity > 0))
        events = np.concatenate([true, repeated, near])
        quantity = np.concatenate([self.quantity[true], self.quantity[repeated], self.wrong_quantity[near]])
        received = np.concatenate([self.received[true], self.received[repeated], self.wrong_received[near]])
        return events, quantity, received


class EventMaker:
    """Draws the events of one month chunk by chunk."""

    def __init__(self, month: Month, traffic: Traffic, events: int, seed: int, chunk_rows: int) -> None:
        self.month, self.traffic, self.seed, self.chunk_rows = month, traffic, seed, chunk_rows
        lanes = traffic.lanes
        self.lane_shares = _cumulated([lane.share for lane in lanes])
        self.is_voice = np.array([lane.service == "voice" for lane in lanes])
        self.is_email = np.array([lane.service == "email" for lane in lanes])
        self.is_vendor = np.array([lane.carrier_id == VENDOR_CARRIER for lane in lanes])
        self.fallback = np.array([lane.fallback for lane in lanes])
        self.utc_hours = np.array([ACCOUNTS[lane.account_id].utc_hours for lane in lanes])
        self.endings = np.array([_cumulated(_endings(lane.service, lane.carrier_id)) for lane in lanes])
        self.day_counts = _shared_out(events, _day_weights(month))
        self.ends_at = epoch_second(month.next_first) + DAY_SECONDS

    def chunks(self, day: date) -> Iterator[Events]:
        """The day's events, at most `chunk_rows` at a time."""
        number = self.month.days_with_edges.index(day)
        left = self.day_counts[number]
        for chunk in range(-(-left // self.chunk_rows)):
            offset = chunk * self.chunk_rows
            rng = np.random.default_rng([self.seed, 2, number, chunk])
            yield self._draw(rng, day, offset, min(self.chunk_rows, left - offset))

    def _draw(self, rng: np.random.Generator, day: date, offset: int, count: int) -> Events:
        lane = np.searchsorted(self.lane_shares, rng.random(count), side="right")
        started = epoch_second(day) + self._seconds_of_day(rng, lane)
        order = np.argsort(started, kind="stable")
        lane, started = lane[order], started[order]
        ranges = self._ranges(rng, lane)
        number, key = self.traffic.ranges.keys(ranges, rng.random(count))
        status = (rng.random(count)[:, None] >= self.endings[lane]).sum(axis=1)
        quantity = self._quantities(rng, lane, status)
        sender = rng.integers(0, 20, count)
        copied = (lane, started, ranges, number, key, sender)
        self._retry_failed_calls(rng, status, copied)
        email = self.is_email[lane]
        key[email] = 0
        received = started + np.where(self.is_voice[lane], quantity, 0) + _delays(rng, count)
        near = (rng.random(count) < NEAR_DUPLICATE_RATIO) & (quantity > 0) & ~email
        lies = quantity + np.where(self.is_voice[lane], rng.integers(1, 60, count), 1)
        restated = received + np.where(near, rng.integers(3600, 72_000, count), 0)
        return Events(
            day=day,
            offset=offset,
            lane=lane,
            started=started,
            received=restated,
            status=status,
            quantity=quantity,
            ranges=ranges,
            number=number,
            key=key,
            sender=sender,
            domain=rng.integers(0, len(EMAIL_DOMAINS), count),
            ghost=self._ghosts(day, offset, lane),
            wrong_quantity=np.where(near, lies, 0),
            wrong_received=received,
            repeats=rng.random(count) < EXACT_DUPLICATE_RATIO,
            ids=np.frombuffer(rng.bytes(16 * count).hex().encode(), "S32"),
        )

    def _seconds_of_day(self, rng: np.random.Generator, lane: np.ndarray) -> np.ndarray:
        u = rng.random(len(lane))
        calls, messages = (np.searchsorted(_cumulated(hours), u, side="right") for hours in (CALL_HOURS, MESSAGE_HOURS))
        hours = np.where(self.is_voice[lane], calls, messages)
        return (hours - self.utc_hours[lane]) % 24 * 3600 + rng.integers(0, 3600, len(lane))

    def _ranges(self, rng: np.random.Generator, lane: np.ndarray) -> np.ndarray:
        u = rng.random(len(lane))
        ranges = np.zeros(len(lane), dtype=np.int64)
        for number, a_lane in enumerate(self.traffic.lanes):
            mine = lane == number
            ranges[mine] = np.searchsorted(
                self.traffic.reach[a_lane.account_id, a_lane.direction], u[mine], side="right"
            )
        return ranges

    def _quantities(self, rng: np.random.Generator, lane: np.ndarray, status: np.ndarray) -> np.ndarray:
        """Answered seconds, segments, or one message. A quarter of the calls are short: voicemail, or hung
        up at once.
        """
        count = len(lane)
        short = rng.random(count) < 0.25
        log_seconds = np.where(short, rng.normal(1.6, 0.7, count), rng.normal(4.6, 1.0, count))
        seconds = np.clip(np.ceil(np.exp(log_seconds)), 1, LONGEST_CALL_SECONDS).astype(np.int64)
        segments = 1 + np.searchsorted(np.cumsum(SEGMENTS)[:-1], rng.random(count), side="right")
        messages = np.where(self.is_email[lane], 1, segments)
        return np.where(self.is_voice[lane], np.where(status == STATUS["answered"], seconds, 0), messages)

    def _retry_failed_calls(
        self, rng: np.random.Generator, status: np.ndarray, columns: tuple[np.ndarray, ...]
    ) -> None:
        """Turns some calls into second attempts, elsewhere, of calls that failed; each attempt is an event
        of its own.
        """
        lane, started = columns[:2]
        can_retry = self.is_voice[lane] & (self.fallback[lane] >= 0)
        failed = can_retry & (status == STATUS["failed"])
        sources = rng.permutation(np.flatnonzero(failed))[: int(RETRY_RATIO * failed.sum())]
        targets = rng.permutation(np.flatnonzero(can_retry & ~failed))[: len(sources)]
        sources = sources[: len(targets)]
        for column in columns:
            column[targets] = column[sources]
        lane[targets] = self.fallback[lane[targets]]
        started[targets] = np.minimum(started[targets] + rng.integers(2, 15, len(targets)), self.ends_at - 1)

    def _ghosts(self, day: date, offset: int, lane: np.ndarray) -> np.ndarray:
        ghost = np.zeros(len(lane), dtype=bool)
        if day == self.month.days[GHOST_DAY - 1] and offset == 0:
            ghost[np.flatnonzero(~self.is_vendor[lane])[:GHOST_EVENTS]] = True
        return ghost


class NativeUsage(AbstractContextManager):
    """Writes the native feed: a file a day, compressed CSV or Parquet."""

    def __init__(self, landing: Path, traffic: Traffic, month: Month, usage_format: str) -> None:
        self.folder = landing / "usage" / "native"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.month, self.usage_format = month, usage_format
        lanes = traffic.lanes
        self.words = {
            "service": pa.array([lane.service for lane in lanes]),
            "direction": pa.array([lane.direction for lane in lanes]),
            "account_id": pa.array([lane.account_id for lane in lanes]),
            "carrier_id": pa.array([lane.carrier_id for lane in lanes]),
            "quantity_unit": pa.array([UNIT_OF[lane.service] for lane in lanes]),
            "plus": pa.array([ACCOUNTS[lane.account_id].plus for lane in lanes]),
        }
        self.senders = pa.array([sender for lane in lanes for sender in senders_of(lane)])
        self.is_email = np.array([lane.service == "email" for lane in lanes])
        self._sink = self._day = None

    def write(self, events: Events, chosen: np.ndarray) -> int:
        """Writes the records of the `chosen` events (mask) to their day's file; returns how many."""
        if events.day != self._day:
            self.close()
            self._open(events.day)
        index, quantity, received = events.records(chosen)
        self._write_table(self._table(events, index, quantity, received))
        return len(index)

    def close(self) -> None:
        """Ends the day's file; the one that misbehaves gets its rows that cannot be read."""
        if self._sink is None:
            return
        if self._day == self.month.days[BROKEN_DAY - 1]:
            for row in BROKEN_ROWS:
                self._sink.write(row.format(day=self._day).encode())
        self._sink.close()
        path, self._sink = self._path(self._day), None
        if self._day == self.month.days[RESENT_DAY - 1]:
            shutil.copyfile(path, path.with_name(path.name.replace("usage_", "usage_resent_")))

    def __exit__(self, *exception) -> None:
        self.close()

    def _path(self, day: date) -> Path:
        return self.folder / f"usage_{day}.{self._format(day)}"

    def _format(self, day: date) -> str:
        # Parquet cannot hold a row with too many columns, so the day with broken rows is CSV in any case.
        return "csv.gz" if day == self.month.days[BROKEN_DAY - 1] else self.usage_format

    def _open(self, day: date) -> None:
        self._day = day
        if self._format(day) == "parquet":
            schema = pa.schema([(column, pa.string()) for column in COLUMNS])
            self._sink = pa.parquet.ParquetWriter(self._path(day), schema)
        else:
            self._sink = gzip.GzipFile(self._path(day), "wb", compresslevel=1, mtime=0)
            self._sink.write((",".join(COLUMNS) + "\n").encode())

    def _write_table(self, table: pa.Table) -> None:
        if isinstance(self._sink, pa.parquet.ParquetWriter):
            self._sink.write_table(table)
        else:
            options = pa.csv.WriteOptions(include_header=False, quoting_style="none")
            pa.csv.write_csv(table, self._sink, options)

    def _table(self, events: Events, index: np.ndarray, quantity: np.ndarray, received: np.ndarray) -> pa.Table:
        lane = events.lane[index]
        words = {name: column.take(pa.array(lane)) for name, column in self.words.items()}
        carrier = pc.if_else(pa.array(events.ghost[index]), GHOST_CARRIER, words["carrier_id"])
        number = pc.binary_join_element_wise(words["plus"], text(events.number[index]), "")
        domain = pa.array(EMAIL_DOMAINS).take(pa.array(events.domain[index]))
        return pa.table(
            {
                "event_id": event_ids(events, index),
                "service": words["service"],
                "direction": words["direction"],
                "account_id": words["account_id"],
                "carrier_id": carrier,
                "origin": self.senders.take(pa.array(lane * 20 + events.sender[index])),
                "destination": pc.if_else(pa.array(self.is_email[lane]), domain, number),
                "started_at": instants(events.started[index]),
                "status": pa.array(STATUSES).take(pa.array(events.status[index])),
                "quantity": text(quantity),
                "quantity_unit": words["quantity_unit"],
                "received_at": instants(received),
            }
        )


def event_ids(events: Events, index: np.ndarray) -> pa.Array:
    """Keys of events in the native feed: the day and the number of the event in it."""
    number = pc.utf8_lpad(text(events.offset + index), 8, "0")
    return pc.binary_join_element_wise(f"{events.day:%Y%m%d}", number, "-")


def text(integers: np.ndarray) -> pa.Array:
    return pa.array(integers).cast(pa.string())


def instants(seconds: np.ndarray) -> pa.Array:
    """UTC seconds as `2026-10-03T12:00:00Z`."""
    written = pa.array(seconds.astype("datetime64[s]")).cast(pa.string())
    return pc.binary_join_element_wise(pc.binary_replace_slice(written, 10, 11, "T"), "Z", "")


def _endings(service: str, carrier_id: str) -> list[float]:
    """Shares of the statuses, in their order."""
    if service == "voice":
        answered = ANSWER_RATIO[carrier_id]
        shares = {"answered": answered} | {status: (1 - answered) * share for status, share in UNANSWERED.items()}
    elif service == "email":
        shares = EMAIL_ENDINGS
    else:
        shares = TWILIO_SMS_ENDINGS if carrier_id == VENDOR_CARRIER else SMS_ENDINGS
    return [shares.get(status, 0.0) for status in STATUSES]


def _cumulated(shares: Sequence[float]) -> np.ndarray:
    """Running sums that end with exactly 1, so that no draw below 1 falls beyond the end."""
    sums = np.cumsum(shares)
    return sums / sums[-1]


def _day_weights(month: Month) -> list[float]:
    weights = [WEEKDAY_WEIGHTS[day.weekday()] for day in month.days_with_edges]
    return [weights[0] * EDGE_DAY_WEIGHT, *weights[1:-1], weights[-1] * EDGE_DAY_WEIGHT]


def _shared_out(whole: int, weights: list[float]) -> list[int]:
    """`whole` in proportion to the weights, by largest remainder."""
    exact = [whole * weight / sum(weights) for weight in weights]
    parts = [int(share) for share in exact]
    largest = sorted(range(len(parts)), key=lambda n: (parts[n] - exact[n], n))
    for number in largest[: whole - sum(parts)]:
        parts[number] += 1
    return parts


def _delays(rng: np.random.Generator, count: int) -> np.ndarray:
    """Seconds until we hear of an event: nearly always within the hour, at times a day, now and then five
    days.
    """
    u = rng.random(count)
    prompt = np.minimum(np.exp(rng.normal(1.6, 1.2, count)), 3600)
    slow = rng.uniform(3600, DAY_SECONDS, count)
    late = rng.uniform(DAY_SECONDS, 5 * DAY_SECONDS, count)
    return np.where(u < 0.97, prompt, np.where(u < 0.995, slow, late)).astype(np.int64)
