/* One carrier: what it bills otherwise than agreed, what that costs, what is done about it. Without one: all of them. */
"use strict";
(() => {
  const { el, rows, sum, sign, minus, money, count, date, month, link, state, go, section, table, figures, cause, does, carrierName, carrierLink, settlementColumns, inCurrency } = tollgate;

  function all(data, period) {
    const found = data[`period-${period}`], currencies = [...new Set(rows(found.settlements).map(row => row.settlement_currency))].sort();
    const causes = tollgate.groups(rows(found.causes), row => `${row.carrier_id}\n${row.invoice_currency}`);
    const main = row => { const of = causes.get(`${row.carrier_id}\n${row.settlement_currency}`); return of ? [...of].sort((one, other) => tollgate.compare(tollgate.size(other.variance_amount), tollgate.size(one.variance_amount)))[0].cause : null; };
    return [
      tollgate.head("Carriers", month(period), tollgate.periodField(), tollgate.currencyField(currencies)),
      table({
        id: "carriers", title: "Invoices and what is paid of them", sort: "-part",
        said: rows(found.settlements).some(row => data.site.partners[row.carrier_id]) ? "Payable is what the invoices come to; who is a partner too is netted, and the overview says what is to be paid." : null, limit: 100, none: "No invoice of this month has come.",
        rows: inCurrency(rows(found.settlements), "settlement_currency").map(row => ({ ...row, name: carrierName(row.carrier_id), cause: main(row), part: tollgate.permille(row.variance_amount, row.invoiced_amount) })),
        columns: [{ key: "name", label: "Carrier", link: row => carrierLink(row.carrier_id) }, { key: "due_date", label: "Due", type: "date" }, { key: "settlement_currency", label: "Currency" }, ...settlementColumns.map(column => ({ ...column, names: false })).flatMap(column => column.key === "variance_amount" ? [column, { key: "part", label: "Of invoiced", type: "permille" }, { key: "cause", label: "Mainly", value: row => row.cause && cause(row.cause) }] : column)],
      }),
      rows(found.policies).length > 0 && section("What carriers do otherwise than agreed", null, el("ul", { class: "said" }, rows(found.policies).map(policy => el("li", { class: "bad" }, el("a", { href: carrierLink(policy.carrier_id) }, carrierName(policy.carrier_id)), ", ", tollgate.policySentence(policy))))),
      table({
        id: "accruals", title: "Used, and not invoiced yet", none: "Everything is invoiced.", sort: "-accrued_amount",
        rows: inCurrency(rows(found.accruals), "accrual_currency").filter(row => sign(row.accrued_amount)),
        columns: [{ key: "carrier_id", label: "Carrier", value: row => carrierName(row.carrier_id), link: row => carrierLink(row.carrier_id) }, { key: "accrued_amount", label: "Accrued", type: "money", currency: "accrual_currency", total: true }],
      }),
    ];
  }

  function bridge(causes, settlement, currency) {
    const steps = [...causes].sort((one, other) => tollgate.place(one.cause) - tollgate.place(other.cause));
    const list = [{ name: "Expected", amount: settlement.rated_amount, kind: "sum" }, ...steps.map(step => ({ name: cause(step.cause), code: step.cause, amount: step.variance_amount, kind: "step", lines: step.line_count })), { name: "Invoiced", amount: settlement.invoiced_amount, kind: "sum" }];
    return section(`From expected to invoiced, ${currency}`, causes.length ? `${count(causes.reduce((n, row) => n + row.line_count, 0), "component")} of lines, in the order in which they were found.` : "The invoice is as expected.",
      tollgate.chart.waterfall(`Bridge from ${money(settlement.rated_amount, currency)} expected to ${money(settlement.invoiced_amount, currency)} invoiced; the list below it has each step`, list, currency),
      el("ol", { class: "steps" }, list.map(step => el("li", { class: step.kind === "sum" ? "sum" : null },
        el(step.kind === "sum" ? "b" : "span", {}, step.name), el("span", { class: "soft small" }, step.code ? `${does(step.code)}, ${count(step.lines, "line")}` : ""),
        el("span", { class: "number" }, step.kind === "step" ? tollgate.signed(step.amount, currency, tollgate.VARIANCE) : el("b", { "data-bridge": step.name, "data-amount": step.amount }, money(step.amount, currency)))))));
  }

  function days(data, period, currency) {
    const listed = rows(data.call_days).filter(row => row.period === period), used = rows(data.usage_days).filter(row => row.period === period && (!currency || row.rated_cost_currency === currency));
    if (listed.length) {
      const byDay = [...tollgate.groups(listed, row => `${row.call_date}\n${row.service}\n${row.quantity_unit}`).values()].map(of => ({ ...of[0], more: minus(sum(of.map(row => row.carrier_quantity)), sum(of.map(row => row.billed_quantity))), billed: sum(of.map(row => row.billed_quantity)), carrier: sum(of.map(row => row.carrier_quantity)), exact: of.reduce((n, row) => n + row.exact_count, 0), differing: of.reduce((n, row) => n + row.differing_count, 0) }));
      const unit = tollgate.unit(byDay[0].quantity_unit), charted = byDay.filter(row => row.service === byDay[0].service && row.quantity_unit === byDay[0].quantity_unit);
      return [section("Day by day", `Quantities (${unit}) of single calls that the carrier lists, beside ours; days on the agreement's clock.`,
        tollgate.chart.series("What the carrier bills beyond our records, by day; the table below has the figures", charted.map(row => row.call_date), [{ name: "Carrier's less ours", tone: "bad", data: charted.map(row => Number(row.more)) }], "", { dates: "day" })),
      table({ id: "days", title: "Days, call by call", rows: byDay, limit: 10, sort: "call_date", columns: [
        { key: "call_date", label: "Day", type: "date" }, { key: "service", label: "Service", type: "word" }, { key: "exact", label: "Calls alike", type: "count", total: true }, { key: "differing", label: "Calls that differ", type: "count", total: true },
        { key: "billed", label: `Ours`, type: "quantity" }, { key: "carrier", label: `Carrier's`, type: "quantity" }, { key: "more", label: "Difference", type: "quantity" }, { key: "quantity_unit", label: "Unit", type: "word" },
        { key: "rated_cost_amount", label: "Our cost", type: "money", currency: "rated_cost_currency", rounded: true, total: true }] })];
    }
    if (!used.length) return null;
    const first = used[0].rated_cost_currency, charted = used.filter(row => row.rated_cost_currency === first);
    return [section("Day by day", "The carrier lists no single calls, so a day can only be shown as our records have it (UTC).",
      tollgate.chart.series("Cost by our records, by day", charted.map(row => row.usage_date), [{ name: `Expected cost, ${first}`, tone: "accent", data: charted.map(row => Number(row.rated_cost_amount)), texts: charted.map(row => row.rated_cost_amount) }], first, { dates: "day" }))];
  }

  function one(data, carrier, period) {
    const known = data.site.carriers[carrier];
    if (!known) return [tollgate.head("Unknown carrier", `No published table knows the carrier ${carrier}.`), el("p", {}, el("a", { href: link("carriers.html", {}) }, "All carriers"))];
    const own = data[known.chunk], [about] = rows(own.carrier), of = list => rows(list).filter(row => row.period === period);
    const settlements = inCurrency(of(own.settlements), "settlement_currency"), currencies = [...new Set(of(own.settlements).map(row => row.settlement_currency))];
    const trend = rows(own.settlements), months = [...new Set(trend.map(row => row.period))].sort();
    const destinations = inCurrency(of(own.destinations), "invoice_currency");
    const most = destinations.reduce((size, row) => Math.max(size, Math.abs(Number(row.variance_amount))), 0);
    const accruals = of(own.accruals).filter(row => sign(row.accrued_amount));
    return [
      tollgate.head(known.name || carrier, about ? [`${carrier}, ${tollgate.country(about.country_code)}`, about.latest_agreement_id ? `agreement ${about.latest_agreement_id} in ${about.agreement_currency}, days of ${about.time_zone}` : "no agreement", about.is_partner && "is a partner too"].filter(Boolean).join("; ") + "." : carrier,
        tollgate.select("Carrier", "carrier", [["", "All"], ...Object.entries(data.site.carriers).map(([id, other]) => [id, other.name || id])], carrier), tollgate.periodField(), currencies.length > 1 && tollgate.currencyField(currencies), tollgate.dayField()),
      about && about.is_partner && el("p", {}, "It is netted with ", el("a", { href: tollgate.partnerLink(carrier) }, "its side as a partner"), "; ", el("a", { href: link("index.html", {}) }, "the overview"), " says what is to be paid."),
      !settlements.length && el("p", {}, `No invoice of ${month(period)} has come. `, accruals.length ? `Expected so far: ${accruals.map(row => money(row.accrued_amount, row.accrual_currency)).join(", ")}.` : ""),
      settlements.map(row => figures([
        ["Invoiced", money(row.invoiced_amount, row.settlement_currency), count(row.invoice_count, "invoice")], ["Expected", money(row.rated_amount, row.settlement_currency)],
        ["Variance", tollgate.signed(row.variance_amount, row.settlement_currency, tollgate.VARIANCE)], ["Disputed", money(row.disputed_amount, row.settlement_currency)],
        ["Withheld", money(row.withheld_amount, row.settlement_currency), row.has_agreement === false ? "no agreement covers it" : null], ["Credited", money(row.credited_amount, row.settlement_currency)],
        sign(row.receivable_amount) ? ["Receivable", money(row.receivable_amount, row.settlement_currency)] : ["Payable", money(row.payable_amount, row.settlement_currency), row.due_date && `due ${date(row.due_date)}`],
      ])),
      of(own.policies).length > 0 && section("How it bills", null, tollgate.policies(of(own.policies))),
      settlements.map(row => bridge(of(own.causes).filter(one => one.invoice_currency === row.settlement_currency), row, row.settlement_currency)),
      tollgate.disputeTable("disputes", "Disputes", inCurrency(of(own.disputes), "dispute_currency")),
      of(own.disputes).length > 0 && tollgate.copyable(`tollgate dispute-pack --carrier ${tollgate.quoted(carrier)} --period ${period}`),
      table({
        id: "destinations", title: "Destinations, the worst first", sort: "-variance_amount", rows: destinations, limit: 15, none: "No invoice line.",
        columns: [
          { key: "destination_name", label: "Destination or fee" }, { key: "service", label: "Service", type: "word", minor: true }, { key: "line_count", label: "Lines", type: "count", total: true, minor: true },
          { key: "invoiced_amount", label: "Invoiced", type: "money", currency: "invoice_currency", total: true }, { key: "rated_amount", label: "Expected", type: "money", currency: "invoice_currency", total: true },
          { key: "variance_amount", label: "Variance", type: "money", currency: "invoice_currency", total: true, tones: tollgate.VARIANCE },
          { key: "track", label: "Share of the worst", sortable: false, value: () => null, show: row => most && sign(row.variance_amount) ? el("span", { class: `track ${sign(row.variance_amount) > 0 ? "bad" : "good"}`, "aria-hidden": "true" }, el("i", { style: `width: ${Math.max(1, Math.round(100 * Math.abs(Number(row.variance_amount)) / most))}%` })) : "" },
        ],
      }),
      days(own, period, state().currency),
      table({
        id: "invoices", title: "Invoices", rows: inCurrency(of(own.invoices), "invoice_currency"), none: "No invoice.",
        columns: [
          { key: "invoice_number", label: "Invoice", link: row => link("lines.html", { invoice: `${carrier} ${row.invoice_number}` }) }, { key: "invoice_date", label: "Date", type: "date" },
          { key: "line_count", label: "Lines", type: "count", total: true }, { key: "differing_line_count", label: "That differ", type: "count", total: true },
          { key: "invoiced_amount", label: "Invoiced", type: "money", currency: "invoice_currency", total: true }, { key: "rated_amount", label: "Expected", type: "money", currency: "invoice_currency", total: true }, { key: "variance_amount", label: "Variance", type: "money", currency: "invoice_currency", total: true, tones: tollgate.VARIANCE },
        ],
      }),
      months.length > 1 && [...new Set(trend.map(row => row.settlement_currency))].map(currency => { const list = months.map(one => trend.find(row => row.period === one && row.settlement_currency === currency)); return section(`Over the months, ${currency}`, null,
        tollgate.chart.series(`Invoiced and expected by month in ${currency}; the table below has the figures`, months, [["Invoiced", "invoiced_amount", "accent"], ["Expected", "rated_amount", "soft"]].map(([name, key, tone]) => ({ name, tone, data: list.map(row => row ? Number(row[key]) : null), texts: list.map(row => row ? row[key] : null) })), currency, { dates: "month" })); }),
      table({ id: "months", title: "Months", rows: trend, sort: "-period", none: "No settled month.", columns: [{ key: "period", label: "Month", show: row => month(row.period), link: row => carrierLink(carrier, row.period) }, ...settlementColumns.map(column => ({ ...column, total: false })), { key: "due_date", label: "Due", type: "date" }] }),
      accruals.length > 0 && table({ id: "accruals", title: "Used, and not invoiced yet", rows: accruals, columns: [{ key: "service", label: "Service or fee", value: row => row.fee_name || row.service }, { key: "direction", label: "Direction", type: "word" }, { key: "event_count", label: "Events", type: "count", total: true }, { key: "accrued_amount", label: "Accrued", type: "money", currency: "accrual_currency", total: true }] }),
      tollgate.commitmentTable(own.commitments, period, "the carrier"),
      own.balances && table({ id: "balances", title: "Account", said: "Above zero it owes us, below zero we owe it.", rows: of(own.balances), none: "Nothing was booked in this month.", columns: [{ key: "account", label: "Account", type: "word" }, ...["opening_balance_amount", "debit_amount", "credit_amount", "closing_balance_amount"].map(key => ({ key, label: { opening_balance_amount: "Brought forward", debit_amount: "Debit", credit_amount: "Credit", closing_balance_amount: "Carried forward" }[key], type: "money", currency: "balance_currency" }))] }),
    ];
  }

  tollgate.page({
    needs: ({ carrier }) => carrier ? tollgate.chunks.site.carriers[carrier] ? [tollgate.chunks.site.carriers[carrier].chunk] : [] : [`period-${tollgate.period()}`],
    render: data => state().carrier ? one(data, state().carrier, tollgate.period()) : all(data, tollgate.period()),
  });
})();
