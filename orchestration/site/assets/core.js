/* What every page needs: exact amounts, words for dates, the state in the address, chunks of data, the frame.
   Belongs here: that. Does not belong here: tables (tables.js), charts (charts.js), what a page says (the file of its name). */
"use strict";
window.tollgate = (() => {
  const locale = navigator.languages && navigator.languages.length ? [...navigator.languages] : undefined;
  const chunks = {}, asked = {};

  // --- Elements: text is only ever text -------------------------------------------------------------------------
  function el(name, attributes, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (value === undefined || value === null || value === false) continue;
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else node.setAttribute(key, value === true ? "" : value);
    }
    for (const child of children.flat(Infinity)) if (child !== null && child !== undefined && child !== false) node.append(child);
    return node;
  }

  // --- Exact decimals: text outside, whole units of 10^-scale inside ------------------------------------------------
  function parse(text) {
    const [, sign, whole, part = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
    return { units: BigInt(sign + whole + part), scale: part.length };
  }
  const scaled = (value, scale) => value.units * 10n ** BigInt(scale - value.scale);
  function text({ units, scale }) {
    const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, "0");
    const whole = digits.slice(0, digits.length - scale), part = digits.slice(digits.length - scale).replace(/0+$/, "");
    return (units < 0n ? "-" : "") + whole + (part ? "." + part : "");
  }
  function sum(texts) {
    let total = { units: 0n, scale: 0 };
    for (const one of texts) {
      if (one === null || one === undefined) continue;
      const value = parse(one), scale = Math.max(value.scale, total.scale);
      total = { units: scaled(total, scale) + scaled(value, scale), scale };
    }
    return text(total);
  }
  const negated = one => one === null ? null : /^-?0(\.0*)?$/.test(one) ? "0" : one.startsWith("-") ? one.slice(1) : "-" + one;
  const minus = (one, other) => sum([one, negated(other)]);
  const sign = one => one === null || one === undefined || /^-?0(\.0*)?$/.test(one) ? 0 : one.startsWith("-") ? -1 : 1;
  const size = one => one && one.startsWith("-") ? one.slice(1) : one;
  function compare(one, other) {
    const a = parse(one), b = parse(other), scale = Math.max(a.scale, b.scale), difference = scaled(a, scale) - scaled(b, scale);
    return difference < 0n ? -1 : difference > 0n ? 1 : 0;
  }
  /* A part of a whole in tenths of a percent, cut; null where there is no whole. */
  function permille(part, whole) {
    if (sign(whole) === 0 || part === null || whole === null) return null;
    const a = parse(part), b = parse(whole), scale = Math.max(a.scale, b.scale);
    return Number(scaled(a, scale) * 1000n / scaled(b, scale));
  }

  // --- Words for the reader's country -------------------------------------------------------------------------------
  const formats = {};
  function format(kind, options) {
    const key = kind + JSON.stringify(options);
    if (!formats[key]) formats[key] = new Intl[kind](locale, options);
    return formats[key];
  }
  const decimals = currency => { const known = chunks.site.minor_units[currency]; return known === undefined ? 2 : known; };
  /* An amount down to what can be paid: whole minor units of its currency. */
  const whole = (amount, currency) => { const [units, part = ""] = amount.split("."), kept = part.slice(0, decimals(currency)); return units + (kept ? "." + kept : ""); };
  /* An amount with all its digits, at least those of its currency; `rounded` leaves it at those, unless that were nothing. */
  function digits(amount, currency, rounded) {
    const least = decimals(currency), [units, part = ""] = amount.split("."), first = part.search(/[1-9]/);
    const most = !rounded ? part.length : /[1-9]/.test(units) || first < 0 ? least : first + 1;
    return { minimumFractionDigits: least, maximumFractionDigits: Math.min(Math.max(least, most), 20) };
  }
  const number = (amount, currency, rounded) => format("NumberFormat", digits(amount, currency, rounded)).format(amount);
  function money(amount, currency, rounded) {
    if (amount === null || amount === undefined) return "unknown";
    if (!/^[A-Z]{3}$/.test(currency || "")) return number(amount, currency, rounded) + (currency ? " " + currency : "");
    return format("NumberFormat", { style: "currency", currency, currencyDisplay: "code", ...digits(amount, currency, rounded) }).format(amount);
  }
  const plain = value => value === null || value === undefined ? "" : format("NumberFormat", { maximumFractionDigits: 12 }).format(value);
  const percent = thousandths => format("NumberFormat", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(thousandths / 1000);
  const ratio = text => format("NumberFormat", { style: "percent", maximumFractionDigits: 4 }).format(text);
  const count = (n, one, many) => `${plain(n)} ${n === 1 ? one : many || one + "s"}`;
  const asDate = day => new Date(day.slice(0, 10) + "T00:00:00Z");
  // One form of a day everywhere; where it counts which day of the week it is, that stands before it.
  const DAY = { year: "numeric", month: "short", day: "numeric", timeZone: "UTC" };
  const date = day => day ? format("DateTimeFormat", DAY).format(asDate(day)) : "";
  const weekday = day => day ? format("DateTimeFormat", { weekday: "short", ...DAY }).format(asDate(day)) : "";
  const month = period => format("DateTimeFormat", { month: "long", year: "numeric", timeZone: "UTC" }).format(asDate(period + "-01"));
  const instant = at => at ? format("DateTimeFormat", { ...DAY, hour: "numeric", minute: "2-digit" }).format(new Date(at.replace(" ", "T").replace(/(\.\d{3})\d*/, "$1").replace(/(Z|[+-]\d\d:?\d\d)?$/, zone => zone || "Z"))) + " UTC" : "";
  const daysFrom = (day, from) => Math.round((asDate(day) - asDate(from)) / 864e5);
  function clock(day, from) {
    const days = daysFrom(day, from);
    return days === 0 ? "today" : days === 1 ? "tomorrow" : days > 1 ? `in ${days} days` : days === -1 ? "yesterday" : `${-days} days ago`;
  }
  function country(code) {
    if (!/^[A-Z]{2}$/.test(code || "")) return code || "no country";
    try { return format("DisplayNames", { type: "region" }).of(code); } catch { return code; }
  }
  const words = key => (key || "").replace(/_/g, " ");
  const unit = name => ({ second: "s" })[name] || (name ? name + "s" : "");

  // --- The state: what is after # in the address --------------------------------------------------------------------
  const state = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  const address = (page, values) => {
    const kept = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
    return page + (kept.length ? "#" + new URLSearchParams(kept) : "");
  };
  /* Where a link leads that keeps the month, the currency and the day that the reader looks from. */
  function link(page, values) {
    const { period, currency, asof } = state();
    return address(page, { period, currency, asof, ...values });
  }
  const go = values => { location.hash = address("", { ...state(), ...values }).slice(1); };
  const remember = values => history.replaceState(null, "", address("", { ...state(), ...values }) || "#");
  const here = () => { const now = new Date(); return new Date(now - now.getTimezoneOffset() * 6e4).toISOString().slice(0, 10); };
  const today = () => { const { asof } = state(); return /^\d{4}-\d\d-\d\d$/.test(asof || "") && !isNaN(asDate(asof)) ? asof : here(); };

  // --- Chunks of data: scripts, since a page from a disk may not fetch -----------------------------------------------
  const put = (name, data) => { chunks[name] = data; };
  function load(name) {
    if (!asked[name]) asked[name] = new Promise((resolve, reject) => {
      const script = el("script", { src: `data/${encodeURIComponent(name)}.js` });
      script.onload = () => chunks[name] ? resolve(chunks[name]) : reject(new Error(name));
      script.onerror = () => reject(new Error(name));
      document.head.append(script);
    });
    return asked[name];
  }
  /* The rows of a table as objects. */
  function rows(table) {
    if (!table) return [];
    if (!table.objects) table.objects = table.rows.map(row => Object.fromEntries(table.columns.map((column, place) => [column, row[place]])));
    return table.objects;
  }
  function groups(list, key) {
    const found = new Map();
    for (const item of list) { const name = key(item); if (!found.has(name)) found.set(name, []); found.get(name).push(item); }
    return found;
  }

  // --- The frame ----------------------------------------------------------------------------------------------------
  function select(label, name, options, chosen) {
    return el("label", {}, label, el("select", { name, onchange: event => go({ [name]: event.target.value }) },
      options.map(([value, said]) => el("option", { value, selected: value === chosen }, said))));
  }
  const dayField = () => el("label", {}, "As of", el("input", { type: "date", name: "asof", value: today(), onchange: event => go({ asof: event.target.value }) }));
  const period = () => { const { period } = state(), { periods, period: latest } = chunks.site; return periods.includes(period) ? period : latest; };
  const periodField = () => select("Month", "period", chunks.site.periods.map(one => [one, month(one)]), period());
  const currencyField = currencies => select("Currency", "currency", [["", "All"], ...currencies.map(one => [one, one])], state().currency || "");
  function head(title, said, ...fields) {
    document.title = `${title} · Tollgate`;
    return el("div", { class: "head" }, el("div", {}, el("h1", { tabindex: "-1" }, title), said && el("p", { class: "soft" }, said)), el("div", { class: "filters" }, fields));
  }
  const section = (title, said, ...children) => el("section", {}, el("div", { class: "title" }, el("div", {}, el("h2", {}, title), said && el("p", { class: "soft small" }, said))), children);
  const figures = list => el("dl", { class: "figures" }, list.filter(Boolean).map(([name, value, more]) => el("div", {}, el("dt", {}, name), el("dd", {}, value, more && el("small", {}, more)))));
  const tag = (said, tone) => el("span", { class: "tag" + (tone ? " " + tone : "") }, said);
  /* A signed amount whose sign is in words too. */
  function signed(amount, currency, tones, rounded) {
    const way = sign(amount), tone = (way && tones && tones[way < 0 ? "negative" : "positive"]) || null;
    return el("span", { class: tone ? tone[1] : null, title: rounded ? `${amount} ${currency}` : null }, money(amount, currency, rounded), tone && tone[0] && el("small", { class: "tone" }, " " + tone[0]));
  }
  const VARIANCE = { positive: ["overcharge", "bad"], negative: ["undercharge", "good"] };
  const MARGIN = { negative: ["loss", "bad"] };

  function paintNav() {
    for (const anchor of document.querySelectorAll("nav a, .brand")) anchor.href = link(anchor.dataset.page, {});
  }
  let shown = null, place;
  /* `needs(state)` names the chunks of a page, `render(data)` gives its elements. */
  function page({ needs, render }) {
    const main = document.querySelector("main");
    async function show() {
      paintNav();
      const names = ["site"];
      try {
        await load("site");
        names.push(...await needs(state()));
        const data = Object.fromEntries(await Promise.all(names.map(async name => [name, await load(name)])));
        main.replaceChildren(...[render(data)].flat(Infinity).filter(Boolean));
        foot(data.site);
      } catch (error) {
        main.replaceChildren(el("h1", {}, "This page cannot be shown"), el("p", {}, `A part of it is missing or broken: ${error.message}. `, el("a", { href: "index.html" }, "To the overview")));
        if (!(error.message in asked)) throw error;
      }
      main.removeAttribute("aria-busy");
      // After a choice the focus stays where it was; on another subject it goes to its title.
      const { carrier, partner, line, invoice } = state(), subject = [carrier, partner, line, invoice].join("\n");
      if (shown !== null && shown !== subject) { window.scrollTo(0, 0); const title = main.querySelector("h1"); if (title) title.focus({ preventScroll: true }); }
      shown = subject;
      // A link may lead to a section of a page: `at` names it.
      const { at } = state(), target = at && at !== place && document.getElementById(at);
      if (target) { target.tabIndex = -1; target.focus({ preventScroll: true }); target.scrollIntoView(); }
      place = at;
    }
    window.addEventListener("hashchange", () => {
      const focused = document.activeElement && document.activeElement.getAttribute("name");
      show().then(() => { const again = focused && main.querySelector(`[name="${focused}"]`); if (again) again.focus({ preventScroll: true }); });
    });
    document.querySelector(".skip").addEventListener("click", event => { event.preventDefault(); main.tabIndex = -1; main.focus(); });
    theme();
    show();
  }
  function foot(site) {
    document.querySelector(".foot").replaceChildren(
      el("span", {}, `Published ${instant(site.published_at)}`), el("span", {}, "Every figure is from the published tables; nothing on these pages leaves this computer."),
      el("span", {}, "Amounts of different currencies are never added up."));
  }
  function theme() {
    const root = document.documentElement, button = document.querySelector(".theme");
    const keep = { get: () => { try { return localStorage.getItem("tollgate-theme"); } catch { return null; } }, set: name => { try { localStorage.setItem("tollgate-theme", name); } catch { /* a browser that keeps nothing */ } } };
    const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    const say = () => { button.textContent = dark() ? "Light" : "Dark"; button.setAttribute("aria-label", `Switch to the ${dark() ? "light" : "dark"} theme`); };
    if (["light", "dark"].includes(keep.get())) root.dataset.theme = keep.get();
    const repaint = () => { say(); window.dispatchEvent(new Event("repaint")); };
    button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; keep.set(root.dataset.theme); repaint(); });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
    say();
  }
  function copyable(command) {
    const done = el("span", { class: "unseen", role: "status" });
    return el("div", { class: "command" }, el("code", {}, command), el("span", {}, el("button", { class: "quiet", onclick: async event => { await copy(command); event.target.textContent = "Copied"; done.textContent = "Copied"; } }, "Copy"), done));
  }
  async function copy(value) {
    try { await navigator.clipboard.writeText(value); } catch {
      const field = el("textarea", { class: "unseen", readonly: true }, value);
      document.body.append(field); field.select(); document.execCommand("copy"); field.remove();
    }
  }
  return { el, sum, minus, negated, sign, size, compare, permille, whole, money, number, plain, percent, ratio, count, date, weekday, month, instant, daysFrom, clock, country, words, unit,
    state, link, go, remember, today, put, load, rows, groups, select, dayField, period, periodField, currencyField, head, section, figures, tag, signed, VARIANCE, MARGIN,
    page, copyable, copy, chunks };
})();
