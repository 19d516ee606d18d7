"""What a proposed plan would charge a partner for the real usage of its last months: `tollgate what-if --plan`.

The models themselves answer, on a scratch warehouse with a copy of that partner's rated events and with the terms:
once as they are, once as if the plan had been in force in all those months. Nothing of the home is changed.

Belongs here: the file, which rows of the terms it stands for, the comparison, where a plan jumps. Does not belong here:
pricing, which the models do; what is printed (`plan_report.py`).
"""

import csv
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import duckdb
import yaml

from orchestration import settings, terms
from orchestration.lock import only_run
from orchestration.settings import Home
from orchestration.what_if.scratch import CannotAnswer, Scratch, next_month, own_environment

MONTHS_LOOKED_AT = 3
# What leads from terms and rated events to charges.
TERMS = ("resource_type:seed", "+int_plans_resolved")
CHARGES_OF_TERMS = (
    "+int_agreements_resolved",
    "stg_terms__accounts",
    "stg_terms__participation_rules",
    "stg_ledger__charges",
    "+int_charges_priced,path:models/attribute",
)
COPIED = ("int_transactions_marked", "int_refunds_attributed")
"""What comes of the records, which stay where they are."""
ALWAYS = {"valid_from_date": "0001-01-01", "valid_until_date": ""}
PLAN_COLUMNS = (
    "plan_id", "partner_id", "service", "direction", "country_code", "region", "product", "currency",
    "pricing_model", "quantity_unit", "minimum_quantity", "increment_quantity", "priced_per_quantity", "charged_on",
)  # fmt: skip
TIER_COLUMNS = ("up_to_quantity", "unit_amount", "flat_amount", "block_quantity", "rate_ratio")

MONTHS = """
    select cast(date_trunc('month', partner_local_date) as date) as month, count(*) as event_count
    from tollgate.attribute.int_events_attributed
    where partner_id = $partner and service = $service and direction = $direction
    group by month order by month
"""
# The months are over, whatever has come of them since: what a plan is due at their end is due.
EVENTS = """
    create table scratch.rate.int_events_rated as
    select rated.* replace (greatest(rated.received_at, cast($until as date) + interval 2 day) as received_at)
    from tollgate.rate.int_events_rated as rated
    semi join (
        from tollgate.attribute.int_events_attributed
        where partner_id = $partner and service = $service and direction = $direction
            and partner_local_date >= $first and partner_local_date < $until
    ) using (event_id);
    create table scratch.rate.int_events_affected as from tollgate.rate.int_events_affected limit 0;
    create schema scratch.attribute;
    create table scratch.attribute.int_transactions_marked as from tollgate.attribute.int_transactions_marked;
"""
CHARGES = """
    select lines.period_start_date as month, lines.plan_id, plans.country_code, plans.pricing_model,
        plans.quantity_unit, sum(lines.event_count)::bigint as event_count, sum(lines.converted_quantity) as quantity,
        sum(lines.true_up_amount) as true_up_amount, sum(lines.line_amount) as charge_amount,
        min(lines.charge_currency) as currency
    from attribute.int_charge_lines_priced as lines
    join stage.int_plans_resolved as plans on plans.plan_id = lines.plan_id and plans.refusal_reason is null
    where lines.is_last_reading and plans.service = $service and plans.direction = $direction
        and lines.partner_id = $partner
    group by all order by month, lines.plan_id
"""
UNCHARGED = """
    select cast(date_trunc('month', partner_local_date) as date) as month, uncharged_reason, count(*)
    from attribute.int_events_attributed where charge_status = 'uncharged' group by all order by all
"""
REFUSED = """
    select 'plan' as what, refusal_reason from stage.int_plans_resolved
    where plan_id = $plan and refusal_reason is not null
    union all
    select 'tier ' || coalesce(tier_number::varchar, '?'), refusal_reason from stage.stg_terms__plan_tiers
    where plan_id = $plan and refusal_reason is not null
    union all
    select 'option ' || option_name, refusal_reason from stage.stg_terms__plan_options
    where plan_id = $plan and refusal_reason is not null
"""
TIERS = """
    select tiers.above_quantity, tiers.up_to_quantity, tiers.unit_amount, tiers.flat_amount, plans.priced_per_quantity,
        plans.pricing_model, plans.discount_ratio
    from stage.stg_terms__plan_tiers as tiers join stage.int_plans_resolved as plans using (plan_id)
    where plan_id = $plan and tiers.block_quantity is null and plans.pricing_model in ('graduated', 'volume')
    order by tiers.tier_number
"""


@dataclass(frozen=True)
class Proposal:
    """A plan as the file says it: columns of plans.csv, rows of plan_tiers.csv, options; all text, as in the terms."""

    plan: dict[str, str]
    tiers: tuple[dict[str, str], ...]
    options: dict[str, str]


@dataclass(frozen=True)
class Charge:
    """What one plan charges for one month: amounts are exact, `quantity` is in the plan's unit."""

    month: date
    plan_id: str
    country_code: str
    pricing_model: str
    quantity_unit: str | None
    event_count: int
    quantity: Decimal
    true_up_amount: Decimal
    charge_amount: Decimal
    currency: str


