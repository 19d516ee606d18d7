/* Can these figures be trusted? What landed, what was refused, what has no price, what the gate said. */
"use strict";
(() => {
  const { el, rows, sign, money, plain, count, month, instant, state, section, table, figures, carrierName, words } = tollgate;

  /* By the reader's clock: a feed that was in use and whose next file should have come. */
  const late = feed => feed.last_loaded_at !== null && Date.now() - Date.parse(feed.last_loaded_at.replace(" ", "T") + "Z") > feed.expected_every_hours * 36e5;

  tollgate.page({
    needs: () => ["health"],
    render: data => {
      const health = data.health, gate = health.gate, files = rows(health.files), held = rows(health.held), feeds = rows(health.feeds), outcomes = gate ? gate.outcomes : [];
      const missed = outcomes.filter(one => !one.success), stop = missed.filter(one => one.severity === "critical");
      const chosen = state().feed || "", own = list => chosen ? list.filter(row => `${row.feed_kind}/${row.feed_name}` === chosen) : list;
      return [
        tollgate.head("Data health", `Published ${instant(data.site.published_at)}.`, feeds.length > 0 && tollgate.select("Feed", "feed", [["", "All"], ...feeds.map(row => `${row.feed_kind}/${row.feed_name}`).map(name => [name, name])], chosen)),
        figures([
          gate && ["Gate", gate.passed ? "passed" : "did not pass", missed.length ? `${count(missed.length, "expectation")} of ${plain(outcomes.length)} did not hold${stop.length ? "" : ", none that stops"}` : `all ${plain(outcomes.length)} expectations hold`],
          files.length > 0 && ["Files", plain(feeds.reduce((n, row) => n + row.file_count, 0)), `${count(feeds.reduce((n, row) => n + row.failed_file_count, 0), "file")} failed`],
          health.held && ["Rows held back", plain(held.reduce((n, row) => n + row.row_count, 0)), `${count(held.length, "reason")}`],
          ["Events without cost", plain(rows(health.unrated).reduce((n, row) => n + row.event_count, 0)), "in all months"],
        ]),
        missed.length > 0 && section("What the gate found", null, el("ul", { class: "said" }, missed.map(one => el("li", { class: one.severity === "critical" ? "bad" : "warn" }, `${one.mart}: "${one.says}" did not hold${one.failing_rows ? ` on ${plain(one.failing_rows)} of ${count(one.rows, "row")}` : ""}${one.money_at_risk.length ? `; money at risk ${one.money_at_risk.map(([currency, amount]) => money(amount, currency, true)).join(", ")}` : ""}. ${one.severity === "critical" ? "It stops a publication." : "It lets a publication pass."}`)))),
        health.held && table({
          id: "held", title: "Rows held back", said: "Quarantined rows could not be read; refused ones were read and not understood. None of them settles.", none: "Every row that landed was understood.", sort: "-at_risk_amount", rows: own(held),
          columns: [{ key: "feed", label: "Feed", value: row => `${row.feed_kind}/${row.feed_name}` }, { key: "held_back_type", label: "How", type: "word" }, { key: "held_back_reason", label: "Reason", type: "word" }, { key: "row_count", label: "Rows", type: "count", total: true }, { key: "at_risk_amount", label: "Money at risk", type: "money", currency: "at_risk_currency", total: true }, { key: "example_file_name", label: "For example" }, { key: "last_loaded_at", label: "Latest", type: "instant" }],
        }),
        feeds.length > 0 && table({
          id: "feeds", title: "Feeds and their freshness", sort: "feed", rows: own(feeds), limit: 60,
          columns: [{ key: "feed", label: "Feed", value: row => `${row.feed_kind}/${row.feed_name}` }, { key: "last_loaded_at", label: "Latest file", type: "instant" }, { key: "expected_every_hours", label: "Expected", value: row => row.expected_every_hours, show: row => row.expected_every_hours === null ? "" : el("span", {}, `every ${count(row.expected_every_hours, "hour")} `, late(row) && tollgate.tag("late", "bad")) }, { key: "file_count", label: "Files", type: "count", total: true }, { key: "duplicate_file_count", label: "Repeated", type: "count", total: true }, { key: "failed_file_count", label: "Failed", type: "count", total: true }, { key: "loaded_count", label: "Rows loaded", type: "count", total: true }, { key: "quarantined_count", label: "Quarantined", type: "count", total: true }, { key: "refused_count", label: "Refused", type: "count", total: true }],
        }),
        table({
          id: "unrated", title: "Money at risk: events without a cost", none: "Every event has its cost.", sort: "-amount", rows: rows(health.unrated),
          columns: [{ key: "reason", label: "Reason", type: "word" }, { key: "period", label: "Month", show: row => month(row.period) }, { key: "carrier_id", label: "Carrier", value: row => carrierName(row.carrier_id) }, { key: "service", label: "Service", type: "word" }, { key: "event_count", label: "Events", type: "count", total: true }, { key: "amount", label: "At risk", type: "money", rounded: true, total: true }],
        }),
        files.length > 0 && table({
          id: "files", title: "Files", said: health.files_left_out ? `The latest ${plain(files.length)}; ${plain(health.files_left_out)} older ones are in the table fct_landed_files.` : null, rows: own(files), sort: "-loaded_at", limit: 20,
          columns: [{ key: "file_name", label: "File" }, { key: "feed", label: "Feed", value: row => `${row.feed_kind}/${row.feed_name}` }, { key: "file_status", label: "Outcome", type: "word", show: row => tollgate.tag(words(row.file_status), row.file_status === "failed" ? "bad" : row.file_status === "duplicate" ? "warn" : null) }, { key: "loaded_count", label: "Rows loaded", type: "count", total: true }, { key: "quarantined_count", label: "Quarantined", type: "count", total: true }, { key: "refused_count", label: "Refused", type: "count", total: true }, { key: "loaded_at", label: "Loaded", type: "instant" }, { key: "failure_message", label: "Message" }],
        }),
        health.months && table({
          id: "months", title: "Months and who closed them", said: "Into a closed month nothing is booked any more. A reason stands where it was closed in spite of the money at risk.", rows: rows(health.months), limit: 20,
          columns: [{ key: "period", label: "Month", show: row => month(row.period) }, { key: "period_state", label: "State", type: "word", show: row => tollgate.tag(words(row.period_state), row.period_state === "closed" ? null : "warn") }, { key: "grace_until_date", label: "Grace until", type: "date" }, { key: "closed_at", label: "Closed", type: "instant" }, { key: "closed_by", label: "By" }, { key: "accepted_reason", label: "In spite of money at risk, because" }],
        }),
        outcomes.length > 0 && table({
          id: "gate", title: "What the gate checked", rows: outcomes.map(one => ({ ...one, how: one.success ? "holds" : one.severity === "critical" ? "failed" : one.severity })), limit: 20,
          columns: [{ key: "mart", label: "Table" }, { key: "says", label: "Expectation" }, { key: "severity", label: "Severity" }, { key: "how", label: "Outcome", show: row => tollgate.tag(row.how, row.success ? null : row.how === "failed" ? "bad" : "warn") }, { key: "failing_rows", label: "Failing rows", type: "count" }],
        }),
        table({ id: "tables", title: "Published tables", rows: rows(health.tables), limit: 40, sort: "table", columns: [{ key: "table", label: "Table" }, { key: "row_count", label: "Rows", type: "count", total: true }] }),
      ];
    },
  });
})();
