"""The pages in a real browser: they open from the disk, ask nobody, add up to the marts, can be used by everyone."""

import csv
import io
import json
import os
import shlex
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlencode

import duckdb
import pytest
from conftest import tollgate

from orchestration import packs, site
from orchestration.exports import payments
from orchestration.settings import Home
from orchestration.site import writing
from orchestration.site.chunks import name_of

PERIOD = "2026-10"
PAGES = {
    "index.html": {},
    "carriers.html": {},
    "carriers.html nordlink": {"carrier": "nordlink"},
    "carriers.html gulf-connect": {"carrier": "gulf-connect"},
    "carriers.html unknown": {"carrier": "nobody"},
    "lines.html": {},
    "lines.html invoice": {"invoice": "nordlink NNK-202610"},
    "lines.html line": {"line": "nordlink:NNK-202610:1"},
    "partners.html": {},
    "partners.html acme-resale": {"partner": "acme-resale"},
    "routes.html": {},
    "health.html": {},
}


@pytest.fixture(scope="module")
def published(demo) -> Path:
    home, _ = demo
    return home / "published"


@pytest.fixture(scope="module")
def marts(published) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(published / "settlement.duckdb"), read_only=True) as connection:
        yield connection


class Reader:
    """Somebody with a browser: what they see, what the browser complains of, whom it asks."""

    def __init__(self, browser, folder: Path, **options) -> None:
        self.folder = folder
        self.context = browser.new_context(**{"locale": "en-US", "viewport": {"width": 1280, "height": 900}} | options)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def open(self, file: str, **state: str) -> None:
        self.page.goto("about:blank")
        self.page.goto(f"{(self.folder / file).as_uri()}{'#' + urlencode(state) if state else ''}")
        self.settle()

    def settle(self) -> None:
        try:
            self.page.wait_for_selector("main:not([aria-busy])", timeout=10_000)
            self.page.wait_for_selector(".foot span", timeout=10_000)
        except Exception as error:
            error.add_note(f"{self.page.url} does not stand: {self.complaints}")
            raise

    def read(self, title: str) -> None:
        """Waits until the page is about this."""
        self.page.locator("h1", has_text=title).wait_for()

    def totals(self, table: str) -> dict[tuple[str, str], Decimal]:
        cells = self.page.eval_on_selector_all(
            f"#{table} tfoot [data-total]",
            "cells => cells.map(cell => [cell.dataset.column, cell.dataset.currency, cell.dataset.total])",
        )
        return {(column, currency): Decimal(total) for column, currency, total in cells}

    def save(self, table: str) -> list[dict[str, str]]:
        with self.page.expect_download() as download:
            self.page.click(f"#{table} .tools button:has-text('CSV')")
        text = Path(download.value.path()).read_text(encoding="utf-8")
        return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture
def reader(browser, published) -> Iterator[Callable[..., Reader]]:
    opened: list[Reader] = []

    def read(folder: Path | None = None, **options) -> Reader:
        opened.append(Reader(browser, folder or published / "site", **options))
        return opened[-1]

    yield read
    for one in opened:
        one.context.close()


def sums(marts: duckdb.DuckDBPyConnection, sql: str) -> dict[tuple[str, str], Decimal]:
    """Rows of currency and sums, as the page has them: by column and currency."""
    found = marts.execute(sql)
    columns = [column for column, *_ in found.description][1:]
    return {
        (column, currency): amount
        for currency, *amounts in found.fetchall()
        for column, amount in zip(columns, amounts, strict=True)
        if amount is not None
    }


# Every page ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_every_page_opens_from_the_disk_asks_nobody_and_can_be_used_by_everyone(reader, published, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    one = reader(color_scheme=scheme, viewport={"width": width, "height": 800})
    faults = []
    for name, state in PAGES.items():
        one.open(name.split()[0], **state)
        found = axe.run(one.page, options={"preload": False})
        faults += [
            f"{name}: {fault['id']}: {fault['nodes'][0]['html'][:120]}"
            for fault in found.response["violations"]
            if fault["impact"] in ("serious", "critical")
        ]
        overflow = one.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, f"{name} is {overflow} px wider than the window"
        assert one.page.locator("h1").count() == 1
    assert not faults, "\n".join(faults)
    assert one.complaints == []
    inside = published.resolve().as_uri()
    lawful = (inside, published.as_uri(), "about:blank", "data:")
    assert [url for url in one.asked if not url.startswith(lawful)] == []


