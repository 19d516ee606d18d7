"""The arithmetic of money, held against Python's exact fractions on the real DuckDB: every digit, on drawn numbers.

Belongs here: the macros that divide, round, scale, convert, multiply, bill and split, and those that do so in whole
numbers of 64 bits. Does not belong here: where a model uses them (unit tests beside the models).
"""

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from math import ceil

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.dbt_run import dbt

MODES = ["half_up", "half_even", "up", "down"]
EXACT = "DECIMAL(38,12)"

# The macros as dbt compiles them, over the columns that the queries below give them.
CALLS = {
    "divide": "divide_and_round('amount', 'denominator', 'decimals', 'mode')",
    "round": "round_money('amount', 'decimals', 'mode')",
    "scale": "scale_money('amount', 'factor', 'divisor', 'decimals', 'mode')",
    "scale_quantity": "scale_money('amount', 'factor', 'divisor', 'decimals', 'mode', 3)",
    "scale_undivided": "scale_money('amount', 'factor', 'divisor', 'decimals', 'mode', undivided=true)",
    "part": "part_of_money('amount', 'part', 'whole')",
    "convert": "convert_money('amount', 'from_rate', 'to_rate', 'decimals')",
    "multiply": "multiply_exactly('quantity', 'rate')",
    "bill": "billed_quantity('quantity', 'minimum', 'increment', 'method')",
    "bill_thousandths": "billed_thousandths('millionths', 'minimum_thousandths', 'increment_thousandths', 'method')",
    "whole": "whole_millionths('millionths', 'quantity_rounding')",
    "millionths": "millionths('raw_quantity')",
    "from_millionths": "from_millionths('millionths')",
    "thousandths": "thousandths('quantity')",
    "from_thousandths": "from_thousandths('thousandths')",
    "rate_units": "rate_units('rate')",
    "from_units": "from_units('dividend')",
    "round_units": "units_rounded('dividend', 'denominator', 'rounding_unit', 'mode')",
    "fits": "fits_64_bits('rate_units', 'thousandths', 'denominator', ['connect_fee_units', 'maximum_units'])",
    # As int_events_rated puts them together.
    "cost": "from_units(units_rounded('(' ~ undivided_cost("
    "'thousandths * rate_units * 10', 'connect_fee_units * 10000 * denominator', "
    "'maximum_units * 10000 * denominator', 'attempt_fee_units * 10000 * denominator') ~ ')', "
    "'denominator', 'rounding_unit', 'mode'))",
    "allocate": "allocate(source='parts', total='total', weight='weight', group_by='group_number', "
    "tie_break='part_number', decimals='decimals', into='share')",
}
TYPES = {
    "amount": "decimal(38, 12)",
    "denominator": "integer",
    "decimals": "integer",
    "mode": "varchar",
    "factor": "decimal(18, 8)",
    "divisor": "decimal(18, 8)",
    "part": "decimal(38, 12)",
    "whole": "decimal(38, 12)",
    "from_rate": "decimal(18, 8)",
    "to_rate": "decimal(18, 8)",
    "quantity": "decimal(18, 3)",
    "rate": "decimal(18, 8)",
    "minimum": "decimal(18, 3)",
    "increment": "decimal(18, 3)",
    "method": "varchar",
    "raw_quantity": "decimal(18, 6)",
    "quantity_rounding": "varchar",
    "millionths": "bigint",
    "thousandths": "bigint",
    "minimum_thousandths": "bigint",
    "increment_thousandths": "bigint",
    "rate_units": "bigint",
    "connect_fee_units": "bigint",
    "maximum_units": "bigint",
    "attempt_fee_units": "bigint",
    "dividend": "bigint",
    "rounding_unit": "bigint",
    "total": "decimal(38, 12)",
    "weight": "decimal(18, 6)",
    "group_number": "integer",
    "part_number": "integer",
}

many = settings(max_examples=40, deadline=None, derandomize=True)


class Macros:
    """The compiled macros on an in-memory DuckDB."""

    def __init__(self, sql: dict[str, str]) -> None:
        self.sql = sql
        self.connection = duckdb.connect()

    def values(self, macro: str, rows: list[dict], result_type: str = EXACT) -> list[Fraction]:
        """What the macro makes of each row, exact, after a look at its type."""
        source, parameters = relation(rows)
        query = f"select typeof(result), result from (select {self.sql[macro]} as result from {source})"
        found = self.connection.execute(query, parameters).fetchall()
        assert {data_type for data_type, _ in found} == {result_type}, "a result of another type may lose its exactness"
        return [Fraction(value) for _, value in found]

    def shares(self, rows: list[dict]) -> dict[int, dict[int, Fraction]]:
        """What `allocate` gives each part, by group and part."""
        source, parameters = relation(rows)
        query = f"""
            with parts as {source}
            select group_number, part_number, share, typeof(share) from ({self.sql["allocate"]})"""
        shares: dict[int, dict[int, Fraction]] = defaultdict(dict)
        for group, part, share, data_type in self.connection.execute(query, parameters).fetchall():
            assert data_type == EXACT
            shares[group][part] = Fraction(share)
        return dict(shares)


