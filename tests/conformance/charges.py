"""Charges over metered usage (schema B): each case is a partner of its own, each charge a plan for its own country.

What no event can say enters at the tables just in front of pricing: usage that is taken away again with the quantity
that it is prorated to, and months that no calendar has.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from conformance.home import CURRENCY, BadCase, Fields, Files, Warehouse, warehouse_of

FAMILIES = ("pricing", "rounding")
# Countries for the charges of a case, by their calling codes.
COUNTRIES = {
    "DE": "49", "FR": "33", "ES": "34", "IT": "39", "GB": "44", "AT": "43", "CH": "41", "PL": "48", "NL": "31",
    "BE": "32", "SE": "46", "NO": "47", "DK": "45", "GR": "30", "HU": "36", "RO": "40",
}  # fmt: skip
# Months of each length, all of them over when the last record comes.
MONTHS = {"28": date(2023, 2, 1), "29": date(2024, 2, 1), "30": date(2024, 4, 1), "31": date(2024, 5, 1)}
ANY_MONTH = MONTHS["31"]
OVER = "2024-07-01T00:00:00Z"
UNROUNDED = {"mode": "half_up", "decimals": "12"}
BY_AMOUNT = ("percentage", "graduated_percentage", "lines")

READ_CHARGES = """
with charges as (
    select
        partner_id,
        sum(case when charge_type != 'statement_rounding' then charge_amount end) as amount,
        sum(charge_amount) as rounded_amount,
        sum(case when charge_type = 'true_up' then charge_amount end) as true_up_amount
    from {{ ref('int_charges_priced') }}
    group by partner_id
),

quantities as (
    select
        partner_id,
        sum(billable_quantity) as billable_quantity
    from {{ ref('int_charge_lines_priced') }}
    where is_last_reading
    group by partner_id
)

select
    parties.party_id as case_id,
    coalesce(charges.amount, 0) as amount,
    coalesce(charges.rounded_amount, 0) as rounded_amount,
    coalesce(charges.true_up_amount, 0) as true_up_amount,
    coalesce(quantities.billable_quantity, 0) as billable_quantity
from {{ ref('stg_terms__parties') }} as parties
left join charges
    on parties.party_id = charges.partner_id
left join quantities
    on parties.party_id = quantities.partner_id
"""
READ_REFUSALS = """
select term_id as what, refusal_reason as reason from {{ ref('int_terms_refused') }}
union all
select partner_id, uncharged_reason from {{ ref('int_usage_aggregated') }} where uncharged_reason is not null
union all
select 'a record', refusal_reason from {{ ref('int_rows_refused') }}
"""
IN_FRONT_OF_PRICING = ("+int_records_metered", "+int_plan_periods_derived", "+int_rows_refused", "+int_terms_refused")
PRICING = (
    "stg_ledger__charges",
    "int_records_priced",
    "int_usage_metered",
    "int_usage_accumulated",
    "int_tiers_priced",
    "int_charge_lines_priced",
    "int_charges_priced",
)


@dataclass
class Stubs:
    """What no event can say: records and plan periods as rows of the tables just in front of pricing."""

    records: list[tuple] = field(default_factory=list)
    period_days: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By plan: active days and days of the period."""

    def insert(self, warehouse: Warehouse) -> None:
        with warehouse.connect() as connection:
            for record in self.records:
                connection.execute(
                    f"insert into attribute.int_records_metered values ({', '.join('?' * len(record))})", record
                )
            for plan_id, days in self.period_days.items():
                connection.execute(
                    "update attribute.int_plan_periods_derived set active_days = ?, period_days = ? where plan_id = ?",
                    [*days, plan_id],
                )


