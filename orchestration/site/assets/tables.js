/* Tables: sorted, searched, with totals that foot, copied and saved. The state of each is in the address.
   Belongs here: that. Does not belong here: which rows there are. */
"use strict";
(() => {
  const { el, sum, sign, compare, money, number, plain, date, instant, words, state, remember, copy, groups } = tollgate;
  const AT_FIRST = 50, SEARCHED_FROM = 8;
  // As in the packs: no text is a formula to a spreadsheet, also behind a mark that it takes for the end of a cell.
  const RUNS = /(^|[,;|\t\r\n])([\s\x1c-\x1f\x85"]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])/g;
  const withoutFormulas = said => said.replace(RUNS, "$1$2'").replace(/^(?=[\t\r\n])/, "'");
  const NUMBERS = ["money", "count", "quantity"];
  const isNumber = column => NUMBERS.includes(column.type) || column.type === "permille";
  const currencyOf = (column, row) => typeof column.currency === "function" ? column.currency(row) : row[column.currency || "currency"];
  const valueOf = (column, row) => { const value = column.value ? column.value(row) : row[column.key]; return value === undefined ? null : value; };

  /* What a file holds of a cell: numbers as they are, texts without formulas. */
  function written(column, row) {
    const value = valueOf(column, row);
    if (value === null) return "";
    if (column.type === "permille") return String(value / 10);
    return typeof value === "number" || NUMBERS.includes(column.type) ? String(value) : withoutFormulas(String(value));
  }
  function head(columns) {
    return columns.flatMap(column => [column.label, ...column.type === "money" && column.names !== false ? [`${column.label} currency`] : []]);
  }
  function cells(columns, row) {
    return columns.flatMap(column => [written(column, row), ...column.type === "money" && column.names !== false ? [withoutFormulas(currencyOf(column, row) || "")] : []]);
  }
  const csv = (columns, rows) => [head(columns), ...rows.map(row => cells(columns, row))].map(line => line.map(cell => `"${cell.replace(/"/g, '""')}"`).join(",")).join("\r\n") + "\r\n";
  const tsv = (columns, rows) => [head(columns), ...rows.map(row => cells(columns, row))].map(line => line.map(cell => cell.replace(/[\t\r\n]+/g, " ")).join("\t")).join("\n");
  function save(name, content) {
    const url = URL.createObjectURL(new Blob([content], { type: "text/csv;charset=utf-8" }));
    const anchor = el("a", { href: url, download: name });
    document.body.append(anchor); anchor.click(); anchor.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  function shown(column, row) {
    if (column.show) return column.show(row);
    const value = valueOf(column, row);
    if (value === null || value === "") return "";
    if (column.type === "money") return amount(column, value, currencyOf(column, row));
    if (column.type === "count" || column.type === "quantity") return plain(value);
    if (column.type === "permille") return tollgate.percent(value);
    if (column.type === "date") return date(value);
    if (column.type === "instant") return instant(value);
    if (column.type === "word") return words(value);
    return String(value);
  }
  function amount(column, value, currency) {
    const said = column.names === false ? number(value, currency, column.rounded) : money(value, currency, column.rounded);
    const tone = (sign(value) && column.tones && column.tones[sign(value) < 0 ? "negative" : "positive"]) || null;
    if (!tone && !column.rounded) return said;
    return el("span", { class: tone ? tone[1] : null, title: column.rounded ? `${value} ${currency}` : null }, said, tone && tone[0] && el("small", {}, " " + tone[0]));
  }
  const classOf = column => [isNumber(column) ? "number" : ["word", "date", "instant"].includes(column.type) && "word", column.minor && "minor"].filter(Boolean).join(" ") || null;
  function cell(column, row, first) {
    const inner = shown(column, row), href = column.link && column.link(row);
    return el(first ? "th" : "td", { scope: first ? "row" : null, class: classOf(column) },
      href && inner !== "" ? el("a", { href }, inner) : inner);
  }
  /* Amounts of different currencies are not compared: each currency stands together. */
  function order(column, direction) {
    const way = direction === "-" ? -1 : 1, exact = ["money", "quantity"].includes(column.type), isMoney = column.type === "money";
    return (one, other) => {
      const a = valueOf(column, one), b = valueOf(column, other);
      if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
      const apart = isMoney ? String(currencyOf(column, one)).localeCompare(String(currencyOf(column, other))) : 0;
      if (apart) return apart;
      return way * (exact ? compare(String(a), String(b)) : typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
    };
  }
  /* One line of sums per currency; counts and quantities are added up where there is one line. */
  function totals(columns, rows) {
    const summed = columns.filter(column => column.type === "money" && column.total !== false);
    if (!rows.length || !columns.some(column => column.total)) return [];
    const currencies = [...new Set(summed.flatMap(column => rows.map(row => currencyOf(column, row))))].filter(Boolean).sort();
    return (currencies.length ? currencies : [null]).map(currency => el("tr", {}, columns.map((column, place) => {
      const minor = column.minor ? " minor" : "";
      if (place === 0) return el("th", { scope: "row" }, currency ? `Total ${currency}` : "Total");
      if (column.total && column.type === "money" && currency) {
        const of = rows.filter(row => currencyOf(column, row) === currency);
        if (!of.length) return el("td", { class: "number" + minor });
        const total = sum(of.map(row => valueOf(column, row)));
        return el("td", { class: "number" + minor, "data-total": total, "data-currency": currency, "data-column": column.key }, amount(column, total, currency));
      }
      if (column.total && column.type === "count") {
        const own = currency && columns.find(one => one.type === "money");
        const of = own ? rows.filter(row => currencyOf(own, row) === currency) : rows;
        return el("td", { class: "number" + minor }, plain(of.reduce((total, row) => total + (valueOf(column, row) || 0), 0)));
      }
      return el("td", { class: minor.trim() || null });
    })));
  }

  /* A section with a table. Of a column: key, label, type, currency (a key or a function), total, tones, link, show, value, names
     (false: the currency stands elsewhere in the row), rounded, minor (no room for it on a phone), optional (left out where all is zero). */
  tollgate.table = ({ id, title, said, columns, rows, sort, none, limit = AT_FIRST, before, level = "h2", search = true }) => {
    const heading = el(level, { id: `title-${id}` }, title);
    if (!rows.length) return el("section", { id }, el("div", { class: "title" }, el("div", {}, heading, said && el("p", { class: "soft small" }, said))), before, el("p", { class: "none" }, none || "Nothing."));
    columns = columns.filter(column => column && !(column.optional && rows.every(row => !sign(valueOf(column, row)))));
    const kept = (state()[`t-${id}`] || "").split("~"), view = { sort: kept[0] || sort || "", words: kept[1] || "", all: false };
    const status = el("span", { class: "soft small", role: "status" });
    const thead = el("thead"), tbody = el("tbody"), tfoot = el("tfoot"), more = el("p", { class: "more" });
    const searched = row => columns.map(column => { const value = valueOf(column, row); return value === null ? "" : `${value} ${words(String(value))}`; }).join("\n").toLowerCase();
    const found = () => {
      const asked = view.words.toLowerCase().split(/\s+/).filter(Boolean);
      const kept = asked.length ? rows.filter(row => { const said = row.searched || (row.searched = {}); said[id] = said[id] || searched(row); return asked.every(word => said[id].includes(word)); }) : [...rows];
      const column = columns.find(one => one.key === view.sort.replace(/^-/, ""));
      return column ? kept.sort(order(column, view.sort[0])) : kept;
    };
    function paint() {
      const list = found(), part = view.all ? list : list.slice(0, limit);
      thead.replaceChildren(el("tr", {}, columns.map(column => {
        const sorted = view.sort.replace(/^-/, "") === column.key && (view.sort[0] === "-" ? "descending" : "ascending");
        return el("th", { scope: "col", class: classOf(column), "aria-sort": sorted || null, title: column.help }, column.sortable === false ? column.label : el("button", {
          type: "button", onclick: () => { view.sort = sorted === "descending" ? column.key : sorted === "ascending" ? "-" + column.key : (isNumber(column) ? "-" : "") + column.key; keep(); paint(); focusOn(column.key); }, "data-sort": column.key }, column.label));
      })));
      tbody.replaceChildren(...part.map(row => el("tr", {}, columns.map((column, place) => cell(column, row, place === 0)))));
      tfoot.replaceChildren(...totals(columns, list));
      const rest = list.length - part.length;
      more.replaceChildren(...rest > 0 ? [el("button", { type: "button", onclick: () => { view.all = true; paint(); } }, `Show ${plain(rest)} more`), el("span", { class: "soft small" }, tfoot.children.length ? " Totals are of all rows." : "")] : []);
      status.textContent = view.words ? `${plain(list.length)} of ${plain(rows.length)} rows` : `${tollgate.count(rows.length, "row")}`;
    }
    const keep = () => remember({ [`t-${id}`]: view.sort !== (sort || "") || view.words ? `${view.sort}~${view.words}` : null });
    const focusOn = key => thead.querySelector(`[data-sort="${key}"]`).focus();
    const tools = el("div", { class: "tools" },
      status,
      search && rows.length > SEARCHED_FROM && el("label", {}, el("span", { class: "unseen" }, `Search in ${title}`), el("input", { type: "search", placeholder: "Search", value: view.words, oninput: event => { view.words = event.target.value; keep(); paint(); } })),
      el("button", { type: "button", class: "quiet", "aria-label": `Copy ${title}`, onclick: async () => { await copy(tsv(columns, found())); status.textContent = "Copied"; } }, "Copy"),
      el("button", { type: "button", class: "quiet", "aria-label": `${title} as CSV`, onclick: () => save(`${id}.csv`, csv(columns, found())) }, "CSV"));
    paint();
    return el("section", { id }, el("div", { class: "title" }, el("div", {}, heading, said && el("p", { class: "soft small" }, said)), tools), before,
      el("div", { class: "scroll", role: "region", "aria-labelledby": `title-${id}`, tabindex: "0" }, el("table", { "aria-labelledby": `title-${id}` }, thead, tbody, tfoot)), more);
  };
  tollgate.csv = csv;
})();