def relation(rows: list[dict]) -> tuple[str, list[list[str | None]]]:
    """The rows as a subquery, each column of the type that the warehouse has there, and its parameters."""
    columns = [f"cast(unnest(?) as {TYPES[name]}) as {name}" for name in rows[0]]
    values = [[None if row[name] is None else str(row[name]) for row in rows] for name in rows[0]]
    return f"(select {', '.join(columns)})", values


@pytest.fixture(scope="module")
def macros(dbt_project) -> Macros:
    separator = "\n---\n"
    inline = separator.join(f"{{{{ {call} }}}}" for call in CALLS.values())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOLLGATE_WAREHOUSE", str(dbt_project.warehouse))
        compiled = dbt(dbt_project.target.parent, "compile", "--inline", inline)
    assert compiled.success, compiled.exception
    parts = compiled.result.results[0].node.compiled_code.split(separator)
    return Macros(dict(zip(CALLS, parts, strict=True)))


def agree(given_rows: list[dict], found: list[Fraction], expected: Callable[[dict], Fraction]) -> None:
    wrong = [
        (row, value, expected(row)) for row, value in zip(given_rows, found, strict=True) if value != expected(row)
    ]
    assert not wrong, f"{wrong[0][0]} gives {wrong[0][1]}, not {wrong[0][2]}"


def rounded(value: Fraction, decimals: int, mode: str) -> Fraction:
    """The value at so many decimals, rounded once from its exact quotient; `up` and `down` are from and toward zero."""
    units = abs(value) * 10**decimals
    whole, rest = divmod(units.numerator, units.denominator)
    twice = 2 * rest - units.denominator
    raised = {
        "half_up": twice >= 0,
        "half_even": twice > 0 or (twice == 0 and whole % 2 == 1),
        "up": rest > 0,
        "down": False,
    }[mode]
    return Fraction(whole + raised, 10**decimals) * (-1 if value < 0 else 1)


def numbers(digits: int, decimals: int, least: int = 0) -> st.SearchStrategy[Decimal]:
    """Decimals with at most so many digits before and after the point, of every length alike, and round ones."""
    lengths = st.integers(1, digits + decimals)
    return st.one_of(
        lengths.flatmap(lambda length: st.integers(least, 10**length - 1)).map(
            lambda units: Decimal(units).scaleb(-decimals)
        ),
        st.integers(least, 1000).map(Decimal),
    )


def signed(magnitudes: st.SearchStrategy[Decimal]) -> st.SearchStrategy[Decimal]:
    return st.builds(lambda magnitude, sign: magnitude * sign, magnitudes, st.sampled_from([1, -1]))


def rows(**columns: st.SearchStrategy) -> st.SearchStrategy[list[dict]]:
    return st.lists(st.fixed_dictionaries(columns), min_size=1, max_size=40)


decimals = st.integers(0, 12)
modes = st.sampled_from(MODES)


# Division and rounding ----------------------------------------------------------------------------------------------


@many
@given(rows(amount=signed(numbers(25, 12)), denominator=st.integers(1, 10**9), decimals=decimals, mode=modes))
def test_a_quotient_is_rounded_once_from_its_exact_value(macros, drawn):
    agree(
        drawn,
        macros.values("divide", drawn),
        lambda row: rounded(Fraction(row["amount"]) / row["denominator"], row["decimals"], row["mode"]),
    )


@many
@given(rows(amount=signed(numbers(14, 12)), decimals=decimals, mode=modes))
def test_an_amount_is_rounded_as_the_agreement_says(macros, drawn):
    agree(
        drawn,
        macros.values("round", drawn),
        lambda row: rounded(Fraction(row["amount"]), row["decimals"], row["mode"]),
    )


