/* Two charts of one case: rows per second, and the three clocks. Colours are the page's own. */
"use strict";

const charts = (() => {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const rate = (value) => value == null ? "–"
    : value >= 1e6 ? `${(value / 1e6).toFixed(2)} M`
    : value >= 1e4 ? `${(value / 1e3).toFixed(1)} k` : Math.round(value).toLocaleString("en");
  const micro = (value) => value == null ? "–" : `${value.toFixed(value < 10 ? 2 : 1)} µs`;
  const minute = (seconds) => seconds == null ? "–" : new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ");

  /* Points as the API gives them, into a list per column. */
  function columns(document) {
    const found = {};
    document.columns.forEach((name, n) => { found[name] = document.points.map((point) => point[n]); });
    return found;
  }

  /* The part of the columns that lies in the last so many seconds; 0 is all. */
  function within(found, span) {
    const at = found.at_seconds, since = span ? at[at.length - 1] - span : -Infinity;
    const first = at.findIndex((seconds) => seconds >= since);
    return Object.fromEntries(Object.entries(found).map(([name, values]) => [name, values.slice(first)]));
  }

  const scaled = (values, factor) => values.map((value) => value == null ? null : value * factor);

  function line(label, stroke, value, more = {}) {
    return { label, stroke, value: (_, v) => value(v), width: 1.5, points: { size: 4 }, spanGaps: false, ...more };
  }

  /* Vertical lines of changes, and where each may have begun. */
  function marks(found) {
    return {
      hooks: {
        drawClear: [(plot) => {
          const { ctx, bbox } = plot;
          const inside = (x) => Math.min(Math.max(x, bbox.left), bbox.left + bbox.width);
          ctx.save();
          for (const mark of found) {
            const x = Math.round(plot.valToPos(mark.at, "x", true));
            if (mark.low != null) {
              const low = inside(plot.valToPos(mark.low, "x", true));
              const high = inside(plot.valToPos(mark.high, "x", true));
              ctx.globalAlpha = 0.16;
              ctx.fillStyle = colour(mark.colour);
              ctx.fillRect(low, bbox.top, high - low, bbox.height);
              ctx.globalAlpha = 1;
            }
            if (x < bbox.left || x > bbox.left + bbox.width) continue;
            ctx.strokeStyle = colour(mark.colour);
            ctx.lineWidth = devicePixelRatio * (mark.low == null ? 1 : 2);
            ctx.setLineDash(mark.low == null ? [2 * devicePixelRatio, 3 * devicePixelRatio] : []);
            ctx.beginPath();
            ctx.moveTo(x, bbox.top);
            ctx.lineTo(x, bbox.top + bbox.height);
            ctx.stroke();
          }
          ctx.restore();
        }],
      },
    };
  }

  /* Ticks of the time by their distance: the text, then what stands below where year, day or minute
     begin. */
  const TIMES = [
    [31536000, "{YYYY}", null, null, null, null, null, null, 1],
    [2419200, "{YYYY}-{MM}", null, null, null, null, null, null, 1],
    [86400, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
    [60, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
    [1, ":{ss}", "\n{YYYY}-{MM}-{DD} {HH}:{mm}", null, "\n{MM}-{DD} {HH}:{mm}", null, "\n{HH}:{mm}", null, 1],
  ];

  function axes(values) {
    const common = { stroke: colour("quiet"), grid: { stroke: colour("grid"), width: 1 }, ticks: { stroke: colour("grid"), width: 1 } };
    return [{ ...common, values: TIMES }, { ...common, size: 64, values: (_, ticks) => ticks.map(values) }];
  }

  /* Room around the values, so that noise does not look like a cliff. */
  function around(_, low, high) {
    if (low == null) return [0, 1];
    const room = Math.max((high - low) * 0.1, Math.abs(high) * 0.05);
    return [Math.max(0, low - room), high + room];
  }

  const fromZero = (_, low, high) => low == null ? [0, 1] : [Math.min(0, low), (high || 1) * 1.08];

  function options(host, series, value, found, range) {
    return {
      width: Math.max(280, host.clientWidth),
      height: 300,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      scales: {
        x: { time: true },
        y: { range },
      },
      cursor: { sync: { key: "clocks" }, drag: { x: true, y: false } },
      legend: { live: true },
      axes: axes(value),
      series: [{ label: "UTC", value: (_, v) => minute(v) }, ...series],
      plugins: [marks(found)],
    };
  }

  function rates(host, all, marked, span) {
    const found = within(all, span), at = found.at_seconds;
    const band = { stroke: "transparent", width: 0, points: { show: false } };
    const series = [
      line("high", "transparent", rate, band),
      line("low", "transparent", rate, band),
      line("rows/s", colour("line-1"), rate, { width: 2 }),
      line("fast end", colour("line-3"), rate, { width: 1 }),
      line("baseline", colour("baseline"), rate, { dash: [6, 4] }),
    ];
    const plan = options(host, series, rate, marked, around);
    plan.bands = [{ series: [1, 2], fill: colour("band") }];
    const data = [at, found.rows_per_second_high, found.rows_per_second_low, found.rows_per_second,
      found.rows_per_second_fast, found.baseline_rows_per_second];
    return new uPlot(plan, data, host);
  }

  function clocks(host, all, marked, span) {
    const found = within(all, span), at = found.at_seconds;
    const names = ["client", "server", "commit"];
    const series = names.flatMap((name, n) => [
      line(name, colour(`line-${n + 1}`), micro),
      line(`${name} baseline`, colour(`line-${n + 1}`), micro, { dash: [6, 4], width: 1 }),
    ]);
    const data = [at, ...names.flatMap((name) => [
      scaled(found[`${name}_seconds_per_row`], 1e6),
      scaled(found[`${name}_baseline_seconds_per_row`], 1e6),
    ])];
    return new uPlot(options(host, series, micro, marked, fromZero), data, host);
  }

  return { columns, rates, clocks };
})();
