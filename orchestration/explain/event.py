"""Why an event costs what it costs: steps to follow with a pencil, down to deck row, agreement and terms.

Belongs here: gathering the facts of an event, putting them in order, saying them in sentences.
Does not belong here: rating. The event is rated again by the models' own SQL, as the last run left it in
`ingest.models_applied`; quantities, matches, roundings and results are what this SQL gives. The sums that are printed
are held against it, and it against `rate.int_events_rated`; whatever does not agree is told as a defect.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import duckdb

from orchestration import models_applied
from orchestration.explain.explanation import Explanation, NotExplained, Row
from orchestration.figures import MODES, instant, masked, plain, unit, value
from orchestration.sql import fetch_rows
from orchestration.summary import counted

NO_END = datetime(9999, 12, 30)
NOUNS = {
    "voice": "call", "sms": "message", "mms": "message", "email": "e-mail", "data": "data session",
    "video": "participation", "verification": "verification",
}  # fmt: skip
CHARGED_ON = {
    "answered": "what was answered",
    "delivered": "what was delivered",
    "succeeded": "what succeeded",
    "submitted": "everything but what was rejected or cancelled",
}
METHODS = {
    "residual": "the minimum, then increments end to end until they cover the rest",
    "whole_duration": "the whole quantity in increments, at least the minimum",
}
QUANTITY_ROUNDINGS = {"up": "rounded up to whole units first", "half_up": "rounded half up to whole units first"}
ATTEMPT_SCOPES = {
    "every_attempt": "each attempt",
    "failed_attempt": "each attempt that it does not charge otherwise",
    "final_attempt": "the last attempt",
}
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
UNRATED = {
    "unknown_carrier": ("the terms know no such carrier", "add it to parties.csv, or correct the feed"),
    "no_agreement": (
        "no agreement with the carrier has rating terms for this service and direction on that day",
        "add them to agreements.csv and rating_terms.csv",
    ),
    "agreement_refused": (
        "the agreement with the carrier cannot be applied",
        "`tollgate status` names the term and its reason; correct it",
    ),
    "no_rate_deck": (
        "no deck of the carrier for this service and direction has landed",
        "ask the carrier for it and drop it into landing",
    ),
    "no_rate": ("no code of the deck in force is for the number or its network", "ask the carrier for the row"),
    "no_rate_for_that_origin": (
        "the codes in force for the number are all for other callers",
        "look whether the usage states the caller; ask the carrier for the row",
    ),
    "rate_not_yet_effective": (
        "the codes for the number only apply from a later instant",
        "ask the carrier for the deck that was in force",
    ),
    "rate_refused": (
        "the row of the closest code cannot be read, and no more general code stands in for it",
        "`tollgate status` names the row and its reason; ask the carrier for a corrected deck",
    ),
    "rate_currency_differs": (
        "the deck is in another currency than the agreement",
        "correct the currency in agreements.csv, or ask the carrier for a deck in it",
    ),
    "quantity_unit_differs": (
        "the deck prices another unit than the usage counts",
        "ask the carrier for a deck in that unit, or correct the feed",
    ),
    "increment_method_without_bands": (
        "the deck has time bands or steps, and increments of the whole duration do not say which of them lies in which",
        "set increment_method to residual in rating_terms.csv, or ask the carrier for one price per code",
    ),
    "no_rate_at_that_time": (
        "no price of the code counts at some moment of the call",
        "ask the carrier for the time band that is missing",
    ),
    "duration_above_a_day": (
        "a call of more than a day is one whose end was lost",
        "correct it at the source and send it again",
    ),
    "started_after_receipt": (
        "it began more than a day after its own record was received",
        "correct the clock at the source and send it again",
    ),
}
UNCHARGED = {
    "unknown_account": "accounts.csv lacks the account on that day",
    "no_agreement": "the partner has no agreement on that day",
    "no_plan": "the partner has no plan for this service, direction and country",
    "plan_refused": "the plan that would charge it was refused; `tollgate status` says why",
    "quantity_unit_differs": "the plan counts another unit than the usage",
    "refunded_event_unknown": "it refunds an event of which no record has come",
    "refund_without_plan_of_lines": "only a plan of lines can charge a refund",
    "duration_above_a_day": "a call of more than a day is one whose end was lost; correct it and send it again",
    "started_after_receipt": "its clock is wrong; correct it at the source and send it again",
}

FILE = "files.kind || '/' || concat_ws('/', files.feed, files.file_name, files.part_name)"
EVENT = f"""
    select events.*, {FILE} as file
    from {{events}} as events
    left join tollgate.ingest.files as files using (file_id)
    where event_id = $event_id
"""
RECORDS = f"""
    select {FILE} as file, record_number, event_status, quantity, refusal_reason, received_at
    from tollgate.stage.int_events_collected as records
    left join tollgate.ingest.files as files using (file_id)
    where event_id = $event_id order by received_at, records.loaded_at, file_id, record_number
"""
MEANT = """
    select distinct event_id from tollgate.stage.int_events_collected
    where event_id = $event
        or event_id in (select feed || ':' || $event from tollgate.ingest.feeds where kind = 'usage')
    order by event_id