@many
@given(rows(amount=st.integers(-(10**9), 10**9), decimals=decimals, mode=modes))
def test_ties_go_where_the_mode_sends_them(macros, drawn):
    # (2k + 1) units, halved, lie exactly between two units.
    ties = [
        row | {"amount": Decimal(2 * row["amount"] + 1).scaleb(-row["decimals"]), "denominator": 2} for row in drawn
    ]
    agree(
        ties,
        macros.values("divide", ties),
        lambda row: rounded(Fraction(row["amount"]) / 2, row["decimals"], row["mode"]),
    )


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("half_up", ["0.13", "-0.13", "0.12", "0.01"]),
        ("half_even", ["0.12", "-0.12", "0.12", "0.00"]),
        ("up", ["0.13", "-0.13", "0.13", "0.01"]),
        ("down", ["0.12", "-0.12", "0.12", "0.00"]),
    ],
)
def test_the_four_modes_at_the_cent(macros, mode, expected):
    drawn = [{"amount": amount, "decimals": 2, "mode": mode} for amount in ("0.125", "-0.125", "0.1249", "0.005")]
    assert macros.values("round", drawn) == [Fraction(value) for value in expected]


@pytest.mark.parametrize(
    ("macro", "row"),
    [
        ("round", {"amount": "1" + 14 * "0", "decimals": 2, "mode": "half_up"}),
        ("scale", {"amount": "1" + 10 * "0", "factor": "1" + 9 * "0", "divisor": 1, "decimals": 2, "mode": "half_up"}),
    ],
)
def test_what_is_too_large_is_an_error_and_never_wraps(macros, macro, row):
    with pytest.raises((duckdb.OutOfRangeException, duckdb.ConversionException)):
        macros.values(macro, [row])


# Scaling, conversion, products --------------------------------------------------------------------------------------


@many
@given(
    rows(
        amount=signed(numbers(10, 12)),
        factor=numbers(7, 8),
        divisor=numbers(7, 8, least=1),
        decimals=decimals,
        mode=modes,
    )
)
def test_an_amount_in_proportion_is_rounded_once(macros, drawn):
    agree(
        drawn,
        macros.values("scale", drawn),
        lambda row: rounded(
            Fraction(row["amount"]) * Fraction(row["factor"]) / Fraction(row["divisor"]), row["decimals"], row["mode"]
        ),
    )


@many
@given(
    rows(
        amount=signed(numbers(10, 12)),
        factor=numbers(10, 3),
        divisor=numbers(10, 3, least=1),
        decimals=decimals,
        mode=modes,
    )
)
def test_an_amount_in_proportion_to_quantities_is_rounded_once(macros, drawn):
    agree(
        drawn,
        macros.values("scale_quantity", drawn),
        lambda row: rounded(
            Fraction(row["amount"]) * Fraction(row["factor"]) / Fraction(row["divisor"]), row["decimals"], row["mode"]
        ),
    )


@many
@given(
    rows(
        amount=signed(numbers(17, 12)),
        factor=st.decimals(1, 2, places=6),
        divisor=st.sampled_from([1, 60, 10**9]),
        decimals=decimals,
        mode=modes,
    )
)
def test_a_cost_that_is_not_divided_yet_is_taxed_and_rounded_once(macros, drawn):
    agree(
        drawn,
        macros.values("scale_undivided", drawn),
        lambda row: rounded(
            Fraction(row["amount"]) * Fraction(row["factor"]) / Fraction(row["divisor"]), row["decimals"], row["mode"]
        ),
    )


@many
@given(rows(amount=signed(numbers(12, 6)), part=numbers(12, 6), whole=numbers(12, 6, least=1)))
def test_a_part_of_money_is_rounded_once_and_never_too_large(macros, drawn):
    drawn = [row | {"part": min(row["part"], row["whole"])} for row in drawn]
    agree(
        drawn,
        macros.values("part", drawn),
        lambda row: rounded(Fraction(row["amount"]) * Fraction(row["part"]) / Fraction(row["whole"]), 6, "half_up"),
    )


@many
@given(
    rows(
        amount=signed(numbers(12, 6)),
        from_rate=numbers(5, 8, least=1),
        to_rate=numbers(5, 8, least=1),
        decimals=st.sampled_from([0, 2, 3, 6, 12]),
    )
)
def test_an_amount_is_converted_half_up_from_both_rates_at_once(macros, drawn):
    agree(
        drawn,
        macros.values("convert", drawn),
        lambda row: rounded(
            Fraction(row["amount"]) * Fraction(row["to_rate"]) / Fraction(row["from_rate"]), row["decimals"], "half_up"
        ),
    )


@many
@given(rows(quantity=signed(numbers(13, 3)), rate=signed(numbers(10, 8))))
def test_a_quantity_times_a_rate_is_exact(macros, drawn):
    agree(
        drawn,
        macros.values("multiply", drawn),
        lambda row: Fraction(row["quantity"]) * Fraction(row["rate"]),
    )