def test_a_page_cannot_ask_anybody_even_if_it_wanted_to(reader):
    one = reader()
    one.open("index.html")
    answered = one.page.evaluate("fetch('https://example.com/').then(() => 'answered', error => error.name)")
    assert answered == "TypeError" and any("Content Security Policy" in said for said in one.complaints)


# Figures -------------------------------------------------------------------------------------------------------------

SETTLEMENT_SUMS = """
    sum(invoiced_amount) as invoiced_amount, sum(rated_amount) as rated_amount, sum(variance_amount) as variance_amount,
    sum(disputed_amount) as disputed_amount, sum(withheld_amount) as withheld_amount,
    sum(credited_amount) as credited_amount, sum(payable_amount) as payable_amount,
    sum(receivable_amount) as receivable_amount"""
STATEMENT_SUMS = """
    sum(charge_amount) as charge_amount, sum(tax_amount) as tax_amount,
    sum(revenue_share_amount) as revenue_share_amount, sum(receivable_amount) as receivable_amount,
    sum(payable_amount) as payable_amount"""
OCTOBER = "strftime(period_start_date, '%Y-%m') = '2026-10'"


def test_totals_of_carriers_and_partners_are_those_of_the_marts(reader, marts):
    one = reader()
    one.open("carriers.html", period=PERIOD)
    query = (
        f"select settlement_currency, {SETTLEMENT_SUMS} from settle.fct_carrier_settlements where {OCTOBER} group by 1"
    )
    found = sums(marts, query)
    # A column that is zero for every carrier takes the room of others that say something.
    empty = {
        name for name in ("credited_amount", "receivable_amount") if not any(found[of] for of in found if of[0] == name)
    }
    assert one.totals("carriers") == {of: amount for of, amount in found.items() if of[0] not in empty} != {}
    one.open("partners.html", period=PERIOD)
    query = f"select statement_currency, {STATEMENT_SUMS} from settle.fct_partner_statements where {OCTOBER} group by 1"
    assert one.totals("partners") == sums(marts, query) != {}
    margins = """
        select reporting_currency, sum(revenue_amount) as revenue_amount,
            sum(corrected_cost_amount) as corrected_cost_amount, sum(share_amount) as share_amount,
            sum(margin_amount) as margin_amount
        from settle.fct_margins where strftime(usage_date, '%Y-%m') = '2026-10' group by 1"""
    assert one.totals("margins") == sums(marts, margins) != {}
    one.open("routes.html", period=PERIOD, only="all")
    assert one.totals("routes") == sums(marts, margins)


def test_the_overview_says_what_the_marts_say(reader, marts):
    one = reader()
    one.open("index.html", period=PERIOD)
    found = one.page.eval_on_selector_all(
        "#money [data-figure]", "cells => cells.map(cell => [cell.dataset.figure, cell.dataset.amount])"
    )
    shown = {name: Decimal(amount) for name, amount in found}
    carriers = sums(
        marts,
        f"select settlement_currency, {SETTLEMENT_SUMS} from settle.fct_carrier_settlements where {OCTOBER} group by 1",
    )
    partners = sums(
        marts,
        f"select statement_currency, {STATEMENT_SUMS} from settle.fct_partner_statements where {OCTOBER} group by 1",
    )
    risk = sums(
        marts,
        """
        select at_risk_currency, sum(at_risk_amount) as risk from settle.fct_usage_daily
        where strftime(usage_date, '%Y-%m') = '2026-10' and unrated_event_count > 0 group by 1""",
    )
    for currency in sorted({currency for _, currency in carriers | partners}):
        for name, column in {
            "invoiced": "invoiced_amount",
            "expected": "rated_amount",
            "disputed": "disputed_amount",
        }.items():
            assert shown.get(f"{name} {currency}") == carriers.get((column, currency))
        pay = carriers.get(("payable_amount", currency), 0) + partners.get(("payable_amount", currency), 0)
        receive = carriers.get(("receivable_amount", currency), 0) + partners.get(("receivable_amount", currency), 0)
        assert shown[f"pay {currency}"] == pay and shown[f"get {currency}"] == receive
        assert shown[f"net {currency}"] == receive - pay
    assert {name: amount for name, amount in shown.items() if name.startswith("risk")} == {
        f"risk {currency}": amount for (_, currency), amount in risk.items()
    }