"""
RATED = "select * from tollgate.rate.int_events_rated where event_id = $event_id"
# An allowance is used up in the order in which the events began: those before it in the month decide what is left.
SHARING_AN_ALLOWANCE = """
    select others.event_id
    from tollgate.rate.int_events_rated as event
    join tollgate.rate.int_rating_terms_resolved as terms using (agreement_id, service, direction)
    join tollgate.rate.int_events_rated as others using (agreement_id, service, direction)
    where event.event_id = $event_id and terms.free_quantity > 0 and others.started_at <= event.started_at
        and date_trunc('month', others.carrier_local_date) = date_trunc('month', event.carrier_local_date)
"""
TERMS = """
    select * from tollgate.rate.int_rating_terms_resolved
    where agreement_id = $agreement_id and service = $service and direction = $direction
"""
DECK_ROWS = """
    create table again.deck_rows as
    select * from {deck_rows}
    where carrier_id = $carrier_id and service = $service and direction = $direction
"""
# Goes on where the steps of int_rates_resolved end: each row that landed, with what became of it there.
CODES = f"""
    select
        rows.* replace (coalesce(prices.dial_code, rows.dial_code) as dial_code), {FILE} as file,
        prices.applies_from_at, codes.applies_until_at, codes.deck_row_id, codes.is_code_closed,
        coalesce(
            prices.applies_from_at = rows.received_at
            and (rows.received_at at time zone 'UTC' at time zone $time_zone) > rows.effective_date,
            false
        ) as is_late
    from again.deck_rows as rows
    left join tollgate.ingest.files as files using (file_id)
    left join prices
        on prices.file_id = rows.file_id and prices.record_number = rows.record_number
        and (not rows.is_by_name or starts_with($number, prices.dial_code))
    left join intervals_closed as codes
        on codes.carrier_id = prices.carrier_id and codes.service = prices.service
        and codes.direction = prices.direction and codes.code_name = prices.code_name
        and codes.applies_from_at = prices.applies_from_at and codes.file_id = prices.file_id
        and codes.deck_version is not distinct from prices.deck_version and codes.deck_kind = prices.deck_kind
    where case
        when rows.is_by_name then prices.dial_code is not null
        when rows.mcc is null then starts_with($number, rows.dial_code)
        else rows.mcc = $mcc and (rows.mnc is null or rows.mnc = $mnc)
    end
    order by rows.file_id, rows.record_number
"""
CODE_FACTS = (
    "code_name", "dial_code", "mcc", "mnc", "origin_code", "destination_name", "file", "deck_version", "deck_kind",
    "rate_amount", "rate_currency", "rate_per_quantity", "rate_unit", "connect_fee_amount", "minimum_quantity",
    "increment_quantity", "maximum_amount", "refusal_reason", "is_closed", "is_late", "effective_date", "received_at",
    "applies_from_at",
)  # fmt: skip
CODE_STATES = ("in force", "closed", "other callers", "not yet", "ended", "replaced", "refused")
NETWORK, COUNTRY_OF_NETWORK = 17, 16  # closer than any dial code, of at most 15 digits
# A code with one price is one stretch. Each stretch is priced as a whole, and its first and one other increment alone.
STRETCHES = """
    create table again.stretches as
    select * from again.int_events_stepped where event_id = $event_id
    union all by name
    select
        event_id, 1 as stretch_number, deck_row_id as rate_row_id, increment_rounding_mode, increment_rounding_decimals,
        price_amount as rate_amount, per_quantity as rate_per_quantity, first_quantity,
        cast((counted_quantity - first_quantity) * 1000 as bigint) // cast(increment_quantity * 1000 as bigint)
            as increment_count,
        increment_quantity, counted_quantity as billed_quantity, counted_quantity as reached_quantity
    from again.costs where event_id = $event_id and is_used and not is_stepped
"""
PARTS = """
    create table again.parts as
    select * replace ('whole ' || stretch_number as event_id) from again.stretches
    union all
    select * replace ('first ' || stretch_number as event_id, 0 as increment_count, first_quantity as billed_quantity)
    from again.stretches
    union all
    select * replace (
        'other ' || stretch_number as event_id, 0 as first_quantity, 1 as increment_count,
        increment_quantity as billed_quantity
    )
    from again.stretches
"""
FREE_OF_PARTS = """
    create table again.free_of_parts as
    select 'whole ' || stretch_number as event_id, free_quantity
    from again.stretches join again.int_allowances_used using (event_id)
"""
PRICED_STRETCHES = """
    select
        stretch_number, first_quantity, stretches.increment_quantity, increment_count, billed_quantity,
        reached_quantity - billed_quantity as from_quantity,
        billed_quantity - least(
            billed_quantity, greatest(0, coalesce(free_quantity, 0) - (reached_quantity - billed_quantity))
        ) as priced_quantity,
        stretches.rate_amount, stretches.rate_per_quantity,
        wholes.undivided_usage_amount as undivided_amount,
        firsts.undivided_usage_amount as undivided_first_amount,
        others.undivided_usage_amount as undivided_other_amount,
        cast(split_part(rate_row_id, ':', -1) as bigint) as record_number,
        prices.weekdays, prices.from_minute, prices.until_minute, prices.from_quantity as step_from_quantity,
        prices.rate_amount as deck_rate_amount, prices.rate_per_quantity as deck_rate_per_quantity,
        prices.minimum_quantity is not null or prices.increment_quantity is not null as has_own_increments
    from again.stretches
    left join again.int_allowances_used using (event_id)
    left join {rates} as prices using (rate_row_id)
    join again.parts_priced as wholes on wholes.part = 'whole ' || stretch_number
    join again.parts_priced as firsts on firsts.part = 'first ' || stretch_number
    join again.parts_priced as others on others.part = 'other ' || stretch_number
    order by stretch_number
