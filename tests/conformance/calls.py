"""Calls (schema A): each case is a carrier of its own with one agreement and one deck; its calls are its usage."""

from conformance.home import CURRENCY, LONG_AGO, Fields, Files, warehouse_of

FAMILIES = ("rating", "duration")
ANY_TIME = "2024-05-15T10:00:00Z"
# Numbers of the cases may begin with 0 or be missing; an event's destination is an international number.
IN_FRONT_OF_NUMBERS = "9"

# The exact sum of a case's calls; where calls are rounded one by one, the sum of these.
READ_CALLS = """
with by_rate as (
    select
        carrier_id,
        is_rounded_per_event,
        rate_per_quantity,
        sum(undivided_cost_amount) as undivided_amount,
        sum(rated_cost_amount) as amount,
        sum(rated_cost_including_tax_amount) as amount_including_tax,
        sum(billed_quantity) as billed_seconds,
        string_agg(distinct unrated_reason, ', ') as unrated_reasons
    from {{ ref('int_events_rated') }}
    group by carrier_id, is_rounded_per_event, rate_per_quantity
)
select
    carrier_id as case_id,
    coalesce(sum(
        case
            when is_rounded_per_event then amount
            else {{ divide_and_round('undivided_amount', 'rate_per_quantity', 12, "'half_up'") }}
        end
    ), 0) as amount,
    coalesce(sum(amount_including_tax), 0) as amount_including_tax,
    coalesce(sum(billed_seconds), 0) as billed_seconds,
    string_agg(unrated_reasons, ', ') as unrated_reasons
from by_rate
group by carrier_id
"""


def figures(cases: list[dict]) -> dict[str, dict]:
    """What the models say of each case."""
    files = Files()
    for case in cases:
        add_calls(files, case)
    return {row["case_id"]: row for row in rate(files, READ_CALLS)}


def rate(files: Files, query: str) -> list[dict]:
    """What a query finds once the events of these files are rated."""
    with warehouse_of(files) as warehouse:
        warehouse.build("+int_events_rated")
        return warehouse.ask(query)


def add_calls(files: Files, case: dict) -> None:
    """A case of schema A: its own carrier with one agreement, one deck and the calls."""
    case_id = case["case_id"]
    agreement = Fields(f"{case_id}: terms", case["terms"]).read(
        "model",
        "rates",
        duration_rounding="none",
        increment_method="residual",
        free_seconds="0",
        attempt_fee_amount="0",
        attempt_fee_scope="every_attempt",
        tax_ratio="0",
        increment_rounding={},
        call_rounding={},
    )
    files.rows["parties"].append(
        {
            "party_id": case_id,
            "party_name": case_id,
            "country_code": "DE",
            "is_carrier": "true",
            "is_partner": "false",
        }
    )
    files.rows["agreements"].append(
        {
            "agreement_id": case_id,
            "party_id": case_id,
            "party_role": "carrier",
            "valid_from_date": LONG_AGO,
            "currency": CURRENCY,
            "time_zone": "UTC",
            "rounding_mode": agreement["call_rounding"].get("mode", "half_up"),
            "event_rounding_decimals": agreement["call_rounding"].get("decimals"),
            "line_rounding_decimals": "2",
            "tax_ratio": agreement["tax_ratio"],
            "payment_days": "30",
        }
    )
    files.rows["rating_terms"].append(
        {
            "agreement_id": case_id,
            "service": "voice",
            "direction": "outbound",
            "quantity_unit": "second",
            "minimum_quantity": "0",
            "increment_quantity": "1",
            "increment_method": agreement["increment_method"],
            "charged_on": "answered",
            "quantity_rounding": agreement["duration_rounding"],
            "increment_rounding_mode": agreement["increment_rounding"].get("mode"),
            "increment_rounding_decimals": agreement["increment_rounding"].get("decimals"),
            "free_quantity": agreement["free_seconds"],
            "attempt_fee_amount": agreement["attempt_fee_amount"],
            "attempt_fee_scope": agreement["attempt_fee_scope"],
        }
    )
    for rate in agreement["rates"]:
        _add_rate(files, case_id, rate)
    (calls,) = Fields(f"{case_id}: usage", case["usage"]).read("calls").values()
    for number, call in enumerate(calls):
        _add_call(files, case_id, number, call)


def _add_rate(files: Files, case_id: str, rate: dict) -> None:
    price = Fields(f"{case_id}: rates", rate).read(
        "steps",
        destination_prefix="",
        days=[],
        starts_at="00:00",
        ends_at="24:00",
        connect_fee_amount="0",
        minimum_seconds="0",
        max_charge_amount=None,
    )
    for step in price["steps"]:
        step = Fields(f"{case_id}: steps", step).read("from_second", "rate_amount", "per_seconds", "increment_seconds")
        files.rows["decks"].append(
            {
                "carrier_id": case_id,
                "service": "voice",
                "direction": "outbound",
                "deck_version": "1",
                "deck_kind": "full",
                "received_at": f"{LONG_AGO}T00:00:00Z",
                "effective_date": LONG_AGO,
                "dial_code": number_of(price["destination_prefix"]),
                "destination_name": price["destination_prefix"] or "everywhere",
                "rate_amount": step["rate_amount"],
                "rate_currency": CURRENCY,
                "rate_per_quantity": step["per_seconds"],
                "rate_unit": "second",
                "connect_fee_amount": price["connect_fee_amount"],
                "minimum_quantity": price["minimum_seconds"],
                "increment_quantity": step["increment_seconds"],
                "maximum_amount": price["max_charge_amount"],
                "days": " ".join(price["days"]),
                "starts_at": price["starts_at"],
                "ends_at": price["ends_at"],
                "from_quantity": step["from_second"],
            }
        )


def _add_call(files: Files, case_id: str, number: int, call: dict) -> None:
    call = Fields(f"{case_id}: calls", call).read(
        "duration_seconds", started_at=ANY_TIME, destination="", answered=True, final_attempt=True
    )
    files.rows["usage"].append(
        {
            "event_id": f"{case_id} {number}",
            "service": "voice",
            "direction": "outbound",
            "account_id": case_id,
            "carrier_id": case_id,
            "destination": number_of(call["destination"]),
            "started_at": call["started_at"],
            "status": "answered" if call["answered"] else "no_answer",
            "quantity": call["duration_seconds"],
            "quantity_unit": "second",
            "is_final_attempt": str(call["final_attempt"]).lower(),
            "received_at": call["started_at"],
        }
    )


def number_of(digits: str) -> str:
    """A number or prefix of a case as one that an event can have."""
    return IN_FRONT_OF_NUMBERS + digits.removeprefix("+")