def figures(cases: list[dict]) -> dict[str, dict]:
    """What the models say of each case."""
    files, stubs = Files(), Stubs()
    for month in MONTHS.values():
        add_event(files, "nobody", f"{month} nobody", at(month, 0), OVER)
    for case in cases:
        add_case(files, stubs, case)
    with warehouse_of(files) as warehouse:
        warehouse.build(*IN_FRONT_OF_PRICING)
        stubs.insert(warehouse)
        warehouse.build(*PRICING)
        found = {row["case_id"]: row for row in warehouse.ask(READ_CHARGES)}
        refusals = warehouse.ask(READ_REFUSALS)
    for case in cases:
        row = found[case["case_id"]]
        if case["terms"].get("total_rounding"):
            row["amount"] = row["rounded_amount"]
        row["refusals"] = refused(refusals, case["case_id"])
    return found


def refused(refusals: list[dict], case_id: str) -> str:
    return ", ".join(
        f"{row['what']} {row['reason']}"
        for row in refusals
        if row["what"] and f"{row['what']} ".startswith((f"{case_id} ", "a record"))
    )


def add_case(files: Files, stubs: Stubs, case: dict) -> None:
    case_id = case["case_id"]
    given = Fields(f"{case_id}: terms", case["terms"]).read("charges", total_rounding={})
    usage = Fields(f"{case_id}: usage", case["usage"]).read("records", active_days=None, period_days=None)
    month = MONTHS.get(usage["period_days"], ANY_MONTH)
    until = next_month(month)
    if usage["period_days"] in MONTHS and usage["active_days"].isdigit():
        until = month + timedelta(days=int(usage["active_days"]))
    is_of_calendar = usage["period_days"] is None or month < until <= next_month(month)
    if not is_of_calendar:
        until = next_month(month)
    add_partner(files, case_id, given["total_rounding"])
    if len(given["charges"]) > len(COUNTRIES):
        raise BadCase(f"{case_id}: more charges than {len(COUNTRIES)}")
    plans = {}
    for charge, country in zip(given["charges"], COUNTRIES, strict=False):
        plans[charge["charge_id"]] = plan = add_plan(files, case_id, charge, country, month, until)
        if usage["period_days"] is not None and (not is_of_calendar or usage["period_days"] not in MONTHS):
            stubs.period_days[plan.plan_id] = (usage["active_days"], usage["period_days"])
    for number, record in enumerate(usage["records"]):
        add_record(files, stubs, plans, month, number, case_id, record)


@dataclass
class Plan:
    """A charge of a case as a plan of the terms."""

    plan_id: str
    country: str
    by_bucket: bool
    by_amount: bool
    is_prorated: bool
    buckets: list[str] = field(default_factory=list)

    def hour_of(self, bucket: str) -> int:
        """Another hour of the month for each bucket of the case."""
        if bucket not in self.buckets:
            self.buckets.append(bucket)
        return self.buckets.index(bucket)


def add_partner(files: Files, case_id: str, total_rounding: dict) -> None:
    files.rows["parties"].append(
        {"party_id": case_id, "party_name": case_id, "country_code": "DE", "is_carrier": "false", "is_partner": "true"}
    )
    files.rows["agreements"].append(
        {
            "agreement_id": case_id,
            "party_id": case_id,
            "party_role": "partner",
            "valid_from_date": "2000-01-01",
            "currency": CURRENCY,
            "time_zone": "UTC",
            "rounding_mode": total_rounding.get("mode", "half_up"),
            "line_rounding_decimals": total_rounding.get("decimals", "2"),
            "payment_days": "30",
        }
    )
    add_account(files, case_id, case_id)


def add_account(files: Files, case_id: str, account_id: str) -> None:
    row = {"account_id": account_id, "partner_id": case_id, "valid_from_date": "2000-01-01"}
    if row not in files.rows["accounts"]:
        files.rows["accounts"].append(row)


