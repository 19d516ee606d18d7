/* One invoice line, told step by step; without one, the lines of an invoice; without that, the invoices. */
"use strict";
(() => {
  const { el, rows, sum, sign, money, plain, count, date, words, state, link, section, table, figures, cause, does, carrierName, carrierLink, lineLink } = tollgate;
  const index = () => rows(tollgate.chunks.lines.index);
  const STATUS = { agreed: "Invoiced as agreed.", tolerated: "Overcharged, within what the agreement tolerates.", disputed: "Overcharged, and disputed.", undercharged: "Undercharged: the carrier may still invoice the rest.", not_invoiced: "Expected by us, and not invoiced." };

  /* Chunks in which the line may be: an id lies between the first and the last of its chunk. */
  const holding = id => index().filter(row => row.first_id <= id && id <= row.last_id);
  /* A page shows so many chunks of an invoice at once; what is larger comes in parts. */
  const CHUNKS_OF_A_PART = 4;
  const part = () => Math.max(1, parseInt(state().part, 10) || 1);
  const shown = chunks => chunks.slice((part() - 1) * CHUNKS_OF_A_PART, part() * CHUNKS_OF_A_PART);
  function asked() {
    const { invoice = "" } = state(), place = invoice.indexOf(" ");
    return index().filter(row => row.carrier_id === invoice.slice(0, place) && row.invoice_number === invoice.slice(place + 1));
  }
  const quantity = (value, unit) => value === null ? "unknown" : `${plain(value)} ${tollgate.unit(unit)}`;

  function story(line, where, carrier) {
    const currency = where.invoice_currency, components = [...(line.components || [])].sort((one, other) => tollgate.place(one[0]) - tollgate.place(other[0]));
    const policy = rows(carrier.policies).find(row => row.period === where.period && row.service === line.service && row.direction === line.direction);
    const disputes = rows(carrier.disputes).filter(row => components.some(([, , dispute]) => dispute && dispute === row.dispute_id));
    const steps = [["Expected", "what our records and the agreement lead to", line.rated_amount, "sum"], ...components.map(([code, amount, dispute]) => [cause(code), does(code) + (dispute ? "; disputed" : sign(amount) > 0 ? "; not disputed" : "; in our favour"), amount, "step"]), ["Invoiced", "", line.invoiced_amount, "sum"]];
    const differs = (one, other) => one !== null && other !== null && one !== other;
    const compared = [
      ["Events", line.invoiced_event_count, line.rated_event_count, plain], ["Quantity", line.invoiced_quantity, line.rated_quantity, value => quantity(value, line.quantity_unit)],
      ["Rate", line.invoiced_rate_amount, line.rated_rate_amount, value => plain(value)], ["Amount", line.invoiced_amount, line.rated_amount, value => money(value, currency)],
    ].filter(([, one, other]) => one !== null || other !== null).map(([what, theirs, ours, say]) => ({ what, theirs: theirs === null ? "not stated" : say(theirs), ours: ours === null ? "several, or none" : say(ours), differs: differs(String(theirs), String(ours)) }));
    const calls = (line.calls || []).map(([match_class, event_count, cdr_count, billed_quantity, carrier_quantity]) => ({ match_class, event_count: Number(event_count), cdr_count: Number(cdr_count), billed_quantity: strip(billed_quantity), carrier_quantity: strip(carrier_quantity) }));
    return [
      tollgate.head(line.destination_name || line.line_description || words(line.line_type), [`Line ${line.line_number === null ? "that is not on the invoice" : line.line_number} of invoice ${where.invoice_number}`, line.invoice_date && `of ${date(line.invoice_date)}`, line.service && `${words(line.service)} ${words(line.direction)}`, line.service_first_date && `${date(line.service_first_date)} to ${date(line.service_last_date)}`].filter(Boolean).join(", ") + "."),
      el("p", {}, el("a", { href: carrierLink(where.carrier_id, where.period) }, carrierName(where.carrier_id)), ", ", el("a", { href: link("lines.html", { invoice: `${where.carrier_id} ${where.invoice_number}` }) }, "all lines of the invoice")),
      figures([["Invoiced", money(line.invoiced_amount, currency)], ["Expected", money(line.rated_amount, currency)], ["Variance", tollgate.signed(line.variance_amount, currency, tollgate.VARIANCE)], ["Disputed", money(line.disputed_variance_amount, currency)], ["Outcome", words(line.line_status), STATUS[line.line_status]]]),
      line.is_repeated && el("p", { class: "bad" }, "This line repeats an earlier one of the carrier; nothing of ours stands behind it."),
      section("The bridge", components.length ? "Each step is the difference between two ratings of the line's calls, with one thing more as the carrier does it." : "There is nothing to explain.",
        el("ol", { class: "steps" }, steps.map(([name, said, amount, kind]) => el("li", { class: kind === "sum" ? "sum" : null }, el(kind === "sum" ? "b" : "span", {}, name), el("span", { class: "soft small" }, said), el("span", { class: "number" }, kind === "step" ? tollgate.signed(amount, currency, tollgate.VARIANCE) : el("b", { "data-bridge": name, "data-amount": amount }, money(amount, currency))))))),
      table({ id: "compared", title: "Both sides", rows: compared, columns: [{ key: "what", label: "", sortable: false }, { key: "theirs", label: "Carrier", sortable: false }, { key: "ours", label: "Ours", sortable: false }, { key: "differs", label: "", sortable: false, value: row => row.differs ? "differs" : "", show: row => row.differs ? tollgate.tag("differs", "warn") : "" }] }),
      policy && section("The policy behind it", null, tollgate.policies([policy])),
      tollgate.disputeTable("disputes", "Disputes", disputes, { none: sign(line.variance_amount) > 0 ? "None: the overcharge of each cause is within what the agreement tolerates on the whole invoice." : "None." }),
      line.matched_grain === "call" ? table({
        id: "calls", title: "What calls prove", rows: calls, said: line.call_proven_amount === null ? null : `Calls that both sides have and that agree stand behind ${money(line.call_proven_amount, currency)} of what was expected.`, none: "No single call of these days.",
        columns: [{ key: "match_class", label: "Both sides", type: "word" }, { key: "event_count", label: "Events of ours", type: "count", total: true }, { key: "cdr_count", label: "Records of theirs", type: "count", total: true }, { key: "billed_quantity", label: "Ours", type: "quantity" }, { key: "carrier_quantity", label: "Theirs", type: "quantity" }],
      }) : section("What calls prove", null, el("p", { class: "none" }, line.line_type === "usage" ? "The carrier lists no single calls for this line; it was compared as a whole." : "A line without calls.")),
      section("Down to the events", "The tolerance of the agreement, its clause, the rows of the decks and the single events that show each cause:", tollgate.copyable(`tollgate explain --as line ${tollgate.quoted(line.invoice_line_id)}`),
        disputes.length > 0 && [el("p", { class: "soft small" }, "What goes to the carrier:"), disputes.map(dispute => tollgate.copyable(`tollgate dispute-pack ${tollgate.quoted(dispute.dispute_id)}`))]),
    ];
  }
  const strip = value => value === null ? null : value.replace(/\.?0+$/, "") || "0";

  function invoice(data, found) {
    const [where] = found, parts = Math.ceil(found.length / CHUNKS_OF_A_PART), of = chunks => chunks.reduce((n, row) => n + row.line_count, 0), lines = shown(found).flatMap(row => rows(data[row.chunk].lines).map(line => ({ ...line, currency: row.invoice_currency, period: row.period, name: line.destination_name || line.line_description || words(line.line_type) })));
    return [
      tollgate.head(`Invoice ${where.invoice_number}`, `${carrierName(where.carrier_id)}, ${tollgate.month(where.period)}.`, parts > 1 && tollgate.select("Part", "part", Array.from({ length: parts }, (_, place) => [String(place + 1), `${place + 1} of ${parts}`]), String(part()))),
      el("p", {}, el("a", { href: carrierLink(where.carrier_id, where.period) }, carrierName(where.carrier_id)), ", ", el("a", { href: link("lines.html", {}) }, "all invoices")),
      table({
        id: "lines", title: "Lines", said: parts > 1 ? `${plain(lines.length)} of the ${plain(of(found))} lines; totals are of these.` : null, rows: lines, sort: "-variance_amount", limit: 60,
        columns: [
          { key: "name", label: "Destination or fee", link: row => lineLink(row.invoice_line_id) }, { key: "line_number", label: "Line", type: "count" }, { key: "service", label: "Service", type: "word" }, { key: "line_status", label: "Outcome", type: "word" },
          { key: "causes", label: "Cause", value: row => (row.components || []).map(([code]) => cause(code)).join(", ") },
          { key: "invoiced_amount", label: "Invoiced", type: "money", total: true }, { key: "rated_amount", label: "Expected", type: "money", total: true }, { key: "variance_amount", label: "Variance", type: "money", total: true, tones: tollgate.VARIANCE },
        ],
      }),
    ];
  }
  function invoices(message) {
    const period = tollgate.period(), list = [...tollgate.groups(index(), row => [row.carrier_id, row.invoice_number, row.period, row.invoice_currency].join("\n")).values()].map(of => ({ ...of[0], lines: of.reduce((n, row) => n + row.line_count, 0) })).filter(row => row.period === period);
    return [
      tollgate.head("Invoice lines", tollgate.month(period), tollgate.periodField(),
        el("label", {}, "Line", el("input", { name: "line", placeholder: "carrier:invoice:number", onchange: event => tollgate.go({ line: event.target.value.trim() }) }))),
      message && el("p", { class: "bad" }, message),
      table({ id: "invoices", title: "Invoices", rows: list, sort: "carrier_id", limit: 100, none: "No invoice of this month has come.", columns: [{ key: "carrier_id", label: "Carrier", value: row => carrierName(row.carrier_id), link: row => carrierLink(row.carrier_id) }, { key: "invoice_number", label: "Invoice", link: row => link("lines.html", { invoice: `${row.carrier_id} ${row.invoice_number}` }) }, { key: "invoice_currency", label: "Currency" }, { key: "lines", label: "Lines", type: "count", total: true }] }),
    ];
  }

  tollgate.page({
    needs: async ({ line, invoice }) => {
      await tollgate.load("lines");
      const found = line ? holding(line) : invoice ? asked() : [];
      const carriers = line ? [...new Set(found.map(row => tollgate.chunks.site.carriers[row.carrier_id]).filter(Boolean).map(known => known.chunk))] : [];
      return ["lines", ...(line ? found : shown(found)).map(row => row.chunk), ...carriers];
    },
    render: data => {
      const { line: id, invoice: number } = state();
      if (id) {
        for (const where of holding(id)) {
          const line = rows(data[where.chunk].lines).find(row => row.invoice_line_id === id);
          if (line) return story(line, where, data[(data.site.carriers[where.carrier_id] || {}).chunk] || {});
        }
        return invoices(`No published line is named ${id}.`);
      }
      if (!number) return invoices();
      return asked().length ? invoice(data, asked()) : invoices(`No published invoice is named ${number}.`);
    },
  });
})();