# Increments ---------------------------------------------------------------------------------------------------------


def billed(row: dict) -> Fraction:
    quantity, minimum, increment = (Fraction(row[name]) for name in ("quantity", "minimum", "increment"))
    if quantity <= 0:
        return Fraction(0)
    if quantity <= minimum:
        return minimum
    if row["method"] == "whole_duration":
        return ceil(quantity / increment) * increment
    return minimum + ceil((quantity - minimum) / increment) * increment


@many
@given(
    rows(
        quantity=numbers(6, 3),
        minimum=st.one_of(st.sampled_from([0, 1, 30, 60]), numbers(3, 3)),
        increment=st.one_of(st.sampled_from([1, 6, 30, 60]), numbers(3, 3, least=1)),
        method=st.sampled_from(["residual", "whole_duration"]),
    )
)
def test_increments_are_laid_as_the_agreement_lays_them(macros, drawn):
    found = macros.values("bill", drawn, "DECIMAL(18,3)")
    agree(drawn, found, billed)
    assert all(value >= Fraction(row["quantity"]) for row, value in zip(drawn, found, strict=True))


# Whole numbers of 64 bits -------------------------------------------------------------------------------------------


@many
@given(
    rows(
        millionths=st.one_of(st.integers(0, 10**12), st.integers(0, 10**8)),
        minimum_thousandths=st.one_of(st.sampled_from([0, 1000, 30000, 60000]), st.integers(0, 10**6)),
        increment_thousandths=st.one_of(st.sampled_from([1000, 6000, 60000]), st.integers(1, 10**6)),
        method=st.sampled_from(["residual", "whole_duration"]),
    )
)
def test_increments_are_laid_in_whole_numbers_as_in_decimals(macros, drawn):
    def expected(row: dict) -> Fraction:
        thousandths = {name: row[f"{name}_thousandths"] for name in ("minimum", "increment")}
        quantities = {name: Fraction(value, 1000) for name, value in thousandths.items()}
        return 1000 * billed(row | quantities | {"quantity": Fraction(row["millionths"], 10**6)})

    agree(drawn, macros.values("bill_thousandths", drawn, "BIGINT"), expected)


@many
@given(rows(millionths=st.integers(0, 10**12), quantity_rounding=st.sampled_from(["up", "half_up", "none"])))
def test_a_raw_quantity_becomes_whole_only_where_the_agreement_says_so(macros, drawn):
    def expected(row: dict) -> Fraction:
        if row["quantity_rounding"] == "none":
            return Fraction(row["millionths"])
        return 10**6 * rounded(Fraction(row["millionths"], 10**6), 0, row["quantity_rounding"])

    agree(drawn, macros.values("whole", drawn, "BIGINT"), expected)


@many
@given(rows(raw_quantity=numbers(12, 6), quantity=numbers(15, 3), rate=numbers(10, 8)))
def test_every_quantity_and_rate_of_the_warehouse_is_a_whole_number_and_comes_back(macros, drawn):
    millionths = macros.values("millionths", drawn, "BIGINT")
    agree(drawn, millionths, lambda row: Fraction(row["raw_quantity"]) * 10**6)
    whole = [{"millionths": value, "dividend": value} for value in millionths]
    agree(whole, macros.values("from_millionths", whole, "DECIMAL(18,6)"), lambda row: row["millionths"] / 10**6)
    agree(whole, macros.values("from_units", whole), lambda row: row["dividend"] / 10**12)
    thousandths = macros.values("thousandths", drawn, "BIGINT")
    agree(drawn, thousandths, lambda row: Fraction(row["quantity"]) * 1000)
    whole = [{"thousandths": value} for value in thousandths]
    agree(whole, macros.values("from_thousandths", whole, "DECIMAL(18,3)"), lambda row: row["thousandths"] / 1000)
    agree(drawn, macros.values("rate_units", drawn, "BIGINT"), lambda row: Fraction(row["rate"]) * 10**8)


@many
@given(rows(dividend=st.integers(0, 10**18), denominator=st.integers(1, 3600), decimals=decimals, mode=modes))
def test_a_quotient_of_whole_numbers_is_rounded_once_in_64_bits(macros, drawn):
    drawn = [row | {"rounding_unit": 10 ** (12 - row["decimals"])} for row in drawn]
    agree(
        drawn,
        macros.values("round_units", drawn, "BIGINT"),
        lambda row: (
            10**12 * rounded(Fraction(row["dividend"], row["denominator"] * 10**12), row["decimals"], row["mode"])
        ),
    )


LIMITS = {"rate_units": 10**9, "thousandths": 9 * 10**7, "denominator": 3600}
FEE_LIMIT = 10**10


