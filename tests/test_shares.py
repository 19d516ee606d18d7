"""Revenue shares against a calculator that knows nothing of SQL: random rules, participants and refunds over random
charges, in currencies with no, two and three decimals; and what holds of any share.

The calculator below shares with exact fractions what `docs/terms.md` says; the models share the same charges from
landed events and terms. Cases of chance are drawn once and go through the models together.
"""

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

import pytest
from conformance.home import Files, land, warehouse_of
from test_pricing import MODES, rounded

SEED = 20261129
CASES_OF_CHANCE = 150
CURRENCIES = {"JPY": (0, Fraction(160)), "EUR": (2, Fraction(1)), "KWD": (3, Fraction(1, 4))}
"""Decimals, and units for one euro."""
ROLES = ("referrer", "reseller", "technology")
MONTHS = (date(2026, 10, 1), date(2026, 11, 1), date(2026, 12, 1))
COST = Fraction(1, 100)
RATED, UNRATED = "4915112345", "3361234567"
SHARE_MODELS = ("+int_statements_totalled", "+int_share_costs_allocated", "+int_terms_refused", "+int_rows_refused")


@dataclass
class Event:
    event_id: str
    month: date
    account: str
    quantity: int
    amount: Fraction
    is_rated: bool = True
    stated: tuple = ()
    refund_of: "Event | None" = None


