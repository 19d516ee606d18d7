"""The public numbering plan: destinations with their dial codes, numbers to call, and the longest match.

Belongs here: what is the same for every carrier. The codes and operators come from `phonenumbers`, the
countries' names and main calling codes from `seeds/reference`. Does not belong here: what a carrier charges
for a destination (`decks`).
"""

import csv
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache

import numpy as np
import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneNumberType
from phonenumbers.carrierdata import CARRIER_DATA

from orchestration.settings import PROJECT_DIR

# Every number is compared left-aligned to this many digits, the longest that E.164 allows.
E164_DIGITS = 15
LONGEST_CODE = 7
# A country whose operators hold more ranges than this gets one "Mobile" destination, as in real decks.
MOST_OPERATOR_CODES = 700
# Country calling codes that several countries share area code by area code.
SHARED_BY_AREA_CODE = ("1", "7")
MOBILE_SHARE = 0.7
ZIPF_EXPONENT = 1.05
MOST_CALLED = (
    "US", "GB", "DE", "IN", "FR", "MX", "CA", "ES", "IT", "BR", "NL", "JP", "AU", "PL", "CH", "AT",
    "AE", "SA", "PH", "CN", "TR", "BE", "SE", "ID", "ZA", "KW", "EG", "SG", "HK", "IE", "PT", "DK",
    "NO", "KR", "TH", "MY", "VN", "NG", "PK", "CO",
)  # fmt: skip


@dataclass(frozen=True)
class Breakout:
    """A destination as carriers name it: "Germany" (kind `default`), "Germany Mobile", "Germany Mobile
    Vodafone".
    """

    name: str
    region: str
    kind: str
    codes: tuple[str, ...]


