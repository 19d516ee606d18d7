"""The rival: the same rating as a good data engineer would write it by hand, in Polars.

Belongs here: usage, decks and carriers' terms, as they land, to rated events in a Parquet file; whatever decides the
price of the month that is measured. It need not know more: no time bands, steps, allowances, fees or increments of a
code, one way to write an instant. Does not belong here: anything of Tollgate's own rating, whose result it must reach.

It is meant to be quick: the events stream past once, but for those few that come twice; money and numbers are integers;
the code of a number is one binary search.
"""

from pathlib import Path

import polars as pl

INSTANT = "%Y-%m-%dT%H:%M:%SZ"
DIGITS = 15  # of the longest number: numbers and codes are filled up with zeros, and compared as integers
SERVICES, DIRECTIONS, UNITS = ["voice", "sms", "email"], ["outbound", "inbound"], ["second", "segment", "message"]
FINAL = ["answered", "no_answer", "busy", "failed", "cancelled", "delivered", "undelivered", "expired", "rejected"]
PROVISIONAL = ["unknown", "pending"]


def rate(usage: Path, decks: Path, terms: Path, target: Path) -> None:
    """Writes every event with its cost, or with the reason why it has none."""
    carriers = read_carriers(terms)
    codes = read_codes(decks, carriers)
    events = read_events(pl.scan_parquet(usage / "*.parquet"))
    price(match(events, carriers, codes), carriers, codes).sink_parquet(target, compression="lz4", engine="streaming")


def word(column: str) -> pl.Expr:
    return pl.col(column).str.strip_chars().str.to_lowercase()


def text(column: str) -> pl.Expr:
    return pl.col(column).str.strip_chars()


def digits(column: str) -> pl.Expr:
    return text(column).str.strip_chars_start("+")


def instant(column: str) -> pl.Expr:
    return pl.col(column).str.to_datetime(INSTANT, time_unit="us", strict=False)


def scaled(column: str, decimals: int) -> pl.Expr:
    """A decimal as a whole number of its last place."""
    return (pl.col(column).cast(pl.Decimal(18, decimals), strict=False) * 10**decimals).cast(pl.Int64)


def unscaled(number: pl.Expr, decimals: int) -> pl.Expr:
    last_place = pl.lit("0." + "1".zfill(decimals)).cast(pl.Decimal(decimals + 1, decimals))
    return (number.cast(pl.Decimal(18, 0)) * last_place).cast(pl.Decimal(18, decimals))


def padded(column: str) -> pl.Expr:
    return pl.col(column).str.pad_end(DIGITS, "0").str.head(DIGITS).cast(pl.Int64)


def read_carriers(folder: Path) -> pl.DataFrame:
    """One row per carrier: its increments, and the clock and currency of its agreement."""
    rating_terms = pl.read_csv(folder / "rating_terms.csv", infer_schema=False)
    agreements = pl.read_csv(folder / "agreements.csv", infer_schema=False)
    return (
        rating_terms.filter(pl.col("service") == "voice", pl.col("direction") == "outbound")
        .join(agreements.filter(pl.col("party_role") == "carrier"), on="agreement_id")
        .select(
            "currency",
            "time_zone",
            carrier_id="party_id",
            minimum=scaled("minimum_quantity", 3),
            increment=scaled("increment_quantity", 3),
        )
    )