@dataclass
class Case:
    """A seller with its agreement, rules of participation by account, share rules, tiers and events."""

    seller: str
    currency: str
    """Of its plan; of its agreement too, unless that is in another one."""
    agreement_currency: str
    mode: str
    rules: list[dict]
    participation: list[dict] = field(default_factory=list)
    tiers: dict[str, list[tuple]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    refunds_everything: bool = False
    options: dict[str, str] = field(default_factory=dict)
    """Of its plan."""
    refused: list[Event] = field(default_factory=list)
    """Refunds of more than there was to refund."""

    @property
    def decimals(self) -> int:
        return CURRENCIES[self.currency][0]


# --- the calculator -------------------------------------------------------------------------------------------------


def to_places(number: Fraction, decimals: int, mode: str = "half_up") -> Fraction:
    return rounded(number, {"mode": mode, "decimals": decimals})


def largest_remainder(parts: dict, total: Fraction, decimals: int) -> dict:
    """Parts as whole units that add up to the total; keys are the order of ties."""
    sign, unit = (-1 if total < 0 else 1), Fraction(1, 10**decimals)
    floors = {key: sign * part // unit for key, part in parts.items()}
    left = int(sign * total / unit - sum(floors.values()))
    for key in sorted(parts, key=lambda key: (floors[key] * unit - sign * parts[key], key))[:left]:
        floors[key] += 1
    return {key: sign * floor * unit for key, floor in floors.items()}


def laid_on(total: Fraction, weights: dict) -> dict:
    """A total on parts by weight, in units of 10^-12."""
    whole = sum(weights.values())
    sign, units = (-1 if total < 0 else 1), int(abs(total) * 10**12)
    exact = {key: units * weight / whole for key, weight in weights.items()}
    floors = {key: part.numerator // part.denominator for key, part in exact.items()}
    left = units - sum(floors.values())
    for key in sorted(weights, key=lambda key: (floors[key] - exact[key], key))[:left]:
        floors[key] += 1
    return {key: Fraction(sign * floor, 10**12) for key, floor in floors.items()}


def participants_of(case: Case, event: Event) -> frozenset:
    event = event.refund_of or event
    asked = {rule["participant_role"] for rule in case.rules if rule.get("participant_role")}
    found = set(event.stated)
    for role in ROLES:
        if any(stated == role for stated, _ in event.stated):
            continue
        held = [
            rule
            for rule in case.participation
            if (rule["participant_role"], rule["account_id"]) == (role, event.account)
            and date.fromisoformat(rule["valid_from_date"]) <= event.month
            and (event.is_rated or not rule["country_code"])
        ]
        last = min((int(r["priority"]) for r in held if r["is_exclusive"] == "true"), default=None)
        found |= {(role, r["participant_partner_id"]) for r in held if last is None or int(r["priority"]) <= last}
    return frozenset((role, partner) for role, partner in found if role in asked)


def name_of(participants: frozenset) -> str:
    return ",".join(sorted(f"{role}={partner}" for role, partner in participants))


def charged(case: Case, price: Fraction) -> Fraction:
    """A line of the plan: less the discount, compared with the commitment, cut to the maximum."""

    def at_minor_unit(amount: Fraction) -> Fraction:
        return to_places(amount, case.decimals, case.mode)

    options = {name: Fraction(value) for name, value in case.options.items()}
    line = used = at_minor_unit(price * (1 - options.get("discount_ratio", 0)))
    if (commitment := options.get("minimum_commitment_amount")) is not None:
        if used >= commitment:
            line = at_minor_unit(used + (used - commitment) * (options.get("overage_ratio", 1) - 1))
        else:
            line = used + at_minor_unit(commitment - used)
    return min(line, options.get("maximum_amount", line))


def weights_of(amounts: dict[tuple, Fraction], quantities: dict[tuple, int]) -> dict[tuple, Fraction]:
    """By what groups have left after refunds; else by what they had; else by their refunds; else by quantity."""
    left, had = {}, {}
    for (name, origin, is_refund), amount in amounts.items():
        after_refunds = amount + amounts.get((name, origin, True), 0)
        left[name, origin, is_refund] = Fraction(0) if is_refund else max(after_refunds, Fraction(0))
        had[name, origin, is_refund] = Fraction(0) if is_refund else abs(amount)
    all_amounts = {group: abs(amount) for group, amount in amounts.items()}
    return next((w for w in (left, had, all_amounts) if sum(w.values())), quantities)


def grossed(case: Case, month: date) -> dict[tuple, Fraction]:
    """Charges of a month by participants, month of origin and whether they are refunds, at the minor unit."""
    whole, quantities = defaultdict(Fraction), Counter()
    for event in case.events:
        if event.month == month:
            origin = event.refund_of.month if event.refund_of else month
            group = name_of(participants_of(case, event)), origin, event.refund_of is not None
            whole[group] += event.amount
            quantities[group] += event.quantity
    if not whole:
        return {}

    # The tie goes by the name of the group, as it is published.
    def key(group: tuple) -> tuple:
        participants, origin, is_refund = group
        name = f"{case.seller}:{month:%Y-%m}:sms" + (f":{participants}" if participants else "")
        return name + ("" if origin == month else f":refunds of {case.seller}:{origin:%Y-%m}"), is_refund

    due = 1 - Fraction(case.options.get("discount_ratio", 0))
    own = {group: to_places(amount * due, 12) for group, amount in whole.items()}
    charge, weights = charged(case, sum(whole.values())), weights_of(whole, quantities)
    if not sum(weights.values()):
        return {}
    laid = laid_on(charge - sum(own.values()), {key(group): weight for group, weight in weights.items()})
    exact = {key(group): amount + laid[key(group)] for group, amount in own.items()}
    parts = largest_remainder(exact, charge, case.decimals)
    return {group: parts[key(group)] for group in own}


def reckoned(case: Case, month: date, originals: dict[str, Fraction]) -> dict[str, dict[tuple, Fraction]]:
    """By participants: what each rule gives to each beneficiary before refunds, to twelve decimals."""
    rate = CURRENCIES[case.currency][1]
    members = {name_of(participants_of(case, e)): participants_of(case, e) for e in case.events if not e.refund_of}
    used, costed = Counter(), Counter()
    for event in case.events:
        if event.month == month and not event.refund_of and event.amount >= 0:
            used[name_of(participants_of(case, event))] += event.quantity
            costed[name_of(participants_of(case, event))] += event.quantity * event.is_rated
    cost = {
        name: sum(
            (e.quantity * COST * rate for e in case.events
             if e.month == month and not e.refund_of and e.is_rated and name_of(participants_of(case, e)) == name),
            Fraction(0),
        )
        for name in originals
    }  # fmt: skip
    met: dict[str, list[tuple[int, list[str]]]] = {}
    for name in originals:
        rows = []
        for number, rule in enumerate(case.rules):
            if not date.fromisoformat(rule["valid_from_date"]) <= month:
                continue
            if rule.get("valid_until_date") and date.fromisoformat(rule["valid_until_date"]) <= month:
                continue
            role, beneficiary = rule.get("participant_role"), rule.get("beneficiary_partner_id")
            if not role:
                rows.append((number, [beneficiary]))
            elif found := sorted(p for r, p in members[name] if r == role and beneficiary in (None, p)):
                rows.append((number, found))
        exclusive = [int(case.rules[n].get("priority", 1)) for n, _ in rows if case.rules[n].get("is_exclusive")]
        last = min(exclusive, default=None)
        met[name] = [(n, who) for n, who in rows if last is None or int(case.rules[n].get("priority", 1)) <= last]
    volumes = Counter()
    for name, rows in met.items():
        for number, _ in rows:
            volumes[number] += used[name]
    shares: dict[str, dict[tuple, Fraction]] = {name: {} for name in originals}
    for name, gross in originals.items():
        if gross <= 0 or not used[name]:
            net = gross
        elif costed[name] == used[name]:
            net = max(gross - cost[name], Fraction(0))
        else:
            net = max(to_places(gross * costed[name] / used[name], 8) - cost[name], Fraction(0))
        left = gross
        for step in range(1, 6):
            given = Fraction(0)
            for number, beneficiaries in met[name]:
                rule = case.rules[number]
                if int(rule.get("step", 1)) != step:
                    continue
                ratio, unit = rule.get("share_ratio"), rule.get("unit_amount")
                for up_to, tier_ratio, tier_unit in case.tiers.get(rule["rule_id"], []):
                    if up_to is None or volumes[number] <= up_to:
                        ratio, unit = tier_ratio, tier_unit
                        break
                kind = rule.get("share_kind", "ratio")
                if kind == "fixed_per_unit":
                    amount = used[name] * Fraction(unit) / int(rule.get("priced_per_quantity", 1))
                elif kind == "cost_plus":
                    amount = cost[name] * (1 + Fraction(ratio))
                else:
                    basis = {
                        "gross": gross, "net_of_cost": net, "remainder": left, "margin": left - gross + net,
                    }[rule.get("share_basis", "gross")]  # fmt: skip
                    if rule.get("share_basis") in ("remainder", "margin"):
                        basis = min(basis, Fraction(0)) if gross < 0 else max(basis, Fraction(0))
                    amount = basis * Fraction(ratio)
                for beneficiary in beneficiaries:
                    part = to_places(amount / len(beneficiaries), 12)
                    shares[name][number, beneficiary] = part
                    given += part
            left -= given
    return shares


def owed(case: Case, shares: dict[tuple, Fraction], left: Fraction, original: Fraction) -> dict[tuple, Fraction]:
    """What is owed of a group of which `left` is left, at the minor unit."""
    if left != original and original != 0:
        shares = {key: to_places(share * left / original, 12) for key, share in shares.items()}
    keys = {key: (case.rules[key[0]]["rule_id"], key[1]) for key in shares}
    parts = largest_remainder(
        {keys[key]: share for key, share in shares.items()},
        to_places(to_places(sum(shares.values()), 8), case.decimals, case.mode),
        case.decimals,
    )
    return {key: parts[keys[key]] for key in shares}


def expected_of(case: Case) -> dict[tuple, Fraction]:
    """By month, type of allocation, rule and beneficiary."""
    result = defaultdict(Fraction)
    gross = {month: grossed(case, month) for month in MONTHS}
    earned = defaultdict(Fraction)
    for origin in MONTHS:
        originals = {name: amount for (name, _, is_refund), amount in gross[origin].items() if not is_refund}
        shares = reckoned(case, origin, originals)
        at_first, posted = defaultdict(Fraction), defaultdict(Fraction)
        gross_at_first, gross_posted = defaultdict(Fraction), defaultdict(Fraction)
        for name, original in originals.items():
            if not shares[name]:
                continue
            for key, amount in owed(case, shares[name], original, original).items():
                at_first[key] += amount
                gross_at_first[key] += original
            left, before = Fraction(0), defaultdict(Fraction)
            for month in MONTHS:
                moved = [a for (n, o, _), a in gross[month].items() if (n, o) == (name, origin)]
                if not moved:
                    continue
                left += sum(moved)
                now = owed(case, shares[name], left, original)
                for key, amount in now.items():
                    posted[month, key] += amount - before[key]
                    gross_posted[month, key] += sum(moved)
                before = now
        for (month, (number, beneficiary)), amount in posted.items():
            result[month, "share", case.rules[number]["rule_id"], beneficiary] += amount
            earned[month, number, beneficiary] += amount
        for (number, beneficiary), original in at_first.items():
            rule, unit = case.rules[number], case.decimals
            cap, floor = rule.get("cap_amount"), rule.get("floor_amount")
            kind, limit = None, Fraction(0)
            if original >= 0 and cap is not None and original > Fraction(cap):
                kind, limit = "cap", to_places(Fraction(cap), unit, case.mode) - original
            elif original >= 0 and floor is not None and original < Fraction(floor):
                kind, limit = "floor", to_places(Fraction(floor), unit, case.mode) - original
            # What part of the shares is left; where there is none, of the charges.
            whole, moves = (original, posted) if original else (gross_at_first[number, beneficiary], gross_posted)
            left, before = Fraction(0), Fraction(0)
            for month in MONTHS:
                if (month, (number, beneficiary)) not in posted:
                    continue
                left += moves[month, (number, beneficiary)]
                now = limit if left == whole or whole == 0 else to_places(limit * left / whole, unit)
                if kind and now != before:
                    result[month, kind, rule["rule_id"], beneficiary] += now - before
                    earned[month, number, beneficiary] += now - before
                before = now
    for number, rule in enumerate(case.rules):
        if "guarantee_amount" not in rule:
            continue
        beneficiary, balance = rule["beneficiary_partner_id"], Fraction(0)
        guarantee = to_places(Fraction(rule["guarantee_amount"]), case.decimals, case.mode)
        for month in MONTHS:
            now = max(balance + guarantee - earned[month, number, beneficiary], Fraction(0))
            kind = "recoupment" if now < balance else "guarantee"
            result[month, kind, rule["rule_id"], beneficiary] += now - balance
            balance = now
    return {key: amount for key, amount in result.items() if amount}


# --- chance ---------------------------------------------------------------------------------------------------------


def ratios(dice: random.Random, count: int, of: int = 10**6) -> list[str]:
    """So many ratios of at most six decimals that add up to at most `of` millionths."""
    cuts = sorted(dice.sample(range(1, of), count - 1))
    parts = [b - a for a, b in zip([0, *cuts], [*cuts, of], strict=True)]
    return [f"{part // 10**6}.{part % 10**6:06d}" for part in parts]


def split_rules(dice: random.Random, seller: str) -> list[dict]:
    """A gross that 2 to 50 partners share, wholly or in part."""
    count = dice.randint(2, 50)
    found = ratios(dice, count, 10**6 if dice.random() < 0.5 else dice.randint(count, 10**6))
    return [
        a_rule(seller, f"split-{dice.randint(1, 3)}", f"b{number:02d}", share_ratio=ratio)
        for number, ratio in enumerate(found)
    ]


def some_partner(dice: random.Random) -> str:
    return f"b{dice.randint(0, 9):02d}"


def a_rule(seller: str, rule_id: str, beneficiary: str | None, **said: str) -> dict:
    named = {} if beneficiary is None else {"beneficiary_partner_id": beneficiary}
    return {
        "rule_id": f"{seller}-{rule_id}", "seller_partner_id": seller, "service": "sms",
        "valid_from_date": "2025-01-01",
    } | named | said  # fmt: skip


def cascade_rules(dice: random.Random, seller: str, decimals: int) -> tuple[list[dict], dict]:
    """Rules of every kind in several steps, which share no more than the whole whatever the cost."""
    rules, tiers = [], {}
    for number in range(dice.randint(1, 7)):
        rule_id = f"r{number}"
        role = dice.choice((None, None, *ROLES))
        beneficiary = None if role and dice.random() < 0.6 else some_partner(dice)
        rule = a_rule(seller, rule_id, beneficiary, step=str(dice.randint(1, 5)))
        if role:
            rule["participant_role"] = role
        kind = dice.choice(("ratio", "ratio", "ratio", "fixed_per_unit", "cost_plus"))
        if kind != "ratio":
            rule["share_kind"] = kind
        is_tiered = dice.random() < 0.25 and kind != "cost_plus"
        values = ratios(dice, 9, 140_000)
        if kind == "ratio":
            rule["share_basis"] = dice.choice(("gross", "net_of_cost", "remainder", "margin"))
            values = [f"0.{dice.randint(1, 140_000):06d}" for _ in values]
        if is_tiered:
            column = 2 if kind == "fixed_per_unit" else 1
            bounds = sorted(dice.sample(range(1, 60), 2))
            tiers[rule["rule_id"]] = [
                (bound, *((None, value) if column == 2 else (value, None)))
                for bound, value in zip([*bounds, None], values, strict=False)
            ]
        elif kind == "fixed_per_unit":
            rule |= {"unit_amount": f"0.{dice.randint(1, 10**8 - 1):08d}"}
        else:
            rule["share_ratio"] = values[0]
        if kind == "fixed_per_unit":
            rule["priced_per_quantity"] = str(dice.choice((1, 7, 1000)))
        if dice.random() < 0.3:
            rule["cap_amount"] = str(dice.randint(1, 40))
        if dice.random() < 0.3:
            rule["floor_amount"] = str(dice.randint(0, int(rule.get("cap_amount", 5))))
        if beneficiary and dice.random() < 0.3:
            rule["guarantee_amount"] = f"{dice.randint(1, 9)}" + (f".{dice.randint(0, 99):02d}" if decimals else "")
        if dice.random() < 0.2:
            rule |= {"priority": str(dice.randint(1, 3)), "is_exclusive": dice.choice(("true", ""))}
        rules.append(rule)
    return rules, tiers


def changed(dice: random.Random, rules: list[dict], tiers: dict) -> list[dict]:
    """The rules, some of them with a smaller ratio from November on: refunds of October go by the old one."""
    result = []
    for rule in rules:
        is_plain = "share_ratio" in rule and "guarantee_amount" not in rule and rule["rule_id"] not in tiers
        if is_plain and dice.random() < 0.3 and Fraction(rule["share_ratio"]) > Fraction(1, 1000):
            smaller = {"share_ratio": f"0.{int(Fraction(rule['share_ratio']) * 300_000):06d}"}
            result.append(rule | {"valid_until_date": str(MONTHS[1])})
            result.append(rule | smaller | {"valid_from_date": str(MONTHS[1])})
        else:
            result.append(rule)
    return result


def plan_options(dice: random.Random) -> dict[str, str]:
    options = {}
    if dice.random() < 0.6:
        options["discount_ratio"] = f"0.{dice.choice((1, 25, 333333))}"
    if dice.random() < 0.6:
        options["minimum_commitment_amount"] = str(dice.randint(1, 400))
        options["overage_ratio"] = dice.choice(("1", "1", "0.5", "1.25"))
    if dice.random() < 0.3:
        options["maximum_amount"] = str(int(options.get("minimum_commitment_amount", 0)) + dice.randint(1, 200))
    return options


def a_case(dice: random.Random, number: int) -> Case:
    seller = f"s{number:03d}"
    currency = dice.choice(tuple(CURRENCIES))
    decimals = CURRENCIES[currency][0]
    if dice.random() < 0.4:
        rules, tiers = split_rules(dice, seller), {}
    else:
        rules, tiers = cascade_rules(dice, seller, decimals)
    # A guarantee is of the agreement's currency, so there the plan has the same.
    is_guaranteed = any(rule.get("guarantee_amount") for rule in rules)
    agreement_currency = currency if is_guaranteed else dice.choice((currency, *CURRENCIES))
    case = Case(seller, currency, agreement_currency, dice.choice(MODES), changed(dice, rules, tiers), tiers=tiers)
    for place in range(dice.randint(0, 5)):
        case.participation.append(
            {
                "participation_id": f"{seller}-p{place}", "participant_partner_id": some_partner(dice),
                "participant_role": dice.choice(ROLES), "account_id": f"{seller}-{dice.randint(0, 1)}",
                "seller_partner_id": dice.choice(("", seller)), "country_code": dice.choice(("", "", "DE")),
                "priority": str(dice.randint(1, 2)), "is_exclusive": dice.choice(("true", "false")),
                "valid_from_date": dice.choice(("2025-01-01", "2026-11-01")),
            }
        )  # fmt: skip
    case.refunds_everything = dice.random() < 0.4
    if dice.random() < 0.4 and not case.refunds_everything:
        case.options = plan_options(dice)
    # What is refunded was charged to the minor unit, or charge and refund would not be rounded alike.
    places = decimals if case.refunds_everything or dice.random() < 0.5 else decimals + 2
    for month in MONTHS[: dice.randint(1, 3)]:
        for _ in range(dice.randint(1, 8)):
            sign = -1 if dice.random() < 0.1 and not case.refunds_everything else 1
            case.events.append(
                Event(
                    f"{seller}-{len(case.events)}", month, f"{seller}-{dice.randint(0, 1)}", dice.randint(1, 9),
                    sign * Fraction(dice.randint(1, 90 * 10**places), 10**places), dice.random() < 0.8,
                    tuple({(dice.choice(ROLES), some_partner(dice)) for _ in range(dice.choice((0, 0, 1, 2)))}),
                )
            )  # fmt: skip
    for event in list(case.events):
        if event.amount > 0 and (case.refunds_everything or dice.random() < 0.2):
            amounts = [event.amount]
            if dice.random() < 0.3:
                first = Fraction(dice.randint(1, 10**places), 10**places)
                amounts = [first, event.amount - first] if 0 < first < event.amount else amounts
            if not case.refunds_everything:
                amounts = amounts[:1]
            for amount in amounts:
                month, event_id = dice.choice([m for m in MONTHS if m >= event.month]), f"{seller}-{len(case.events)}"
                refund = Event(event_id, month, event.account, event.quantity, -amount, refund_of=event)
                case.events.append(refund)
        elif event.amount > 0 and dice.random() < 0.1:
            amount, event_id = event.amount + Fraction(1, 10**places), f"{seller}-beyond-{event.event_id}"
            case.refused.append(Event(event_id, event.month, event.account, 1, -amount, refund_of=event))
    return case


# --- through the models ---------------------------------------------------------------------------------------------


def files_of(cases: list[Case]) -> tuple[Files, list[dict]]:
    files, participants = Files(), []
    rows = files.rows
    names = [*(case.seller for case in cases), *(f"b{number:02d}" for number in range(50))]
    rows["parties"] = [
        {"party_id": name, "party_name": name, "country_code": "DE", "is_carrier": "false", "is_partner": "true"}
        for name in names
    ]
    rows["parties"].append(
        {"party_id": "any", "party_name": "any", "country_code": "DE", "is_carrier": "true", "is_partner": "false"}
    )
    agreement = {"valid_from_date": "2025-01-01", "time_zone": "UTC", "payment_days": "30"}
    rows["agreements"].append(
        agreement | {"agreement_id": "any", "party_id": "any", "party_role": "carrier", "currency": "EUR",
                     "rounding_mode": "half_up", "line_rounding_decimals": "2"}
    )  # fmt: skip
    rows["rating_terms"].append(
        {"agreement_id": "any", "service": "sms", "direction": "outbound", "quantity_unit": "segment",
         "minimum_quantity": "1", "increment_quantity": "1", "increment_method": "residual", "charged_on": "submitted"}
    )  # fmt: skip
    rows["decks"].append(
        {"carrier_id": "any", "service": "sms", "direction": "outbound", "deck_version": "1", "deck_kind": "full",
         "received_at": "2025-01-01T00:00:00Z", "effective_date": "2025-01-01", "dial_code": "49",
         "destination_name": "Germany", "change_type": "new", "rate_amount": "0.01", "rate_currency": "EUR",
         "rate_per_quantity": "1", "rate_unit": "segment"}
    )  # fmt: skip
    rows["participation_rules"], rows["revenue_shares"], rows["revenue_share_tiers"] = [], [], []
    for case in cases:
        rows["agreements"].append(
            agreement | {"agreement_id": case.seller, "party_id": case.seller, "party_role": "partner",
                         "currency": case.agreement_currency, "rounding_mode": case.mode,
                         "line_rounding_decimals": CURRENCIES[case.agreement_currency][0]}
        )  # fmt: skip
        rows["accounts"] += [
            {"account_id": f"{case.seller}-{n}", "partner_id": case.seller, "valid_from_date": "2025-01-01"}
            for n in range(2)
        ]
        rows["plans"].append(
            {"plan_id": case.seller, "partner_id": case.seller, "service": "sms", "direction": "outbound",
             "country_code": "*", "valid_from_date": "2025-01-01", "pricing_model": "lines",
             "quantity_unit": "segment", "minimum_quantity": "0", "increment_quantity": "0",
             "priced_per_quantity": "1", "charged_on": "submitted",
             "currency": "" if case.currency == case.agreement_currency else case.currency}
        )  # fmt: skip
        rows["plan_options"] += [
            {"plan_id": case.seller, "option": name, "value": value} for name, value in case.options.items()
        ]
        rows["participation_rules"] += case.participation
        rows["revenue_shares"] += case.rules
        for rule_id, tiers in case.tiers.items():
            rows["revenue_share_tiers"] += [
                dict(zip(("rule_id", "tier_number", "up_to_quantity", "share_ratio", "unit_amount"), row, strict=True))
                for row in ((rule_id, number, *tier) for number, tier in enumerate(tiers, 1))
            ]
        for event in case.events + case.refused:
            rows["usage"].append(an_event(event, case.currency))
            participants += [
                {"event_feed": "native", "event_id": event.event_id, "participant_partner_id": partner,
                 "participant_role": role}
                for role, partner in event.stated
            ]  # fmt: skip
    # So that every month is over.
    last = Event("last", MONTHS[-1], "nobody", 1, Fraction(1))
    rows["usage"].append(an_event(last, "EUR") | {"received_at": "2027-02-01T00:00:00Z"})
    return files, participants


def an_event(event: Event, currency: str) -> dict:
    return {
        "event_id": event.event_id, "service": "sms", "direction": "outbound", "account_id": event.account,
        "carrier_id": "any", "destination": RATED if event.is_rated else UNRATED,
        "started_at": f"{event.month:%Y-%m}-05T10:00:00Z", "status": "delivered", "quantity": event.quantity,
        "quantity_unit": "segment", "amount": f"{float(event.amount):.5f}", "amount_currency": currency,
        "refund_of": event.refund_of.event_id if event.refund_of else "", "received_at": "2027-01-05T10:00:00Z",
    }  # fmt: skip


FOUND = """
select seller_partner_id, period_start_date, allocation_type, rule_id, beneficiary_partner_id,
    transaction_group_id, gross_amount, kept_amount, allocated_amount
from {{ ref('int_shares_allocated') }}
"""

REFUSED = """
select event_id from {{ ref('int_events_attributed') }} where uncharged_reason = 'refund_exceeds_charge'
"""


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    dice = random.Random(SEED)
    return [a_case(dice, number) for number in range(CASES_OF_CHANCE)]


@pytest.fixture(scope="module")
def found(cases) -> dict[str, list[dict]]:
    """What the models allocate of each seller's charges, after their own laws have held."""
    files, participants = files_of(cases)
    with warehouse_of(files) as warehouse:
        land(warehouse.home, "event_participants", participants)
        rates = {"rate_date": "2025-01-01", "base_currency": "EUR", "source": "test"}
        land(
            warehouse.home,
            "fx_rates",
            [rates | {"quote_currency": name, "rate": str(float(rate))} for name, (_, rate) in CURRENCIES.items()][::2],
        )
        warehouse.load()
        warehouse.build(*SHARE_MODELS)
        assert warehouse.ask("select * from {{ ref('int_terms_refused') }}") == []
        assert warehouse.ask("select * from {{ ref('int_rows_refused') }}") == []
        refused = warehouse.ask(REFUSED)
        rows = warehouse.ask(FOUND)
    beyond = [event.event_id for case in cases for event in case.refused]
    assert {row["event_id"] for row in refused} == {f"native:{event_id}" for event_id in beyond}
    assert len(beyond) > 10
    by_seller = defaultdict(list)
    for row in rows:
        by_seller[row["seller_partner_id"]].append(row)
    return by_seller


def test_every_share_floor_cap_and_guarantee_is_what_the_calculator_says(cases, found):
    for case in cases:
        allocated = defaultdict(Fraction)
        for row in found[case.seller]:
            key = (row["period_start_date"], row["allocation_type"], row["rule_id"], row["beneficiary_partner_id"])
            allocated[key] += Fraction(row["allocated_amount"])
        allocated = {key: amount for key, amount in allocated.items() if amount}
        assert allocated == expected_of(case), case


def test_shares_and_what_is_kept_are_the_charges(cases, found):
    for case in cases:
        kept, gross = {}, {}
        shared = defaultdict(Fraction)
        for row in found[case.seller]:
            if row["allocation_type"] == "share":
                kept[row["transaction_group_id"]] = Fraction(row["kept_amount"])
                gross[row["transaction_group_id"]] = Fraction(row["gross_amount"])
                shared[row["transaction_group_id"]] += Fraction(row["allocated_amount"])
                assert Fraction(row["allocated_amount"]) * 10**case.decimals % 1 == 0
        assert {group: shared[group] + kept[group] for group in gross} == gross


def test_a_refund_of_everything_leaves_nothing_to_any_partner(cases, found):
    left = Counter()
    for case in cases:
        if case.refunds_everything:
            for row in found[case.seller]:
                if row["allocation_type"] in ("share", "floor", "cap"):
                    left[case.seller, row["beneficiary_partner_id"]] += Fraction(row["allocated_amount"])
    assert len(left) > 100
    assert not any(left.values())


def test_chance_has_drawn_something_of_everything(cases, found):
    kinds = Counter(row["allocation_type"] for rows in found.values() for row in rows)
    assert set(kinds) == {"share", "floor", "cap", "guarantee", "recoupment"}
    assert {case.currency for case in cases} == set(CURRENCIES)
    assert sum(case.currency != case.agreement_currency for case in cases) > 10
    assert max(len(case.rules) for case in cases) > 40
    assert any(rule.get("is_exclusive") == "true" for case in cases for rule in case.rules)
    assert {name for case in cases for name in case.options} == {
        "discount_ratio", "minimum_commitment_amount", "overage_ratio", "maximum_amount"
    }  # fmt: skip
    assert any(Fraction(row["gross_amount"]) < 0 for rows in found.values() for row in rows)
