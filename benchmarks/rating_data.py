"""The month that is measured: terms, decks, usage and invoices as files, as large as asked, the same each time.

Belongs here: what lands. Does not belong here: loading it, measuring. The engine writes all that is long, a day of
usage at a time, so that a hundred million events need no more memory than three.

What the month is like: a carrier's deck has a rate for each of two thousand destinations and some thirty codes for
each of these, and changes one destination in twenty in mid-month. Half of the traffic goes to a few hundred codes, and
accounts and carriers are as unequal. One call in ten is unanswered, most are short; one event in two hundred comes
again a day later, every fourth of these with another duration; three records in twenty thousand cannot be read.
"""

import csv
from pathlib import Path

import duckdb

from orchestration import settings, terms

DAYS = 31
MONTH_START, MONTH_SECONDS = "2026-09-30 22:00:00", DAYS * 86_400 + 3_600  # October in Berlin, whose clocks go back
LAST_DAY = MONTH_SECONDS - 86_400, 86_400
AMENDED_DATE = "2026-10-15"
MOST_SECONDS_LATE = 600  # by which a record may stand behind that of a later call
INCREMENTS = [(60, 60), (30, 6), (1, 1)]
PRICED_COUNTRIES = ["*", "DE", "FR", "GB"]
SHARES = [
    {"share_kind": "fixed_per_unit", "unit_amount": "0.0020", "priced_per_quantity": 60},
    {"share_basis": "remainder", "share_ratio": "0.05"},
    {"share_basis": "margin", "share_ratio": "0.10"},
    {"share_ratio": "0.02", "cap_amount": 500},
]
CALLING_CODES = settings.PROJECT_DIR / "seeds" / "reference" / "calling_codes.csv"

