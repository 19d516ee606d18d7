/* Destinations and routes: where margin is made and lost, and what is used without a cost or a charge. */
"use strict";
(() => {
  const { el, rows, sum, sign, permille, money, count, month, state, section, table, carrierName, carrierLink, partnerName, partnerLink, country } = tollgate;
  const COUNTRIES = 25, CARRIERS = 14;

  function heat(list, currency) {
    const byCarrier = tollgate.groups(list.filter(row => row.carrier_id), row => row.carrier_id), byCountry = tollgate.groups(list, row => row.country_code || "");
    const weight = of => of.reduce((n, row) => n + Number(row.revenue_amount) + Number(row.corrected_cost_amount), 0);
    const first = (map, most) => [...map.entries()].map(([key, of]) => [key, weight(of)]).sort((one, other) => other[1] - one[1]).slice(0, most).map(([key]) => key);
    const countries = first(byCountry, COUNTRIES), carriers = first(byCarrier, CARRIERS).filter(carrier => byCarrier.get(carrier).some(row => countries.includes(row.country_code || ""))), cells = [], texts = {};
    countries.forEach((land, y) => carriers.forEach((carrier, x) => {
      const of = list.filter(row => row.carrier_id === carrier && (row.country_code || "") === land);
      if (!of.length) return;
      const revenue = sum(of.map(row => row.revenue_amount)), margin = sum(of.map(row => row.margin_amount)), part = permille(margin, revenue);
      // Without revenue there is no ratio: cost alone is a loss as a whole.
      cells.push([x, y, part === null ? (sign(margin) < 0 ? -1000 : null) : part]);
      texts[`${x} ${y}`] = `${carrierName(carrier)}, ${country(land)}\nmargin ${money(margin, currency, true)}${part === null ? ", no revenue" : ` of ${money(revenue, currency, true)}, ${tollgate.percent(part)}`}`;
    }));
    if (!cells.length) return null;
    return section("Margin by country and carrier", `Percent of revenue, ${currency}; the ${countries.length === byCountry.size ? "" : `${countries.length} largest of `}${count(byCountry.size, "country", "countries")}${carriers.length === byCarrier.size ? "" : ` and the ${carriers.length} largest of ${byCarrier.size} carriers`}. The tables below have every figure.`,
      tollgate.chart.heat("Margin as a part of revenue by country and carrier; the table of routes has the figures", carriers.map(carrierName), countries.map(land => land ? country(land) : "no country"), cells, data => texts[`${data[0]} ${data[1]}`]));
  }

  tollgate.page({
    needs: () => [`routes-${tollgate.period()}`, `period-${tollgate.period()}`],
    render: data => {
      const period = tollgate.period(), found = data[`routes-${period}`], leaks = data[`period-${period}`], currency = data.site.reporting_currency || "", { carrier = "", only = "" } = state();
      const own = list => carrier ? list.filter(row => row.carrier_id === carrier) : list;
      const routes = own(rows(found.routes)), below = routes.filter(row => sign(row.margin_amount) < 0);
      const columns = [
        { key: "destination_name", label: "Destination", value: row => row.destination_name || "destination unknown" }, { key: "country_code", label: "Country", value: row => row.country_code ? country(row.country_code) : "", minor: true },
        { key: "carrier_id", label: "Carrier", value: row => carrierName(row.carrier_id), link: row => row.carrier_id && carrierLink(row.carrier_id) }, { key: "service", label: "Service", type: "word", minor: true }, { key: "direction", label: "Direction", type: "word", minor: true },
        { key: "event_count", label: "Events", type: "count", total: true, minor: true },
        ...[["revenue_amount", "Revenue"], ["corrected_cost_amount", "Cost"], ["share_amount", "Shares"], ["margin_amount", "Margin"]].map(([key, label]) => ({ key, label, type: "money", currency: "reporting_currency", rounded: true, total: true, tones: key === "margin_amount" ? tollgate.MARGIN : null })),
        { key: "ratio", label: "Of revenue", type: "permille", value: row => permille(row.margin_amount, row.revenue_amount) },
      ];
      const leak = (id, title, said, none, list, amount) => table({
        id, title, said, none, sort: "-amount", rows: own(rows(list)), limit: 20,
        columns: [{ key: "reason", label: "Reason", type: "word" }, { key: "carrier_id", label: "Carrier", value: row => carrierName(row.carrier_id), link: row => row.carrier_id && carrierLink(row.carrier_id) }, { key: "partner_id", label: "Partner", value: row => partnerName(row.partner_id), link: row => row.partner_id && partnerLink(row.partner_id) }, { key: "service", label: "Service", type: "word" }, { key: "direction", label: "Direction", type: "word" }, { key: "event_count", label: "Events", type: "count", total: true }, { key: "amount", label: amount, type: "money", rounded: true, total: true }],
      });
      return [
        tollgate.head("Destinations and routes", month(period), tollgate.periodField(), tollgate.select("Carrier", "carrier", [["", "All"], ...[...new Set(rows(found.routes).map(row => row.carrier_id).filter(Boolean))].sort().map(id => [id, carrierName(id)])], carrier), tollgate.select("Routes", "only", [["", "That lose money"], ["all", "All"]], only)),
        found.unconverted > 0 && el("p", { class: "warn" }, `${count(found.unconverted, "row")} of the month holds money for which there is no exchange rate; it is in no figure of this page.`),
        table({
          id: "routes", title: only ? "Routes" : "Routes that lose money", said: `In ${currency}, at the rate of the day; days are UTC. Cost is after reconciliation; where revenue is above it, shares make the loss.`, sort: "margin_amount", limit: 25, none: only ? "No usage in this month." : "Every route earns at least what it costs.",
          rows: only ? routes : below, columns,
        }),
        heat(own(rows(found.heat)), currency),
        leak("unrated", "Used without a cost", "Events that no deck prices, and what they may cost.", "Every event has its cost.", leaks.unrated, "At risk"),
        leak("uncharged", "Used without a charge", "Events that nobody is charged for, and what they cost us.", "Every event is charged to somebody.", leaks.uncharged, "Cost"),
      ];
    },
  });
})();
