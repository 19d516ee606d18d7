"""What a carrier's deck would cost on the real traffic of a month, before it takes effect: `tollgate what-if`.

The models themselves answer, on a scratch warehouse with a copy of that carrier's events and decks: once as the decks
are, once as if the new one had been in force all month. Nothing of the home is changed.

Belongs here: what is copied, what "in force all month" does to the rows of a deck, and the comparison. Does not belong
here: rating, which the models do; how a file is loaded (`loading.py`); what is printed (`deck_report.py`).
"""

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb

from orchestration import deck_findings, feeds, file_ledger, loading, terms
from orchestration.feeds import Feed
from orchestration.lock import only_run
from orchestration.settings import Home
from orchestration.sql import quote_name
from orchestration.what_if.scratch import CannotAnswer, Scratch, column, next_month, own_environment

SHOWN = 20
# These stand in the scratch warehouse as tables with copied rows; what is built from them is the models' own work.
GIVEN = ("int_events_collected", "int_deck_rows_collected", "path:models/stage/usage", "path:models/stage/rate_decks")

# What of the file is left when all of it has taken effect: rows before its last full deck are replaced by that, and
# of a code that it prices on several days the last one counts.
LAST_WORDS = """
    create or replace table what_if.last_words as
    with usable as (
        select *,
            max(effective_date) filter (where deck_kind = 'full') over (partition by service, direction) as full_date
        from what_if.deck_rows where is_new_deck and is_usable
    )
    select * exclude (full_date) from usable
    where full_date is null or effective_date >= full_date
    qualify effective_date = max(effective_date) over (partition by service, direction, code_name)
"""
# It counts from the first day of the month. A full deck that begins inside the month ends the price of every code, so
# an amendment is said again with each of them.
DAYS = """
    create or replace table what_if.days as
    select cast($first_day as date) as effective_date, cast($first_day as date) - interval 2 day as received_at,
        '' as copy
    union all
    select effective_date, received_at, ' ' || row_number() over (order by effective_date, received_at) as copy
    from (
        select distinct effective_date, received_at from what_if.deck_rows
        where not is_new_deck and deck_kind = 'full' and is_usable and effective_date < cast($next_first_day as date)
            and (effective_date >= cast($first_day as date)
                or received_at >= cast($first_day as date) - interval 1 day)
    )
"""
IN_FORCE = """
    create or replace table stage.int_deck_rows_collected as
    with full_decks as (
        select distinct service, direction from what_if.last_words where deck_kind = 'full'
    ),
    codes as (
        select distinct service, direction, code_name from what_if.last_words
    )
    select old.* from what_if.deck_rows as old
    anti join full_decks using (service, direction)
    anti join codes using (service, direction, code_name)
    where not old.is_new_deck
    union all by name
    select new.* replace (
        days.effective_date as effective_date, days.received_at as received_at, new.file_id || days.copy as file_id
    )
    from what_if.last_words as new cross join what_if.days
    where days.copy = '' or (new.service, new.direction) not in (select (service, direction) from full_decks)
"""
RATINGS = """
    select rated.event_id, rated.service, rated.direction, rated.destination_name, decks.code_name,
        rated.rating_status, rated.unrated_reason, rated.billed_quantity, rated.rated_cost_amount as cost,
        rated.rated_cost_currency as currency,
        row(decks.rate_amount, decks.rate_per_quantity, decks.rate_currency, decks.rate_unit) as price
    from rate.int_events_rated as rated left join rate.int_rate_decks_resolved as decks using (deck_row_id)
"""
# On the clock of the carrier's agreement, as all its days are.
MONTHS = """
    create table scratch.what_if.months as
    select distinct records.event_id,
        cast(date_trunc(
            'month', records.started_at at time zone 'UTC' at time zone coalesce(agreements.time_zone, 'UTC')
        ) as date) as month
    from tollgate.stage.int_events_collected as records
    left join scratch.rate.int_agreements_resolved as agreements
        on agreements.party_role = 'carrier' and agreements.party_id = records.carrier_id
            and records.started_at >= agreements.valid_from_at and records.started_at < agreements.valid_until_at
    where records.refusal_reason is null and records.carrier_id = $carrier
        and (records.service, records.direction) in (from scratch.what_if.decks select (service, direction))
"""
EVENTS = """
    create table scratch.stage.int_events_collected as
    select * from tollgate.stage.int_events_collected
    semi join (from scratch.what_if.months where month = cast($month as date)) using (event_id)
"""
LINES = """
    select service, direction, after.destination_name, after.code_name, after.currency, count(*),
        sum(before.billed_quantity), sum(after.billed_quantity), sum(before.cost), sum(after.cost),
        list(distinct before.price), list(distinct after.price)
    from what_if.before join what_if.after using (event_id, service, direction)
    where before.rating_status = 'rated' and after.rating_status = 'rated'
    group by service, direction, after.destination_name, after.code_name, after.currency
    order by abs(sum(after.cost) - sum(before.cost)) desc, service, direction, after.code_name
"""
CHANGES = """
    select 'unrated' as becomes, after.unrated_reason as reason, service, direction,
        coalesce(after.destination_name, before.destination_name) as destination_name,
        coalesce(after.code_name, before.code_name) as code_name, count(*) as event_count, sum(before.cost),
        max(before.currency)
    from what_if.before join what_if.after using (event_id, service, direction)
    where before.rating_status != 'unrated' and after.rating_status = 'unrated'
    group by all
    union all
    select 'rated' as becomes, before.unrated_reason as reason, service, direction, after.destination_name,
        after.code_name, count(*) as event_count, sum(after.cost), max(after.currency)
    from what_if.before join what_if.after using (event_id, service, direction)
    where before.rating_status = 'unrated' and after.rating_status != 'unrated'
    group by all
    order by becomes desc, event_count desc, reason, service, direction, code_name
"""
NEW_DECKS = """
    select service, direction, deck_kind, deck_version, count(*), min(effective_date), max(effective_date),
        case when bool_and(is_receipt_stated) then max(received_at) end
    from what_if.deck_rows where is_new_deck and is_usable
    group by service, direction, deck_kind, deck_version order by service, direction, min(effective_date), deck_kind
"""
QUARANTINED = "select line_number, message from ingest.quarantine order by line_number, record_number"
REFUSED = """
    select refusal_reason, count(*), min(record_number) from what_if.deck_rows
    where is_new_deck and refusal_reason is not null group by refusal_reason order by 2 desc, 1
"""