def read_codes(folder: Path, carriers: pl.DataFrame) -> pl.DataFrame:
    """One row per code, and while it is in force: until the next row of the code, or the carrier's next full deck."""
    codes = (
        pl.scan_csv(folder / "*.csv", infer_schema=False)
        .filter(word("service") == "voice", word("direction") == "outbound")
        .select(
            carrier_id=text("carrier_id"),
            dial_code=digits("dial_code").fill_null(""),
            destination_name=text("destination_name"),
            rate_currency=text("rate_currency").str.to_uppercase(),
            rate_unit=word("rate_unit"),
            rate=scaled("rate_amount", 8),
            rate_amount=pl.col("rate_amount").cast(pl.Decimal(18, 8), strict=False),
            rate_per_quantity=pl.col("rate_per_quantity").cast(pl.Int64, strict=False),
            is_full=word("deck_kind") == "full",
            is_closed=(word("change_type") == "closed").fill_null(value=False),
            effective_at=pl.col("effective_date").str.to_datetime("%Y-%m-%d", time_unit="us", strict=False),
            received_at=instant("received_at"),
        )
        .filter(pl.col("dial_code").str.contains(r"^\d{0,15}$"), pl.col("effective_at", "received_at").is_not_null())
        .collect()
    )
    clocks = carriers.select("carrier_id", "time_zone").partition_by("time_zone", as_dict=True)
    codes = pl.concat(
        codes.join(of_zone, on="carrier_id").with_columns(
            from_at=pl.max_horizontal(
                pl.col("effective_at")
                .dt.replace_time_zone(zone)
                .dt.convert_time_zone("UTC")
                .dt.replace_time_zone(None),
                "received_at",
            )
        )
        for (zone,), of_zone in clocks.items()
    )
    full_decks = codes.filter("is_full").select("carrier_id", next_full_at="from_at").unique().sort("next_full_at")
    return (
        codes.sort("received_at", maintain_order=True)
        .unique(["carrier_id", "dial_code", "from_at"], keep="last")
        .sort("from_at")
        .join_asof(
            full_decks,
            left_on="from_at",
            right_on="next_full_at",
            by="carrier_id",
            strategy="forward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .with_columns(
            until_at=pl.min_horizontal(
                pl.col("from_at").shift(-1).over("carrier_id", "dial_code", order_by="from_at"),
                "next_full_at",
                pl.datetime(9999, 12, 31),
            )
        )
        .filter(~pl.col("is_closed"))
        .with_row_index("code_number")
    )


def read_events(records: pl.LazyFrame) -> pl.LazyFrame:
    """One row per event: the record received last, of those that can be read."""
    # Few events come twice: those whose keys share a hash are put in order, all others stream past.
    key = text("event_id").hash()
    repeated = records.group_by(key.alias("key")).len().filter(pl.col("len") > 1).collect(engine="streaming")["key"]
    may_repeat = key.is_in(repeated.implode())
    last = (
        readable(records.filter(may_repeat))
        .collect(engine="streaming")
        .sort(pl.col("event_status").is_in(FINAL), "received_at", maintain_order=True)
        .unique("event_id", keep="last")
    )
    return pl.concat([readable(records.filter(~may_repeat)), last.lazy()])


def readable(records: pl.LazyFrame) -> pl.LazyFrame:
    return records.select(
        event_id=text("event_id"),
        service=word("service"),
        direction=word("direction"),
        account_id=text("account_id"),
        carrier_id=text("carrier_id"),
        destination=digits("destination"),
        event_status=word("status"),
        quantity_unit=word("quantity_unit"),
        quantity=pl.col("quantity").cast(pl.Decimal(18, 6), strict=False),
        started_at=instant("started_at"),
        received_at=instant("received_at"),
    ).filter(
        pl.col("event_id", "started_at", "received_at").is_not_null(),
        pl.col("service").is_in(SERVICES),
        pl.col("direction").is_in(DIRECTIONS),
        pl.col("destination").str.contains(r"^[1-9]\d*$"),
        pl.col("event_status").is_in(FINAL + PROVISIONAL),
        pl.col("quantity_unit").is_in(UNITS),
        pl.col("quantity") >= 0,
    )


