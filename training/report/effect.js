/* The effect under other assumptions: the arithmetic of training/evaluation/business_impact.py, for whoever changes one. */
(() => {
  const form = document.getElementById("assumptions");
  if (!form) return;
  const cases = ["routedRight", "routedWrong", "suggested", "reviewed"].map((name) => Number(form.dataset[name]));
  const prior = Number(form.dataset.prior), normal = Number(form.dataset.normal);

  function mean(prices, times = 1) {
    const rows = cases.reduce((sum, count) => sum + count, 0);
    const total = rows + prior * cases.length;
    const moment = (power) => cases.reduce((sum, count, i) => sum + ((count + prior) / total) * prices[i] ** power, 0);
    const centre = moment(1);
    const reach = normal * Math.sqrt(Math.max(moment(2) - centre ** 2, 0) / (total + 1));
    const value = cases.reduce((sum, count, i) => sum + count * prices[i], 0) / rows;
    const low = Math.max(Math.min(centre - reach, value), Math.min(...prices));
    const high = Math.min(Math.max(centre + reach, value), Math.max(...prices));
    return [value, low, high].map((each) => each * times);
  }
  const fixed = (value, digits) =>
    value.toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const count = (value) => fixed(value, 0);
  const minutes = (value) => (Math.abs(value) < 120 ? `${fixed(Math.round(value) + 0, 0)} min` : `${fixed(value / 60, 1)} h`);

  function show(name, text) {
    document.getElementById(`effect-${name}`).textContent = text;
  }
  function update() {
    if (!form.checkValidity()) return;
    const given = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, Number(value)]));
    const mistakes = 1 - given.manual_percent / 100, week = given.tickets_per_week;
    const work = given.triage_minutes + mistakes * given.misroute_minutes;
    const wait = given.triage_wait_minutes + mistakes * given.misroute_wait_minutes;
    const confirming = given.suggestion_minutes + mistakes * given.misroute_minutes;
    const saved = mean([work, work - given.misroute_minutes, work - confirming, 0], week);
    const misroutes = mean([0, 1, mistakes, mistakes], week);
    const waits = mean([0, given.misroute_wait_minutes, wait, wait]);
    show("saved", minutes(saved[0]));
    show("saved-span", `${minutes(saved[1])} to ${minutes(saved[2])}`);
    show("wait-before", minutes(wait));
    show("wait-after", minutes(waits[0]));
    show("wait-span", `${minutes(waits[1])} to ${minutes(waits[2])}`);
    show("misroutes-before", count(week * mistakes));
    show("misroutes-after", count(misroutes[0]));
    show("misroutes-span", `${count(misroutes[1])} to ${count(misroutes[2])}`);
  }
  form.hidden = false;
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(update));
})();
