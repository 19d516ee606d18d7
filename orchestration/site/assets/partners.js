/* One partner: what it owes and why, how it stands against its commitment, what it earns us. Without one: all of them. */
"use strict";
(() => {
  const { el, rows, sum, sign, money, plain, count, date, month, link, state, section, table, figures, partnerName, partnerLink, statementColumns, inCurrency, words } = tollgate;
  const marginColumns = [["revenue_amount", "Revenue"], ["corrected_cost_amount", "Cost"], ["share_amount", "Shares"], ["margin_amount", "Margin"]]
    .map(([key, label]) => ({ key, label, type: "money", currency: "reporting_currency", rounded: true, total: true, tones: key === "margin_amount" ? tollgate.MARGIN : null }));
  const marginRatio = { key: "ratio", label: "Of revenue", type: "permille", value: row => tollgate.permille(row.margin_amount, row.revenue_amount) };

  function all(data, period) {
    const found = data[`period-${period}`], currencies = [...new Set(rows(found.statements).map(row => row.statement_currency))].sort();
    return [
      tollgate.head("Partners", month(period), tollgate.periodField(), tollgate.currencyField(currencies)),
      commitments(rows(data.agenda.running), true),
      table({
        id: "partners", title: "Statements", limit: 100, sort: "-receivable_amount", none: "No statement of this month.",
        rows: inCurrency(rows(found.statements), "statement_currency").map(row => ({ ...row, name: partnerName(row.partner_id) })),
        columns: [{ key: "name", label: "Partner", link: row => partnerLink(row.partner_id) }, ...statementColumns, { key: "due_date", label: "Due", type: "date" }],
      }),
      table({
        id: "margins", title: "Margin by partner", said: `In ${data.site.reporting_currency || "the reporting currency"}, at the rate of the day; days are UTC.`, sort: "margin_amount", limit: 100, none: "No usage in this month.",
        rows: rows(found.margins), columns: [{ key: "partner_id", label: "Partner", value: row => row.partner_id === null ? "nobody is charged" : partnerName(row.partner_id), link: row => row.partner_id && partnerLink(row.partner_id) }, { key: "event_count", label: "Events", type: "count", total: true }, ...marginColumns, marginRatio],
      }),
    ];
  }

  /* The unit price of a tier, what is due once for it, or the part that tax is. */
  function priceOf(row) {
    const parts = [
      row.unit_amount !== null && (sign(row.unit_amount) || !sign(row.flat_amount)) && `${money(row.unit_amount, row.charge_currency)}${row.priced_per_quantity > 1 ? ` for ${plain(row.priced_per_quantity)}` : ""}`,
      row.flat_amount !== null && sign(row.flat_amount) && `${money(row.flat_amount, row.charge_currency)} once`,
      row.tax_ratio !== null && tollgate.ratio(row.tax_ratio),
    ];
    return parts.filter(Boolean).join(", ");
  }

  /* How much of a commitment is used: the charge so far, and what is left of it. */
  function commitments(list, withPartner) {
    const committed = list.filter(row => row.commitment_left_amount !== null).map(row => {
      const whole = sum([row.charge_amount, row.commitment_left_amount]);
      const [said, tone] = tollgate.commitment(row);
      return { ...row, whole: sign(row.commitment_left_amount) ? whole : null, used: sign(row.commitment_left_amount) ? tollgate.permille(row.charge_amount, whole) : 1000, stands: said, tone };
    });
    if (withPartner && !committed.length) return null;
    return table({
      id: "commitments", title: "Usage against commitment", said: committed.length ? `The running month, by records until ${tollgate.instant(committed[0].known_until_at)}.` : null, none: "No plan of the running month has a commitment.", sort: "-used", rows: committed,
      columns: [
        withPartner && { key: "partner_id", label: "Partner", value: row => partnerName(row.partner_id), link: row => partnerLink(row.partner_id) },
        { key: "plan_id", label: "Plan" }, { key: "charge_amount", label: "Charge so far", type: "money", currency: "charge_currency" }, { key: "commitment_left_amount", label: "Left of the commitment", type: "money", currency: "charge_currency" },
        { key: "used", label: "Used", type: "permille", show: row => el("span", {}, sign(row.commitment_left_amount) ? tollgate.percent(row.used) : "all", el("span", { class: `track ${row.tone || ""}`, "aria-hidden": "true" }, el("i", { style: `width: ${Math.min(100, row.used / 10)}%` }))) },
        { key: "stands", label: "Stands", show: row => tollgate.tag(row.stands, row.tone) },
        { key: "projected_charge_amount", label: "At the month's end", type: "money", currency: "charge_currency" }, { key: "projected_true_up_amount", label: "Of it for what is missing", type: "money", currency: "charge_currency" },
      ],
    });
  }

  function one(data, partner, period) {
    const known = data.site.partners[partner];
    if (!known) return [tollgate.head("Unknown partner", `No published table knows the partner ${partner}.`), el("p", {}, el("a", { href: link("partners.html", {}) }, "All partners"))];
    const own = data[known.chunk], [about] = rows(own.partner), of = list => rows(list).filter(row => row.period === period);
    const statements = inCurrency(of(own.statements), "statement_currency"), running = rows(own.running), currencies = [...new Set(of(own.statements).map(row => row.statement_currency))];
    const lines = inCurrency(of(own.lines), "charge_currency"), days = of(own.margin_days), reporting = days.length ? days[0].reporting_currency : "";
    const months = [...new Set(rows(own.statements).map(row => row.period))].sort();
    const share = (id, title, list, who, whoKey) => table({
      id, title, rows: inCurrency(of(list), "share_currency").filter(row => row[whoKey] !== undefined), none: "None in this month.",
      columns: [{ key: whoKey, label: who, value: row => partnerName(row[whoKey]), link: row => row[whoKey] && partnerLink(row[whoKey]) }, { key: "rule_id", label: "Rule" }, { key: "service", label: "Service", type: "word" }, { key: "allocation_type", label: "Kind", type: "word" }, { key: "participant_role", label: "Role", type: "word" }, { key: "allocated_amount", label: "Share", type: "money", currency: "share_currency", total: true, tones: { negative: ["taken back", "warn"] } }],
    });
    return [
      tollgate.head(known.name || partner, about ? [`${partner}, ${tollgate.country(about.country_code)}`, about.latest_agreement_id ? `agreement ${about.latest_agreement_id} in ${about.agreement_currency}, days of ${about.time_zone}` : "no agreement", about.is_carrier && "is a carrier too"].filter(Boolean).join("; ") + "." : partner,
        tollgate.select("Partner", "partner", [["", "All"], ...Object.entries(data.site.partners).map(([id, other]) => [id, other.name || id])], partner), tollgate.periodField(), currencies.length > 1 && tollgate.currencyField(currencies)),
      about && about.is_carrier && el("p", {}, "It is netted with ", el("a", { href: tollgate.carrierLink(partner) }, "its side as a carrier"), "; ", el("a", { href: link("index.html", {}) }, "the overview"), " says what is to be paid."),
      !statements.length && el("p", {}, `No statement of ${month(period)}.`),
      statements.map(row => figures([["Charged", money(row.charge_amount, row.statement_currency), count(row.event_count, "event")], ["Tax", money(row.tax_amount, row.statement_currency)], ["Its shares", money(row.revenue_share_amount, row.statement_currency)], ["It owes us", money(row.receivable_amount, row.statement_currency), row.due_date && sign(row.receivable_amount) ? `due ${date(row.due_date)}` : null], ["We owe it", money(row.payable_amount, row.statement_currency), row.due_date && sign(row.payable_amount) ? `due ${date(row.due_date)}` : null]])),
      commitments(running),
      tollgate.commitmentTable(own.commitments, period, "the partner"),
      running.length > 0 && table({
        id: "running", title: `So far in ${month(running[0].period)}`, said: `By records until ${tollgate.instant(running[0].known_until_at)}; the projection is what the month comes to if usage goes on as it did.`, rows: running,
        columns: [{ key: "plan_id", label: "Plan" }, { key: "service", label: "Service", type: "word" }, { key: "event_count", label: "Events", type: "count", total: true }, { key: "used_quantity", label: "Used", type: "quantity" }, { key: "quantity_unit", label: "Unit", type: "word" }, { key: "free_quantity_left", label: "Free left", type: "quantity" }, { key: "charge_amount", label: "Charge so far", type: "money", currency: "charge_currency", total: true }, { key: "projected_charge_amount", label: "At the month's end", type: "money", currency: "charge_currency", total: true }],
      }),
      table({
        id: "statement", title: `Statement of ${month(period)}, line by line`, rows: lines, said: lines.length ? "The total is what it owes us; below zero, what we owe it." : null, none: "No charge in this month.", limit: 40,
        columns: [
          { key: "plan_id", label: "Plan or rule", value: row => row.plan_id || row.rule_id }, { key: "service", label: "Service", type: "word" }, { key: "direction", label: "Direction", type: "word" }, { key: "country_code", label: "Country", value: row => row.country_code === "*" ? "all" : row.country_code },
          { key: "charge_type", label: "Charge", type: "word" }, { key: "tier_number", label: "Tier", type: "count" }, { key: "event_count", label: "Events", type: "count" }, { key: "charged_quantity", label: "Quantity", type: "quantity" }, { key: "quantity_unit", label: "Unit", type: "word" },
          { key: "unit_amount", label: "Price", type: "money", currency: "charge_currency", show: priceOf },
          { key: "charge_amount", label: "Amount", type: "money", currency: "charge_currency", total: true, tones: { negative: ["taken off", "good"] } },
        ],
      }),
      statements.length > 0 && tollgate.copyable(`tollgate statement --partner ${tollgate.quoted(partner)} --period ${period}`),
      rows(own.given).length > 0 && share("given", "Shares that others get of its revenue", own.given, "Beneficiary", "beneficiary_partner_id"),
      rows(own.earned).length > 0 && share("earned", "Shares that it gets of the revenue of others", own.earned, "Seller", "seller_partner_id"),
      days.length > 1 && section("Day by day", `Revenue and cost after reconciliation, ${reporting}, days in UTC.`,
        tollgate.chart.series(`Revenue, cost and margin of each day in ${reporting}; the table below has the sums`, days.map(row => row.usage_date), [["Revenue", "revenue_amount", "accent"], ["Cost", "corrected_cost_amount", "soft"]].map(([name, key, tone]) => ({ name, tone, data: days.map(row => Number(row[key])), texts: days.map(row => row[key]) })), reporting, { dates: "day" })),
      table({ id: "margin", title: "Margin by service", said: about && about.time_zone && about.time_zone !== "UTC" ? `By days of UTC; the statement counts by days of ${about.time_zone}, so events at the edges of a month may be in another one.` : null, rows: of(own.margins), sort: "margin_amount", none: "No usage in this month.", columns: [{ key: "service", label: "Service", type: "word" }, { key: "direction", label: "Direction", type: "word" }, { key: "event_count", label: "Events", type: "count", total: true }, ...marginColumns, marginRatio] }),
      table({ id: "months", title: "Months", sort: "-period", rows: rows(own.statements), none: "No statement.", columns: [{ key: "period", label: "Month", show: row => month(row.period), link: row => partnerLink(partner, row.period) }, ...statementColumns.map(column => ({ ...column, total: false })), { key: "due_date", label: "Due", type: "date" }] }),
      own.balances && table({ id: "balances", title: "Account", said: "Above zero it owes us, below zero we owe it.", rows: of(own.balances), none: "Nothing was booked in this month.", columns: [{ key: "account", label: "Account", type: "word" }, ...["opening_balance_amount", "debit_amount", "credit_amount", "closing_balance_amount"].map(key => ({ key, label: { opening_balance_amount: "Brought forward", debit_amount: "Debit", credit_amount: "Credit", closing_balance_amount: "Carried forward" }[key], type: "money", currency: "balance_currency" }))] }),
    ];
  }

  tollgate.page({
    needs: ({ partner }) => partner ? tollgate.chunks.site.partners[partner] ? [tollgate.chunks.site.partners[partner].chunk] : [] : [`period-${tollgate.period()}`, "agenda"],
    render: data => state().partner ? one(data, state().partner, tollgate.period()) : all(data, tollgate.period()),
  });
})();