def added_up(rows: Iterable[tuple[str, str, Decimal]]) -> Counter[tuple[str, str]]:
    """Amounts by party and currency."""
    found: Counter[tuple[str, str]] = Counter()
    for party, currency, amount in rows:
        found[party, currency] += amount
    return found


def test_what_to_pay_is_the_same_on_the_page_in_the_export_and_in_the_marts(reader, marts, demo, tmp_path):
    until = "2026-12-04"
    with packs.sources(Home(demo[0])) as connection:
        written = payments.write(connection, tmp_path, date.fromisoformat(until), date.fromisoformat(until))
    with written.file.open(newline="") as opened:
        proposed = [(row["party_name"], row["currency"], Decimal(row["due_amount"])) for row in csv.DictReader(opened)]
    one = reader()
    one.open("index.html", asof="2026-11-29")  # the coming Friday is the day
    assert one.page.input_value("input[name=until]") == until
    paid = [(row["Party"], row["To pay currency"], Decimal(row["To pay"])) for row in one.save("pay")]
    received = [(row["Party"], row["To receive currency"], Decimal(row["To receive"])) for row in one.save("receive")]
    owed = marts.execute(
        """
        with parties as (
            select party_id, any_value(name) as name from (
                select carrier_id as party_id, carrier_name as name from settle.dim_carriers
                union all select partner_id, partner_name from settle.dim_partners
            ) group by party_id
        ),
        documents as (
            select carrier_id as party_id, 'carrier' as paid_as, settlement_currency as currency, due_date,
                period_start_date as month, payable_amount - receivable_amount as amount
            from settle.fct_carrier_settlements
            where payable_amount != receivable_amount
            union all
            select partner_id, case when payable_amount > 0 then 'share' else 'partner' end, statement_currency,
                due_date, period_start_date, payable_amount - receivable_amount
            from settle.fct_partner_statements
            where payable_amount != receivable_amount
        )
        -- nordlink is a carrier and a partner: each of its months falls due as one.
        select name, currency, sum(amount) from (
            select *, if(party_id = 'nordlink', max(due_date) over (partition by party_id, month, currency), due_date)
                as netted_date
            from documents
        )
        join parties using (party_id)
        where netted_date <= ?
        group by name, if(party_id = 'nordlink', 'net', paid_as), currency having sum(amount) != 0""",
        [until],
    ).fetchall()
    assert Counter(paid) == Counter(proposed) and added_up(paid) == added_up(row for row in owed if row[2] > 0) != {}
    assert added_up(received) == added_up((name, currency, -amount) for name, currency, amount in owed if amount < 0)
    late = one.totals("pay")
    one.open("index.html", asof="2026-12-05", until=until)
    assert {amount for (column, _), amount in one.totals("pay").items() if column == "overdue"} == {
        amount for (column, _), amount in late.items() if column == "amount"
    }, "the day after, all of it is overdue"
    assert one.complaints == []


# Bills and statements in all the ways in which they meet: set off, netted, and below a cent.
OPEN_ITEMS = """
    select *, 0 as cleared_amount, payable_amount + receivable_amount as document_amount,
        party_id || ':' || coalesce(document_id, document_type) as open_item_id
    from (
        values
            ('textwave', 'carrier', 'settlement', 'bill-8', 100, 0, 'EUR', date '2026-08-01', date '2026-12-01'),
            ('textwave', 'carrier', 'settlement', 'bill-9', 50.009, 0, 'EUR', date '2026-09-01', date '2026-12-02'),
            ('textwave', 'carrier', 'settlement', 'bill-7', 0, 120, 'EUR', date '2026-07-01', date '2026-12-03'),
            ('textwave', 'carrier', 'settlement', 'bill-10', 0.009, 0, 'EUR', date '2026-10-01', date '2026-12-03'),
            ('twilio', 'carrier', 'settlement', 'bill-8', 10, 0, 'USD', date '2026-08-01', date '2026-12-01'),
            ('twilio', 'carrier', 'settlement', 'bill-9', 0, 40, 'USD', date '2026-09-01', date '2026-12-02'),
            ('sakura-tel', 'carrier', 'settlement', 'bill-10', 99.9, 0, 'JPY', date '2026-10-01', date '2026-12-02'),
            ('nordlink', 'net', 'settlement', 'nordlink-2025:2026-10:EUR', 100, 0, 'EUR', date '2026-10-01', {later}),
            ('nordlink', 'net', 'statement', 'nordlink:2026-10:EUR', 0, 40, 'EUR', date '2026-10-01', {later}),
            ('nordlink', 'net', 'statement', 'nordlink:2026-11:EUR', 0, 25, 'EUR', date '2026-11-01', {later}),
            ('nordlink', 'net', 'on_account', null, 3, 0, 'EUR', null, date '2026-12-02')
    ) as items (
        party_id, paid_as, document_type, document_id, payable_amount, receivable_amount, item_currency,
        period_start_date, due_date
    )
""".format(later="date '2026-12-15'")


