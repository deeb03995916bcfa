"use strict";
const figures = JSON.parse(document.getElementById("figures").textContent);
for (const place of document.querySelectorAll(".plot")) {
  const name = place.dataset.plot;
  const { data, layout } = figures[name];
  place.textContent = "";
  Plotly.newPlot(place, data, layout, {
    displaylogo: false,
    displayModeBar: name === "map",
    modeBarButtons: [["pan2d", "zoom2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
    responsive: true,
    scrollZoom: name === "map",
  });
}
