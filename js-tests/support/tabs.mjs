// Tabs of one wallet in a browser: who of them leads, and the ways in which a tab of Chromium stops.

/** Makes a page one of the wallet's tabs: it can be told apart by a lock of its own, and it says what it hears. */
export async function openTab(browser, options, hear = () => {}) {
  const page = await browser.newPage();
  const tab = { page, name: `tab/${Math.random()}` };
  await page.exposeFunction("say", (...said) => hear(tab, ...said));
  await page.evaluate(
    async ({ name, options }) => {
      await new Promise((held) => navigator.locks.request(name, () => new Promise(() => held())));
      // Where the leader is, as the browser sees it.
      globalThis.leads = async () => {
        const { held } = await navigator.locks.query();
        const mine = held.find((lock) => lock.name === name).clientId;
        return held.some((lock) => lock.name.startsWith("farthing/tabs/") && lock.clientId === mine);
      };
      globalThis.join = async () => {
        globalThis.client = await farthing.connect({ pollInterval: 100, ...options });
        for (const type of ["connected", "disconnected"]) client.on(type, () => say(type, Date.now()));
        return client.info;
      };
    },
    { name: tab.name, options },
  );
  return tab;
}

/** Tabs of one wallet, all connected, the first one leading. */
export async function openAll(browser, options, count, hear) {
  const tabs = [];
  for (let index = 0; index < count; index += 1) {
    tabs.push(await openTab(browser, options, hear));
    await tabs[index].page.evaluate(() => join());
  }
  return tabs;
}

export const closeAll = (tabs) => Promise.all(tabs.map(({ page }) => page.close()));

export async function until(condition, what, patience = 20_000) {
  for (const end = Date.now() + patience; !(await condition()); ) {
    if (Date.now() > end) throw new Error(`it never happens that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The tab whose page holds the wallet's lock. */
export async function leaderOf(tabs, asked) {
  const { held } = await asked.page.evaluate(() => navigator.locks.query());
  const leads = ({ clientId }) => held.some((lock) => lock.name.startsWith("farthing/tabs/") && lock.clientId === clientId);
  return tabs.find((tab) => held.some((own) => own.name === tab.name && leads(own)));
}

const session = async (tab) => (tab.session ??= await tab.page.context().newCDPSession(tab.page));

/** Ways to stop a tab of Chromium; a frozen one can be thawed. */
export const stop = {
  closed: (tab) => tab.page.close(),
  async crashed(tab) {
    const crashed = new Promise((resolve) => tab.page.once("crash", resolve));
    (await session(tab)).send("Page.crash").catch(() => {});
    await crashed;
  },
  /** By its debugger: a page that Playwright drives counts as visible, and visible pages do not freeze. */
  async frozen(tab) {
    const devtools = await session(tab);
    await devtools.send("Debugger.enable");
    const paused = new Promise((resolve) => devtools.once("Debugger.paused", resolve));
    await devtools.send("Debugger.pause");
    await paused;
    tab.thaw = async () => {
      await devtools.send("Debugger.resume");
      await devtools.send("Debugger.disable");
    };
  },
};