def test_payments_that_are_set_off_netted_or_below_a_cent_are_the_same_on_the_page(reader, demo, tmp_path):
    shutil.copytree(demo[0] / "warehouse", tmp_path / "warehouse")
    put = ("delete from settle.fct_open_items", f"insert into settle.fct_open_items by name {OPEN_ITEMS}")
    published = changed(demo[0] / "published", tmp_path, *put)
    (published / "settlement.duckdb").symlink_to("current/settlement.duckdb")
    site.write(published)
    with duckdb.connect(str(tmp_path / "warehouse" / "tollgate.duckdb")) as warehouse:
        for statement in put:
            warehouse.execute(statement)
    one = reader(published / "site")
    amounts, received = {}, {}
    for until in ("2026-12-04", "2026-12-18"):
        with packs.sources(Home(tmp_path)) as connection:
            day = date.fromisoformat(until)
            written = payments.write(connection, tmp_path / "exports", day, day)
        with written.file.open(newline="") as opened:
            listed = [(row["party_name"], row["currency"], row["due_amount"]) for row in csv.DictReader(opened)]
        one.open("index.html", asof="2026-11-29", until=until)
        paid = [(row["Party"], row["To pay currency"], row["To pay"]) for row in one.save("pay")]
        assert Counter((*of, Decimal(amount)) for *of, amount in paid) == Counter(
            (*of, Decimal(amount)) for *of, amount in listed
        )
        amounts[until] = sorted(Decimal(amount) for _, _, amount in listed)
        received[until] = [Decimal(row["To receive"]) for row in one.save("receive")]
    # 30.00 of textwave's bill of September; that of August is set off wholly, that of October is less than a cent.
    assert amounts["2026-12-04"] == [3, 30, 99] and received["2026-12-04"] == [30]
    # The oldest takes what is set off: 3 on account, and 22 of the netting of October.
    assert amounts["2026-12-18"] == [30, 38, 99] and received["2026-12-18"] == [30]
    assert one.complaints == []


def test_the_bridge_and_the_destinations_of_each_carrier_foot(reader, marts):
    one = reader()
    carriers = marts.execute(
        f"""select carrier_id, settlement_currency, rated_amount, invoiced_amount
        from settle.fct_carrier_settlements where {OCTOBER} order by 1"""
    ).fetchall()
    assert len(carriers) >= 7
    for carrier, currency, rated, invoiced in carriers:
        one.open("carriers.html", carrier=carrier, period=PERIOD)
        ends = one.page.eval_on_selector_all("[data-bridge]", "ends => ends.map(end => end.dataset.amount)")
        assert [Decimal(end) for end in ends] == [rated, invoiced]
        totals = one.totals("destinations")
        assert (totals["rated_amount", currency], totals["invoiced_amount", currency]) == (rated, invoiced)
        (causes,) = marts.execute(
            "select sum(component_variance_amount) from settle.fct_variance_components where carrier_id = ?", [carrier]
        ).fetchone()
        assert totals["variance_amount", currency] == (causes or 0) == invoiced - rated


def test_every_invoice_line_is_found_and_told_to_its_last_digit(reader, marts):
    one = reader()
    lines = marts.execute(
        """
        select invoice_line_id, rated_amount, invoiced_amount from settle.fct_carrier_invoice_lines
        where variance_amount <> 0 or line_type <> 'usage'
        order by hash(invoice_line_id) limit 25"""
    ).fetchall()
    for line, rated, invoiced in lines:
        one.open("lines.html", line=line)
        ends = one.page.eval_on_selector_all("[data-bridge]", "ends => ends.map(end => end.dataset.amount)")
        assert [Decimal(end) for end in ends] == [rated, invoiced], line
        assert f"tollgate explain --as line {shlex.quote(line)}" in one.page.inner_text("main")
    one.open("lines.html", line="nobody:at all:1")
    assert "No published line is named nobody:at all:1." in one.page.inner_text("main")
    assert one.complaints == []


