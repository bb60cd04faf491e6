// Drives a report in headless Chromium and fails when it does not do what it promises; leaves screenshots to look at.
"use strict";
const assert = require("node:assert");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { chromium } = require("playwright-core");

const [report, screenshots] = process.argv.slice(2);
const url = pathToFileURL(path.resolve(report)).href;

async function open(browser, options) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, offline: true, ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    const wanted = request.url();
    if (wanted !== url && !wanted.startsWith("data:")) complaints.push(`asks for ${wanted}`);
  });
  await page.goto(url);
  const shot = (name, settings = {}) => page.screenshot({ path: path.join(screenshots, `${name}.png`), ...settings });
  return { context, page, complaints, shot };
}

const column = (page, table, index) =>
  page.$$eval(`${table} tbody tr`, (rows, i) => rows.filter((row) => !row.hidden).map((row) => row.cells[i].textContent.trim()), index);
const numbers = (cells) => cells.filter((cell) => cell !== "").map((cell) => Number(cell.replace("−", "-").replace("+", "")));

async function tables({ page, shot }) {
  const table = (await page.$$("section.sortable")).length;
  assert.ok(table >= 1, "the page has tables");
  const last = `#table-${table}`;
  const heads = await page.$$eval(`${last} thead th`, (cells) => cells.map((cell) => cell.textContent));
  const index = heads.indexOf("apparent_x_pm");
  assert.ok(index >= 0, `no apparent shift among ${heads}`);
  const untouched = numbers(await column(page, last, index));
  const button = page.locator(`${last} thead th >> nth=${index} >> button`);
  await button.click();
  const up = numbers(await column(page, last, index));
  assert.deepStrictEqual(up, [...untouched].sort((a, b) => a - b), "one click sorts upwards, as numbers");
  assert.strictEqual(await page.getAttribute(`${last} thead th >> nth=${index}`, "aria-sort"), "ascending");
  await button.click();
  assert.deepStrictEqual(numbers(await column(page, last, index)), [...up].reverse(), "two clicks sort downwards");
  await shot("table-sorted");
  await button.click();
  assert.deepStrictEqual(numbers(await column(page, last, index)), untouched, "three clicks restore the order");

  const estimator = heads.indexOf("estimator");
  const all = await column(page, last, estimator);
  await page.fill(`${last} input[type=search]`, "maximum");
  const shown = await column(page, last, estimator);
  assert.ok(shown.length > 0 && shown.length < all.length && shown.every((cell) => cell === "maximum"), "words filter rows");
  assert.match(await page.textContent(`${last} .count`), new RegExp(`^${shown.length} of ${all.length} rows$`));
  await page.locator(last).scrollIntoViewIfNeeded();
  await shot("table-filtered");
  await page.fill(`${last} input[type=search]`, "");
  await page.selectOption(`${last} .tools select[title=estimator]`, "gaussian");
  assert.ok((await column(page, last, estimator)).every((cell) => cell === "gaussian"), "a column filters by its values");
  await page.selectOption(`${last} .tools select[title=estimator]`, "*");
  assert.strictEqual((await column(page, last, estimator)).length, all.length, "all rows come back");
}

async function slider({ page, shot }) {
  const state = () =>
    page.evaluate(() => {
      const section = document.querySelector("#explorer");
      const places = (name) => [...section.querySelectorAll(`svg.image .${name}`)].map((mark) => mark.getAttribute("x") ?? mark.getAttribute("cx"));
      return {
        hidden: section.hidden,
        picture: section.querySelector("svg.image image").getAttribute("href"),
        stop: section.querySelector("output").textContent,
        found: places("fitted-b").join(),
        truth: places("true-b").join(),
        readout: section.querySelector(".readout tbody").textContent,
        cursor: section.querySelector(".curve .cursor").getAttribute("x1"),
      };
    });
  const range = page.locator("#explorer input[type=range]");
  const move = (value) => range.evaluate((node, to) => { node.value = to; node.dispatchEvent(new Event("input", { bubbles: true })); }, value);
  await move(0);
  const first = await state();
  assert.ok(!first.hidden && first.picture.startsWith("data:image/png;base64,"), "the slider shows an image");
  const stops = Number(await range.getAttribute("max"));
  await move(stops);
  const last = await state();
  for (const part of ["picture", "stop", "found", "readout", "cursor"]) assert.notStrictEqual(last[part], first[part], `${part} changes with the slider`);
  assert.strictEqual(last.truth, first.truth, "the truth does not move");
  await page.locator("#explorer").scrollIntoViewIfNeeded();
  await shot("slider-last");
  await range.focus();
  await page.keyboard.press("ArrowLeft");
  assert.notStrictEqual((await state()).stop, last.stop, "the keyboard moves the slider");
  const estimators = await page.$$eval("#explorer select.estimator option", (options) => options.length);
  if (estimators > 1) {
    const before = await state();
    await page.selectOption("#explorer select.estimator", "1");
    assert.notStrictEqual((await state()).found, before.found, "another estimator finds other places");
  }
  await move(0);
  await shot("slider-first");
}

async function main() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
  try {
    const light = await open(browser, { colorScheme: "light" });
    await light.shot("light", { fullPage: true });
    await light.shot("top");
    await slider(light);
    await tables(light);
    const unnamed = await light.page.$$eval("img:not([alt]), svg[role=img]:not(:has(title)), input:not([aria-label]):not(label input)", (all) => all.length);
    assert.strictEqual(unnamed, 0, "every picture and control has a name");
    assert.strictEqual(await light.page.$$eval("h1", (all) => all.length), 1);
    await light.page.pdf({ path: path.join(screenshots, "print.pdf"), format: "A4" });
    await light.page.emulateMedia({ media: "print" });
    await light.shot("print", { fullPage: true });
    assert.deepStrictEqual(light.complaints, [], "the browser complains");

    const dark = await open(browser, { colorScheme: "dark" });
    await dark.shot("dark", { fullPage: true });
    const [ground, text] = await dark.page.evaluate(() => ["backgroundColor", "color"].map((key) => getComputedStyle(document.body)[key]));
    const bright = (colour) => colour.match(/\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0);
    assert.ok(bright(ground) < 150 && bright(text) > 500, `dark is ${text} on ${ground}`);

    const narrow = await open(browser, { viewport: { width: 390, height: 800 } });
    const width = await narrow.page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 390, `a page of ${width} px does not fit a narrow screen`);
    await narrow.shot("narrow");

    const plain = await open(browser, { javaScriptEnabled: false });
    assert.ok(!(await plain.page.isVisible("#explorer")), "without a script the slider is not shown");
    assert.ok(await plain.page.isVisible("#figure-1 svg"), "without a script the figures stand");
    await plain.shot("without-script");
    console.log(`${report}: opens, sorts, filters, slides, prints; screenshots in ${screenshots}`);
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(String(error.message ?? error));
  process.exit(1);
});
