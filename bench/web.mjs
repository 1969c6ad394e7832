import { readFileSync } from 'node:fs';
import { setTimeout as elapse } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { median, spread, table } from './figures.mjs';
import { Gateway } from './gateway.mjs';
import { SlowTcp, SlowUdp } from './slow-path.mjs';
import { withYardstick } from './yardstick.mjs';

const TAP = readFileSync(new URL('../test/support/browser/page-tap.js', import.meta.url), 'utf8');
const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
  '--allow-loopback-in-peer-connection',
];

const trials = (text) => [`--force-fieldtrials=${text}`];
const SNAP = trials('WebRTC-Sctp-Snap/Enabled/');
const BOTH = trials('WebRTC-IceHandshakeDtls/Enabled/WebRTC-Sctp-Snap/Enabled/');

const PASSIVE = [['a=setup:actpass', 'a=setup:active']];
/** The gateway sees an offer without either draft; the browser begins with SPED all the same. */
const IGNORED = [
  ['^a=sctp-init:.*\\r\\n', ''],
  ['^(a=ice-options:.*?) ?(?:googspedv1|sped).*$', '$1'],
];

const DEFAULT = { name: 'DTLS 1.3, active', flags: [] };
const NEAR = [DEFAULT, { name: 'DTLS 1.3, passive', flags: [], offer: PASSIVE }, { name: 'SPED and SNAP', flags: BOTH }];
const FAR = [
  DEFAULT,
  { name: 'the same, channel asked for (no `dcid`)', flags: [], plain: true },
  { name: 'DTLS 1.3, passive', flags: [], offer: PASSIVE },
  { name: 'SNAP', flags: SNAP },
  { name: 'SNAP, channel asked for', flags: SNAP, plain: true },
  { name: 'SPED and SNAP', flags: BOTH },
  { name: 'SPED and SNAP, ignored by the gateway', flags: BOTH, offer: IGNORED },
];

/** At a gateway that speaks nothing newer. */
const OLDER = [
  { name: 'DTLS 1.2, active', flags: [] },
  { name: 'DTLS 1.2, passive', flags: [], offer: PASSIVE },
];
const ONLY_DTLS12 = ['--import', fileURLToPath(new URL('./only-dtls12.mjs', import.meta.url))];

const MEASURED = ['answer', 'ice', 'dtls', 'packet', 'open', 'message', 'caller', 'server'];

/** How soon the gateway's own page is in a call: on this machine, and with 50 ms each way between the browser and the gateway. */
export async function benchWeb({ quick }) {
  const runs = quick ? 3 : 15;
  const { value, yardMs } = await withYardstick(async () => {
    const at = async (gateway, near, far) => {
      const seen = { near: await measure(gateway, near, { delayMs: 0, runs }), far: await measure(gateway, far, { delayMs: 50, runs }) };
      await gateway.stop();
      return seen;
    };
    const newest = await at(await Gateway.start(), NEAR, FAR);
    const older = await at(await Gateway.start({ nodeFlags: ONLY_DTLS12 }), OLDER, OLDER);
    return { near: [...newest.near, ...older.near], far: [...newest.far, ...older.far] };
  });
  const nearRows = value.near.map(({ name, version, seen }) => [
    name,
    version,
    spread(seen.server),
    spread(seen.posted),
    ...['answer', 'ice', 'dtls', 'packet', 'open'].map((key) => spread(seen[key].map((at, n) => at - seen.posted[n]))),
  ]);
  const farRows = value.far.map(({ name, version, seen }) => [
    name,
    version,
    ...['answer', 'dtls', 'packet', 'open', 'message'].map((key) => median(seen[key])),
    median(seen.caller),
  ]);
  const near = table(
    [
      '',
      'DTLS',
      'offer → answer in the gateway',
      'setLocalDescription → POST',
      'POST → answer',
      '→ ICE',
      '→ DTLS',
      '→ first packet heard',
      '→ channel open',
    ],
    nearRows,
  );
  const far = table(
    [
      '',
      'DTLS',
      'answer',
      'connected',
      'first packet heard',
      'channel open',
      'first event',
      'caller’s first RTP at the gateway, from its POST',
    ],
    farRows,
  );
  return {
    title: `A browser's way into a call (ms; ${runs} calls each; fixed calculation ${yardMs.toFixed(1)} ms)`,
    text: `On this machine, p50 / p95 since the POST:\n\n${near}\n\n50 ms each way, medians since setLocalDescription:\n\n${far}`,
  };
}

async function measure(gateway, cases, { delayMs, runs }) {
  const http = await SlowTcp.open({ to: await gateway.door('http'), delayMs });
  const udp = await SlowUdp.open({ to: await gateway.door('relay'), delayMs });
  const measured = [];
  for (const each of cases) {
    const browser = await chromium.launch({ executablePath: EXECUTABLE, headless: true, args: [...FLAGS, ...each.flags] });
    const page = await (await browser.newContext()).newPage();
    // One way only, through the network of the benchmark.
    const answer = [
      ['^a=candidate:\\S+ 1 tcp .*\\r\\n', ''],
      ['^(a=candidate:\\S+ 1 udp \\d+ \\S+) \\d+', `$1 ${udp.port}`],
    ];
    await page.addInitScript(
      `window.tapChanges = ${JSON.stringify({ offer: each.offer ?? [], answer, plain: each.plain ?? false })};\n${TAP}`,
    );
    await page.goto(`http://127.0.0.1:${http.port}/`);
    const seen = Object.fromEntries([...MEASURED, 'posted'].map((key) => [key, []]));
    let version = '';
    // The first calls warm the browser up.
    for (let n = -2; n < runs; n++) {
      for (const path of [http, udp]) path.forget();
      const figures = await oneCall(page, http, udp);
      if (n < 0) continue;
      version = figures.version;
      for (const key of Object.keys(seen)) seen[key].push(figures[key]);
    }
    await browser.close();
    measured.push({ name: each.name, version, seen });
  }
  http.close();
  udp.close();
  return measured;
}

/** Times since setLocalDescription, but for `server` and `caller`. */
async function oneCall(page, http, udp) {
  await page.getByRole('button', { name: 'Talk', exact: true }).click();
  await page.evaluate('tap.event("session.created", 0)');
  while (!udp.first['up rtp'] || !udp.first['down rtp']) await elapse(20);
  const told = await page.evaluate(`(async () => {
    const post = performance.getEntriesByType('resource').findLast(({ name }) => name.includes('/realtime/calls'));
    const stats = await tap.stats();
    const transport = stats.find(({ type }) => type === 'transport');
    return { marks: tap.marks, origin: performance.timeOrigin, posted: post.requestStart, version: transport.tlsVersion };
  })()`);
  await page.getByRole('button', { name: 'Hang up', exact: true }).click();
  await page.evaluate('tap.events.length = 0; performance.clearResourceTimings()');
  await elapse(150); // its goodbye
  const { marks, origin, posted, version } = told;
  const since = (at) => at - marks.described;
  return {
    version: version === 'FEFC' ? '1.3' : version === 'FEFD' ? '1.2' : version,
    posted: since(posted),
    answer: since(marks.answer),
    ice: since(marks['ice connected']),
    dtls: since(marks.connected),
    open: since(marks.open),
    message: since(marks.message),
    packet: udp.first['down rtp'] - origin - marks.described,
    caller: udp.first['up rtp'] - origin - posted,
    server: http.first.answer - http.first.offer,
  };
}