"""
# Goes on where the steps of int_events_rated end: what the rating is made of, and the rating itself.
COSTS = """
    select costs_divided.*, events_rated as rating
    from costs_divided join events_rated using (event_id)
"""
# Goes on where the steps of int_allowances_used end.
USED_BEFORE = """
    select earlier_quantity, (
        select count(*) from events
        where (events.started_at, events.event_id) < (quantities_before.started_at, quantities_before.event_id)
    ) as earlier_count
    from quantities_before where event_id = $event_id
"""
AT_RISK = """
    select at_risk_currency, at_risk_amount, event_count, usage_date
    from tollgate.attribute.int_events_attributed as events
    join tollgate.attribute.int_usage_summed using (
        rating_group_id, charge_group_id, carrier_local_date, partner_local_date
    )
    join tollgate.attribute.int_unrated_usage_valued using (
        rating_group_id, charge_group_id, usage_date, carrier_local_date, partner_local_date
    )
    where event_id = $event_id and usage_date = cast(started_at as date)
"""
ATTRIBUTED = "select * from tollgate.attribute.int_events_attributed where event_id = $event_id"


# --- an event, rated again ------------------------------------------------------------------------------------------


def explain_event(connection: duckdb.DuckDBPyConnection, event_id: str, mask: bool = False) -> Explanation:
    """Everything that decides the cost of an event. `connection` has the warehouse attached as `tollgate`.

    Raises NotExplained where the event was not rated.
    """
    _check_rated(connection, event_id)
    sharing = fetch_rows(connection, SHARING_AN_ALLOWANCE, event_id=event_id)
    again = RatedAgain(connection, {event_id, *(other["event_id"] for other in sharing)})
    return EventExplained(connection, event_id, again, mask).explanation()


def find_events(connection: duckdb.DuckDBPyConnection, event: str) -> list[str]:
    """The ids of the events that may be meant. The source's key alone will do where one feed has it."""
    found = [row["event_id"] for row in fetch_rows(connection, MEANT, event=event)]
    return [event] if event in found else found


def _check_rated(connection: duckdb.DuckDBPyConnection, event_id: str) -> None:
    if not fetch_rows(connection, RATED, event_id=event_id):
        refused = [
            f"record {record['record_number']} of {record['file']} was refused ({record['refusal_reason']})"
            for record in fetch_rows(connection, RECORDS, event_id=event_id)
            if record["refusal_reason"]
        ]
        told = "; ".join(refused) or "it came after the last run: run `tollgate run`"
        raise NotExplained(f"{event_id} landed but was not rated: {told}")


