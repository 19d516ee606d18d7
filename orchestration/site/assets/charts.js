/* Charts, drawn by ECharts. A chart never holds a figure that no table beside it has: it is drawn from floats.
   Belongs here: how each kind looks. Does not belong here: what is drawn. */
"use strict";
(() => {
  const { el, money, month, date } = tollgate;
  const drawn = new Set();
  function color(name) {
    const probe = el("i", { style: `color: var(--${name})`, hidden: true });
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }
  const colors = () => Object.fromEntries(["paper", "sheet", "ink", "soft", "line", "accent", "bad", "good", "warn", "strong-line"].map(name => [name, color(name)]));
  const font = () => getComputedStyle(document.body).fontFamily;
  const short = new Intl.NumberFormat(navigator.languages, { notation: "compact", maximumFractionDigits: 1 });

  /* A figure with a name for who cannot see it; `option(colors)` is asked again when the theme changes. */
  function chart(name, option, size) {
    const node = el("div", { class: "chart" + (size ? " " + size : ""), role: "img", "aria-label": name });
    drawn.add({ node, option, plot: null });
    requestAnimationFrame(paintNew);
    return node;
  }
  const base = c => ({ animation: false, textStyle: { fontFamily: font(), color: c.soft }, grid: { left: 8, right: 12, top: 28, bottom: 8, containLabel: true } });
  function paint(one) {
    const c = colors();
    if (!one.plot) { one.plot = echarts.init(one.node, null, { renderer: "svg" }); one.watch = new ResizeObserver(() => one.plot.resize()); one.watch.observe(one.node); }
    one.plot.setOption({ ...base(c), ...one.option(c) }, true);
    const picture = one.node.querySelector("svg");
    if (picture) picture.setAttribute("aria-hidden", "true");
  }
  function paintNew() {
    for (const one of drawn) {
      if (!one.node.isConnected) { if (one.plot) { one.watch.disconnect(); one.plot.dispose(); drawn.delete(one); } } else if (!one.plot) paint(one);
    }
  }
  window.addEventListener("repaint", () => { for (const one of drawn) if (one.plot) paint(one); });
  // On paper everything is light.
  const paper = matchMedia("print");
  paper.addEventListener("change", () => window.dispatchEvent(new Event("repaint")));

  const values = c => ({ type: "value", axisLabel: { color: c.soft, formatter: value => short.format(value) }, splitLine: { lineStyle: { color: c.line } } });
  const names = (c, list, more) => ({ type: "category", data: list, axisTick: { show: false }, axisLine: { lineStyle: { color: c["strong-line"] } }, axisLabel: { color: c.soft, hideOverlap: true, ...more } });
  const tip = c => ({ backgroundColor: c.paper, borderColor: c["strong-line"], textStyle: { color: c.ink, fontSize: 13 }, confine: true, renderMode: "richText" });

  /* From the first to the last through steps: { name, amount, kind: "sum" or "step", href }. Exact texts; drawn as they add up. */
  chart.waterfall = (name, steps, currency) => {
    let at = 0;
    const bars = steps.map(step => {
      const value = Number(step.amount), from = step.kind === "sum" ? 0 : at, to = step.kind === "sum" ? value : at + value;
      at = to;
      return { ...step, low: Math.min(from, to), high: Math.max(from, to), value };
    });
    const ends = bars.filter(bar => bar.kind === "step").flatMap(bar => [bar.low, bar.high]).concat(bars.filter(bar => bar.kind === "sum").map(bar => bar.high));
    const low = Math.min(...ends), high = Math.max(...ends), room = (high - low) * 0.6;
    // Steps of a few percent are not seen from zero: the axis begins where the steps are, and says so by its figures.
    const from = low - room > 0 && (high - low) < high * 0.5 ? Math.max(0, low - room) : Math.min(0, low);
    return chart(name, c => ({
      grid: { left: 8, right: 12, top: 24, bottom: 8, containLabel: true },
      tooltip: { ...tip(c), trigger: "item", formatter: event => `${bars[event.dataIndex].name}\n${money(bars[event.dataIndex].amount, currency)}` },
      xAxis: names(c, bars.map(bar => bar.name), { interval: 0, hideOverlap: false, width: 92, overflow: "break", lineHeight: 14 }),
      yAxis: { ...values(c), min: from, axisLabel: { color: c.soft, formatter: value => new Intl.NumberFormat(navigator.languages, { maximumFractionDigits: high - from < 10 ? 2 : 0 }).format(value), showMinLabel: from === 0 } },
      series: [
        { type: "bar", stack: "w", silent: true, data: bars.map(bar => Math.max(bar.low, from)), itemStyle: { color: "transparent" }, barMaxWidth: 72, barCategoryGap: "28%" },
        { type: "bar", stack: "w", barMaxWidth: 72, data: bars.map(bar => ({ value: bar.high - Math.max(bar.low, from), itemStyle: { color: bar.kind === "sum" ? c.accent : bar.value > 0 ? c.bad : c.good } })),
          label: { show: true, position: "top", color: c.ink, fontSize: 12, formatter: event => (bars[event.dataIndex].kind === "step" && bars[event.dataIndex].value > 0 ? "+" : "") + tollgate.number(bars[event.dataIndex].amount, currency) } },
      ],
    }));
  };
  /* Bars side by side or on top of each other, per category. series: { name, tone, data (numbers), stack, line } */
  chart.series = (name, categories, series, currency, { size, horizontal, dates } = {}) => {
    const said = dates === "month" ? categories.map(month) : dates ? categories.map(date) : categories;
    const drawing = chart(name, c => {
      const axis = [names(c, said, horizontal ? { width: 190, overflow: "truncate" } : {}), values(c)];
      return {
        grid: { left: 8, right: 16, top: 14, bottom: 10, containLabel: true },
        tooltip: { ...tip(c), trigger: "axis", axisPointer: { type: "line", lineStyle: { color: c["strong-line"] } }, formatter: points => [points[0].name, ...points.filter(point => point.value !== null && point.value !== undefined && (points.length < 8 || point.value !== 0)).map(point => `${point.seriesName}  ${series[point.seriesIndex].texts ? money(series[point.seriesIndex].texts[point.dataIndex], currency, true) : short.format(point.value)}`)].join("\n") },
        xAxis: horizontal ? axis[1] : axis[0], yAxis: horizontal ? { ...axis[0], inverse: true } : axis[1],
        series: series.map(one => ({ type: one.line ? "line" : "bar", name: one.name, data: one.data, stack: one.stack, symbolSize: 5, barMaxWidth: 26, lineStyle: { width: 2, type: one.dashed ? "dashed" : "solid" }, itemStyle: { color: tone(c, one.tone) } })),
      };
    }, size);
    if (series.length < 2) return drawing;
    // Beside the drawing and not in it, so that a narrow window breaks the line.
    return el("div", {}, el("ul", { class: "legend", "aria-hidden": "true" }, series.map(one => el("li", {}, el("i", { style: `background: ${tone(INKS, one.tone)}` }), one.name))), drawing);
  };
  // Eight that are told apart in both themes, also by who sees no red or green.
  const APART = ["#4477aa", "#cc6677", "#b8a03a", "#228833", "#882255", "#44aa99", "#dd7733", "#8877bb", "#999999"];
  /* The colors of a theme as a style sheet names them. */
  const INKS = new Proxy({}, { get: (_, name) => `var(--${name})` });
  const tone = (c, name) => typeof name === "number" ? APART[Math.min(name, APART.length - 1)] : c[name] || c.accent;

  const HEAT = 750;
  /* cells: [column, row, value, words]; red below zero, blue above. */
  chart.heat = (name, columns, rows, cells, said, onclick) => {
    const node = chart(name, c => ({
      grid: { left: 8, right: 12, top: 8, bottom: 34, containLabel: true },
      tooltip: { ...tip(c), formatter: event => said(event.value) },
      xAxis: { ...names(c, columns, { interval: 0, rotate: columns.length > 6 ? 40 : 0, hideOverlap: false }), splitArea: { show: false } },
      yAxis: { ...names(c, rows, { interval: 0, width: 130, overflow: "truncate" }), inverse: true },
      visualMap: { min: -HEAT, max: HEAT, dimension: 2, orient: "horizontal", left: "center", bottom: 0, itemWidth: 10, itemHeight: node.clientWidth < 500 ? 60 : 160, calculable: false, text: ["margin 75 % and more", "loss 75 % and more"], textStyle: { color: c.soft },
        inRange: { color: [c.bad, c.paper, c.accent] } },
      series: [{ type: "heatmap", data: cells.map(value => ({ value, label: { color: Math.abs(value[2]) > HEAT * 0.55 ? c.paper : c.ink } })), itemStyle: { borderColor: c.paper, borderWidth: 1 }, label: { show: columns.length <= 12, fontSize: 11, formatter: event => event.value[2] === null ? "" : tollgate.plain(Math.round(event.value[2] / 10)) } }],
    }));
    node.style.height = `${Math.max(12, rows.length * 1.6 + 7)}rem`;
    return node;
  };
  tollgate.chart = chart;
})();