@dataclass(frozen=True)
class Rate:
    """A price of a code; `rate_amount` is None where the code has several, for hours or seconds of a call."""

    rate_amount: Decimal | None
    rate_per_quantity: int
    rate_currency: str
    rate_unit: str


@dataclass(frozen=True)
class Line:
    """The events of one destination and code that are rated both as things are (before) and then (after)."""

    service: str
    direction: str
    destination_name: str | None
    code_name: str | None
    currency: str
    event_count: int
    quantity_before: Decimal
    quantity_after: Decimal
    cost_before: Decimal
    cost_after: Decimal
    rates_before: tuple[Rate, ...]
    rates_after: tuple[Rate, ...]

    @property
    def difference(self) -> Decimal:
        return self.cost_after - self.cost_before


@dataclass(frozen=True)
class Change:
    """Events that become `unrated`, with the reason, or `rated`, with the reason why they are not as things are."""

    becomes: str
    reason: str
    service: str
    direction: str
    destination_name: str | None
    code_name: str | None
    event_count: int
    cost: Decimal | None
    currency: str | None


@dataclass(frozen=True)
class NewDeck:
    """What the file holds of the carrier, with the dates that it gives itself."""

    service: str
    direction: str
    deck_kind: str
    deck_version: str | None
    row_count: int
    first_date: date
    last_date: date
    received_at: datetime | None


