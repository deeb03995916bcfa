"use strict";
const figures = JSON.parse(document.getElementById("figures").textContent);
for (const place of document.querySelectorAll(".plot")) {
  const name = place.dataset.plot;
  const { data, layout } = figures[name];
  place.textContent = "";
  Plotly.newPlot(place, data, layout, {
    displaylogo: false,
    displayModeBar: name === "map",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    responsive: true,
    scrollZoom: name === "map",
  });
}
