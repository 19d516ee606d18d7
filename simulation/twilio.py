"""Twilio's side of the usage: its Calls and Messages as JSON Lines, with every field that the real objects
carry.

Belongs here: the shape of the objects and Twilio's words. Events come from `usage`, prices from `rating`.
"""

import gzip
import json
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulation.traffic import Traffic, senders_of
from simulation.usage import STATUS, STATUSES, VENDOR_CARRIER, Events, text

CALL_WORDS = {
    "answered": "completed", "no_answer": "no-answer", "busy": "busy", "failed": "failed",
    "cancelled": "canceled",
}  # fmt: skip
# A message that Twilio could not send is `failed`, and free; one without a final report stays `sent`.
MESSAGE_WORDS = {
    "delivered": "delivered",
    "undelivered": "undelivered",
    "rejected": "failed",
    "unknown": "sent",
}
ERROR_CODES = {"undelivered": "30003", "rejected": "30006"}
DIRECTION_WORDS = {"outbound": "outbound-api", "inbound": "inbound"}
PRICE_DECIMALS = 5
CALL_PATH = "/2010-04-01/Accounts/@account_sid@/Calls/@sid@"
MESSAGE_PATH = "/2010-04-01/Accounts/@account_sid@/Messages/@sid@"

# `@name@` stands for a column; the key "@duration" for a whole field, which some calls lack.
CALL = {
    "account_sid": "@account_sid@",
    "answered_by": None,
    "api_version": "2010-04-01",
    "caller_name": "",
    "date_created": "@date_created@",
    "date_updated": "@date_updated@",
    "direction": "@direction@",
    "@duration": None,
    "end_time": "@end_time@",
    "forwarded_from": "",
    "from": "@from@",
    "from_formatted": "@from@",
    "group_sid": None,
    "parent_call_sid": None,
    "phone_number_sid": "PN@account_key@",
    "price": "@price@",
    "price_unit": "USD",
    "sid": "@sid@",
    "start_time": "@start_time@",
    "status": "@status@",
    "subresource_uris": {
        "notifications": f"{CALL_PATH}/Notifications.json",
        "recordings": f"{CALL_PATH}/Recordings.json",
        "payments": f"{CALL_PATH}/Payments.json",
        "events": f"{CALL_PATH}/Events.json",
        "siprec": f"{CALL_PATH}/Siprec.json",
        "streams": f"{CALL_PATH}/Streams.json",
        "transcriptions": f"{CALL_PATH}/Transcriptions.json",
        "user_defined_message_subscriptions": f"{CALL_PATH}/UserDefinedMessageSubscriptions.json",
        "user_defined_messages": f"{CALL_PATH}/UserDefinedMessages.json",
    },
    "to": "@to@",
    "to_formatted": "@to@",
    "trunk_sid": "",
    "uri": f"{CALL_PATH}.json",
    "queue_time": "0",
}
MESSAGE = {
    "account_sid": "@account_sid@",
    "api_version": "2010-04-01",
    "body": "",
    "date_created": "@date_created@",
    "date_sent": "@start_time@",
    "date_updated": "@date_updated@",
    "direction": "@direction@",
    "error_code": "@error_code@",
    "error_message": None,
    "from": "@from@",
    "messaging_service_sid": "MG@account_key@",
    "num_media": "0",
    "num_segments": "@quantity@",
    "price": "@price@",
    "price_unit": "USD",
    "sid": "@sid@",
    "status": "@status@",
    "subresource_uris": {
        "media": f"{MESSAGE_PATH}/Media.json",
        "feedback": f"{MESSAGE_PATH}/Feedback.json",
    },
    "to": "@to@",
    "uri": f"{MESSAGE_PATH}.json",
}