@dataclass(frozen=True)
class Answer:
    """What the deck would do. Amounts are exact; `lines` has every destination and code with a rated event."""

    file_name: str
    carrier_id: str
    month: date
    decks: tuple[NewDeck, ...]
    event_count: int
    unrated_count: int
    codes_of_several_days: int
    lines: tuple[Line, ...]
    changes: tuple[Change, ...]
    quarantined: tuple[tuple[int, str], ...]
    refused: tuple[tuple[str, int, int], ...]
    findings: tuple[deck_findings.Finding, ...]
    finding_counts: Counter[tuple[str, str]]


def ask(
    home: Home,
    deck: Path,
    feed_name: str = "native",
    carrier: str | None = None,
    month: date | None = None,
    tell: Callable[[str], None] = lambda step: None,
    manifest: object = None,
) -> Answer:
    """Raises CannotAnswer, terms.TermsError, lock.WarehouseBusy, duckdb.IOException or dbt_run.DbtFailed.

    month: its first day; without one the last month that is over, by the carrier's events. manifest: dbt's own reading
    of the project, where the caller has one.
    """
    feed = _feed(feed_name, deck)
    if not home.warehouse.exists():
        raise CannotAnswer(f"{home.root} holds no warehouse yet: run `tollgate run`")
    with tempfile.TemporaryDirectory(prefix="tollgate-what-if-") as folder, own_environment():
        scratch = DeckScratch(Home(Path(folder).resolve() / "home"), manifest)
        tell(f"reading {deck.name}")
        scratch.load(feed, deck)
        terms.check()
        with only_run(home):  # it writes the tables that are copied
            scratch.copy_decks(home)
        tell("reading terms and decks")
        scratch.build("resource_type:seed", "+int_deck_rows_timed", "stg_terms__parties")
        carrier = scratch.carrier(carrier, deck.name)
        scratch.take_deck_rows(carrier)
        tell("copying the month")
        with only_run(home):
            month = scratch.copy_events(home, carrier, month)
        tell("rating it as the decks are")
        scratch.give_deck_rows("not is_new_deck")
        scratch.build("+int_events_rated", exclude=GIVEN)
        scratch.keep_ratings("before")
        tell("rating it as if the new deck had been in force")
        scratch.put_in_force(month)
        scratch.build("int_deck_rows_collected+,+int_events_rated", exclude=GIVEN)
        scratch.keep_ratings("after")
        tell("looking through the new deck")
        scratch.give_deck_rows("not has_landed")
        scratch.build("int_deck_rows_collected+,+int_deck_findings_raised", exclude=GIVEN)
        return scratch.answer(deck.name, carrier, month)


def _feed(name: str, deck: Path) -> Feed:
    decks = [feed for feed in feeds.declared() if feed.kind == "rate_decks"]
    chosen = [feed for feed in decks if feed.feed == name.removeprefix("rate_decks/")]
    if not chosen:
        raise CannotAnswer(f"{name!r} is no feed of rate decks; known: {', '.join(feed.feed for feed in decks)}")
    [feed] = chosen
    if not deck.is_file():
        raise CannotAnswer(f"{deck} is no file")
    if not feed.claims(deck.name):
        patterns = ", ".join(pattern for pattern, _ in feed.files)
        raise CannotAnswer(
            f"{deck.name}: files of rate_decks/{feed.feed} are called {patterns}; "
            f"rename it, or name its feed with --feed"
        )
    return feed


