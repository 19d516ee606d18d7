/* The words of settlement: causes, clocks of a dispute, policies, and tables that more than one page shows.
   Belongs here: what several pages say in the same words. Does not belong here: one page's own. */
"use strict";
(() => {
  const { el, link, words, date, count, clock, daysFrom, sign, tag, today, VARIANCE } = tollgate;
  const CAUSES = {
    TIMEZONE: ["Days of another time zone", "counts the days of another time zone"],
    PERIOD: ["Month closed on another day", "closes its month on another day"],
    DUPLICATE: ["Billed again", "bills a line again"],
    DIAL_CODE: ["Another dial code", "counts or prices numbers at a shorter code"],
    MISSING_OURS: ["Not in our records", "bills what is not in our rated records"],
    MISSING_THEIRS: ["Not invoiced", "left out what is in our records"],
    VOLUME: ["Another quantity", "left out a day, or states another quantity that no policy leads to"],
    INCREMENT: ["Other increments", "bills by another minimum and increment"],
    ROUNDING: ["Other rounding", "rounds otherwise than agreed"],
    RATE: ["Another price", "has another price"],
    STATUS: ["Unanswered calls charged", "bills what the agreement does not charge"],
    FX: ["No exchange rate", "invoices in a currency for which there is no exchange rate"],
    FEE: ["Fee not agreed", "adds a fee that no agreement knows, or another amount of it"],
    COMMITMENT: ["Shortfall of a commitment", "bills another shortfall of what was committed than our usage leaves"],
    TAX: ["Other tax", "taxes otherwise"],
    RESIDUAL: ["Not explained", "differs, and nothing that was searched explains it"],
  };
  const cause = code => (CAUSES[code] || [code])[0];
  const does = code => (CAUSES[code] || [code, code])[1];
  /* In the order of the walk. */
  const walk = Object.keys(CAUSES);
  const place = code => { const found = walk.indexOf(code); return found < 0 ? walk.length : found; };

  /* The days of a dispute that still count: [day, what it is]. */
  function clocks(dispute) {
    // Where the tables say what is to be done next, that is the day; else it is that of raising.
    if (dispute.next_action !== undefined) return dispute.next_action && dispute.next_action_date ? [[dispute.next_action_date, `${words(dispute.next_action)} by`]] : [];
    return dispute.dispute_status === "to_raise" && dispute.raise_by_date ? [[dispute.raise_by_date, "raise by"]] : [];
  }
  /* How far a day is; a deadline that passed is worse than a payment, of which nobody here knows whether it was made. */
  function left(day, isDeadline = true) {
    if (!day) return "";
    const days = daysFrom(day, today());
    return tag(clock(day, today()), days < 0 ? (isDeadline ? "bad" : null) : days < 7 ? "warn" : null);
  }
  const carrierName = id => (tollgate.chunks.site.carriers[id] || {}).name || id || "no carrier";
  const partnerName = id => (tollgate.chunks.site.partners[id] || {}).name || id || "no partner";
  const carrierLink = (id, period) => link("carriers.html", { carrier: id, ...period ? { period } : {} });
  const partnerLink = (id, period) => link("partners.html", { partner: id, ...period ? { period } : {} });
  const lineLink = id => link("lines.html", { line: id });

  /* Days in the names of policies, as everywhere on these pages. */
  const dated = name => (name || "").replace(/\b(\d{4}-\d\d-\d\d)(?: 00:00:00)?(?![\d:])/g, (_, day) => date(day));
  function policySentence(policy) {
    const what = `${words(policy.service)} ${words(policy.direction)}`;
    if (!policy.deviating_policy_name) {
      return policy.deviating_line_count ? `${what}: agreed is ${dated(policy.agreed_policy_name)}; ${count(policy.deviating_line_count, "line differs", "lines differ")}, and no other policy explains them.` : `${what}: billed as agreed (${dated(policy.agreed_policy_name)}), on all of ${count(policy.line_count, "line")}.`;
    }
    const tie = policy.lead_line_count === 0 ? ` Another policy, ${dated(policy.runner_up_name) || "of equal weight"}, explains as many.` : policy.runner_up_name ? ` The next best, ${dated(policy.runner_up_name)}, explains ${count(policy.lead_line_count, "line")} fewer.` : "";
    return `${what}: billed by ${dated(policy.deviating_policy_name)}${policy.reproduces_from_date ? ` since ${date(policy.reproduces_from_date)}` : ""}; agreed is ${dated(policy.agreed_policy_name)}. That reproduces ${policy.reproduced_line_count} of the ${count(policy.deviating_line_count, "line")} that the agreement does not.${tie}`;
  }
  const policies = list => el("ul", { class: "said" }, list.map(policy => el("li", { class: policy.deviating_policy_name ? "bad" : policy.deviating_line_count ? "warn" : "good" }, policySentence(policy))));

  /* What either side committed to in a month, and how it stands; null without any. A publication of before there were such has no list. */
  const commitmentTable = (list, period, them) => {
    const found = list ? tollgate.rows(list).filter(row => row.first_date.slice(0, 7) <= period && `${period}-01` < row.end_date) : [];
    const stands = row => !row.is_over ? ["still runs", null] : sign(row.shortfall_amount) > 0 ? ["fell short", "bad"] : ["reached", "good"];
    return found.length > 0 && tollgate.table({
      id: "committed", title: "What is committed to", said: found.some(row => row.is_swap) ? "A swap deal: both sides commit, and what either falls short of is netted." : null, rows: found,
      columns: [
        { key: "fee_name", label: "Commitment", value: row => row.fee_name || `plan ${row.plan_id}` }, { key: "committed_by", label: "By", value: row => row.committed_by === "us" ? "us" : them }, { key: "service", label: "Service", value: row => row.service || "all", minor: true },
        { key: "first_date", label: "From", type: "date" }, { key: "end_date", label: "Before", type: "date" },
        { key: "committed_quantity", label: "Quantity", type: "quantity", optional: true }, { key: "used_quantity", label: "Quantity used", type: "quantity", optional: true }, { key: "quantity_unit", label: "Unit", type: "word", minor: true, optional: true },
        { key: "committed_amount", label: "Amount", type: "money", currency: "commitment_currency", optional: true }, { key: "used_amount", label: "Amount used", type: "money", currency: "commitment_currency", optional: true },
        { key: "shortfall_amount", label: "Due for the rest", type: "money", currency: "commitment_currency" }, { key: "is_over", label: "Stands", value: row => stands(row)[0], show: row => tag(...stands(row)) },
      ],
    });
  };
  const disputeTable = (id, title, list, more = {}) => tollgate.table({
    id, title, sort: "next", none: "No dispute.", ...more,
    rows: list.map(row => ({ ...row, next: (clocks(row)[0] || [null])[0], next_word: (clocks(row)[0] || [null, null])[1] })),
    columns: [
      { key: "cause", label: "Cause", value: row => cause(row.cause), link: more.causeLink },
      more.withCarrier && { key: "carrier_id", label: "Carrier", value: row => carrierName(row.carrier_id), link: row => carrierLink(row.carrier_id, row.period) },
      { key: "invoice_number", label: "Invoice", link: row => link("lines.html", { invoice: `${row.carrier_id} ${row.invoice_number}` }) },
      { key: "dispute_amount", label: "Disputed", type: "money", currency: "dispute_currency", total: true },
      { key: "credit_received_amount", label: "Credited", type: "money", currency: "dispute_currency", total: true },
      { key: "open_amount", label: "Open", type: "money", currency: "dispute_currency", total: true },
      { key: "line_count", label: "Lines", type: "count" },
      { key: "dispute_status", label: "Status", type: "word" },
      { key: "may_withhold", label: "May be withheld", value: row => row.may_withhold ? "yes" : "no" },
      { key: "next", label: "Next day that counts", type: "date", show: row => row.next ? el("span", {}, `${row.next_word} ${date(row.next)} `, left(row.next)) : "" },
    ],
  });
  const settlementColumns = [
    { key: "invoiced_amount", label: "Invoiced" }, { key: "rated_amount", label: "Expected" }, { key: "variance_amount", label: "Variance", tones: VARIANCE },
    { key: "disputed_amount", label: "Disputed" }, { key: "withheld_amount", label: "Withheld" }, { key: "credited_amount", label: "Credited", optional: true },
    { key: "payable_amount", label: "Payable" }, { key: "receivable_amount", label: "Receivable", optional: true },
  ].map(column => ({ ...column, type: "money", currency: "settlement_currency", total: true }));
  const statementColumns = [
    { key: "event_count", label: "Events", type: "count", total: true },
    ...[["charge_amount", "Charged"], ["tax_amount", "Tax"], ["revenue_share_amount", "Its shares"], ["receivable_amount", "It owes us"], ["payable_amount", "We owe it"]]
      .map(([key, label]) => ({ key, label, type: "money", currency: "statement_currency", total: true })),
  ];
  /* A word of a command as a shell takes it: what others named may hold what a shell would run. */
  const quoted = said => /^[\w@%+=:,./-]+$/.test(said) ? said : `'${said.replace(/'/g, `'"'"'`)}'`;
  const inCurrency = (list, key) => { const { currency } = tollgate.state(); return currency ? list.filter(row => row[key] === currency) : list; };
  /* How a commitment stands: in words and as a tone. */
  function commitment(row) {
    if (row.commitment_left_amount === null || row.commitment_left_amount === undefined) return null;
    if (sign(row.commitment_left_amount) === 0) return ["past its commitment", "good"];
    return sign(row.projected_true_up_amount) > 0 ? ["will miss its commitment", "warn"] : ["on its way", null];
  }
  Object.assign(tollgate, { CAUSES, commitmentTable, cause, does, place, clocks, left, carrierName, partnerName, carrierLink, partnerLink, lineLink, policySentence, policies, disputeTable, settlementColumns, statementColumns, quoted, inCurrency, commitment });
})();