def add_plan(
    files: Files, case_id: str, charge: dict, country: str, valid_from: date, valid_until: date, **options: str | None
) -> Plan:
    """A plan for the country with the tiers and options that the charge says."""
    where = f"{case_id}: charges"
    prices = {
        "per_unit": ("unit_amount",), "package": ("package_size", "package_amount"), "percentage": ("rate_ratio",),
        "flat": ("flat_amount",), "lines": (),
    }.get(charge["model"], ("tiers",))  # fmt: skip
    quantity = {"quantity_conversion": {}, "quantity_rounding": {}, "free_units": None, "aggregate_by": None}
    event = {
        name: None
        for name in (
            "event_fee_amount", "free_events", "free_amount", "minimum_event_charge_amount",
            "maximum_event_charge_amount",
        )
    }  # fmt: skip
    own = {
        "per_unit": quantity,
        "package": quantity | {"package_rounding": None},
        "graduated": quantity | {"charges_flat_at_zero": None, "prorates_quantity": None},
        "volume": quantity | {"charges_flat_at_zero": None, "prorates_quantity": None},
        "capacity": {"charges_flat_at_zero": None},
        "graduated_percentage": {"charges_flat_at_zero": None},
        "percentage": event | {"record_rounding": {}},
        "lines": {"record_rounding": {}},
        "flat": {},
    }[charge["model"]]
    common = {
        "discount_ratio": None, "line_rounding": {}, "minimum_commitment_amount": None, "true_up": None,
        "overage_ratio": None, "prorates_commitment": None, "maximum_amount": None,
    }  # fmt: skip
    said = Fields(where, charge).read("charge_id", "model", *prices, **own, **common)
    plan_id = f"{case_id} {said['charge_id']}"
    files.rows["plans"].append(
        {
            "plan_id": plan_id,
            "partner_id": case_id,
            "service": "sms",
            "direction": "outbound",
            "country_code": country,
            "valid_from_date": valid_from,
            "valid_until_date": valid_until,
            "pricing_model": said["model"],
            "quantity_unit": "segment",
            "minimum_quantity": "0",
            "increment_quantity": "0",
            "priced_per_quantity": "1",
            "charged_on": "submitted",
        }
    )
    for number, tier in enumerate(tiers_of(where, said), start=1):
        files.rows["plan_tiers"].append({"plan_id": plan_id, "tier_number": number, **tier})
    line_rounding = said["line_rounding"] or UNROUNDED
    has_commitment = said["minimum_commitment_amount"] is not None
    options |= {
        "aggregate_by": {"group": "account", "bucket": "hour"}.get(said.get("aggregate_by")),
        "conversion_operation": said.get("quantity_conversion", {}).get("operation"),
        "conversion_factor": said.get("quantity_conversion", {}).get("factor"),
        "quantity_rounding_mode": said.get("quantity_rounding", {}).get("mode"),
        "quantity_rounding_decimals": said.get("quantity_rounding", {}).get("decimals"),
        "free_quantity": said.get("free_units"),
        "package_rounding": said.get("package_rounding"),
        "charges_flat_at_zero": said.get("charges_flat_at_zero"),
        "prorates_quantity": said.get("prorates_quantity"),
        "event_fee_amount": said.get("event_fee_amount"),
        "free_events": said.get("free_events"),
        "free_amount": said.get("free_amount"),
        "minimum_event_amount": said.get("minimum_event_charge_amount"),
        "maximum_event_amount": said.get("maximum_event_charge_amount"),
        "record_rounding_mode": said.get("record_rounding", {}).get("mode"),
        "record_rounding_decimals": said.get("record_rounding", {}).get("decimals"),
        "discount_ratio": said["discount_ratio"],
        "line_rounding_mode": line_rounding["mode"],
        "line_rounding_decimals": line_rounding["decimals"],
        "minimum_commitment_amount": said["minimum_commitment_amount"],
        # Without a commitment these say nothing, and the terms refuse them.
        "trues_up": said["true_up"] if has_commitment else None,
        "overage_ratio": said["overage_ratio"] if has_commitment else None,
        "prorates_commitment": said["prorates_commitment"] if has_commitment else None,
        "maximum_amount": said["maximum_amount"],
    }
    for option, value in options.items():
        if value is not None:
            text = str(value).lower() if isinstance(value, bool) else value
            files.rows["plan_options"].append({"plan_id": plan_id, "option": option, "value": text})
    return Plan(
        plan_id,
        country,
        by_bucket=said.get("aggregate_by") == "bucket",
        by_amount=said["model"] in BY_AMOUNT,
        is_prorated=bool(said.get("prorates_quantity")),
    )


