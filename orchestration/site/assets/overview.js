/* What is due, and the month at a glance: what needs a decision, what expires, the money by currency, who differs and why. */
"use strict";
(() => {
  const { el, rows, sum, sign, size, minus, money, count, date, weekday, daysFrom, month, today, link, state, section, table, left, cause, clocks, words, carrierName, partnerName, carrierLink, partnerLink, inCurrency, permille } = tollgate;
  const DAYS_OF_A_WEEK = 7, FRIDAY = 5;

  function decisions(data, period) {
    const month = data[`period-${period}`], found = [];
    for (const dispute of rows(data.agenda.disputes)) {
      const [next] = clocks(dispute);
      if (dispute.next_action === null || dispute.next_action === "await_answer" || dispute.next_action === "await_credit") continue;
      const said = dispute.next_action && dispute.next_action !== "raise" ? `${words(dispute.next_action).replace(/^./, first => first.toUpperCase())} a dispute` : dispute.dispute_status === "to_raise" || dispute.next_action ? "Raise a dispute" : "Follow up a dispute";
      found.push({ what: `${said}: ${cause(dispute.cause).toLowerCase()}, invoice ${dispute.invoice_number}`, who: carrierName(dispute.carrier_id), href: carrierLink(dispute.carrier_id, dispute.period), amount: dispute.open_amount, currency: dispute.dispute_currency, by: next ? next[0] : null, rank: 1 });
    }
    for (const row of rows(month.settlements)) {
      const href = carrierLink(row.carrier_id, period);
      if (row.has_agreement === false) found.push({ what: "Decide on a bill that no agreement covers; all of it is withheld", who: carrierName(row.carrier_id), href, amount: row.withheld_amount, currency: row.settlement_currency, by: row.due_date, rank: 0 });
      if (row.unfooted_invoice_count) found.push({ what: `Ask for ${count(row.unfooted_invoice_count, "invoice")} whose lines do not add up to the total`, who: carrierName(row.carrier_id), href, amount: row.invoiced_amount, currency: row.settlement_currency, by: row.due_date, rank: 0 });
    }
    for (const row of rows(month.losses)) found.push({ what: `Reprice or reroute ${count(row.route_count, "route")} that ${row.route_count === 1 ? "loses" : "lose"} money: ${row.below_cost_count} sold below cost, ${row.route_count - row.below_cost_count} by shares`, who: "", href: link("routes.html", { at: "routes" }), amount: size(row.margin_amount), currency: row.reporting_currency, by: null, rank: 2 });
    const risks = tollgate.groups(rows(month.unrated), row => `${row.reason}\n${row.carrier_id}\n${row.currency}`);
    for (const of of risks.values()) found.push({ what: `Get a price for ${count(of.reduce((n, row) => n + row.event_count, 0), "event")} without cost: ${of[0].reason.replace(/_/g, " ")}`, who: carrierName(of[0].carrier_id), href: link("routes.html", { carrier: of[0].carrier_id, at: "unrated" }), amount: sum(of.map(row => row.amount)), currency: of[0].currency, by: null, rank: 3 });
    for (const row of rows(data.agenda.running)) {
      const said = tollgate.commitment(row);
      if (said && said[1]) found.push({ what: `Talk about plan ${row.plan_id}: ${said[0]} (${tollgate.month(row.period)}, by records until ${date(row.known_until_at)})`, who: partnerName(row.partner_id), href: partnerLink(row.partner_id, row.period), amount: sign(row.commitment_left_amount) ? row.projected_true_up_amount : row.charge_amount, currency: row.charge_currency, by: null, rank: 4 });
    }
    return inCurrency(found, "currency").sort((one, other) => one.rank - other.rank || String(one.by || "9").localeCompare(String(other.by || "9")));
  }
  function deadlines(data) {
    const found = [];
    for (const dispute of rows(data.agenda.disputes)) for (const [day, what] of clocks(dispute)) {
      found.push({ day, what: `${cause(dispute.cause)}: ${what}`, who: carrierName(dispute.carrier_id), href: carrierLink(dispute.carrier_id, dispute.period), amount: dispute.open_amount, currency: dispute.dispute_currency });
    }
    return inCurrency(found, "currency").sort((one, other) => one.day < other.day ? -1 : one.day > other.day ? 1 : 0);
  }
  const later = (day, days) => new Date(Date.parse(day + "T00:00:00Z") + days * 864e5).toISOString().slice(0, 10);
  /* The day until which the reader asks what is due: by itself the coming Friday. */
  function until() {
    const chosen = state().until, now = today();
    return /^\d{4}-\d\d-\d\d$/.test(chosen || "") && !isNaN(Date.parse(chosen)) ? chosen : later(now, (FRIDAY - new Date(now + "T00:00:00Z").getUTCDay() + 7) % 7);
  }
  const PAID_AS = { carrier: "Bills of a carrier", share: "Shares of a partner", partner: "Charges of a partner", net: "Both sides, netted" };
  const isPartners = item => item.paid_as === "partner" || item.paid_as === "share";
  const partyName = item => (isPartners(item) ? partnerName : carrierName)(item.party_id);
  const documentName = item => item.document_type === "on_account" ? "payments beyond all documents" : `${words(item.document_type)} of ${month(item.period)}`;
  const documentLink = item => (item.document_type === "statement" || isPartners(item) ? partnerLink : carrierLink)(item.party_id, item.period);
  const net = items => minus(sum(items.map(item => item.payable_amount)), sum(items.map(item => item.receivable_amount)));

  /* What is due until a day, as `tollgate export payments` has it: one row for each document and each netting, less what
     is set off. Items come oldest first. */
  function due(open, day) {
    const now = today(), netting = item => item.paid_as === "net" && item.period;
    const owed = [...tollgate.groups(open.filter(item => item.due_date <= day), item => netting(item) ? `${item.party_id}\n${item.period}\n${item.currency}` : item).values()].map(items => ({ ...items[0], items, balance: net(items) }));
    const paidAsOne = tollgate.groups(owed, one => `${one.party_id}\n${one.paid_as}\n${one.currency}`).values();
    return [...paidAsOne].flatMap(all => [1, -1].flatMap(way => {
      const against = all.filter(one => sign(one.balance) === -way).map(one => ({ one, rest: size(one.balance) }));
      return all.filter(one => sign(one.balance) === way).map(one => {
        const setOff = [];
        let rest = size(one.balance);
        for (const other of against) {
          const part = tollgate.compare(rest, other.rest) < 0 ? rest : other.rest;
          if (!sign(part)) continue;
          [rest, other.rest] = [minus(rest, part), minus(other.rest, part)];
          setOff.push({ items: other.one.items, part });
        }
        const amount = tollgate.whole(rest, one.currency);
        const what = [...one.items.map(item => `${documentName(item)} ${net([item])}`), ...setOff.map(({ items, part }) => `set off ${items.map(documentName).join(", ")} ${part}`)].join("; ");
        return { ...one, way, setOff, amount, overdue: one.due_date < now ? amount : null, who: partyName(one), what };
      });
    })).filter(row => sign(row.amount));
  }
  const dueTable = (id, title, rows, none, way, isPaidKnown, more) => table({
    id, title, none, ...more, sort: "due_date", limit: 20, rows: rows.filter(row => row.way === way),
    columns: [
      { key: "who", label: "Party", link: row => (isPartners(row) ? partnerLink : carrierLink)(row.party_id) },
      { key: "amount", label: way > 0 ? "To pay" : "To receive", type: "money", total: true },
      { key: "due_date", label: "Due", type: "date", show: row => el("span", {}, `${weekday(row.due_date)} `, left(row.due_date, isPaidKnown)) },
      // What is paid and has not landed is not overdue: without payments no alarm is raised.
      { key: "overdue", label: isPaidKnown ? "Overdue" : "Due before today", type: "money", tones: isPaidKnown ? { positive: ["", "bad"] } : null, total: true },
      { key: "paid_as", label: "For", value: row => PAID_AS[row.paid_as], minor: true },
      { key: "what", label: "Documents", minor: true, show: row => el("ul", {}, row.items.map(item => el("li", {}, el("a", { href: documentLink(item) }, documentName(item)),
        (row.items.length > 1 || row.setOff.length > 0) && ` ${money(size(net([item])), item.currency)}${sign(net([item])) === way ? "" : way > 0 ? ", owed to us" : ", owed by us"}`, sign(item.cleared_amount) ? el("small", { class: "soft" }, ` (${money(item.cleared_amount, item.currency)} is paid)`) : null)),
        row.setOff.map(({ items, part }) => el("li", {}, "set off: ", items.map((item, place) => [place > 0 && ", ", el("a", { href: documentLink(item) }, documentName(item))]), ` ${money(part, row.currency)}`))) },
    ],
  });

  /* Rows are what, columns are currencies: nothing is added up across. */
  function statement(month, currencies) {
    const settlements = rows(month.settlements), statements = rows(month.statements), accruals = rows(month.accruals), unrated = rows(month.unrated), netting = rows(month.netting);
    const of = (list, currency, key, name) => { const found = list.filter(row => row[name] === currency); return found.length ? sum(found.map(row => row[key])) : null; };
    const lines = currency => {
      const carriers = key => of(settlements, currency, key, "settlement_currency"), partners = key => of(statements, currency, key, "statement_currency");
      const pay = sum([carriers("payable_amount"), partners("payable_amount")]), get = sum([carriers("receivable_amount"), partners("receivable_amount")]);
      return {
        invoiced: carriers("invoiced_amount"), expected: carriers("rated_amount"), variance: carriers("variance_amount"), disputed: carriers("disputed_amount"), withheld: carriers("withheld_amount"), credited: carriers("credited_amount"),
        accrued: of(accruals, currency, "accrued_amount", "accrual_currency"), risk: of(unrated, currency, "amount", "currency"),
        charged: partners("charge_amount"), taxed: partners("tax_amount"), shares: partners("revenue_share_amount"), pay, get, net: minus(get, pay),
        netpay: of(netting, currency, "net_payable_amount", "netting_currency"), netget: of(netting, currency, "net_receivable_amount", "netting_currency"),
      };
    };
    const known = Object.fromEntries(currencies.map(currency => [currency, lines(currency)]));
    const NAMES = [
      ["Invoiced by carriers", "invoiced"], ["Expected by our records", "expected"], ["Variance", "variance", tollgate.VARIANCE], ["Disputed", "disputed"], ["Withheld", "withheld"], ["Credited", "credited"],
      ["Accrued, not invoiced yet", "accrued"], ["At risk: events without cost", "risk"], ["Charged to partners", "charged"], ["Tax charged to partners", "taxed"], ["Shares of partners", "shares"],
      ["Owed by us for the month", "pay"], ["Owed to us for the month", "get"], ["Net for the month", "net", { negative: ["owed by us", null], positive: ["owed to us", null] }],
      ...Object.values(known).some(one => one.netpay !== null) ? [["With parties on both sides, netted: owed by us", "netpay"], ["With parties on both sides, netted: owed to us", "netget"]] : [],
    ];
    return table({
      id: "money", title: "Money of the month", said: "What belongs to the month, by currency, paid or not.", limit: 99, search: false,
      rows: NAMES.map(([name, key, tones]) => ({ name, key, tones, ...Object.fromEntries(currencies.map(currency => [currency, known[currency][key]])) })),
      columns: [{ key: "name", label: "", sortable: false }, ...currencies.map(currency => ({ key: currency, label: currency, type: "money", names: false, sortable: false, currency: () => currency, show: row => row[currency] === null ? el("span", { class: "soft" }, "none") : (() => {
        const tone = (sign(row[currency]) && row.tones && row.tones[sign(row[currency]) < 0 ? "negative" : "positive"]) || null;
        return el("span", { class: tone && tone[1] || null, "data-figure": `${row.key} ${currency}`, "data-amount": row[currency] }, tollgate.number(row.key === "net" ? size(row[currency]) : row[currency], currency, row.key === "risk"), tone && el("small", {}, ` ${tone[0]}`));
      })() }))],
    });
  }

  function differences(month, period) {
    const causes = inCurrency(rows(month.causes), "invoice_currency"), settlements = inCurrency(rows(month.settlements), "settlement_currency");
    const invoiced = (carrier, currency) => { const found = settlements.find(row => row.carrier_id === carrier && row.settlement_currency === currency); return found ? found.invoiced_amount : null; };
    const list = causes.map(row => ({ ...row, rest: minus(row.variance_amount, row.disputed_amount), part: permille(row.variance_amount, invoiced(row.carrier_id, row.invoice_currency) || "0") }));
    const bySize = [...tollgate.groups(list, row => `${row.carrier_id}\n${row.invoice_currency}`).values()].map(of => ({ of, part: of.reduce((n, row) => n + Math.max(row.part || 0, 0), 0) })).sort((one, other) => other.part - one.part).slice(0, 15);
    const names = bySize.map(({ of }) => `${carrierName(of[0].carrier_id)} ${of[0].invoice_currency}`);
    const kinds = [...new Set(bySize.flatMap(({ of }) => of.map(row => row.cause)))].sort((one, other) => tollgate.place(one) - tollgate.place(other));
    const drawn = bySize.length > 0 && section("Variance by carrier and cause", "As a part of what the carrier invoiced, in percent, so that currencies can stand beside each other.",
      tollgate.chart.series("Variance of each carrier by cause, in percent of its invoices; the table beside it has the amounts", names,
        kinds.map((kind, tone) => ({ name: cause(kind), tone, stack: "all", data: bySize.map(({ of }) => { const found = of.find(row => row.cause === kind); return found && found.part !== null ? found.part / 10 : 0; }) })), "", { horizontal: true }));
    return el("div", { class: "pair" }, drawn, table({
      id: "causes", title: "Who differs, and why", sort: "-part", none: "Every invoice is as expected.", rows: list, limit: 20,
      columns: [
        { key: "carrier_id", label: "Carrier", value: row => carrierName(row.carrier_id), link: row => carrierLink(row.carrier_id, period) },
        { key: "cause", label: "Cause", value: row => cause(row.cause) },
        { key: "line_count", label: "Lines", type: "count" },
        { key: "variance_amount", label: "Variance", type: "money", currency: "invoice_currency", tones: tollgate.VARIANCE, total: true },
        { key: "disputed_amount", label: "Disputed", type: "money", currency: "invoice_currency", total: true, minor: true },
        { key: "rest", label: "Not disputed", type: "money", currency: "invoice_currency", total: true, minor: true, tones: { positive: ["within tolerance", null], negative: ["to our advantage", "good"] } },
        { key: "part", label: "Of invoiced", type: "permille" },
      ],
    }));
  }

  tollgate.page({
    needs: () => [`period-${tollgate.period()}`, "agenda", "open"],
    render: data => {
      const period = tollgate.period(), found = data[`period-${period}`], expiring = deadlines(data), now = today(), day = until();
      const open = rows(data.open.items), owed = due(inCurrency(open, "currency"), day);
      const currencies = [...new Set([...rows(found.settlements).map(row => row.settlement_currency), ...rows(found.statements).map(row => row.statement_currency), ...rows(found.accruals).map(row => row.accrual_currency), ...rows(found.unrated).map(row => row.currency), ...open.map(row => row.currency)])].filter(Boolean).sort();
      const shown = state().currency && currencies.includes(state().currency) ? [state().currency] : currencies;
      const late = expiring.filter(row => daysFrom(row.day, now) < 0), week = expiring.filter(row => daysFrom(row.day, now) >= 0 && daysFrom(row.day, now) < DAYS_OF_A_WEEK);
      const next = expiring.find(row => daysFrom(row.day, now) >= DAYS_OF_A_WEEK);
      const todo = decisions(data, period), gate = data.site.gate_passed;
      return [
        tollgate.head(month(period), gate === null ? null : gate ? "All checks of the tables passed." : "Some checks of the tables failed and were overridden.", tollgate.periodField(), tollgate.currencyField(currencies), tollgate.dayField(),
          el("label", {}, "Due until", el("input", { type: "date", name: "until", value: day, onchange: event => tollgate.go({ until: event.target.value }) }))),
        dueTable("pay", `To pay until ${weekday(day)}`, owed, "Nothing is to be paid until that day.", 1, data.open.is_paid_known, {
          said: `${data.open.is_paid_known ? "Of all months, less the payments that had landed when this was published" : "Of all months; no payment has landed yet, so what was paid is not known"}. A party that is carrier and partner is netted, month by month; what a party owes us at the same time is set off against the oldest. As a list and as transfers for the bank:`,
          before: tollgate.copyable(`tollgate export payments --until ${day}`),
        }),
        dueTable("receive", `To receive until ${weekday(day)}`, owed, "Nothing is to be received until that day.", -1, data.open.is_paid_known),
        table({
          id: "decisions", title: "Needs a decision", none: "Nothing waits for a decision.", rows: todo, limit: 12,
          columns: [
            { key: "what", label: "What", link: row => row.href },
            { key: "who", label: "Who" },
            { key: "amount", label: "Amount", type: "money", rounded: true },
            { key: "by", label: "By", type: "date", show: row => row.by ? el("span", {}, `${date(row.by)} `, left(row.by)) : "" },
          ],
        }),
        table({
          id: "week", title: `Deadlines of disputes, ${date(now)} to ${date(later(now, DAYS_OF_A_WEEK - 1))}`, said: late.length ? `${count(late.length, "deadline")} of disputes passed.` : next ? `After that comes ${date(next.day)}.` : null, none: "Nothing expires in these seven days.", rows: [...late, ...week], limit: 14,
          columns: [
            { key: "day", label: "Day", type: "date", show: row => el("span", {}, `${weekday(row.day)} `, left(row.day)) },
            { key: "what", label: "What" }, { key: "who", label: "Carrier", link: row => row.href }, { key: "amount", label: "Open", type: "money" },
          ],
        }),
        statement(found, shown),
        differences(found, period),
        table({
          id: "open", title: "Open items, by due date", said: "All that is not paid yet, also what is due later.", sort: "due_date", limit: 20, none: "Nothing is open.",
          rows: inCurrency(open, "currency").map(item => ({ ...item, who: partyName(item) })),
          columns: [
            { key: "due_date", label: "Due", type: "date", show: row => el("span", {}, `${weekday(row.due_date)} `, left(row.due_date)) }, { key: "who", label: "Party", link: row => (isPartners(row) ? partnerLink : carrierLink)(row.party_id) }, { key: "document_type", label: "Document", value: documentName, link: documentLink },
            { key: "cleared_amount", label: "Paid of it", type: "money", minor: true, value: row => sign(row.cleared_amount) ? row.cleared_amount : null }, { key: "payable_amount", label: "To pay", type: "money", total: true, value: row => sign(row.payable_amount) ? row.payable_amount : null }, { key: "receivable_amount", label: "To receive", type: "money", total: true, value: row => sign(row.receivable_amount) ? row.receivable_amount : null },
          ],
        }),
      ];
    },
  });
})();