def test_a_saved_table_has_every_row_and_every_digit(reader, marts):
    one = reader()
    one.open("lines.html", invoice="nordlink NNK-202610")
    rows = one.save("lines")
    expected = marts.execute(
        """
        select coalesce(line_number::varchar, ''), invoiced_amount, variance_amount, invoice_currency
        from settle.fct_carrier_invoice_lines where invoice_number = 'NNK-202610' order by all"""
    ).fetchall()
    found = [
        (row["Line"], Decimal(row["Invoiced"]), Decimal(row["Variance"]), row["Variance currency"]) for row in rows
    ]
    assert sorted(found) == expected and len(expected) > 60


@pytest.mark.parametrize("partner", ["helio-health", "northstar-crm"])
def test_what_a_partner_committed_to_is_told_of_each_month(reader, marts, partner):
    one = reader()
    one.open("partners.html", partner=partner, period=PERIOD)
    (row,) = one.save("committed")
    ((used, short, is_over),) = marts.execute(
        f"""select used_amount, shortfall_amount, is_over from settle.fct_commitments
        where party_id = $1 and committed_by = 'partner' and {OCTOBER}""",
        [partner],
    ).fetchall()
    assert (Decimal(row["Amount used"]), Decimal(row["Due for the rest"])) == (used, short)
    assert is_over and row["Stands"] == ("fell short" if short else "reached")


def test_health_counts_what_the_marts_hold(reader, marts):
    one = reader()
    one.open("health.html")
    held = one.save("held")
    assert (
        sum(int(row["Rows"]) for row in held)
        == marts.execute("select sum(row_count) from settle.fct_held_back_rows").fetchone()[0]
    )
    feeds = one.save("feeds")
    assert (
        sum(int(row["Files"]) for row in feeds)
        == marts.execute("select count(*) from settle.fct_landed_files").fetchone()[0]
    )


def test_amounts_are_added_and_written_exactly_in_the_readers_way(reader):
    one = reader(locale="de-DE")
    one.open("index.html")
    say = one.page.evaluate
    assert say("tollgate.sum(['0.1', '0.2', '-0.000001', '12345678901234567890.12'])") == "12345678901234567890.419999"
    assert say("tollgate.sum(['0.10', '-0.10', null])") == "0"
    assert say("tollgate.compare('0.30', '0.3')") == 0 and say("tollgate.compare('-1', '0.5')") == -1
    assert say("tollgate.money('90071992547409931.25', 'EUR')") == "90.071.992.547.409.931,25\u00a0EUR"
    assert say("tollgate.money('1234', 'JPY')") == "1.234\u00a0JPY"
    assert say("tollgate.money('1234.5', 'KWD')") == "1.234,500\u00a0KWD"
    assert say("tollgate.money('0.02424', 'EUR')") == "0,02424\u00a0EUR"
    assert one.page.locator("#money").inner_text().count(".") > 0


# Using it ------------------------------------------------------------------------------------------------------------


def test_filters_links_and_sorting_are_in_the_address_and_work_by_keyboard(reader):
    one = reader()
    page = one.page
    one.open("carriers.html")
    page.select_option("select[name=currency]", "EUR")
    page.locator("#carriers tfoot tr:only-child").wait_for()
    assert "currency=EUR" in page.url and {currency for _, currency in one.totals("carriers")} == {"EUR"}
    page.focus("#carriers [data-sort=payable_amount]")
    page.keyboard.press("Enter")
    assert page.get_attribute("#carriers th:has([data-sort=payable_amount])", "aria-sort") == "descending"
    assert page.evaluate("document.activeElement.dataset.sort") == "payable_amount"
    page.reload()
    one.settle()
    assert page.get_attribute("#carriers th:has([data-sort=payable_amount])", "aria-sort") == "descending"
    page.click("#carriers tbody a:has-text('NordLink')")
    one.read("NordLink")
    assert "currency=EUR" in page.url
    page.click("#invoices tbody a")
    one.read("Invoice NNK-202610")
    before = page.locator("#lines tbody tr").count()
    page.fill("#lines input[type=search]", "increments france")
    assert 0 < page.locator("#lines tbody tr").count() < before
    page.click("#lines tbody tr:first-child a")
    one.read("France")
    page.go_back()
    one.read("Invoice NNK-202610")
    assert page.input_value("#lines input[type=search]") == "increments france"
    assert one.complaints == []