@dataclass(frozen=True)
class Jump:
    """Where more usage costs at once less (a cliff) or more: at `quantity` and just above it, before commitment and
    maximum.

    `cheaper_from`: above it, up to `quantity`, a little more than `quantity` would be cheaper; None where it is dearer.
    """

    quantity: Decimal
    amount_at: Fraction
    amount_above: Fraction
    cheaper_from: Fraction | None


@dataclass(frozen=True)
class Answer:
    """The same usage, charged as the terms are (before) and as proposed (after)."""

    plan_id: str
    partner_id: str
    service: str
    direction: str
    first_month: date
    last_month: date
    replaced_plans: tuple[str, ...]
    before: tuple[Charge, ...]
    after: tuple[Charge, ...]
    uncharged_before: tuple[tuple[date, str, int], ...]
    uncharged_after: tuple[tuple[date, str, int], ...]
    jumps: tuple[Jump, ...]


def read(file: Path) -> Proposal:
    """The plan in a YAML file. Raises CannotAnswer where something is missing or nobody knows a name in it."""
    if not file.is_file():
        raise CannotAnswer(f"{file} is no file")
    try:
        # Every value as text: a price must not become a float on its way.
        told = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise CannotAnswer(f"{file} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise CannotAnswer(f"{file} is no YAML: {error}") from None
    if not isinstance(told, dict):
        raise CannotAnswer(f"{file}: a plan is a list of names and values; docs/terms.md shows one")
    tiers, options = told.pop("tiers", []) or [], told.pop("options", {}) or {}
    if not (isinstance(tiers, list) and all(isinstance(tier, dict) for tier in tiers) and isinstance(options, dict)):
        raise CannotAnswer(
            f"{file}: `tiers` is a list of rows, `options` are names and values; docs/terms.md shows them"
        )
    unknown = [name for name in told if name not in PLAN_COLUMNS]
    unknown += [name for tier in tiers for name in tier if name not in TIER_COLUMNS]
    if unknown:
        raise CannotAnswer(
            f"{file}: nobody knows {', '.join(map(repr, dict.fromkeys(unknown)))}; docs/terms.md has the names"
        )
    needed = ("plan_id", "partner_id", "service", "direction", "pricing_model")
    if missing := [name for name in needed if not str(told.get(name) or "").strip()]:
        raise CannotAnswer(f"{file} does not say {', '.join(missing)}")
    told["country_code"] = (told.get("country_code") or "*").upper()
    return Proposal({name: str(value) for name, value in told.items()}, tuple(tiers), options)


def ask(
    home: Home,
    file: Path,
    months: int = MONTHS_LOOKED_AT,
    tell: Callable[[str], None] = lambda step: None,
) -> Answer:
    """Raises CannotAnswer, terms.TermsError, lock.WarehouseBusy, duckdb.IOException or dbt_run.DbtFailed.

    months: how many of the last ones, or all that there are. The newest counts like the others, over or not.
    """
    proposal = read(file)
    if not home.warehouse.exists():
        raise CannotAnswer(f"{home.root} holds no warehouse yet: run `tollgate run`")
    agreed = settings.terms_dir()
    with tempfile.TemporaryDirectory(prefix="tollgate-what-if-") as folder, own_environment():
        root = Path(folder).resolve()
        tell("reading the terms")
        changed = root / "terms"
        shutil.copytree(agreed, changed)
        replaced = put_in_force(changed, proposal)
        os.environ["TOLLGATE_TERMS"] = str(changed)
        terms.check()
        scratch = _PlanScratch(Home(root / "home"), None)
        scratch.build(*TERMS)
        scratch.require_applied(proposal, file)
        tell("copying the usage")
        with only_run(home):
            first, last = scratch.copy_events(home, proposal, months)
        tell("charging it as proposed")
        scratch.build(*CHARGES_OF_TERMS, exclude=COPIED)
        after, uncharged_after = scratch.charges(proposal)
        jumps = scratch.jumps(proposal)
        tell("charging it as the terms are")
        shutil.rmtree(changed)
        shutil.copytree(agreed, changed)
        scratch.build(*TERMS, *CHARGES_OF_TERMS, exclude=COPIED)
        before, uncharged_before = scratch.charges(proposal)
    return Answer(
        plan_id=proposal.plan["plan_id"],
        partner_id=proposal.plan["partner_id"],
        service=proposal.plan["service"],
        direction=proposal.plan["direction"],
        first_month=first,
        last_month=last,
        replaced_plans=tuple(replaced),
        before=tuple(before),
        after=tuple(after),
        uncharged_before=tuple(uncharged_before),
        uncharged_after=tuple(uncharged_after),
        jumps=tuple(jumps),
    )


def put_in_force(folder: Path, proposal: Proposal) -> list[str]:
    """Writes the plan into a folder of terms, as if it had always held; gives the plans whose place it takes.

    A plan of usage takes the place of that for the same usage; a fee stands beside all others.
    """
    key = ("partner_id", "service", "direction", "country_code", "region", "product")
    wanted = tuple(_told(proposal.plan, name) for name in key)
    columns, plans = _rows(folder / "plans.csv")
    columns = list(dict.fromkeys([*columns, *proposal.plan]))

    def makes_way(row: dict[str, str]) -> bool:
        same = tuple(_told(row, name) for name in key)
        is_fee = "flat" in (row["pricing_model"].strip(), proposal.plan["pricing_model"].strip())
        return row["plan_id"].strip() == proposal.plan["plan_id"] or (not is_fee and same == wanted)

    replaced = [row["plan_id"] for row in plans if makes_way(row)]
    kept = [row for row in plans if not makes_way(row)]
    _write(folder / "plans.csv", columns, [*kept, proposal.plan | ALWAYS])
    plan_id = proposal.plan["plan_id"]
    columns, tiers = _rows(folder / "plan_tiers.csv")
    new = [tier | {"plan_id": plan_id, "tier_number": str(number)} for number, tier in enumerate(proposal.tiers, 1)]
    columns = list(dict.fromkeys([*columns, *(name for tier in new for name in tier)]))
    _write(folder / "plan_tiers.csv", columns, [*(row for row in tiers if row["plan_id"].strip() != plan_id), *new])
    columns, options = _rows(folder / "plan_options.csv")
    _write(
        folder / "plan_options.csv",
        columns,
        [
            *(row for row in options if row["plan_id"].strip() != plan_id),
            *({"plan_id": plan_id, "option": name, "value": value} for name, value in proposal.options.items()),
        ],
    )
    return replaced


def _told(row: dict[str, str], name: str) -> str:
    """What a row of plans.csv says; one without a country is for all of them."""
    return (row.get(name) or "").strip() or ("*" if name == "country_code" else "")


def _rows(file: Path) -> tuple[list[str], list[dict[str, str]]]:
    """A file of terms; one that the folder lacks has the columns of the demo's, and no row."""
    is_there = file.is_file()
    with (file if is_there else terms.DEMO_TERMS / file.name).open(newline="", encoding="utf-8-sig") as opened:
        reader = csv.DictReader(opened)
        return list(reader.fieldnames or []), list(reader) if is_there else []


def _write(file: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


class _PlanScratch(Scratch):
    """A scratch warehouse with the rated events of one partner, service and direction."""

    def copy_events(self, home: Home, proposal: Proposal, months: int) -> tuple[date, date]:
        """The rated events of the last months. Gives the first days of the first and the last of them."""
        asked = {
            name: proposal.plan[f"{name}_id" if name == "partner" else name]
            for name in ("partner", "service", "direction")
        }
        with self.beside(home) as connection:
            try:
                found = [month for month, _ in connection.execute(MONTHS, asked).fetchall()]
            except duckdb.CatalogException:
                raise CannotAnswer("no run has charged anybody yet: run `tollgate run`") from None
            if not found:
                raise CannotAnswer(
                    f"{asked['partner']} has no usage of {asked['service']} {asked['direction']}: nothing to compare"
                )
            first, last = found[-months:][0], found[-1]
            for statement in EVENTS.split(";")[:-1]:
                given = {"first": first, "until": next_month(last)} | asked if "$first" in statement else None
                connection.execute(statement, given)
            return first, last

    def charges(self, proposal: Proposal) -> tuple[list[Charge], list[tuple[date, str, int]]]:
        with self.connect() as connection:
            asked = {"service": proposal.plan["service"], "direction": proposal.plan["direction"]}
            rows = connection.execute(CHARGES, asked | {"partner": proposal.plan["partner_id"]}).fetchall()
            return [Charge(*row) for row in rows], connection.execute(UNCHARGED).fetchall()

    def require_applied(self, proposal: Proposal, file: Path) -> None:
        with self.connect() as connection:
            refused = connection.execute(REFUSED, {"plan": proposal.plan["plan_id"]}).fetchall()
        if refused:
            told = ", ".join(f"{what}: {reason}" for what, reason in dict.fromkeys(refused))
            raise CannotAnswer(
                f"{file}: the plan cannot be applied ({told}); docs/marts.md says what each reason means"
            )

    def jumps(self, proposal: Proposal) -> list[Jump]:
        """Bounds of tiers at which the price of the whole does not go on as it was."""
        with self.connect() as connection:
            tiers = connection.execute(TIERS, {"plan": proposal.plan["plan_id"]}).fetchall()
        found, passed = [], Fraction(0)
        for tier, following in pairwise(tiers):
            above, bound, unit, flat, per, model, discount = tier
            _, _, next_unit, next_flat, *_ = following
            due = 1 - Fraction(discount or 0)
            if model == "volume":
                at = Fraction(bound) * Fraction(unit) / per + Fraction(flat)
                over = Fraction(bound) * Fraction(next_unit) / per + Fraction(next_flat)
            else:
                passed += (Fraction(bound) - Fraction(above)) * Fraction(unit) / per + Fraction(flat)
                at, over = passed, passed + Fraction(next_flat)
            if at != over:
                cheaper = None
                if over < at and unit:
                    cheaper = max(Fraction(above), (over - Fraction(flat)) * per / Fraction(unit))
                found.append(Jump(bound, at * due, over * due, cheaper))
        return found