class RatedAgain:
    """Some events, rated again in memory by the SQL that rated them: tables of schema `again`, named as the models.

    `instead` gives tables that are read in place of models of `stage`: of events that never were, of decks as they
    were known once. `connection` has such a schema where they lie in it.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, event_ids: Iterable[str], **instead: str) -> None:
        self.connection, self.instead = connection, instead
        self.applied = models_applied.read(connection, "rate")
        self.code = {name: models_applied.reading(code, **instead) for name, code in self.applied.items()}
        self.copies = {_relation("int_events_affected"): "again.int_events_affected"}
        connection.execute("create schema if not exists again")
        connection.execute(
            "create table again.int_events_affected as select unnest($ids) as event_id, 'asked for' as cause",
            {"ids": list(event_ids)},
        )
        rated = _relation("int_events_rated")
        self.code[rated] = self._code_of_copy(rated)
        connection.execute(f"create table again.costs as {self.up_to('int_events_rated')} {COSTS}")

    def _code_of_copy(self, relation: str) -> str:
        """The SQL of a model, reading copies of what depends on the events; the same where nothing does."""
        code = self.code[relation]
        for other in self.code:
            if other != relation and other in code:
                code = code.replace(other, self._copy(other))
        return code

    def _copy(self, relation: str) -> str:
        """The table where the chosen events are in place of all, made at first use; itself where no event is in it."""
        if relation not in self.copies:
            self.copies[relation], code = relation, self._code_of_copy(relation)
            if code != self.applied[relation]:
                self.code[relation], self.copies[relation] = code, f"again.{relation.split('.')[-1]}"
                self.connection.execute(f"create table {self.copies[relation]} as {code}")
        return self.copies[relation]

    def table(self, schema: str, model: str) -> str:
        """Where a model is read: its copy, what stands in its place, or the warehouse."""
        relation = models_applied.relation(schema, model)
        return self.instead.get(model) or self.copies.get(relation, relation)

    def up_to(self, model: str, **instead: str) -> str:
        """The SQL of a model without its last line, so that another query over its steps may follow.

        `instead` gives tables that it shall read in place of other models.
        """
        steps = models_applied.without_last_line(self.code[_relation(model)])
        return models_applied.reading(steps, **instead)


def _relation(model: str) -> str:
    return models_applied.relation("rate", model)


class EventExplained:
    """Gathers the steps of one event."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, event_id: str, again: RatedAgain, mask: bool) -> None:
        self.connection, self.event_id, self.again, self.mask = connection, event_id, again, mask
        events = again.table("stage", "int_events_deduplicated")
        self.event = self.row(EVENT.format(events=events), event_id=event_id)
        self.cost = self.row("select * from again.costs where event_id = $event_id", event_id=event_id)
        self.rating: Row = self.cost["rating"]
        key = {name: self.cost[name] for name in ("agreement_id", "service", "direction")}
        self.terms = next(iter(self.rows(TERMS, **key)), None)
        self.currency = self.cost["agreement_currency"]
        self.stretches = self._priced_stretches()
        self.told = Explanation("event", event_id)

    def explanation(self) -> Explanation:
        """All steps, in order."""
        self._tell_event()
        self._tell_rating()
        self._tell_charge()
        held = self.row(RATED, event_id=self.event_id)
        for column, kept in held.items():
            self._hold(f"{column} of rate.int_events_rated", kept, self.rating[column])
        return self.told

    def _hold(self, what: str, found: Any, rated: Any) -> None:
        if found != rated:
            self.told.defects.append(f"{what} is {value(found)}; the models say {value(rated)}")

    def rows(self, query: str, **values: Any) -> list[Row]:
        return fetch_rows(self.connection, query, **values)

    def row(self, query: str, **values: Any) -> Row:
        (found,) = self.rows(query, **values)
        return found

    def _priced_stretches(self) -> list[Row]:
        """What is billed at one price each, and what it costs: by the expression that prices the stretches of calls."""
        self.connection.execute(STRETCHES, {"event_id": self.event_id})
        self.connection.execute(PARTS)
        self.connection.execute(FREE_OF_PARTS)
        steps = self.again.up_to(
            "int_events_rated", int_events_stepped="again.parts", int_allowances_used="again.free_of_parts"
        )
        self.connection.execute(
            f"create table again.parts_priced as {steps} select event_id as part, undivided_usage_amount from stretches"
        )
        return self.rows(PRICED_STRETCHES.format(rates=self.again.table("rate", "int_rates_resolved")))

    # --- words ------------------------------------------------------------------------------------------------------

    def _shown(self, digits: str | None, number: str | None) -> str | None:
        """A number or a beginning of it; where numbers are to be hidden, without the number's last four digits."""
        return masked(digits, number) if digits and number and self.mask else digits

    def _clock(self, seconds: Decimal = Decimal(0)) -> datetime:
        """The agreement's clock so many seconds after the start."""
        return self.row(
            """select ($started_at::timestamp + to_milliseconds(cast($seconds * 1000 as bigint)))
            at time zone 'UTC' at time zone $zone as local""",
            started_at=self.event["started_at"],
            seconds=seconds,
            zone=self.cost["time_zone"] or "UTC",
        )["local"]

    def _money(self, amount: Decimal | Fraction) -> str:
        return f"{plain(amount)} {self.currency}"

    def _quantity(self, quantity: Decimal) -> str:
        return f"{plain(quantity)} {unit(self.event['quantity_unit'], quantity)}"

    def _billed(self, quantity: Decimal) -> str:
        """In the unit of the deck, which may price a message of several segments as one."""
        return f"{plain(quantity)} {unit(self.cost['rate_unit'] or self.event['quantity_unit'], quantity)}"

    # --- the steps --------------------------------------------------------------------------------------------------

    def _tell_event(self) -> None:
        event, zone, local = self.event, self.cost["time_zone"], self._clock()
        origin, destination = (self._shown(event[name], event[name]) for name in ("origin", "destination"))
        sentences = [
            f"{NOUNS[event['service']].capitalize()}, {event['direction']}, carrier {event['carrier_id']}, "
            f"account {event['account_id']}"
            + (f", from {origin}" if origin else "")
            + (f", to {destination}" if destination else "")
            + ".",
            f"Record {event['record_number']} of {event['file']}, received {instant(event['received_at'])} UTC.",
            f"It began {instant(event['started_at'])} UTC"
            + (f", on the agreement's clock {instant(local)} ({zone})." if zone else "."),
            f"It ended as {event['event_status']}, with {self._quantity(event['quantity'])}.",
        ]
        records = []
        if event["record_count"] > 1:
            records = [record for record in self.rows(RECORDS, event_id=self.event_id) if not record["refusal_reason"]]
            sentences.append(f"{event['record_count']} records of it landed; it counts once, by the last final word:")
        for record in records:
            counts = all(record[name] == event[name] for name in ("file", "record_number"))
            sentences.append(
                f"  {record['event_status']}, {self._quantity(record['quantity'])}, received "
                f"{instant(record['received_at'])} UTC, record {record['record_number']} of {record['file']}"
                + ("  <- counts" if counts else "")
            )
        names = (
            "feed", "service", "direction", "carrier_id", "account_id", "event_status", "quantity_unit", "file",
            "record_number", "quantity", "record_count", "is_final_attempt", "started_at", "received_at",
        )  # fmt: skip
        facts = {name: event[name] for name in names}
        self.told.add(
            "event",
            sentences,
            **facts | {"origin": origin, "destination": destination, "country_code": self.cost["country_code"]},
            started_at_local=local.isoformat(),
            records=records,
        )

    def _tell_rating(self) -> None:
        self._tell_agreement()
        self._tell_price()
        self._tell_quantity()
        self._tell_cost()

    def _tell_agreement(self) -> None:
        terms, counted_in = self.terms, unit(self.event["quantity_unit"])
        if terms is None:
            self.told.add("agreement", ["None applies."])
            return
        until = terms["valid_until_at"]
        ends = "without end" if until >= NO_END else f"until {instant(until)} UTC"
        event_decimals, increment_decimals = terms["event_rounding_decimals"], terms["increment_rounding_decimals"]
        sentences = [
            f"{terms['agreement_id']}, valid from {instant(terms['valid_from_at'])} UTC, {ends}; "
            f"clock {terms['time_zone']}, currency {self.currency}.",
            f"It charges {CHARGED_ON[terms['charged_on']]}. Where the deck has no increments of its own, they are "
            f"{plain(terms['minimum_quantity'])}/{plain(terms['increment_quantity'])} {counted_in}: "
            f"{METHODS[terms['increment_method']]}.",
        ]
        if terms["quantity_rounding"] in QUANTITY_ROUNDINGS:
            sentences.append(f"The raw quantity is {QUANTITY_ROUNDINGS[terms['quantity_rounding']]}.")
        if terms["free_quantity"] > 0:
            sentences.append(
                f"{plain(terms['free_quantity'])} {counted_in} of each month are free, in the order in which "
                "events begin."
            )
        if increment_decimals is not None:
            sentences.append(
                f"The price of one increment is rounded {MODES[terms['increment_rounding_mode']]} "
                f"to {counted(increment_decimals, 'decimal')}."
            )
        if terms["attempt_fee_amount"] > 0:
            fee, scope = self._money(terms["attempt_fee_amount"]), ATTEMPT_SCOPES[terms["attempt_fee_scope"]]
            sentences.append(f"It takes a fee of {fee} for {scope}.")
        each = "no single event" if event_decimals is None else f"each event to {counted(event_decimals, 'decimal')}"
        sentences.append(
            f"It rounds {each}, invoice lines to {counted(terms['line_rounding_decimals'], 'decimal')}, "
            + MODES[terms["rounding_mode"]]
            + (f"; tax {plain(terms['tax_ratio'])}." if terms["tax_ratio"] else "; no tax.")
        )
        self.told.add("agreement", sentences, **terms)

    def _tell_price(self) -> None:
        event, cost = self.event, self.cost
        if cost["agreement_id"] and not cost["is_charged"]:
            return  # no price is looked at
        number = "" if event["service"] == "email" else event["destination"]
        codes = self._codes(number)
        network = " ".join(part for part in (event["mcc"], event["mnc"]) if part)
        has_origins = any(code["origin_code"] for code in codes)
        what = [f"number {self._shown(number, number)}"] if number else []
        what += [f"network {network}"] if network else []
        what += [f"caller {self._shown(event['origin'], event['origin']) or 'unknown'}"] if has_origins else []
        that_match = f" that are for {', '.join(what)}" if what else ""
        rows = f"of the decks of {event['carrier_id']} for {event['service']} {event['direction']}{that_match}"
        sentences = [f"Rows {rows}, closest first, as of {instant(event['started_at'])} UTC:"]
        shown: dict[tuple[str, str], Row] = {}  # of the rows of a code that did not count, one of each kind
        for code in codes:
            kind = (code["code_name"], code["state"])
            if kind not in shown:
                shown[kind] = code | self._codes_shown(code, number)
                sentences.append(f"  {self._code_in_words(shown[kind])}")
        if left := len(codes) - len(shown):
            sentences.append(f"  and {counted(left, 'row')} more that ended, were replaced or begin later still")
        winner = next((code for code in codes if code["state"] == "in force"), None)
        if winner:
            code = self._codes_shown(winner, number)["code_name"]
            sentences.append(
                f"The closest code in force is {code}: deck {winner['deck_version']}, {_records(winner)} of "
                f"{winner['file']}."
            )
        else:
            sentences = [*sentences, "None of them is in force."] if codes else [f"There is no row {rows}."]
        self._hold("the row of the closest code", (winner or {}).get("deck_row_id"), cost["deck_row_id"])
        self.told.add("price", sentences, codes=list(shown.values()), other_row_count=left)

    def _codes_shown(self, code: Row, number: str) -> Row:
        """What names a code, with as much of both numbers as may be shown."""
        dial_code = self._shown(code["dial_code"], number)
        origin_code = self._shown(code["origin_code"], self.event["origin"])
        network = " ".join(filter(None, ("network", code["mcc"], code["mnc"]))) if code["mcc"] else None
        name = network or dial_code or "every destination"
        return {
            "code_name": f"{name} from {origin_code}" if origin_code else name,
            "dial_code": dial_code,
            "origin_code": origin_code,
        }

    def _codes(self, number: str) -> list[Row]:
        """Each code for the number or its network, with what it was then. All prices of one are one row."""
        event, started_at = self.event, self.event["started_at"]
        # A name in place of a number begins with no code.
        caller = event["origin"] if re.fullmatch("[0-9]+", event["origin"] or "") else ""
        key = {name: event[name] for name in ("carrier_id", "service", "direction")}
        deck_rows = self.again.table("stage", "int_deck_rows_collected")
        self.connection.execute(DECK_ROWS.format(deck_rows=deck_rows), key)
        query = self.again.up_to("int_rates_resolved", int_deck_rows_collected="again.deck_rows") + CODES
        codes: dict[str, Row] = {}
        looked_for = {"number": number, "mcc": event["mcc"], "mnc": event["mnc"]}
        for row in self.rows(query, **looked_for, time_zone=self.cost["time_zone"] or "UTC"):
            begins, ends = row["applies_from_at"], row["applies_until_at"]
            if begins is None and row["refusal_reason"]:
                state = "refused"
            elif row["deck_row_id"] is None or ends <= begins:
                state = "replaced"
            elif begins > started_at:
                state = "not yet"
            elif ends <= started_at:
                state = "ended"
            else:
                state = "closed" if row["is_code_closed"] else "in force"
            if state == "in force" and not caller.startswith(row["origin_code"] or ""):
                state = "other callers"
            row_id = f"{row['feed']}:{row['file_id']}:{row['record_number']}"
            code = codes.setdefault(
                row["deck_row_id"] or row_id,
                {name: row[name] for name in CODE_FACTS}
                | {
                    "state": state,
                    "deck_row_id": row["deck_row_id"],
                    "record_numbers": [],
                    "applies_until_at": None if ends is None or ends >= NO_END else ends,
                },
            )
            code["record_numbers"].append(row["record_number"])
            code["refusal_reason"] = code["refusal_reason"] or row["refusal_reason"]

        def rank(code: Row) -> tuple[int, int, int, timedelta]:
            away = abs((code["applies_from_at"] or code["received_at"] or started_at) - started_at)
            closeness = NETWORK if code["mnc"] else COUNTRY_OF_NETWORK if code["mcc"] else len(code["dial_code"])
            return -closeness, -len(code["origin_code"] or ""), CODE_STATES.index(code["state"]), away

        return sorted(codes.values(), key=rank)

    def _code_in_words(self, code: Row) -> str:
        begins, ends, received = (
            f"{instant(code[name])} UTC" if code[name] else ""
            for name in ("applies_from_at", "applies_until_at", "received_at")
        )
        price = "closes the code" if code["is_closed"] else "no readable price"
        if len(code["record_numbers"]) > 1:
            price = f"{len(code['record_numbers'])} prices, for time bands or steps"
        elif code["rate_amount"] is not None:
            per = code["rate_per_quantity"]
            price = f"{plain(code['rate_amount'])} {code['rate_currency']} for {per} {unit(code['rate_unit'], per)}"
            if code["connect_fee_amount"]:
                price += f" and {plain(code['connect_fee_amount'])} to connect"
        state = {
            "in force": f"in force since {begins}" + (f", until {ends}" if ends else ""),
            "closed": f"in force since {begins}, so that the next more general code counts",
            "other callers": f"in force since {begins}, for other callers",
            "not yet": f"not yet in force: from {begins} on",
            "ended": f"no longer in force: from {begins} until {ends}",
            "replaced": "replaced by another row or deck for the same day",
            "refused": "never counts",
        }[code["state"]]
        if code["is_late"]:
            state += ", for it came late and applies from its receipt"
        if code["refusal_reason"]:
            state += f"; cannot be read: {code['refusal_reason']}"
        return (
            f"{code['code_name']}, {code['destination_name'] or 'no name'}: "
            f"{price}; {state} "
            f"({code['deck_kind']} deck {code['deck_version']}, effective {code['effective_date'] or '?'}, "
            f"received {received}, {_records(code)} of {code['file']})"
        )

    def _tell_quantity(self) -> None:
        cost, terms = self.cost, self.terms
        if self.rating["rating_status"] == "unrated":
            return
        facts = {
            "raw_quantity": cost["quantity"],
            "rounded_quantity": cost["rounded_quantity"],
            "billed_quantity": cost["counted_quantity"],
        }
        if not cost["is_charged"]:
            sentence = (
                f"The agreement charges {CHARGED_ON[terms['charged_on']]}; this {NOUNS[cost['service']]} ended as "
                f"{cost['event_status']}, so none of it is billed."
            )
            self.told.add("quantity", [sentence], **facts)
            return
        sentences = [f"{self._quantity(cost['quantity'])} raw."]
        if cost["is_used"] and cost["rate_unit"] != cost["quantity_unit"]:
            sentences.append(f"The deck prices messages: it is {self._billed(cost['rounded_quantity'])}.")
        if terms["quantity_rounding"] in QUANTITY_ROUNDINGS:
            rounded = self._billed(cost["rounded_quantity"])
            sentences.append(f"That is {QUANTITY_ROUNDINGS[terms['quantity_rounding']]}: {rounded}.")
        if not cost["is_used"]:
            sentences.append("Nothing was used: no increment, no minimum and no connect fee is due.")
        sentences += [self._stretch_in_words(stretch) for stretch in self.stretches]
        if len(self.stretches) > 1:
            parts = " + ".join(plain(stretch["billed_quantity"]) for stretch in self.stretches)
            sentences.append(f"Together: {parts} = {self._billed(cost['counted_quantity'])}.")
        if cost["is_used"] and terms["free_quantity"] > 0:
            before = self.row(f"{self.again.up_to('int_allowances_used')} {USED_BEFORE}", event_id=self.event_id)
            free, counts = cost["used_free_quantity"], before["earlier_count"]
            facts |= {"allowance_quantity": terms["free_quantity"], "free_quantity": free, **before}
            sentences.append(
                f"Of the {self._billed(terms['free_quantity'])} free in {cost['carrier_local_date']:%Y-%m}, "
                f"{counted(counts, 'earlier event')} of the month {'has' if counts == 1 else 'have'} used "
                f"{self._billed(before['earlier_quantity'])}; of this one {self._billed(free)} are free."
            )
        self.told.add("quantity", sentences, **facts, stretches=self.stretches)

    def _stretch_in_words(self, stretch: Row) -> str:
        first, increment, count = stretch["first_quantity"], stretch["increment_quantity"], stretch["increment_count"]
        billed = self._billed(stretch["billed_quantity"])
        words = f"{billed}, the first increment"
        if count:
            words = (f"{plain(first)} + " if first else "") + f"{count} x {plain(increment)} = {billed}"
        whose = "the deck's own increments" if stretch["has_own_increments"] else "the agreement's increments"
        if not self.cost["is_stepped"]:
            return f"By {whose}, {plain(self.cost['minimum_quantity'])}/{plain(increment)}, billed: {words}."
        at, begins = self._clock(stretch["from_quantity"]), self._billed(stretch["from_quantity"])
        return (
            f"From {begins} on, {at:%a} {instant(at)} on the agreement's clock, record {stretch['record_number']} "
            f"counts ({_band(stretch)}; {whose}), billed: {words}."
        )

    def _tell_cost(self) -> None:
        names = (
            "agreement_id", "deck_row_id", "rating_status", "unrated_reason", "rate_amount", "rate_per_quantity",
            "connect_fee_amount", "attempt_fee_amount", "undivided_cost_amount", "rated_cost_amount",
            "rated_cost_including_tax_amount", "rated_cost_currency",
        )  # fmt: skip
        facts = {name: self.rating[name] for name in names} | {"maximum_amount": self.cost["due_maximum_amount"]}
        if self.rating["rating_status"] == "rated":
            self.told.add("cost", self._sum_in_words(), **facts)
        elif self.rating["rating_status"] == "not_charged":
            self.told.add("cost", ["It costs nothing."], **facts)
        else:
            self._tell_why_unrated(facts)

    def _sum_in_words(self) -> list[str]:
        """The sum as a person writes it down. Its end must be what the models say."""
        cost, terms, per = self.cost, self.terms, self.cost["per_quantity"]
        sentences, amounts = [], []
        for stretch in self.stretches:
            sentences += self._price_in_words(stretch)
            amounts.append(Fraction(stretch["undivided_amount"]) / per)
        reached = sum(amounts, Fraction())
        if len(amounts) > 1:
            sentences.append(f"Together: {' + '.join(map(plain, amounts))} = {self._money(reached)}.")
        if connect_fee := cost["due_connect_fee_amount"]:
            total = reached + Fraction(connect_fee)
            sentences.append(f"Connect fee: {plain(reached)} + {plain(connect_fee)} = {self._money(total)}.")
            reached = total
        if (maximum := cost["due_maximum_amount"]) is not None:
            is_above = reached > Fraction(maximum)
            sentences.append(
                f"The code's maximum is {self._money(maximum)}, "
                + (f"less than {plain(reached)}, so that is due." if is_above else "not reached.")
            )
            reached = min(reached, Fraction(maximum))
        if attempt_fee := cost["due_attempt_fee_amount"]:
            total = reached + Fraction(attempt_fee)
            sentences.append(
                f"Fee of the attempt ({ATTEMPT_SCOPES[terms['attempt_fee_scope']]}): "
                + (f"{plain(reached)} + {plain(attempt_fee)} = " if reached else "")
                + f"{self._money(total)}."
            )
            reached = total
        undivided, amount = cost["undivided_cost_amount"], cost["rated_cost_amount"]
        self._hold("what the sum leads to", reached, Fraction(undivided) / per)
        decimals = terms["event_rounding_decimals"]
        if decimals is not None:
            sentences.append(
                f"Rounded {MODES[terms['rounding_mode']]} to {counted(decimals, 'decimal')}: {self._money(amount)}."
            )
        elif reached == Fraction(amount):
            sentences.append(f"No single event is rounded: {self._money(amount)}.")
        else:
            sentences.append(
                f"No single event is rounded: exactly {plain(undivided)} / {per}, "
                f"which is {self._money(amount)} to 12 decimals."
            )
        if ratio := terms["tax_ratio"]:
            exact, with_tax = reached * (1 + Fraction(ratio)), self.rating["rated_cost_including_tax_amount"]
            rounded = "" if exact == Fraction(with_tax) else f"{plain(exact)}, rounded by itself: "
            sentences.append(f"With tax: {plain(reached)} x {plain(1 + ratio)} = {rounded}{self._money(with_tax)}.")
        return sentences

    def _price_in_words(self, stretch: Row) -> list[str]:
        rate, per, priced = (stretch[name] for name in ("rate_amount", "rate_per_quantity", "priced_quantity"))
        usage, over = Fraction(stretch["undivided_amount"]) / per, f" / {per}" if per != 1 else ""
        place = f"From {self._billed(stretch['from_quantity'])} on" if len(self.stretches) > 1 else "Usage"
        sentences = []
        if per != stretch["deck_rate_per_quantity"]:
            given = stretch["deck_rate_per_quantity"]
            sentences.append(
                f"{self._money(stretch['deck_rate_amount'])} for {given} {unit(self.event['quantity_unit'], given)} "
                f"is {self._money(rate)} for {per}."
            )
        if (decimals := self.terms["increment_rounding_decimals"]) is None:
            free = stretch["billed_quantity"] - priced
            less = f" ({plain(stretch['billed_quantity'])} less {plain(free)} free)" if free else ""
            self._hold(f"{plain(rate)} x {plain(priced)}{over}", Fraction(rate) * Fraction(priced) / per, usage)
            return [*sentences, f"{place}: {plain(rate)} x {plain(priced)}{less}{over} = {self._money(usage)}."]
        how = f"rounded {MODES[self.terms['increment_rounding_mode']]} to {counted(decimals, 'decimal')}"
        words, total = [], Fraction()
        for count, quantity, undivided in (
            (int(stretch["first_quantity"] > 0), stretch["first_quantity"], stretch["undivided_first_amount"]),
            (stretch["increment_count"], stretch["increment_quantity"], stretch["undivided_other_amount"]),
        ):
            if count:
                price, exact = Fraction(undivided) / per, Fraction(rate) * Fraction(quantity) / per
                sentences.append(
                    f"One increment of {self._billed(quantity)}: {plain(rate)} x {plain(quantity)}{over} = "
                    f"{plain(exact)}, {how}: {self._money(price)}."
                )
                words.append(plain(price) if count == 1 else f"{count} x {plain(price)}")
                total += count * price
        self._hold(" + ".join(words), total, usage)
        if len(words) > 1 or stretch["increment_count"] > 1:
            sentences.append(f"{place}: {' + '.join(words)} = {self._money(usage)}.")
        return sentences

    def _tell_why_unrated(self, facts: Row) -> None:
        reason = self.rating["unrated_reason"]
        why, remedy = UNRATED.get(reason, ("no more is known of this reason", "look it up in docs/marts.md"))
        sentences = [f"Unrated ({reason}): {why}.", f"What would mend it: {remedy}."]
        if reason == "no_rate_at_that_time":
            reached = sum((stretch["billed_quantity"] for stretch in self.stretches), Decimal(0))
            at = self._clock(reached)
            sentences.append(
                f"No price counts from {self._billed(reached)} on, {at:%a} {instant(at)} on the agreement's clock."
            )
        for group in self.rows(AT_RISK, event_id=self.event_id):
            facts |= {f"group_{name}": value for name, value in group.items()}
            at_risk = "not known, for nothing like it could be rated"
            if group["at_risk_amount"] is not None:
                at_risk = f"{plain(group['at_risk_amount'])} {group['at_risk_currency']}, by what like events cost"
            events = f"{counted(group['event_count'], 'event')} of its kind on {group['usage_date']}"
            sentences.append(f"Money at risk with {events}: {at_risk}.")
        self.told.add("cost", sentences, **facts)

    def _tell_charge(self) -> None:
        names = (
            "partner_id", "partner_agreement_id", "plan_id", "charge_status", "uncharged_reason", "charged_quantity",
            "charged_amount", "partner_local_date",
        )  # fmt: skip
        found = self.row(ATTRIBUTED, event_id=self.event_id)
        refunded = self.event["refunded_quantity"] or 0
        status, partner = found["charge_status"], found["partner_id"]
        if status == "charged":
            sentence = (
                f"{partner} is charged for {self._quantity(found['charged_quantity'])} by plan {found['plan_id']} "
                f"(agreement {found['partner_agreement_id']}, day {found['partner_local_date']})."
            )
            if refunded:
                effect = (
                    "" if found["charged_amount"] is None else ", which changes nothing in a plan that goes by money"
                )
                sentence = f"{self._quantity(refunded)} of it are refunded{effect}. {sentence}"
        elif status == "not_charged" and refunded == self.event["quantity"] != 0:
            sentence = f"All of it is refunded: {partner} is charged for nothing."
        elif status == "not_charged":
            sentence = f"Plan {found['plan_id']} of {partner} does not charge for {self.event['event_status']}."
        else:
            reason = found["uncharged_reason"]
            sentence = f"Nobody is charged ({reason}): {UNCHARGED.get(reason, 'look it up in docs/marts.md')}."
        self.told.add("charge", [sentence], **{name: found[name] for name in names})


def _records(code: Row) -> str:
    first, *others = numbers = code["record_numbers"]
    if not others:
        return f"record {first}"
    in_a_row = numbers == list(range(first, others[-1] + 1))
    return f"records {first} to {others[-1]}" if in_a_row else f"records {', '.join(map(str, numbers))}"


def _band(stretch: Row) -> str:
    """When a price counts: on which days, between which hours, from which second of a call."""
    days = [day for day, counts in zip(DAYS, stretch["weekdays"], strict=True) if counts == "1"]
    minutes = (stretch["from_minute"], stretch["until_minute"])
    hours = "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in minutes)
    step = f", from second {plain(stretch['step_from_quantity'])}" if stretch["step_from_quantity"] else ""
    return f"{'every day' if len(days) == 7 else ' '.join(days)} {hours}{step}"