FUNCTIONS = """
    -- A number that looks like chance, another one for each use of a row. Of two arguments of hash() the engine makes
    -- numbers that hang together.
    create macro chance(i, use) as hash(i * 32 + use);
    -- The same from 0 to 1.
    create macro share(i, use) as chance(i, use) / 18446744073709551616.0;
    -- A number from 1 to `most`, the n-th of them about 1 / n as often as the first.
    create macro unequal(i, use, most) as floor(pow(most, share(i, use)))::bigint;
    create macro written(instant) as strftime(instant, '%Y-%m-%dT%H:%M:%SZ');
"""
# All codes: a quarter more than a deck has, so that no two decks are alike. `place` orders them by their traffic.
CODES = """
    create table codes as
    with countries as (
        select calling_code, country_code, row_number() over (order by calling_code) as country_number
        from read_csv('{calling_codes}', all_varchar = true)
    ),
    drawn as (
        select distinct
            1 + floor(share(i, 1) * (select count(*) from countries))::bigint as country_number,
            left(lpad((chance(i, 2) % 1000000)::varchar, 6, '0'), 2 + (chance(i, 3) % 5)::integer) as digits
        from range({codes} * 2) as numbers(i)
    )
    select
        calling_code || digits as code,
        country_code || ' ' || hash(digits) % 10 as destination_name,
        row_number() over (order by hash(calling_code || digits), calling_code || digits) as place
    from drawn
    join countries using (country_number)
    qualify place <= {codes}
"""
# Every number has some code: that of its first digit.
DECK_ROWS = """
    create table deck_rows as
    with offered as (
        select 'carrier-' || c as carrier_id, code, destination_name
        from codes, range({carriers}) as carriers(c)
        qualify row_number() over (partition by c order by hash(code || ' ' || c), code) <= {codes} - 9
        union all
        select 'carrier-' || c, digit::varchar, 'Rest of zone ' || digit
        from range({carriers}) as carriers(c), range(1, 10) as digits(digit)
    )
    select
        *,
        ((1000 + hash(carrier_id || destination_name || 1) % 90000) * 0.000001::decimal(18, 6))::varchar as rate_amount,
        ((1000 + hash(carrier_id || destination_name || 2) % 90000) * 0.000001::decimal(18, 6))::varchar
            as amended_rate_amount,
        hash(carrier_id || destination_name || 3) % 20 = 0 as is_amended
    from offered
"""
DECK = """
    select
        carrier_id, 'voice' as service, 'outbound' as direction, '{kind} 1' as deck_version, '{kind}' as deck_kind,
        '{received_at}' as received_at, '{effective_date}' as effective_date, code as dial_code, destination_name,
        '' as change_type, {rate} as rate_amount, 'EUR' as rate_currency, '60' as rate_per_quantity,
        'second' as rate_unit
    from deck_rows
    where carrier_id = 'carrier-{carrier}' and {condition}
    order by code
"""
CALLS = """
    with drawn as (
        select
            i,
            'account-' || unequal(i, 11, {partners} + 1) as account_id,
            'carrier-' || floor({carriers} * pow(share(i, 12), 1.5))::bigint as carrier_id,
            unequal(i, 13, (select count(*) from codes) + 1) as place,
            timestamp '{month_start}' + to_seconds(
                {first_second} + (i - {first}) * {seconds} // {count} + (chance(i, 14) % {most_seconds_late})::bigint
            ) as started_at,
            case
                when share(i, 15) < 0.1 then 0
                else least(3600, floor(60 * (pow(1 - share(i, 16), -0.6) - 1))::bigint)
            end as quantity,
            share(i, 15) >= 0.1 as is_answered,
            5 + (chance(i, 17) % 300)::bigint as seconds_to_receipt,
            chance(i, 18) % 20000 as fault
        from range({begin}, {until}) as numbers(i)
    )
    select
        'ev-' || lpad(i::varchar, 11, '0') as event_id,
        'voice' as service,
        'outbound' as direction,
        account_id,
        carrier_id,
        '+' || (49300000000 + chance(i, 19) % 99999999)::varchar as origin,
        case
            when fault = 0 then 'anonymous'
            else '+' || left(
                code || lpad((chance(i, 20) % 10000000000)::varchar, 10, '0'), 11 + (chance(i, 21) % 2)::integer
            )
        end as destination,
        case when fault = 1 then strftime(started_at, '%Y-%m-%d %H:%M:%S') else written(started_at) end as started_at,
        case when is_answered then 'answered' else 'no_answer' end as status,
        case when fault = 2 then 'n/a' else (quantity + {more_seconds})::varchar end as quantity,
        'second' as quantity_unit,
        written(started_at + to_seconds(quantity + seconds_to_receipt + {more_seconds_to_receipt})) as received_at
    from drawn
    join codes using (place)
    where {condition}
"""
# What the carriers bill, from events that somebody rated: a line for each destination and price. One line in fifty is
# dearer by a twenty-fifth, another one has a hundredth more than there was.
INVOICE = """
    with lines as (
        select
            destination_name,
            rate_amount,
            min((started_at at time zone 'UTC' at time zone 'Europe/Berlin')::date) as first_date,
            max((started_at at time zone 'UTC' at time zone 'Europe/Berlin')::date) as last_date,
            count(*) as event_count,
            sum(billed_quantity) as billed_quantity,
            sum(rated_cost_amount) as amount,
            hash(carrier_id || destination_name) % 50 as fault
        from read_parquet('{rated}')
        where carrier_id = 'carrier-{carrier}' and rated_cost_amount is not null
        group by carrier_id, destination_name, rate_amount
    ),
    billed as (
        select
            destination_name, first_date, last_date,
            event_count + case when fault = 1 then 1 + event_count // 100 else 0 end as event_count,
            billed_quantity + case when fault = 1 then 60 * (1 + event_count // 100) else 0 end as billed_quantity,
            (rate_amount * case when fault = 0 then 1.04 else 1 end)::decimal(18, 8) as rate_amount,
            (amount * case fault when 0 then 1.04 when 1 then 1.01 else 1 end)::decimal(18, 2) as amount
        from lines
    )
    select
        'carrier-{carrier}' as carrier_id, 'October' as invoice_number, '1' as invoice_version,
        '2026-11-03' as invoice_date, '2026-10-01' as billing_period_start_date, 'EUR' as currency,
        row_number() over (order by destination_name, first_date, rate_amount) as line_number, 'usage' as line_type,
        'voice' as service, 'outbound' as direction, destination_name, first_date as service_first_date,
        last_date as service_last_date, event_count, billed_quantity, 'second' as quantity_unit, rate_amount,
        '60' as rate_per_quantity, amount, '' as description, sum(amount) over () as invoice_total_amount
    from billed
    order by line_number
"""