def test_days_are_counted_from_the_day_that_the_reader_chooses(reader, marts):
    (last_day,) = marts.execute(
        "select max(raise_by_date) from settle.fct_disputes where dispute_status = 'to_raise' and open_amount > 0"
    ).fetchone()
    one = reader()
    one.open("index.html", period=PERIOD, asof=str(last_day - timedelta(days=1)))
    assert ": raise by" in one.page.inner_text("#week")
    assert "tomorrow" in one.page.inner_text("#week")
    one.page.fill("input[name=asof]", str(last_day + timedelta(days=6)))
    one.page.locator("#week", has_text="of disputes passed").wait_for()
    assert "6 days ago" in one.page.inner_text("#week")


def test_a_decision_leads_to_the_rows_that_it_is_about(reader):
    one = reader()
    one.open("index.html", period=PERIOD)
    one.page.click("#decisions a:has-text('without cost')")
    one.page.locator("#unrated").wait_for()
    one.page.wait_for_function("document.activeElement.id === 'unrated'")
    assert one.page.evaluate("Math.abs(document.querySelector('#unrated').getBoundingClientRect().top) < innerHeight")
    assert one.page.locator("#unrated tbody tr").count() > 0 and one.complaints == []


def test_a_narrow_window_shows_whole_legends_and_that_a_table_goes_on(reader):
    one = reader(viewport={"width": 390, "height": 800})
    one.open("index.html", period=PERIOD)
    legends = one.page.eval_on_selector_all(
        ".legend li", "all => all.map(one => one.getBoundingClientRect()).map(box => [box.left, box.top, box.right])"
    )
    assert len(legends) > 3 and all(right <= 390 for _, _, right in legends)
    for left, top, right in legends:
        assert not [box for box in legends if box[1] == top and left < box[0] < right], "names lie on each other"
    # Its colors of paper move with the content and uncover the shadow of the edge where more of the table lies.
    edge = one.page.locator("#money .scroll")
    assert edge.evaluate("node => node.scrollWidth > node.clientWidth")
    assert edge.evaluate("node => getComputedStyle(node).backgroundAttachment") == "local, local, scroll, scroll"
    paper = edge.locator("td").last.evaluate("node => getComputedStyle(node).backgroundColor")
    assert paper == "rgba(0, 0, 0, 0)", "a cell hides the shadow"


def test_the_theme_is_chosen_and_kept(reader):
    one = reader(color_scheme="light")
    one.open("index.html")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = one.page.evaluate(paper)
    one.page.click(".theme")
    dark = one.page.evaluate(paper)
    assert light != dark
    one.open("carriers.html")
    assert one.page.evaluate(paper) == dark
    one.page.emulate_media(media="print")
    assert one.page.evaluate(paper) == light


# What others wrote ---------------------------------------------------------------------------------------------------


def changed(published: Path, folder: Path, *statements: str) -> Path:
    """A copy of the publication, with another content."""
    copy = folder / "published"
    version = copy / ".versions" / "1"
    shutil.copytree((published / "current").resolve(), version)
    (copy / "current").symlink_to(".versions/1")
    (version / "settlement.duckdb").chmod(0o644)
    with duckdb.connect(str(version / "settlement.duckdb")) as connection:
        for statement in statements:
            connection.execute(statement)
    return copy


def republish(published: Path, at: str) -> None:
    manifest = (published / "current").resolve() / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"published_at": at}))


