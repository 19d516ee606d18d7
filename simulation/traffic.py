"""Who uses what: each account's services, carriers, favourite countries and senders.

Belongs here: the shares of traffic and the numbers that are called. Does not belong here: single events
(`usage`), money.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from simulation.numbering import NumberRanges, joined, number_ranges, numbering_plan, single_numbers, zipf
from simulation.terms import AllTerms

EMAIL_DOMAINS = (
    "gmail.com", "outlook.com", "yahoo.com", "icloud.com", "hotmail.com", "gmx.de", "web.de",
    "orange.fr", "proton.me", "aol.com",
    "libero.it", "yahoo.co.jp", "bluewin.ch", "comcast.net", "ziggo.nl",
)  # fmt: skip


@dataclass(frozen=True)
class Account:
    """An account's habits: hours to UTC, favourite countries with their share of its calls, how it writes
    numbers.
    """

    utc_hours: int
    home: dict[str, float]
    senders: tuple[str, ...]
    plus: str = ""
    own_numbers: tuple[str, ...] = ()


ACCOUNTS = {
    "acme-main": Account(-5, {"US": 0.45, "CA": 0.08, "MX": 0.08}, ("12025550143", "12125550178", "ACME"), "+"),
    "acme-retail": Account(-8, {"US": 0.5, "PH": 0.06}, ("14155550119", "ACME-SHOP"), "+"),
    "bluebird-eu": Account(1, {"FR": 0.4, "ES": 0.08, "IT": 0.08}, ("33159000123", "33159000177", "BLUEBIRD")),
    "falcon-kw": Account(3, {"KW": 0.45, "SA": 0.12, "AE": 0.1}, ("96522290001", "FALCON"), "+"),
    "helio-us": Account(-6, {"US": 0.8}, ("13125550166", "13125550167"), "+"),
    "kanto-jp": Account(9, {"JP": 0.8}, ("81345670001", "81345670002", "KANTO")),
    "kanto-global": Account(9, {"JP": 0.15, "KR": 0.15, "CN": 0.1}, ("81345670009", "KANTO")),
    "northstar-saas": Account(1, {"NL": 0.45, "BE": 0.15, "DE": 0.1}, ("31208000123",)),
    "pagerhive-prod": Account(-5, {"US": 0.4, "GB": 0.12, "IN": 0.1}, ("18885550100", "PAGERHIVE"), "+"),
    "quickshop-dach": Account(1, {"AT": 0.35, "DE": 0.35, "CH": 0.15}, ("43720881234", "QUICKSHOP")),
    "nordlink-resale": Account(1, {"DE": 0.45, "PL": 0.15, "DK": 0.1}, ("493022610001", "NORDLINK")),
    "AC5f0e8d7c6b5a49382716051423324150": Account(
        -5,
        {"US": 0.6, "GB": 0.1},
        ("12025550188", "16465550121"),
        "+",
        ("12025550188", "442079460123", "18885550144"),
    ),
    "AC11aa22bb33cc44dd55ee66ff77008899": Account(
        0,
        {"US": 0.5, "GB": 0.15},
        ("18885550155", "442079460999"),
        "+",
        ("18885550155", "442079460999", "493023125001"),
    ),
}

# Account, service, direction, share of all events in percent, and how the account spreads it over carriers.
ROUTES = (
    (
        "acme-main",
        "voice",
        "outbound",
        10.0,
        {"atlantic-voice": 0.65, "nordlink": 0.25, "ponte-wholesale": 0.1},
    ),
    ("acme-retail", "voice", "outbound", 5.0, {"atlantic-voice": 0.5, "ponte-wholesale": 0.5}),
    (
        "bluebird-eu",
        "voice",
        "outbound",
        5.0,
        {"nordlink": 0.5, "ponte-wholesale": 0.4, "atlantic-voice": 0.1},
    ),
    ("falcon-kw", "voice", "outbound", 3.0, {"gulf-connect": 0.85, "atlantic-voice": 0.15}),
    ("helio-us", "voice", "outbound", 4.0, {"atlantic-voice": 0.9, "nordlink": 0.1}),
    ("kanto-jp", "voice", "outbound", 4.5, {"sakura-tel": 0.95, "atlantic-voice": 0.05}),
    ("kanto-global", "voice", "outbound", 2.0, {"sakura-tel": 0.4, "atlantic-voice": 0.3, "nordlink": 0.3}),
    ("northstar-saas", "voice", "outbound", 2.5, {"nordlink": 0.6, "ponte-wholesale": 0.4}),
    ("pagerhive-prod", "voice", "outbound", 1.5, {"atlantic-voice": 0.7, "nordlink": 0.3}),
    ("quickshop-dach", "voice", "outbound", 1.5, {"nordlink": 0.8, "ponte-wholesale": 0.2}),
    ("nordlink-resale", "voice", "outbound", 1.5, {"ponte-wholesale": 0.7, "atlantic-voice": 0.3}),
    ("AC5f0e8d7c6b5a49382716051423324150", "voice", "outbound", 1.8, {"twilio": 1.0}),
    ("AC5f0e8d7c6b5a49382716051423324150", "voice", "inbound", 0.8, {"twilio": 1.0}),
    ("AC11aa22bb33cc44dd55ee66ff77008899", "voice", "outbound", 1.2, {"twilio": 1.0}),
    ("AC11aa22bb33cc44dd55ee66ff77008899", "voice", "inbound", 0.7, {"twilio": 1.0}),
    ("acme-main", "sms", "outbound", 5.0, {"textwave": 0.8, "gulf-connect": 0.2}),
    ("acme-retail", "sms", "outbound", 3.0, {"textwave": 1.0}),
    ("bluebird-eu", "sms", "outbound", 5.0, {"textwave": 1.0}),
    ("falcon-kw", "sms", "outbound", 6.0, {"gulf-connect": 0.9, "textwave": 0.1}),
    ("kanto-jp", "sms", "outbound", 4.5, {"sakura-tel": 0.95, "textwave": 0.05}),
    ("kanto-global", "sms", "outbound", 1.0, {"sakura-tel": 0.5, "textwave": 0.5}),
    ("pagerhive-prod", "sms", "outbound", 3.5, {"textwave": 0.8, "gulf-connect": 0.2}),
    ("quickshop-dach", "sms", "outbound", 2.5, {"textwave": 1.0}),
    ("nordlink-resale", "sms", "outbound", 1.0, {"textwave": 1.0}),
    ("AC5f0e8d7c6b5a49382716051423324150", "sms", "outbound", 2.0, {"twilio": 1.0}),
    ("AC11aa22bb33cc44dd55ee66ff77008899", "sms", "outbound", 1.5, {"twilio": 1.0}),
    ("helio-us", "email", "outbound", 8.0, {"mailpost": 1.0}),
    ("northstar-saas", "email", "outbound", 7.0, {"mailpost": 1.0}),
    ("quickshop-dach", "email", "outbound", 5.0, {"mailpost": 1.0}),
)


@dataclass(frozen=True)
class Lane:
    """One account's use of one service over one carrier; `fallback` is the lane that tries again when a
    call failed, or -1.
    """

    account_id: str
    partner_id: str
    service: str
    direction: str
    carrier_id: str
    share: float
    fallback: int


@dataclass(frozen=True)
class Traffic:
    """Lanes and ranges of numbers; `reach`: by account and direction, the running sum of range shares."""

    lanes: list[Lane]
    ranges: NumberRanges
    reach: dict[tuple[str, str], np.ndarray]

    def expected(self, carrier_id: str, service: str, direction: str) -> np.ndarray:
        """Expected share of all events that each range receives over one carrier."""
        shares = np.zeros(len(self.ranges.prefix))
        for lane in self.lanes:
            if (lane.carrier_id, lane.service, lane.direction) == (carrier_id, service, direction):
                shares += lane.share * np.diff(self.reach[lane.account_id, lane.direction], prepend=0)
        return shares


def make_traffic(terms: AllTerms) -> Traffic:
    """The traffic of the accounts and carriers that have terms in the month; ValueError where a service has
    no plan.
    """
    called = number_ranges(numbering_plan())
    own = sorted({number for account in ACCOUNTS.values() for number in account.own_numbers})
    ranges = joined(called, single_numbers(own))
    lanes = _lanes(terms)
    reach = {}
    for account_id, account in ACCOUNTS.items():
        reach[account_id, "outbound"] = _cumulated(_outbound_shares(called, account), np.zeros(len(own)))
        owned = np.array([number in account.own_numbers for number in own], dtype=float)
        reach[account_id, "inbound"] = _cumulated(np.zeros(len(called.prefix)), owned)
    return Traffic(lanes, ranges, reach)


def senders_of(lane: Lane) -> list[str]:
    """Twenty senders of a lane: numbers for calls (other people's for inbound ones), numbers and names for
    SMS, an address for e-mail.
    """
    account = ACCOUNTS[lane.account_id]
    if lane.service == "email":
        return [f"noreply@{lane.partner_id}.example"] * 20
    if lane.direction == "inbound":
        rng = np.random.default_rng(zlib.crc32(lane.account_id.encode()))
        return [f"+1{area}555{rng.integers(0, 10_000):04d}" for area in (212, 312, 415, 617, 713) for _ in range(4)]
    known = [sender for sender in account.senders if lane.service == "sms" or sender.isdigit()]
    return [(account.plus if sender.isdigit() else "") + sender for sender in (known * 20)[:20]]


def _lanes(terms: AllTerms) -> list[Lane]:
    planned = {(plan.partner_id, plan.service, plan.direction) for plan in terms.plans}
    rows = []
    for account_id, service, direction, percent, carriers in ROUTES:
        known = {carrier: part for carrier, part in carriers.items() if (carrier, service, direction) in terms.rating}
        if account_id not in terms.partner_of or not known:
            continue
        partner_id = terms.partner_of[account_id]
        if (partner_id, service, direction) not in planned:
            raise ValueError(
                f"plans.csv has no plan for {partner_id} {service} {direction}, which {account_id} uses: "
                "add the plan, or take the route out of simulation/traffic.py"
            )
        rows += [
            (account_id, partner_id, service, direction, carrier, percent * part) for carrier, part in known.items()
        ]
    if not rows:
        raise ValueError("no account and carrier of the demo terms is valid in this month: choose a month from 2026 on")
    total = sum(row[-1] for row in rows)
    keys = [(row[0], row[2], row[3]) for row in rows]
    return [Lane(*row[:-1], row[-1] / total, _fallback(keys, number)) for number, row in enumerate(rows)]


def _fallback(keys: list[tuple[str, str, str]], number: int) -> int:
    """The account's next carrier for the same service, around the circle."""
    same = [other for other, key in enumerate(keys) if key == keys[number]]
    other = same[(same.index(number) + 1) % len(same)]
    return other if other != number else -1


def _outbound_shares(called: NumberRanges, account: Account) -> np.ndarray:
    regions = list(dict.fromkeys(called.region.tolist()))
    share_of = dict(zip(regions, zipf(len(regions)) * (1 - sum(account.home.values())), strict=True))
    for region, share in account.home.items():
        share_of[region] += share
    return np.array([share_of[region] for region in called.region.tolist()]) * called.weight


def _cumulated(called: np.ndarray, own: np.ndarray) -> np.ndarray:
    shares = np.cumsum(np.concatenate([called, own]))
    return shares / shares[-1] if shares[-1] else shares