def match(events: pl.LazyFrame, carriers: pl.DataFrame, codes: pl.DataFrame) -> pl.LazyFrame:
    """Adds the number of the longest code of the carrier that was in force when the event began.

    A deck changes at few instants, so between two of them it is a deck of its own, and the number of such a deck before
    that of a phone makes one integer. The longest code changes only where a code begins or ends: there it is sought
    once, and an event looks for the last such place before it.
    """
    carrier_ids = carriers["carrier_id"].to_list()
    changes = pl.concat([codes["from_at"], codes["until_at"]]).unique().sort()
    carrier = pl.col("carrier_id").replace_strict(
        carrier_ids, range(len(carrier_ids)), default=None, return_dtype=pl.Int64
    )

    def in_deck(number: pl.Expr, changes_before: pl.Expr) -> pl.Expr:
        return (carrier * (len(changes) + 1) + changes_before) * 10**DIGITS + number

    codes_of_decks = (
        codes.join(pl.DataFrame({"at": changes}).with_row_index("changes_before", offset=1), how="cross")
        .filter(pl.col("from_at") <= pl.col("at"), pl.col("at") < pl.col("until_at"))
        .select(
            "code_number",
            length=pl.col("dial_code").str.len_chars().cast(pl.Int64),
            begin=in_deck(padded("dial_code"), pl.col("changes_before").cast(pl.Int64)),
        )
        .with_columns(width=pl.lit(10, dtype=pl.Int64).pow(DIGITS - pl.col("length")))
    )
    places = (
        pl.concat([codes_of_decks["begin"], codes_of_decks.select(pl.col("begin") + pl.col("width")).to_series()])
        .unique()
        .sort()
    )
    found = pl.DataFrame({"place": places})
    lengths = codes_of_decks["length"].unique().sort(descending=True).to_list()
    for length in lengths:
        width = 10 ** (DIGITS - length)
        of_length = codes_of_decks.filter(pl.col("length") == length).select(
            beginning=pl.col("begin") // width, **{f"code_{length}": "code_number"}
        )
        found = found.with_columns(beginning=pl.col("place") // width).join(of_length, on="beginning", how="left")
    longest = found.select(pl.coalesce(f"code_{length}" for length in lengths)).to_series()

    def look_up(numbers: pl.Series) -> pl.Series:
        before = places.search_sorted(numbers, side="right").cast(pl.Int64) - 1
        return longest.gather(pl.select(pl.when(before >= 0).then(before)).to_series())

    changes_before = pl.sum_horizontal((pl.col("started_at") >= change).cast(pl.Int64) for change in changes)
    return events.with_columns(
        code_number=in_deck(padded("destination"), changes_before).map_batches(
            look_up, return_dtype=codes["code_number"].dtype, is_elementwise=True
        )
    )


def price(events: pl.LazyFrame, carriers: pl.DataFrame, codes: pl.DataFrame) -> pl.LazyFrame:
    """Adds the billed quantity and the cost, rounded half up to four decimals."""
    prices = codes.join(carriers, on="carrier_id").select(
        "code_number", "dial_code", "destination_name", "rate_currency", "rate_unit", "rate_amount",
        "rate_per_quantity", "rate", "currency", "minimum", "increment",
    )  # fmt: skip
    used = (pl.col("quantity") * 1000).ceil().cast(pl.Int64)
    minimum, increment = pl.col("minimum"), pl.col("increment")
    beyond = (used - minimum + increment - 1) // increment * increment
    billed = pl.when(used <= 0).then(0).when(used <= minimum).then(minimum).otherwise(minimum + beyond)
    # Thousandths of seconds times 10^-8 of the currency: a day at a hundred a minute still fits 63 bits.
    cost, unit = pl.col("billed") * pl.col("rate"), pl.col("rate_per_quantity") * 10**7
    is_answered = pl.col("event_status") == "answered"
    reason = (
        pl.when(~pl.col("carrier_id").is_in(carriers["carrier_id"].to_list())).then(pl.lit("no_agreement"))
        .when(~is_answered).then(None)
        .when(pl.col("quantity") > 86_400).then(pl.lit("duration_above_a_day"))
        .when(pl.col("started_at") > pl.col("received_at") + pl.duration(days=1)).then(pl.lit("started_after_receipt"))
        .when(pl.col("code_number").is_null()).then(pl.lit("no_rate"))
        .when(pl.col("rate").is_null() | (pl.col("rate_per_quantity") <= 0)).then(pl.lit("rate_refused"))
        .when(pl.col("rate_currency") != pl.col("currency")).then(pl.lit("rate_currency_differs"))
        .when(pl.col("rate_unit") != pl.col("quantity_unit")).then(pl.lit("quantity_unit_differs"))
    )  # fmt: skip
    status = (
        pl.when(pl.col("unrated_reason").is_not_null()).then(pl.lit("unrated"))
        .when(is_answered).then(pl.lit("rated"))
        .otherwise(pl.lit("not_charged"))
    )  # fmt: skip
    is_rated = pl.col("rating_status") == "rated"
    return (
        events.join(prices.lazy(), on="code_number", how="left")
        .with_columns(unrated_reason=reason)
        .with_columns(rating_status=status)
        .with_columns(billed=pl.when(is_rated).then(billed))
        .select(
            "event_id", "service", "direction", "account_id", "carrier_id", "destination", "event_status",
            "rating_status", "unrated_reason", "dial_code", "destination_name", "quantity_unit", "quantity",
            billed_quantity=unscaled(pl.col("billed"), 3),
            rate_amount=pl.when(is_rated).then("rate_amount"),
            rate_per_quantity=pl.when(is_rated).then("rate_per_quantity"),
            rated_cost_amount=unscaled((2 * cost + unit) // (2 * unit), 4),
            rated_cost_currency=pl.when(is_rated).then("currency"),
            started_at="started_at",
            received_at="received_at",
        )
    )  # fmt: skip