def test_what_others_wrote_is_shown_as_text_and_runs_nowhere(reader, published, tmp_path):
    hostile = "<img src=x onerror=alert(1)></script><script>alert(2)</script>'\"\u2028"
    copy = changed(
        published,
        tmp_path,
        f"update settle.dim_carriers set carrier_name = $${hostile}$$ where carrier_id = 'nordlink'",
        """update settle.fct_carrier_invoice_lines set destination_name = '=HYPERLINK("http://x.example";"a")'
        where invoice_line_id = 'nordlink:NNK-202610:1'""",
    )
    site.write(copy)
    one = reader(copy / "site")
    one.open("carriers.html")
    assert "<img src=x onerror=alert(1)>" in one.page.inner_text("#carriers")
    one.open("lines.html", invoice="nordlink NNK-202610")
    assert '\'=HYPERLINK("http://x.example";"a")' in [row["Destination or fee"] for row in one.save("lines")]
    one.open("carriers.html", carrier="nordlink")
    assert one.complaints == [] and one.page.locator("img").count() == 0


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1+1", "@SUM(A1)", " =1", '"=1', "a;=1", "a\t@x", "\tx", "\uff1d1", "a,=1", "plain", "a-b"]
)
def test_no_text_is_a_formula_as_in_the_packs(reader, text):
    from orchestration.packs.tables import without_formulas

    one = reader()
    one.open("index.html")
    made = one.page.evaluate("text => tollgate.csv([{ key: 'a', label: 'a' }], [{ a: text }])", text)
    [row] = list(csv.DictReader(io.StringIO(made, newline="")))
    assert row["a"] == without_formulas(text)


@pytest.mark.parametrize("name", ["nordlink:NNK-1:7", "a b", "$(x)", "it's", "`x`", 'a"b', "a;b", "ü"])
def test_a_command_to_copy_is_one_word_to_a_shell(reader, name):
    one = reader()
    one.open("index.html")
    assert shlex.split(one.page.evaluate("name => tollgate.quoted(name)", name)) == [name]


# Writing -------------------------------------------------------------------------------------------------------------


def test_the_site_is_made_of_the_published_tables_alone_and_only_once(published, tmp_path):
    copy = changed(published, tmp_path)
    first = site.write(copy)
    assert first.is_new and first.file.exists() and first.file.parent.is_symlink()
    times = {path: path.stat().st_mtime_ns for path in (copy / "site").rglob("*")}
    again = site.write(copy)
    assert not again.is_new
    assert {path: path.stat().st_mtime_ns for path in (copy / "site").rglob("*")} == times


def test_a_new_publication_replaces_the_site_at_once_and_keeps_the_one_before(published, tmp_path):
    copy = changed(published, tmp_path)
    site.write(copy)
    stood = [(copy / "site").resolve()]
    for minute in range(3):
        republish(copy, f"2026-11-05T08:0{minute}:00+00:00")
        assert site.write(copy).is_new
        stood.append((copy / "site").resolve())
    assert len(set(stood)) == 4
    assert {path.name for path in (copy / ".sites").iterdir()} == {path.name for path in stood[-2:]}


def test_a_site_that_a_kill_left_half_is_never_seen(published, tmp_path, monkeypatch):
    copy = changed(published, tmp_path)
    site.write(copy)
    stood = (copy / "site").resolve()
    republish(copy, "2026-11-05T08:00:00+00:00")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            site.write(copy)
    assert (copy / "site").resolve() == stood and (stood / writing.COMPLETE).exists()
    assert site.write(copy).is_new
    assert (copy / "site").resolve() != stood


def test_what_is_no_site_is_left_alone_and_nothing_published_is_refused(published, tmp_path):
    copy = changed(published, tmp_path)
    (copy / "site").mkdir()
    (copy / "site" / "index.html").write_text("mine")
    with pytest.raises(site.SiteError, match="in the way"):
        site.write(copy)
    assert (copy / "site" / "index.html").read_text() == "mine"
    with pytest.raises(site.SiteError, match="nothing is published"):
        site.write(tmp_path / "nowhere")


def test_a_run_whose_pages_cannot_be_written_says_that_the_tables_are_published(demo, tmp_path):
    home = tmp_path / "home"
    for part in ("warehouse", "published", "reports", "landing"):
        shutil.copytree(demo[0] / part, home / part, symlinks=True)
    (home / "published" / "site").unlink()
    (home / "published" / "site").mkdir()
    run = tollgate(home, "publish")
    assert run.returncode == 1
    assert "it is no site of Tollgate" in run.stdout and "The tables are published, their pages are not" in run.stdout
    (home / "published" / "site").rmdir()
    run = tollgate(home, "publish")
    assert run.returncode == 0
    assert (home / "published" / "site" / "index.html").as_uri() in run.stdout.replace("\n", "")


def test_an_id_never_becomes_a_path():
    assert name_of("carrier", "../../etc") == f"carrier-{name_of('partner', '../../etc').removeprefix('partner-')}"
    assert "/" not in name_of("carrier", "../../etc")