@dataclass(frozen=True)
class NumberRanges:
    """Ranges of numbers that people call; the arrays run in parallel.

    prefix: leading digits as an integer; free_digits: how many random digits follow; digits: length of the
    whole number; region: where it is; country: main region of its calling code; weight: share of the range
    in its region's calls.
    """

    prefix: np.ndarray
    free_digits: np.ndarray
    digits: np.ndarray
    region: np.ndarray
    country: np.ndarray
    weight: np.ndarray

    def keys(self, chosen: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the `chosen` ranges with `free` in [0, 1) as their random part: the numbers, and
        left-aligned.
        """
        width = 10 ** self.free_digits[chosen]
        numbers = self.prefix[chosen] * width + (free * width).astype(np.int64)
        return numbers, numbers * 10 ** (E164_DIGITS - self.digits[chosen])


class DialIndex:
    """The longest dial code that begins a number. Nested codes are laid out once as disjoint ranges, so a
    look-up is one search.
    """

    def __init__(self, values: dict[str, int]) -> None:
        """values: what each dial code stands for; the empty code matches every number."""
        codes = sorted(values, key=len)
        widths = np.array([10 ** (E164_DIGITS - len(code)) for code in codes], dtype=np.int64)
        firsts = np.array([int(code or 0) for code in codes], dtype=np.int64) * widths
        self._starts = np.unique(np.concatenate([[0], firsts, firsts + widths]))
        self._values = np.full(len(self._starts), -1)
        lows, highs = (np.searchsorted(self._starts, edges) for edges in (firsts, firsts + widths))
        # Longer codes come later and overwrite the part of a shorter one that they cover.
        for code, low, high in zip(codes, lows, highs, strict=True):
            self._values[low:high] = values[code]

    def find(self, keys: np.ndarray) -> np.ndarray:
        """The values of left-aligned numbers, -1 where no code matches."""
        return self._values[np.searchsorted(self._starts, keys, side="right") - 1]


def zipf(count: int) -> np.ndarray:
    """Shares of `count` ranked things, the first one the largest."""
    weights = np.arange(1, count + 1) ** -ZIPF_EXPONENT
    return weights / weights.sum()


@cache
def numbering_plan() -> list[Breakout]:
    """Every breakout of the world, the most called regions first; a dial code occurs once."""
    names = _country_names()
    area_codes = _area_codes()
    operators = _operator_codes(area_codes)
    plan = []
    for region in _regions_by_calls():
        calling_code = str(phonenumbers.country_code_for_region(region))
        if calling_code in SHARED_BY_AREA_CODE and region not in ("US", "RU"):
            defaults = _shortest(area_codes[region])
        elif COUNTRY_CODE_TO_REGION_CODE[int(calling_code)][0] == region:
            defaults = (calling_code,)
        else:
            continue
        if defaults:
            plan.append(Breakout(names[region], region, "default", defaults))
            plan += _mobile_breakouts(names[region], region, calling_code, operators[region])
    return plan


def number_ranges(plan: list[Breakout]) -> NumberRanges:
    """Ranges of real numbers for each region of the plan, but for those whose numbers are too short to be
    told apart.
    """
    rows = []
    for region in dict.fromkeys(breakout.region for breakout in plan):
        calling_code = str(phonenumbers.country_code_for_region(region))
        mobile, fixed = _prefixes_called(plan, region, calling_code)
        for prefixes, kind, share in (
            (fixed, PhoneNumberType.FIXED_LINE, 1 - MOBILE_SHARE if mobile else 1),
            (mobile, PhoneNumberType.MOBILE, MOBILE_SHARE),
        ):
            example = phonenumbers.example_number_for_type(region, kind)
            digits = len(calling_code) + len(phonenumbers.national_significant_number(example)) if example else 0
            if not LONGEST_CODE < digits <= E164_DIGITS:
                continue
            for prefix, weight in zip(prefixes, zipf(len(prefixes)) * share, strict=True):
                free_digits = digits - len(prefix)
                rows.append((int(prefix), free_digits, digits, region, _country_of(prefix), weight))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return NumberRanges(*columns)


def single_numbers(numbers: list[str]) -> NumberRanges:
    """Whole numbers as ranges without a free digit, equally often called."""
    countries = [_country_of(number) for number in numbers]
    return NumberRanges(
        np.array([int(number) for number in numbers]),
        np.zeros(len(numbers), dtype=np.int64),
        np.array([len(number) for number in numbers]),
        np.array(countries),
        np.array(countries),
        np.full(len(numbers), 1 / len(numbers)),
    )


def joined(first: NumberRanges, second: NumberRanges) -> NumberRanges:
    """Both sets of ranges, the first ones first."""
    return NumberRanges(
        *(np.concatenate(pair) for pair in zip(vars(first).values(), vars(second).values(), strict=True))
    )


def _country_names() -> dict[str, str]:
    with open(PROJECT_DIR / "seeds/reference/countries.csv", encoding="utf-8", newline="") as file:
        return {row["country_code"]: row["country_name"] for row in csv.DictReader(file)}


def _country_of(number: str) -> str:
    """As the longest calling code that begins it has it."""
    country_of = _main_regions()
    return next(country_of[number[:size]] for size in (4, 3, 2, 1) if number[:size] in country_of)


@cache
def _main_regions() -> dict[str, str]:
    with open(PROJECT_DIR / "seeds/reference/calling_codes.csv", encoding="utf-8", newline="") as file:
        return {row["calling_code"]: row["country_code"] for row in csv.DictReader(file)}


def _regions_by_calls() -> list[str]:
    known = {region for regions in COUNTRY_CODE_TO_REGION_CODE.values() for region in regions} & set(_country_names())
    return [*MOST_CALLED, *sorted(known - set(MOST_CALLED))]


@cache
def _area_codes() -> dict[str, list[str]]:
    """Area codes with their calling code (`1876`), by the region that uses them."""
    found = defaultdict(list)
    for calling_code in SHARED_BY_AREA_CODE:
        for area_code in range(200, 1000):
            number = phonenumbers.PhoneNumber(int(calling_code), area_code * 10_000_000 + 2_345_678)
            found[phonenumbers.region_code_for_number(number)].append(f"{calling_code}{area_code}")
    return found


def _shortest(codes: list[str]) -> tuple[str, ...]:
    """The same numbers in fewer codes: ten codes that differ in their last digit only become one."""
    for size in range(max(map(len, codes), default=0), 1, -1):
        tens = Counter(code[:-1] for code in codes if len(code) == size)
        full = {code for code, count in tens.items() if count == 10}
        codes = [code for code in codes if code[:-1] not in full or len(code) != size] + sorted(full)
    return tuple(sorted(codes))


def _operator_codes(area_codes: dict[str, list[str]]) -> dict[str, dict[str, str]]:
    """Operators' names by dial code, by region."""
    region_of_area = {code: region for region, codes in area_codes.items() for code in codes}
    found = defaultdict(dict)
    for code, names in sorted(CARRIER_DATA.items()):
        size = next(size for size in (1, 2, 3) if int(code[:size]) in COUNTRY_CODE_TO_REGION_CODE)
        region = COUNTRY_CODE_TO_REGION_CODE[int(code[:size])][0]
        if code[:size] in SHARED_BY_AREA_CODE:
            region = region_of_area.get(code[:4])
        if region and region != "US" and "en" in names and len(code) <= LONGEST_CODE:
            found[region][code] = " ".join(names["en"].split())
    return found


def _mobile_breakouts(country: str, region: str, calling_code: str, operator_of: dict[str, str]) -> list[Breakout]:
    # Two digits after the calling code separate mobile from fixed numbers; in North America the area code
    # comes first.
    size = 5 if calling_code == "1" else len(calling_code) + 2
    by_operator = defaultdict(list)
    if len(operator_of) <= MOST_OPERATOR_CODES:
        for code, operator in operator_of.items():
            by_operator[f"{country} Mobile {operator}"].append(code)
    shortened = sorted({code[:size] for code in operator_of})
    taken = {code for codes in by_operator.values() for code in codes}
    mobile = tuple(code for code in shortened if code not in taken)
    breakouts = [Breakout(f"{country} Mobile", region, "mobile", mobile)] if mobile else []
    return breakouts + [Breakout(name, region, "operator", tuple(codes)) for name, codes in sorted(by_operator.items())]


def _prefixes_called(plan: list[Breakout], region: str, calling_code: str) -> tuple[list[str], list[str]]:
    """Prefixes of the region's mobile and fixed numbers, the busiest first: at most a dozen and two dozen."""
    of_region = [breakout for breakout in plan if breakout.region == region]
    operators = [breakout for breakout in of_region if breakout.kind == "operator"]
    mobile = [breakout.codes[0] for breakout in sorted(operators, key=lambda breakout: -len(breakout.codes))]
    mobile = mobile or [code for breakout in of_region if breakout.kind == "mobile" for code in breakout.codes]
    if calling_code == "1":
        fixed = _area_codes()[region]
        return mobile[:12], fixed[:: max(1, len(fixed) // 24)][:24]
    example = phonenumbers.example_number_for_type(region, PhoneNumberType.FIXED_LINE)
    fixed = [calling_code + phonenumbers.national_significant_number(example)[:2]] if example else []
    return mobile[:12], fixed
