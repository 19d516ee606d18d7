"""What is sold beside calls, rated by the models in the units that carriers write: worked examples, whole files."""

from decimal import Decimal

import pytest
from conformance.calls import rate
from conformance.home import Files

READ = """
select event_id, unrated_reason, rating_status, billed_quantity, billed_unit, rated_cost_amount
from {{ ref('int_events_rated') }}
"""
# service, unit, minimum, increment, charged on, fee of a failed attempt
TERMS = {
    "sms-by-segment": ("sms", "segment", 0, 1, "submitted", 0),
    "sms-by-message": ("sms", "segment", 0, 1, "delivered", "0.001"),
    "mms": ("mms", "message", 0, 1, "submitted", 0),
    "data-in-blocks": ("data", "megabyte", 0, 1, "succeeded", 0),
    "data-exact": ("data", "byte", 0, 1, "succeeded", 0),
    "video": ("video", "participant_minute", 1, 1, "succeeded", 0),
    "verification": ("verification", "verification", 0, 1, "succeeded", 0),
}
# price, per so many, unit, own increment
DECKS = {
    "sms-by-segment": ("0.05", 1, "segment", ""),
    "sms-by-message": ("0.05", 1, "message", ""),
    "mms": ("0.11", 1, "message", ""),
    "data-in-blocks": ("0.004", 1, "megabyte", ""),
    "data-exact": ("1.024", 1, "gibibyte", ""),
    "video": ("0.0025", 1, "participant_minute", ""),
    "verification": ("0.03", 1, "verification", ""),
}
# carrier, destination, status, quantity, unit -> billed quantity and unit, cost
EVENTS = {
    "three-segments": ("sms-by-segment", "4915112345678", "delivered", "3", "segment", "3", "segment", "0.15"),
    "one-message": ("sms-by-message", "4915112345678", "delivered", "3", "segment", "1", "message", "0.05"),
    "no-segment": ("sms-by-message", "4915112345678", "delivered", "0", "segment", "0", "message", "0"),
    # The message is not charged, its failure is.
    "failed-message": ("sms-by-message", "4915112345678", "undelivered", "3", "segment", "0", "message", "0.001"),
    "picture": ("mms", "4915112345678", "undelivered", "1", "message", "1", "message", "0.11"),
    # A byte more is a block more: 2,000,001 bytes in blocks of a million.
    "started-block": ("data-in-blocks", "", "succeeded", "2000001", "byte", "3000000", "byte", "0.012"),
    "whole-blocks": ("data-in-blocks", "", "succeeded", "2", "megabyte", "2000000", "byte", "0.008"),
    "part-of-a-block": ("data-in-blocks", "", "succeeded", "0.000000001", "gigabyte", "1000000", "byte", "0.004"),
    "kibibytes": ("data-exact", "", "succeeded", "1", "kibibyte", "1024", "byte", "0.000000976563"),
    "no-session": ("data-in-blocks", "", "failed", "0", "byte", None, "byte", None),
    # 61 seconds of a participant are two minutes; the other left before the first was over.
    "participant-1": ("video", "", "succeeded", "61", "participant_second", "120", "participant_second", "0.005"),
    "participant-2": ("video", "", "succeeded", "0.2", "participant_second", "60", "participant_second", "0.0025"),
    "passed": ("verification", "4915112345678", "succeeded", "1", "verification", "1", "verification", "0.03"),
    "by-mail": ("verification", "example.org", "succeeded", "1", "verification", "1", "verification", "0.03"),
    "not-passed": ("verification", "4915112345678", "failed", "1", "verification", None, "verification", None),
}


def written(events: dict[str, tuple]) -> Files:
    files = Files()
    for carrier, (service, unit, minimum, increment, charged_on, failure_fee) in TERMS.items():
        rate, per, rate_unit, own_increment = DECKS[carrier]
        files.rows["parties"].append(
            {"party_id": carrier, "party_name": carrier, "country_code": "DE", "is_carrier": "true",
             "is_partner": "false"})  # fmt: skip
        files.rows["agreements"].append(
            {"agreement_id": carrier, "party_id": carrier, "party_role": "carrier", "valid_from_date": "2026-01-01",
             "currency": "EUR", "time_zone": "UTC", "rounding_mode": "half_up", "line_rounding_decimals": 2,
             "tax_ratio": 0, "payment_days": 30})  # fmt: skip
        files.rows["rating_terms"].append(
            {"agreement_id": carrier, "service": service, "direction": "outbound", "quantity_unit": unit,
             "minimum_quantity": minimum, "increment_quantity": increment, "increment_method": "residual",
             "charged_on": charged_on, "attempt_fee_amount": failure_fee,
             "attempt_fee_scope": "failed_attempt"})  # fmt: skip
        files.rows["decks"].append(
            {"carrier_id": carrier, "service": service, "direction": "outbound", "deck_version": "1",
             "deck_kind": "full", "received_at": "2026-01-01T00:00:00Z", "effective_date": "2026-01-02",
             "destination_name": "everywhere", "rate_amount": rate, "rate_currency": "EUR", "rate_per_quantity": per,
             "rate_unit": rate_unit, "increment_quantity": own_increment})  # fmt: skip
    for event_id, (carrier, destination, status, quantity, unit, *_) in events.items():
        files.rows["usage"].append(
            {"event_id": event_id, "service": TERMS[carrier][0], "direction": "outbound", "account_id": "a",
             "carrier_id": carrier, "destination": destination, "started_at": "2026-10-05T10:00:00Z",
             "received_at": "2026-10-05T10:05:00Z", "status": status, "quantity": quantity,
             "quantity_unit": unit})  # fmt: skip
    return files


@pytest.fixture(scope="module")
def rated() -> dict[str, dict]:
    found = rate(written(EVENTS), READ)
    return {row["event_id"].partition(":")[2]: row for row in found}


@pytest.mark.parametrize("event", EVENTS)
def test_the_event_costs_what_its_unit_and_block_say(rated, event):
    *_, quantity, unit, cost = EVENTS[event]
    row = rated[event]
    assert row["unrated_reason"] is None
    assert (row["billed_quantity"], row["billed_unit"], row["rated_cost_amount"]) == (
        None if quantity is None else Decimal(quantity), unit, None if cost is None else Decimal(cost),
    )  # fmt: skip