class TwilioUsage(AbstractContextManager):
    """Writes the two Twilio feeds, one file a day each."""

    def __init__(self, landing: Path, traffic: Traffic) -> None:
        lanes = traffic.lanes
        self.landing = landing
        self.account_sid = pa.array([lane.account_id for lane in lanes])
        self.direction = pa.array([DIRECTION_WORDS[lane.direction] for lane in lanes])
        self.senders = pa.array([sender for lane in lanes for sender in senders_of(lane)])
        self.feeds = {
            feed: np.array([lane.carrier_id == VENDOR_CARRIER and lane.service == service for lane in lanes])
            for feed, service in (("twilio_calls", "voice"), ("twilio_messages", "sms"))
        }
        self._sinks = {}
        self._day = None

    def write(self, events: Events, cost: np.ndarray) -> dict[str, int]:
        """Writes the records of Twilio's events; cost: in dollars x 10^5 by event. Returns the number of
        records by feed.
        """
        if events.day != self._day:
            self.close()
            self._day = events.day
        written = {}
        for feed, is_lane in self.feeds.items():
            index, quantity, received = events.records(is_lane[events.lane])
            written[feed] = len(index)
            if len(index):
                columns = self._columns(events, index, quantity, received, cost)
                template, own = (CALL, _call_columns) if feed == "twilio_calls" else (MESSAGE, _message_columns)
                self._sink(feed, events.day).write(_lines(template, columns | own(events, index, quantity)))
        return written

    def close(self) -> None:
        """Ends the files of the day."""
        for sink in self._sinks.values():
            sink.close()
        self._sinks = {}

    def __exit__(self, *exception) -> None:
        self.close()

    def _sink(self, feed: str, day: date) -> gzip.GzipFile:
        if feed not in self._sinks:
            path = self.landing / "usage" / feed / f"{feed.removeprefix('twilio_')}_{day}.jsonl.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            self._sinks[feed] = gzip.GzipFile(path, "wb", compresslevel=1, mtime=0)
        return self._sinks[feed]

    def _columns(
        self, events: Events, index: np.ndarray, quantity: np.ndarray, received: np.ndarray, cost: np.ndarray
    ) -> dict[str, pa.Array]:
        lane, started = pa.array(events.lane[index]), events.started[index]
        account_sid = self.account_sid.take(lane)
        # Twilio notes the request a moment before it acts, here never in the hour before.
        created = started - np.minimum(events.sender[index] % 3, started % 3600)
        return {
            "account_sid": account_sid,
            "account_key": pc.utf8_slice_codeunits(account_sid, 2),
            "date_created": _rfc2822(created),
            "date_updated": _rfc2822(received),
            "direction": self.direction.take(lane),
            "end_time": _rfc2822(started + quantity),
            "from": self.senders.take(pa.array(events.lane[index] * 20 + events.sender[index])),
            "price": _prices(cost[index]),
            "start_time": _rfc2822(started),
            "to": pc.binary_join_element_wise("+", text(events.number[index]), ""),
            "quantity": text(quantity),
        }


def _call_columns(events: Events, index: np.ndarray, quantity: np.ndarray) -> dict[str, pa.Array]:
    """Sid, status and duration; an unanswered call has an empty duration or none at all."""
    status = events.status[index]
    answered = pa.array(status == STATUS["answered"])
    duration = pc.binary_join_element_wise('"duration": "', text(quantity), '", ', "")
    unanswered = pc.if_else(pa.array(status == STATUS["busy"]), "", '"duration": "", ')
    return {
        "sid": _sids("CA", events, index),
        "status": pa.array([CALL_WORDS.get(word) for word in STATUSES]).take(pa.array(status)),
        "duration": pc.if_else(answered, duration, unanswered),
    }


def _message_columns(events: Events, index: np.ndarray, quantity: np.ndarray) -> dict[str, pa.Array]:
    status = pa.array(events.status[index])
    return {
        "sid": _sids("SM", events, index),
        "status": pa.array([MESSAGE_WORDS.get(word) for word in STATUSES]).take(status),
        "error_code": pa.array([ERROR_CODES.get(word, "null") for word in STATUSES]).take(status),
    }


def _lines(template: dict, columns: dict[str, pa.Array]) -> memoryview:
    """One JSON object a line: the template's text with its columns filled in, joined without a Python
    object per event.
    """
    line = json.dumps(template) + "\n"
    # Numbers, null and a field that may be missing are not strings.
    for name in ("price", "error_code"):
        line = line.replace(f'"@{name}@"', f"@{name}@")
    line = line.replace('"@duration": null, ', "@duration@")
    parts = line.split("@")
    pieces = [columns[part] if number % 2 else part for number, part in enumerate(parts)]
    lines = pc.binary_join_element_wise(*pieces, "")
    offsets = np.frombuffer(lines.buffers()[1], dtype=np.int32)
    return memoryview(lines.buffers()[2])[: offsets[len(lines)]]


def _sids(prefix: str, events: Events, index: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pa.array(events.ids[index]).cast(pa.string()), "")


def _rfc2822(seconds: np.ndarray) -> pa.Array:
    return pc.strftime(pa.array(seconds.astype("datetime64[s]")), format="%a, %d %b %Y %H:%M:%S +0000")


def _prices(cost: np.ndarray) -> pa.Array:
    """Money out of the account, so negative, as a JSON string; null where nothing was charged."""
    whole, rest = np.divmod(cost, 10**PRICE_DECIMALS)
    digits = pc.utf8_lpad(text(rest), PRICE_DECIMALS, "0")
    price = pc.binary_join_element_wise('"-', text(whole), ".", digits, '"', "")
    return pc.if_else(pa.array(cost > 0), price, "null")
