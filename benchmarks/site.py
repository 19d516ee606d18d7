"""How long the pages of a large provider take to write, how large they are, and how soon the largest opens.

    .venv/bin/python benchmarks/site.py [--carriers 100] [--partners 1000] [--lines 200000] [--keep FOLDER]

Invented marts under the contracts of models/settle/_settle.yml: every invoice line with its causes, a year of
settlements and statements, a month of usage and margins by day. Bounds: written in 60 s; the largest page under 5 MB,
with all that it loads, and open in 2 s. Exits with 1 where one of them does not hold.

Belongs here: invented marts and measuring. Does not belong here: the pages (`orchestration/site/`).
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

import duckdb
import yaml

from orchestration import publish, settings, site

SECONDS_TO_WRITE, MEGABYTES_OF_A_PAGE, SECONDS_TO_OPEN = 60, 5, 2
MONTHS = 12
LATEST = "date '2026-10-01'"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# Each table: which columns have which values; the others are null. Amounts are of cents, so that they foot.
CURRENCY = "(['EUR', 'USD', 'GBP', 'JPY'])[1 + {of} % 4]"
CAUSE = "(['INCREMENT', 'RATE', 'DUPLICATE', 'VOLUME', 'ROUNDING'])[1 + {of} % 5]"
TABLES = {
    "dim_carriers": """
        select 'carrier-' || n as carrier_id, 'Carrier number ' || n as carrier_name, 'DE' as country_code,
            'carrier-' || n || '-2026' as latest_agreement_id, {currency} as agreement_currency, 'UTC' as time_zone,
            false as is_partner
        from range({carriers}) as numbers(n)""",
    "dim_partners": """
        select 'partner-' || n as partner_id, 'Partner number ' || n as partner_name, 'FR' as country_code,
            'partner-' || n || '-2026' as latest_agreement_id, {currency} as agreement_currency, 'UTC' as time_zone,
            false as is_carrier
        from range({partners}) as numbers(n)""",
    "dim_destinations": """
        select 'destination-' || n as destination_id, 'Country ' || n // 10 || ' Mobile ' || n as destination_name,
            chr(cast(65 + n // 10 // 26 % 26 as integer)) || chr(cast(65 + n // 10 % 26 as integer)) as country_code,
            3 as dial_code_count, 50 as carrier_count
        from range(2000) as numbers(n)""",
    "dim_billing_periods": """
        select 'carrier-' || n || '-2026:' || strftime(month, '%Y-%m') as billing_period_id,
            'carrier-' || n || '-2026' as agreement_id, 'carrier-' || n as party_id, 'carrier' as party_role,
            cast(month as date) as period_start_date
        from range({carriers}) as numbers(n), months""",
    "fct_carrier_settlements": """
        select 'carrier-' || n || ':' || strftime(month, '%Y-%m') as carrier_settlement_id,
            'carrier-' || n as carrier_id,
            'carrier-' || n || '-2026:' || strftime(month, '%Y-%m') as billing_period_id, 1 as invoice_count,
            0 as unfooted_invoice_count, 12000 as invoiced_amount, 11000 as rated_amount, 1000 as variance_amount,
            11200 as accepted_amount, 800 as disputed_amount, 800 as withheld_amount, 0 as credited_amount,
            11200 as payable_amount, 0 as receivable_amount, {currency} as settlement_currency, true as has_agreement,
            cast(month as date) as period_start_date, cast(month as date) + cast(45 + n % 20 as integer) as due_date
        from range({carriers}) as numbers(n), months""",
    "fct_carrier_invoice_lines": """
        select 'carrier-' || n % {carriers} || ':INV-202610:' || n // {carriers} as invoice_line_id,
            'carrier-' || n % {carriers} as carrier_id,
            'carrier-' || n % {carriers} || '-2026:2026-10' as billing_period_id,
            'destination-' || n // {carriers} % 2000 as destination_id, 'INV-202610' as invoice_number,
            'usage' as line_type, 'voice' as service, 'outbound' as direction,
            'Country ' || n // {carriers} % 2000 // 10 || ' Mobile ' || n // {carriers} % 2000 as destination_name,
            'Calls to a mobile network' as line_description, if(n % 3 = 0, 'disputed', 'agreed') as line_status,
            'destination' as matched_grain, 'second' as quantity_unit, 1 as invoice_version,
            n // {carriers} as line_number,
            100 + n % 900 as invoiced_event_count, 100 + n % 900 as rated_event_count, 6000.5 + n as invoiced_quantity,
            6000 + n as rated_quantity, 0.0123 as invoiced_rate_amount, 0.0123 as rated_rate_amount,
            10 + n % 700 + if(n % 3 = 0, 0.37, 0) as invoiced_amount, 10 + n % 700 as rated_amount,
            if(n % 3 = 0, 0.37, 0) as variance_amount, if(n % 3 = 0, 0.37, 0) as disputed_variance_amount,
            {line_currency} as invoice_currency, true as is_invoiced, false as is_repeated,
            date '2026-11-03' as invoice_date, date '2026-10-01' as service_first_date,
            date '2026-10-31' as service_last_date
        from range({lines}) as numbers(n)""",
    "fct_variance_components": """
        select invoice_line_id || ':' || {line_cause} as variance_component_id, invoice_line_id, carrier_id,
            billing_period_id, carrier_id || ':INV-202610:' || {line_cause} as dispute_id, invoice_number,
            {line_cause} as cause, variance_amount as component_variance_amount, invoice_currency, invoice_date
        from settle.fct_carrier_invoice_lines where variance_amount <> 0""",
    "fct_disputes": """
        select min(dispute_id) as dispute_id, carrier_id, billing_period_id, invoice_number, cause,
            'above_tolerance' as raised_for, 'to_raise' as dispute_status, 1 as months_running, count(*) as line_count,
            count(*) as event_count, sum(component_variance_amount) as dispute_amount, 0 as credit_received_amount,
            sum(component_variance_amount) as open_amount, invoice_currency as dispute_currency, true as may_withhold,
            invoice_date, date '2026-12-03' as raise_by_date
        from settle.fct_variance_components group by all""",
    "fct_carrier_policies": """
        select 'carrier-' || n || ':voice' as carrier_policy_id, 'carrier-' || n as carrier_id,
            'carrier-' || n || '-2026:2026-10' as billing_period_id, 'voice' as service, 'outbound' as direction,
            '30/6' as agreed_policy_name, if(n % 4 = 0, '60/60', null) as deviating_policy_name, 2000 as line_count,
            1300 as agreed_line_count, 700 as deviating_line_count, 690 as reproduced_line_count, 80 as lead_line_count
        from range({carriers}) as numbers(n)""",
    "fct_partner_statements": """
        select 'partner-' || n || ':' || strftime(month, '%Y-%m') as statement_id, 'partner-' || n as partner_id,
            5000 as event_count, 1234.56 as charge_amount, 234.57 as tax_amount, 12.34 as revenue_share_amount,
            1456.79 as receivable_amount, 0 as payable_amount, {currency} as statement_currency,
            cast(month as date) as period_start_date, cast(month as date) + 60 as due_date
        from range({partners}) as numbers(n), months""",
    # Of the last two months nothing is paid yet.
    "fct_open_items": """
        select carrier_settlement_id as open_item_id, carrier_id as party_id, 'carrier' as paid_as,
            'settlement' as document_type, carrier_settlement_id as document_id, payable_amount as document_amount,
            0 as cleared_amount, payable_amount, 0 as receivable_amount, settlement_currency as item_currency,
            period_start_date, due_date
        from settle.fct_carrier_settlements where period_start_date > {latest} - interval 2 month
        union all
        select statement_id, partner_id, 'partner', 'statement', statement_id, receivable_amount, 0, 0,
            receivable_amount, statement_currency, period_start_date, due_date
        from settle.fct_partner_statements where period_start_date > {latest} - interval 2 month""",
    "fct_partner_statement_lines": """
        select 'partner-' || n || ':' || strftime(month, '%Y-%m') || ':' || line as statement_line_id,
            'partner-' || n || ':' || strftime(month, '%Y-%m') as statement_id, 'partner-' || n as partner_id,
            'plan-' || line as plan_id, 'voice' as service, 'outbound' as direction, '*' as country_code,
            'graduated' as pricing_model, 'usage' as charge_type, 'second' as quantity_unit, line as tier_number,
            625 as event_count, 100000 + line as charged_quantity, 60 as priced_per_quantity, 0.012 as unit_amount,
            154.32 as charge_amount, {currency} as charge_currency, cast(month as date) as period_start_date
        from range({partners}) as numbers(n), months, range(8) as lines(line)""",
    "fct_partner_running_charges": """
        select 'partner-' || n || ':' || line as running_charge_id, 'partner-' || n as partner_id,
            'plan-' || line as plan_id,
            'voice' as service, 'outbound' as direction, 5000 as event_count, 100000 as used_quantity,
            'second' as quantity_unit, 900 as charge_amount, if(line = 0, n % 7 * 50, null) as commitment_left_amount,
            2000 as projected_charge_amount, 0 as projected_true_up_amount, {currency} as charge_currency,
            timestamp '2026-11-12 10:00:00' as known_until_at, date '2026-11-01' as period_start_date
        from range({partners}) as numbers(n), range(3) as lines(line)""",
    "fct_margins": """
        select 'margin-' || n || '-' || day as margin_id, 'voice' as service, 'outbound' as direction,
            'carrier-' || n % {carriers} as carrier_id, 'destination-' || n // {carriers} * 7 % 2000 as destination_id,
            'partner-' || n % {partners} as partner_id, 20 as event_count, 10 + n % 90 / 10 as revenue_amount,
            9.123457 as corrected_cost_amount, 0.1 as share_amount, 10 + n % 90 / 10 - 9.223457 as margin_amount,
            'EUR' as reporting_currency, false as has_unconverted_money, {latest} + cast(day as integer) as usage_date
        from range(20000) as numbers(n), range(31) as days(day)""",
    "fct_usage_daily": """
        select margin_id as usage_daily_id, service, direction, carrier_id, destination_id, partner_id,
            if(hash(margin_id) % 500 = 0, 'no_rate', null) as unrated_reason, 'second' as quantity_unit, event_count,
            if(hash(margin_id) % 500 = 0, 0, event_count) as rated_event_count, 0 as not_charged_event_count,
            if(hash(margin_id) % 500 = 0, event_count, 0) as unrated_event_count, 0 as uncharged_event_count,
            1200 as quantity, 1200 as billed_quantity, corrected_cost_amount as rated_cost_amount,
            'EUR' as rated_cost_currency, if(hash(margin_id) % 500 = 0, 1.5, null) as at_risk_amount,
            if(hash(margin_id) % 500 = 0, 'EUR', null) as at_risk_currency, usage_date
        from settle.fct_margins""",
    "fct_landed_files": """
        select 'file-' || n as file_id, 'usage' as feed_kind, 'native' as feed_name,
            'usage_2026-10-' || n || '.csv.gz' as file_name, 'loaded' as file_status, 24 as expected_every_hours,
            30000 as record_count, 30000 as loaded_count, 0 as quarantined_count, 0 as refused_count,
            timestamp '2026-11-01 00:00:00' + to_minutes(n) as loaded_at
        from range(10000) as numbers(n)""",
}
STATES = {
    "index.html": {},
    "carriers.html": {},
    "carriers.html one": {"carrier": "carrier-7"},
    "lines.html": {},
    "lines.html invoice": {"invoice": "carrier-7 INV-202610"},
    "lines.html line": {"line": "carrier-7:INV-202610:1234"},
    "partners.html": {},
    "partners.html one": {"partner": "partner-7"},
    "routes.html": {},
    "health.html": {},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--carriers", type=int, default=100)
    parser.add_argument("--partners", type=int, default=1_000)
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--keep", type=Path, help="Folder for the publication; it stays.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        published = arguments.keep or Path(folder) / "published"
        invent(published, arguments.carriers, arguments.partners, arguments.lines)
        started = time.monotonic()
        written = site.write(published)
        seconds = time.monotonic() - started
        print(
            f"written in {seconds:.1f} s (bound {SECONDS_TO_WRITE}): {written.bytes_written / 1e6:.1f} MB", flush=True
        )
        holds = seconds <= SECONDS_TO_WRITE
        for name, megabytes, opened in open_pages(published / site.writing.LINK):
            holds = holds and megabytes <= MEGABYTES_OF_A_PAGE and opened <= SECONDS_TO_OPEN
            print(f"  {name:<20} {megabytes:5.2f} MB   open in {opened:5.2f} s", flush=True)
    sys.exit(0 if holds else 1)


def invent(published: Path, carriers: int, partners: int, lines: int) -> None:
    """A publication of invented marts."""
    version = published / publish.VERSIONS / "invented"
    version.mkdir(parents=True)
    words = {
        "carriers": carriers,
        "partners": partners,
        "lines": lines,
        "latest": LATEST,
        "currency": CURRENCY.format(of="n"),
        "line_currency": CURRENCY.format(of=f"(n % {carriers})"),
        "line_cause": CAUSE.format(of="line_number"),
    }
    contract = yaml.safe_load((settings.PROJECT_DIR / "models" / "settle" / "_settle.yml").read_text())["models"]
    rows = {}
    with duckdb.connect(str(version / publish.FILE)) as connection:
        connection.execute("create schema settle")
        connection.execute(
            f"create temp table months as select {LATEST} - to_months(cast(n as integer)) as month "
            f"from range({MONTHS}) as numbers(n)"
        )
        for table in contract:
            columns = ", ".join(f'"{column["name"]}" {column["data_type"]}' for column in table["columns"])
            connection.execute(f"create table settle.{table['name']} ({columns})")
        for table, sql in TABLES.items():
            connection.execute(f"insert into settle.{table} by name {sql.format(**words)}")
        for table in contract:
            (rows[table["name"]],) = connection.execute(f"select count(*) from settle.{table['name']}").fetchone()
    tables = {name: {"rows": count, "fingerprint": name, "parquet": ""} for name, count in rows.items()}
    manifest = {"published_at": "2026-11-12T10:00:00+00:00", "version": version.name, "tables": tables}
    (version / publish.MANIFEST).write_text(json.dumps(manifest))
    (published / publish.CURRENT).symlink_to(f"{publish.VERSIONS}/{version.name}")


def open_pages(folder: Path) -> list[tuple[str, float, float]]:
    """Of each page its megabytes, with all that it loads, and the seconds until it stands, in a real browser."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        print("no browser is installed: pages are not opened")
        return []
    from playwright.sync_api import sync_playwright

    measured = []
    with sync_playwright() as started, started.chromium.launch(executable_path=found, args=["--no-sandbox"]) as browser:
        for name, state in STATES.items():
            with browser.new_context() as context:
                page = context.new_page()
                loaded: list[str] = []
                page.on("request", lambda request, loaded=loaded: loaded.append(request.url))
                begun = time.monotonic()
                page.goto(f"{(folder / name.split()[0]).as_uri()}#{urlencode(state)}")
                page.wait_for_selector("main:not([aria-busy]) h1")
                seconds = time.monotonic() - begun
                urls = {url.partition("#")[0].removeprefix("file://") for url in loaded if url.startswith("file:")}
                measured.append((name, sum(Path(url).stat().st_size for url in urls) / 1e6, seconds))
    return measured


if __name__ == "__main__":
    main()