def tiers_of(where: str, charge: dict) -> list[dict]:
    """Rows of plan_tiers, without plan and number."""
    if charge["model"] == "per_unit":
        return [{"unit_amount": charge["unit_amount"]}]
    if charge["model"] == "package":
        return [{"unit_amount": charge["package_amount"], "block_quantity": charge["package_size"]}]
    if charge["model"] == "percentage":
        return [{"rate_ratio": charge["rate_ratio"]}]
    if charge["model"] == "flat":
        return [{"flat_amount": charge["flat_amount"]}]
    prices = {
        "graduated": {"unit_amount": "0", "flat_amount": "0", "block_size": None},
        "capacity": {"flat_amount": "0"},
        "graduated_percentage": {"rate_ratio": "0", "flat_amount": "0"},
    }
    prices["volume"] = prices["graduated"]
    rows = []
    for tier in charge.get("tiers", []):
        row = Fields(f"{where}: tiers", tier).read("up_to", **prices[charge["model"]])
        names = {"up_to": "up_to_quantity", "block_size": "block_quantity"}
        rows.append({names.get(name, name): value for name, value in row.items()})
    return rows


def add_record(
    files: Files, stubs: Stubs, plans: dict[str, Plan], month: date, number: int, case_id: str, record: dict
) -> None:
    said = Fields(f"{case_id}: records", record).read(
        "charge_id", quantity=None, amount=None, group=None, bucket=None, prorated_quantity=None,
        counts_toward_commitment=True, refunded_quantity=None,
    )  # fmt: skip
    plan = plans[said["charge_id"]]
    started_at = at(month, plan.hour_of(said["bucket"]) if plan.by_bucket else 0, number)
    record_id = f"{case_id} {number}"
    if plan.is_prorated:
        stubs.records.append(
            (record_id, case_id, case_id, plan.plan_id, "", said["quantity"], said["prorated_quantity"], None, True,
             month, started_at, month, None, None)
        )  # fmt: skip
        return
    account_id = case_id if said["group"] is None else f"{case_id} {said['group']}"
    add_account(files, case_id, account_id)
    money = {"amount": said["amount"], "amount_currency": CURRENCY} if plan.by_amount else {}
    add_event(
        files,
        account_id,
        record_id,
        started_at,
        OVER,
        country=plan.country,
        quantity="1" if plan.by_amount else said["quantity"],
        counts_toward_commitment=str(said["counts_toward_commitment"]).lower(),
        refunded_quantity=said["refunded_quantity"],
        **money,
    )


def add_event(
    files: Files, account_id: str, event_id: str, started_at: datetime, received_at: str, country: str = "DE",
    **said: str,
) -> None:  # fmt: skip
    files.rows["usage"].append(
        {
            "event_id": event_id,
            "service": "sms",
            "direction": "outbound",
            "account_id": account_id,
            "carrier_id": "any",
            "destination": COUNTRIES[country] + "1234567",
            "started_at": f"{started_at:%Y-%m-%dT%H:%M:%SZ}",
            "status": "delivered",
            "quantity": "1",
            "quantity_unit": "segment",
            "received_at": received_at,
            **said,
        }
    )


def at(month: date, hour: int, second: int = 0) -> datetime:
    """A moment of the month, on the clock of the agreements."""
    return datetime(month.year, month.month, month.day) + timedelta(hours=hour, seconds=second)


def next_month(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)