class DeckScratch(Scratch):
    """A scratch warehouse with the decks and events of one carrier."""

    def load(self, feed: Feed, deck: Path) -> None:
        """The file, by the usual loader. It may have landed in the home too, so its rows get an id of their own."""
        folder = self.home.landing / feed.folder
        folder.mkdir(parents=True)
        (folder / deck.name).symlink_to(deck.resolve())
        with self.connect() as connection:
            load = loading.load_feed(connection, feed, self.home.landing)
            if load.files_failed or load.files_waiting or not load.rows_loaded:
                told = "; ".join(file.message for file in load.files if file.message)
                raise CannotAnswer(told or f"{deck.name} holds no row")
            for table, column in (
                (file_ledger.raw_table(feed), "_file_id"),
                ("ingest.files", "file_id"),
                ("ingest.quarantine", "file_id"),
            ):
                connection.execute(f"update {table} set {column} = {column} || '-what-if'")

    def copy_decks(self, home: Home) -> None:
        """The raw rows of all decks; whose they are, the staging models say. Noted is under which ids the file itself
        has landed."""
        with self.beside(home) as connection:
            connection.execute(
                """
                create table scratch.what_if.landed as
                select landed.file_id
                from tollgate.ingest.files as landed join scratch.ingest.files using (kind, feed, content_hash)
                """
            )
            for feed in (feed for feed in feeds.declared() if feed.kind == "rate_decks"):
                table = quote_name(feed.name)
                columns = connection.execute(
                    """
                    select column_name from duckdb_columns()
                    where schema_name = 'ingest' and table_name = ? group by column_name having count(*) = 2
                    """,
                    [feed.name],
                ).fetchall()
                if columns:
                    names = ", ".join(quote_name(name) for (name,) in columns)
                    connection.execute(
                        f"insert into scratch.ingest.{table} ({names}) select {names} from tollgate.ingest.{table}"
                    )

    def carrier(self, asked_for: str | None, file_name: str) -> str:
        """The carrier whose deck it is."""
        with self.connect() as connection:
            known = deck_findings.carriers(connection)
            rows = dict(
                connection.execute(
                    """
                    select coalesce(rows.carrier_id, ''), count(usable.rate_row_id)
                    from stage.int_deck_rows_collected as rows
                    left join rate.int_deck_rows_timed as usable using (file_id, record_number)
                    where rows.file_id in (from ingest.files select file_id) group by 1 order by 1
                    """
                ).fetchall()
            )
            if asked_for is None and len(rows) > 1:
                raise CannotAnswer(
                    f"{file_name} holds decks of {', '.join(rows)}: say with --carrier which one you mean"
                )
            carrier = asked_for or next(iter(rows))
            if carrier not in known:
                raise CannotAnswer(f"{carrier!r} is no carrier of the terms; they know {', '.join(known)}")
            if carrier not in rows:
                raise CannotAnswer(f"{file_name} holds no row of {carrier}; it is a deck of {', '.join(rows)}")
            if not rows[carrier]:
                reasons = column(
                    connection,
                    """
                    select distinct refusal_reason from stage.int_deck_rows_collected
                    where file_id in (from ingest.files select file_id) and carrier_id = ? order by 1
                    """,
                    [carrier],
                )
                raise CannotAnswer(f"{file_name}: none of its rows can be applied ({', '.join(reasons)})")
            return carrier

    def take_deck_rows(self, carrier: str) -> None:
        """The carrier's staged rows, of the services and directions that the file is about."""
        with self.connect() as connection:
            connection.execute(
                """
                create table what_if.deck_rows as
                select rows.*, rows.file_id in (from ingest.files select file_id) as is_new_deck,
                    rows.file_id in (from what_if.landed select file_id) as has_landed,
                    (rows.file_id, rows.record_number) in (
                        select (file_id, record_number) from rate.int_deck_rows_timed
                    ) as is_usable
                from stage.int_deck_rows_collected as rows
                where rows.carrier_id = ?
                """,
                [carrier],
            )
            connection.execute(
                """
                create table what_if.decks as
                select distinct service, direction from what_if.deck_rows where is_new_deck;
                delete from what_if.deck_rows
                where (service, direction) not in (from what_if.decks select (service, direction));
                drop view stage.int_deck_rows_collected;
                """
            )

    def give_deck_rows(self, wanted: str) -> None:
        with self.connect() as connection:
            connection.execute(
                f"create or replace table stage.int_deck_rows_collected as from what_if.deck_rows where {wanted}"
            )

    def copy_events(self, home: Home, carrier: str, month: date | None) -> date:
        """All records of the events of the month, as the last run staged them. Gives the month's first day."""
        with self.beside(home) as connection:
            try:
                connection.execute(MONTHS, {"carrier": carrier})
            except duckdb.CatalogException:
                raise CannotAnswer("no run has staged any usage yet: run `tollgate run`") from None
            counts = dict(
                connection.execute(
                    "select month, count(*) from scratch.what_if.months group by month order by month"
                ).fetchall()
            )
            if not counts:
                asked_about = _in_words(connection.execute("from scratch.what_if.decks order by all").fetchall())
                raise CannotAnswer(f"{carrier} has no usage of {asked_about}: there is nothing to compare")
            month = month or _last_whole_month(list(counts))
            if month not in counts:
                there = ", ".join(f"{one:%Y-%m} ({count:,} events)" for one, count in counts.items())
                raise CannotAnswer(f"{carrier} has no such usage in {month:%Y-%m}; it has some in {there}")
            connection.execute(EVENTS, {"month": month})
            return month

    def put_in_force(self, month: date) -> None:
        """The decks as if all that the file says had been said for the first day of the month, and nothing since."""
        days = {"first_day": month, "next_first_day": next_month(month)}
        with self.connect() as connection:
            connection.execute(LAST_WORDS)
            connection.execute(DAYS, days)
            connection.execute(IN_FORCE)

    def keep_ratings(self, moment: str) -> None:
        with self.connect() as connection:
            connection.execute(f"create table what_if.{moment} as {RATINGS}")

    def answer(self, file_name: str, carrier: str, month: date) -> Answer:
        with self.connect() as connection:
            files = column(connection, "select file_id from ingest.files")
            [events] = column(connection, "select count(*) from what_if.after")
            [unrated] = column(
                connection,
                """
                select count(*) from what_if.before join what_if.after using (event_id)
                where before.rating_status = 'unrated' and after.rating_status = 'unrated'
                """,
            )
            [several] = column(
                connection,
                """
                select count(*) from (
                    select code_name from what_if.deck_rows where is_new_deck and is_usable
                    group by service, direction, code_name having count(distinct effective_date) > 1
                )
                """,
            )
            lines = [Line(*row[:10], _rates(row[10]), _rates(row[11])) for row in connection.execute(LINES).fetchall()]
            return Answer(
                file_name=file_name,
                carrier_id=carrier,
                month=month,
                decks=tuple(NewDeck(*row) for row in connection.execute(NEW_DECKS).fetchall()),
                event_count=events,
                unrated_count=unrated,
                codes_of_several_days=several,
                lines=tuple(lines),
                changes=tuple(Change(*row) for row in connection.execute(CHANGES).fetchall()),
                quarantined=tuple(connection.execute(QUARANTINED).fetchall()),
                refused=tuple(connection.execute(REFUSED).fetchall()),
                findings=tuple(deck_findings.read(connection, SHOWN, carrier, files)),
                finding_counts=deck_findings.count(connection, carrier, files),
            )


def _in_words(decks: list[tuple[str, str]]) -> str:
    return ", ".join(f"{service} {direction}" for service, direction in decks)


def _last_whole_month(months: list[date]) -> date:
    """The one before the newest, which may still go on; the newest where there is no other just before it."""
    newest = max(months)
    return next((month for month in months if next_month(month) == newest), newest)


def _rates(found: list[tuple]) -> tuple[Rate, ...]:
    """The lowest first. A call without a used second may have been rated without any."""
    rates = [Rate(*rate) for rate in found if rate[1] is not None]
    return tuple(sorted(rates, key=lambda rate: (rate.rate_amount or 0, rate.rate_per_quantity)))
