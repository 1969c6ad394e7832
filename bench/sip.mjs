import { spawn, spawnSync } from 'node:child_process';
import { ENVIRONMENT, NODE_FLAGS } from './built.mjs';
import { Child } from './child.mjs';
import { median, short, table } from './figures.mjs';
import { cpuBetween, Gateway } from './gateway.mjs';
import { withYardstick } from './yardstick.mjs';

const HOLD_MS = 500;

/** Rates of calls for the engine, as in the comparisons of stacks; the whole gateway builds media for each call as well. */
const ENGINE_RATES = [200, 400, 800];
const GATEWAY_RATES = [25, 50, 100];

/**
 * sipp's own caller against the SIP engine alone, against a program on drachtio where DRACHTIO_SERVER names a server's binary, and against the whole gateway.
 * Each row is the median of runs, each with a new process.
 */
export async function benchSip({ quick }) {
  const title = 'sipp -sn uac, calls of 500 ms: CPU of the called side';
  if (spawnSync('sipp', ['-v']).error) return { title, text: 'skipped: sipp is not installed (npm run peers)' };
  const seconds = quick ? 4 : 10;
  const runs = quick ? 1 : 5;
  const rows = [];
  for (const rate of ENGINE_RATES) rows.push(await measureRuns('SIP engine alone', startEngine, rate, { seconds, runs }));
  if (process.env.DRACHTIO_SERVER) {
    for (const rate of ENGINE_RATES)
      rows.push(await measureRuns('drachtio-server and drachtio-srf', startDrachtio, rate, { seconds, runs }));
  }
  for (const rate of GATEWAY_RATES) rows.push(await measureRuns('whole gateway', startGateway, rate, { seconds, runs }));
  return {
    title,
    text: table(
      [
        ...['what', 'calls/s', 'runs', 'calls', 'failed', 'ms of CPU a call', 'least – most'],
        ...['% of a core', 'retransmissions by sipp', 'fixed calculation ms'],
      ],
      rows,
    ),
  };
}

async function measureRuns(name, start, perSecond, { seconds, runs }) {
  const all = [];
  for (let run = 0; run < runs; run++) all.push(await measure(start, perSecond, perSecond * seconds));
  const middle = (figure) => median(all.map((each) => each[figure]));
  const sum = (figure) => all.reduce((total, each) => total + each[figure], 0);
  const costs = all.map(({ cpuMs }) => cpuMs);
  return [
    ...[name, `${perSecond}`, `${runs}`, `${sum('calls')}`, `${sum('failed')}`, middle('cpuMs')],
    ...[
      `${short(Math.min(...costs))} – ${short(Math.max(...costs))}`,
      middle('share') * 100,
      `${sum('retransmissions')}`,
      middle('yardMs'),
    ],
  ];
}

const startEngine = () => startChild('./sip-child.mjs');
const startDrachtio = () => startChild('./drachtio-child.mjs');

async function startChild(file) {
  const child = new Child(file, { execArgv: NODE_FLAGS, env: ENVIRONMENT });
  const [, port] = await child.printed(/^ready (\d+)$/m);
  return { port: Number(port), figures: () => child.ask({ gc: false }), stop: () => child.stop() };
}

async function startGateway() {
  const gateway = await Gateway.start();
  return { port: gateway.sip.port, figures: () => gateway.figures(), stop: () => gateway.stop() };
}

async function measure(start, perSecond, calls) {
  const server = await start();
  await sipp(server.port, perSecond / 4, perSecond); // compiles
  const before = await server.figures();
  const startedAt = performance.now();
  const { value, yardMs } = await withYardstick(() => sipp(server.port, perSecond, calls));
  const elapsedMs = performance.now() - startedAt;
  const cpuMs = cpuBetween(before, await server.figures());
  await server.stop();
  return { calls, ...value, cpuMs: cpuMs / calls, share: cpuMs / elapsedMs, yardMs };
}

/** @returns what sipp says of itself at its end */
async function sipp(port, perSecond, calls) {
  const flags = [
    '-sn',
    'uac',
    '-r',
    perSecond,
    '-m',
    calls,
    '-d',
    HOLD_MS,
    '-i',
    '127.0.0.1',
    '-nostdin',
    '-timeout',
    120,
    `127.0.0.1:${port}`,
  ];
  const child = spawn('sipp', flags.map(String), { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, TERM: 'dumb' } });
  let output = '';
  child.stdout.on('data', (data) => {
    output = (output + data).slice(-20_000);
  });
  await new Promise((resolve) => child.once('close', resolve));
  const last = (pattern) => Number([...output.matchAll(pattern)].at(-1)?.[1] ?? Number.NaN);
  const retransmissions = [...output.slice(output.lastIndexOf('INVITE ------')).matchAll(/^\s*(?:INVITE|BYE) -+>\s+\d+\s+(\d+)/gm)];
  return {
    failed: last(/Failed call\s*\|\s*\d+\s*\|\s*(\d+)/g),
    retransmissions: retransmissions.reduce((sum, [, count]) => sum + Number(count), 0),
  };
}