def up_to(limit: int, least: int = 0) -> st.SearchStrategy[int]:
    return st.one_of(st.integers(least, limit), st.just(limit))


@many
@given(
    rows(
        **{name: up_to(limit, least=1) for name, limit in LIMITS.items()},
        connect_fee_units=up_to(FEE_LIMIT),
        maximum_units=st.one_of(st.none(), up_to(FEE_LIMIT)),
        attempt_fee_units=up_to(FEE_LIMIT),
        decimals=decimals,
        mode=modes,
    )
)
def test_what_fits_64_bits_costs_what_exact_fractions_say(macros, drawn):
    drawn = [row | {"rounding_unit": 10 ** (12 - row["decimals"])} for row in drawn]

    def expected(row: dict) -> Fraction:
        connect, attempt = (Fraction(row[f"{fee}_fee_units"], 10**8) for fee in ("connect", "attempt"))
        usage = Fraction(row["thousandths"] * row["rate_units"], 10**11 * row["denominator"])
        cost = connect + usage
        if row["maximum_units"] is not None:
            cost = min(cost, Fraction(row["maximum_units"], 10**8))
        return rounded(cost + attempt, row["decimals"], row["mode"])

    assert set(macros.values("fits", drawn, "BOOLEAN")) == {1}
    agree(drawn, macros.values("cost", drawn), expected)


def test_nothing_above_a_limit_is_reckoned_in_64_bits(macros):
    most = LIMITS | {"connect_fee_units": FEE_LIMIT, "maximum_units": FEE_LIMIT}
    assert macros.values("fits", [most, most | {"maximum_units": None}], "BOOLEAN") == [1, 1]
    above = [most | {name: limit + 1} for name, limit in most.items()]
    assert macros.values("fits", above, "BOOLEAN") == [0] * len(above)


# Splitting ----------------------------------------------------------------------------------------------------------


@st.composite
def totals_to_split(draw: st.DrawFn) -> dict:
    """A total at the minor unit of its currency, of either sign, and the weights of 2 to 50 parts."""
    minor_decimals = draw(st.sampled_from([0, 2, 3]))
    units = draw(st.one_of(st.integers(-(10**12), 10**12), st.integers(-100, 100)))
    alike = draw(st.booleans())
    weights = draw(st.lists(numbers(4, 6, least=1), min_size=2, max_size=50))
    return {
        "decimals": minor_decimals,
        "total": Decimal(units).scaleb(-minor_decimals),
        "weights": [weights[0]] * len(weights) if alike else weights,
    }


def largest_remainder(total: Decimal, weights: list[Decimal], decimals: int) -> list[Fraction]:
    """The textbook: floors first, then one unit each to the largest remainders, the earlier part first."""
    units = abs(Fraction(total)) * 10**decimals
    exact = [units * Fraction(weight) / sum(map(Fraction, weights)) for weight in weights]
    floors = [share.numerator // share.denominator for share in exact]
    by_remainder = sorted(range(len(weights)), key=lambda part: (floors[part] - exact[part], part))
    for part in by_remainder[: int(units) - sum(floors)]:
        floors[part] += 1
    return [Fraction(share, 10**decimals) * (-1 if total < 0 else 1) for share in floors]


@settings(many, max_examples=60)
@given(groups=st.lists(totals_to_split(), min_size=1, max_size=6), data=st.data())
def test_shares_add_up_to_the_whole_and_go_by_largest_remainder(macros, groups, data):
    drawn = [
        {"group_number": number, "part_number": part, "weight": weight}
        | {name: group[name] for name in ("total", "decimals")}
        for number, group in enumerate(groups)
        for part, weight in enumerate(group["weights"])
    ]
    shares = macros.shares(data.draw(st.permutations(drawn)))
    for number, group in enumerate(groups):
        expected = largest_remainder(group["total"], group["weights"], group["decimals"])
        found = [shares[number][part] for part in range(len(expected))]
        assert sum(found) == Fraction(group["total"]), "a unit was lost or made"
        assert found == expected


def test_parts_that_weigh_nothing_get_nothing(macros):
    shares = macros.shares(
        [
            {"group_number": 0, "part_number": 0, "total": "1.00", "decimals": 2, "weight": 0},
            {"group_number": 1, "part_number": 0, "total": "1.00", "decimals": 2, "weight": 0},
            {"group_number": 1, "part_number": 1, "total": "1.00", "decimals": 2, "weight": 5},
        ],
    )
    assert shares == {1: {0: 0, 1: 1}}, "a group without weight has no parts, so whoever calls must give it one"