class Month:
    """A month of so many events. Each method writes one kind of file into the folder that it is given."""

    def __init__(self, events: int, deck_rows: int, carriers: int = 5, partners: int = 1000) -> None:
        self.events, self.carriers, self.partners = events, carriers, partners
        self.engine = duckdb.connect()
        self.engine.execute("set memory_limit = '4GiB'")
        self.engine.execute(FUNCTIONS)
        codes = deck_rows // carriers
        self.engine.execute(CODES.format(calling_codes=CALLING_CODES, codes=codes * 5 // 4))
        self.engine.execute(DECK_ROWS.format(carriers=carriers, codes=codes))

    def write_terms(self, folder: Path) -> None:
        """An agreement for each carrier and each partner; the tables that nothing here asks for are empty."""
        rows = _terms([f"carrier-{n}" for n in range(self.carriers)], self.partners)
        for demo in terms.DEMO_TERMS.glob("*.csv"):
            with demo.open(newline="") as file:
                header = next(csv.reader(file))
            with (folder / demo.name).open("w", newline="") as file:
                writer = csv.DictWriter(file, header)
                writer.writeheader()
                writer.writerows(rows.get(demo.stem, []))

    def write_decks(self, folder: Path, *, amended: bool = True) -> None:
        full = {"kind": "full", "received_at": "2026-01-01T00:00:00Z", "effective_date": "2026-02-01",
                "rate": "rate_amount", "condition": "true"}  # fmt: skip
        amendment = {"kind": "amendment", "received_at": "2026-10-08T09:00:00Z", "effective_date": AMENDED_DATE,
                     "rate": "amended_rate_amount", "condition": "is_amended"}  # fmt: skip
        for carrier in range(self.carriers):
            for deck in (full, amendment) if amended else (full,):
                query = DECK.format(carrier=carrier, **deck)
                self.engine.execute(f"copy ({query}) to '{folder}/carrier-{carrier} {deck['kind']}.csv' (header)")

    def write_usage(self, folder: Path) -> None:
        """A file for each day. What comes twice comes again with the next day's, so the last file holds only that."""
        begins = [self.events * day // DAYS for day in range(DAYS + 1)]
        for day in range(DAYS + 1):
            parts = []
            if day < DAYS:
                parts.append(self._calls(begins[day], begins[day + 1]))
            if day > 0:
                parts.append(self._calls(begins[day - 1], begins[day], again=True))
            self._write_calls(folder / f"day {day + 1:02}.parquet", parts)

    def write_more_usage(self, file: Path, count: int, *, of_the_last_day: bool) -> None:
        """New events beyond those of the month: of its last day, or late, of all its days."""
        span = LAST_DAY if of_the_last_day else (0, MONTH_SECONDS)
        first = self.events
        self._write_calls(file, [self._calls(first, first + count, first=first, count=count, span=span)])

    def write_invoices(self, folder: Path, rated: Path) -> None:
        """An invoice from each carrier for the events that somebody rated, as Parquet."""
        for carrier in range(self.carriers):
            query = INVOICE.format(carrier=carrier, rated=rated)
            self.engine.execute(f"copy ({query}) to '{folder}/carrier-{carrier}.csv' (header)")

    def _calls(
        self,
        begin: int,
        until: int,
        *,
        first: int = 0,
        count: int | None = None,
        span: tuple[int, int] = (0, MONTH_SECONDS),
        again: bool = False,
    ) -> str:
        """Calls `begin` to `until` of the `count` that are spread over a span from the call `first` on."""
        return CALLS.format(
            month_start=MONTH_START,
            carriers=self.carriers,
            partners=self.partners,
            begin=begin,
            until=until,
            first=first,
            count=self.events if count is None else count,
            first_second=span[0],
            seconds=span[1] - MOST_SECONDS_LATE,
            most_seconds_late=MOST_SECONDS_LATE,
            condition="chance(i, 22) % 200 = 0" if again else "true",
            more_seconds="case when is_answered and chance(i, 23) % 4 = 0 then 1 else 0 end" if again else "0",
            more_seconds_to_receipt=86_400 if again else 0,
        )

    def _write_calls(self, file: Path, parts: list[str]) -> None:
        query = " union all ".join(f"({part})" for part in parts)
        self.engine.execute(f"copy ({query}) to '{file}' (format parquet)")


def _terms(carriers: list[str], partners: int) -> dict[str, list[dict]]:
    """Prices and shares of each partner, twenty rows: a plan for all countries and one for each of three, which fall by
    tiers for every third partner and by another scale for the others; and a cascade of four shares for other partners.
    """
    names = [f"partner-{number}" for number in range(1, partners + 1)]
    common = {"valid_from_date": "2026-01-01", "currency": "EUR", "time_zone": "Europe/Berlin",
              "rounding_mode": "half_up", "line_rounding_decimals": 2, "tax_ratio": 0, "payment_days": 30}  # fmt: skip
    return {
        "parties": [
            {"party_id": name, "party_name": name, "country_code": "DE", "is_carrier": name in carriers,
             "is_partner": name in names}
            for name in [*carriers, *names]
        ],
        "agreements": [
            *(common | {"agreement_id": name, "party_id": name, "party_role": "carrier", "event_rounding_decimals": 4}
              for name in carriers),
            *(common | {"agreement_id": name, "party_id": name, "party_role": "partner"} for name in names),
        ],
        "rating_terms": [
            {"agreement_id": name, "service": "voice", "direction": "outbound", "quantity_unit": "second",
             "minimum_quantity": INCREMENTS[number % 3][0], "increment_quantity": INCREMENTS[number % 3][1],
             "increment_method": "residual", "charged_on": "answered"}
            for number, name in enumerate(carriers)
        ],
        "tolerances": [
            {"agreement_id": name, "cause": "*", "tolerance_ratio": 0, "tolerance_amount": "25.00",
             "raise_within_days": 30, "may_withhold": True}
            for name in carriers
        ],
        "accounts": [
            {"account_id": f"account-{number}", "partner_id": name, "valid_from_date": "2026-01-01"}
            for number, name in enumerate(names, start=1)
        ],
        "plans": [
            {"plan_id": f"{name} {country}", "partner_id": name, "service": "voice", "direction": "outbound",
             "country_code": country, "valid_from_date": "2026-01-01",
             "pricing_model": "graduated" if number % 3 == 0 else "volume",
             "quantity_unit": "second", "minimum_quantity": 60, "increment_quantity": 60, "priced_per_quantity": 60,
             "charged_on": "answered"}
            for number, name in enumerate(names)
            for country in PRICED_COUNTRIES
        ],
        "plan_tiers": [
            {"plan_id": f"{name} {country}", "tier_number": number, "up_to_quantity": limit, "unit_amount": price,
             "flat_amount": 0}
            for name in names
            for country in PRICED_COUNTRIES
            for number, limit, price in [(1, 600_000, "0.0900"), (2, 6_000_000, "0.0850"), (3, None, "0.0800")]
        ],
        "revenue_shares": [
            {"rule_id": name, "seller_partner_id": name, "service": "voice", "valid_from_date": "2026-01-01",
             "beneficiary_partner_id": names[(number + step) % partners], "step": step} | share
            for number, name in enumerate(names)
            for step, share in enumerate(SHARES, start=1)
        ],
    }  # fmt: skip
